/* Listings: order, hash, and the way to the other ranks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "packing/listing.h"
#include "support/scratch.h"

static char folder[SCRATCH_PATH];

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static void add(struct listing *listing, const char *name, uint64_t place, int label)
{
    assert_int_equal(texts_add(&listing->names, name), CONVOY_OK);
    assert_int_equal(
        listing_add(listing, listing->names.n - 1, place, place + 1, label), CONVOY_OK);
}

static struct listing make(void)
{
    struct listing listing = {.is_container = true, .shape = {3, 4, 5}};
    assert_int_equal(texts_add(&listing.classes, "cat"), CONVOY_OK);
    assert_int_equal(texts_add(&listing.classes, "dog"), CONVOY_OK);
    assert_int_equal(texts_add(&listing.notes, "x: is no image"), CONVOY_OK);
    add(&listing, "z", 10, 1);
    add(&listing, "b", UINT64_C(1) << 40, 0);
    add(&listing, "a", 30, 1);
    add(&listing, "a\xff", 40, 0);
    return listing;
}

static void entries_are_ordered_by_label_and_name(void **state)
{
    (void)state;
    struct listing listing = make();
    static const char *const names[] = {"a\xff", "b", "a", "z"};
    listing_sort(&listing);
    for (uint64_t i = 0; i < 4; i++) {
        assert_string_equal(listing_name(&listing, i), names[i]);
        assert_int_equal(listing.entries[i].label, i / 2);
    }
    assert_int_equal(listing_bytes(&listing, 2, 2), 31 + 11);
    listing_free(&listing);
}

static void hash_of(const struct listing *listing, char hex[33])
{
    struct hash *hash = NULL;
    assert_int_equal(hash_create(&hash), CONVOY_OK);
    listing_hash(listing, hash);
    hash_hex(hash, hex);
    hash_destroy(hash);
}

static void what_comes_over_is_the_same(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "listing");
    struct listing listing = make(), other = {.n = 0};
    char *line = NULL, hashes[2][33];
    assert_int_equal(listing_save(&listing, "a line", path), CONVOY_OK);
    assert_int_equal(listing_load(path, &line, &other), CONVOY_OK);
    assert_string_equal(line, "a line");
    hash_of(&listing, hashes[0]);
    hash_of(&other, hashes[1]);
    assert_string_equal(hashes[0], hashes[1]);
    assert_int_equal(other.n, 4);
    assert_true(other.is_container && !other.is_raw);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(other.entries[i].place, listing.entries[i].place);
    mem_free(line);
    listing_free(&listing);
    listing_free(&other);
}

static void a_listing_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "listing");
    struct listing listing = make();
    size_t n = 0;
    assert_int_equal(listing_save(&listing, "a line", path), CONVOY_OK);
    unsigned char *bytes = scratch_read(path, &n);
    for (size_t keep = 0; keep < n; keep += 7) {
        struct listing other = {.n = 0};
        char *line = NULL;
        assert_int_equal(scratch_write(path, bytes, keep), 0);
        assert_int_equal(listing_load(path, &line, &other), CONVOY_ERROR_FORMAT);
        listing_free(&other);
    }
    free(bytes);
    listing_free(&listing);
}

/* Whatever a byte of the file becomes, what is loaded is sound. */
static void a_damaged_listing_names_only_what_it_has(void **state)
{
    (void)state;
    struct listing listing = make();
    const char *path = scratch_path(folder, "damaged");
    size_t n = 0, n_refused = 0;
    assert_int_equal(listing_save(&listing, "a line", path), CONVOY_OK);
    unsigned char *bytes = scratch_read(path, &n);
    for (size_t at = 0; at < n; at++) {
        struct listing other = {.n = 0};
        char *line = NULL;
        const unsigned char kept = bytes[at];
        bytes[at] = 0xff;
        assert_int_equal(scratch_write(path, bytes, n), 0);
        bytes[at] = kept;
        n_refused += listing_load(path, &line, &other) != CONVOY_OK;
        for (uint64_t i = 0; line && i < other.n; i++) {
            assert_true(other.entries[i].label >= 0);
            assert_true((size_t)other.entries[i].label < other.classes.n);
            assert_true(other.entries[i].name < other.names.n);
            assert_true(other.names.starts[other.entries[i].name] < other.names.used);
        }
        mem_free(line);
        listing_free(&other);
    }
    assert_true(n_refused > n / 4 && n_refused < n);
    free(bytes);
    listing_free(&listing);
}

/* Each of these makes another data set. */
static void everything_that_matters_is_in_the_hash(void **state)
{
    (void)state;
    char hashes[5][33];
    for (int i = 0; i < 5; i++) {
        struct listing listing = make();
        if (i == 1)
            listing.entries[2].label = 0;
        if (i == 2)
            listing.names.block[0] = 'y';
        if (i == 3)
            listing.content[3] = 'f';
        if (i == 4)
            listing.classes.block[0] = 'b';
        hash_of(&listing, hashes[i]);
        listing_free(&listing);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(hashes[i], hashes[j]);
    }
}

static void state_of(const struct listing *listing, char hex[33])
{
    struct hash *hash = NULL;
    assert_int_equal(hash_create(&hash), CONVOY_OK);
    listing_hash_state(listing, 1, 3, hash);
    hash_hex(hash, hex);
    hash_destroy(hash);
}

/* A record of the range is another; one outside is not asked. */
static void a_changed_file_is_another_state(void **state)
{
    (void)state;
    char hashes[4][33];
    for (int i = 0; i < 4; i++) {
        struct listing listing = make();
        if (i == 1)
            listing.entries[2].n_bytes++;
        if (i == 2)
            listing.entries[2].changed++;
        if (i == 3)
            listing.entries[0].changed++;
        state_of(&listing, hashes[i]);
        listing_free(&listing);
    }
    assert_string_not_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
    assert_string_not_equal(hashes[1], hashes[2]);
    assert_string_equal(hashes[0], hashes[3]);
}

static void hidden_files_and_leftovers_of_systems_are_passed_over(void **state)
{
    static const struct {
        const char *name;
        bool passed_over;
    } cases[] = {{".", true},
                 {".git", true},
                 {"__MACOSX", true},
                 {"Thumbs.db", true},
                 {"thumbs.DB", true},
                 {"desktop.ini", true},
                 {"Thumbs.db.d", false},
                 {"_MACOSX", false},
                 {"a", false},
                 {"desktop", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(listing_passes_over(cases[i].name, strlen(cases[i].name)),
                         cases[i].passed_over);
    assert_true(listing_passes_over("Thumbs.db/more", 9));
    assert_false(listing_passes_over("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_ordered_by_label_and_name),
        cmocka_unit_test(what_comes_over_is_the_same),
        cmocka_unit_test(a_listing_that_is_cut_short_is_refused),
        cmocka_unit_test(a_damaged_listing_names_only_what_it_has),
        cmocka_unit_test(everything_that_matters_is_in_the_hash),
        cmocka_unit_test(a_changed_file_is_another_state),
        cmocka_unit_test(hidden_files_and_leftovers_of_systems_are_passed_over),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
