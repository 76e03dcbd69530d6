/* Which classes and records a pack is made of: by name, by index and by number. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "pack/pack.h"
#include "packing/subset.h"
#include "support/idx_file.h"

#include <stdio.h>

enum { N = 12 };

static const char *const animals[] = {"cat", "dog", "emu", "fox"};

/* Record i has label i % 4 and 10 + i bytes. */
static struct listing list(const char *const *names, int n)
{
    struct listing listing = {.is_raw = true, .shape = {1, 2, 5}};
    for (int c = 0; c < n; c++)
        assert_int_equal(texts_add(&listing.classes, names[c]), CONVOY_OK);
    assert_int_equal(texts_add(&listing.names, "a record"), CONVOY_OK);
    for (int i = 0; i < N; i++)
        assert_int_equal(listing_add(&listing, 0, 0, 10 + (uint64_t)i, i % 4),
                         CONVOY_OK);
    return listing;
}

/* Chooses from a new listing of these classes, to be freed also on error. */
static convoy_status choose(const char *const *names, int n, const char *classes,
                            uint64_t max_per_class, struct listing *listing)
{
    const convoy_pack_options options = {.classes = classes,
                                         .max_per_class = max_per_class};
    *listing = list(names, n);
    return subset_choose("zoo", &options, listing);
}

static void without_options_everything_stays(void **state)
{
    struct listing listing;
    (void)state;
    assert_int_equal(choose(animals, 4, NULL, 0, &listing), CONVOY_OK);
    assert_int_equal(listing.n, N);
    assert_int_equal(listing.classes.n, 4);
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(listing.entries[i].label, i % 4);
        assert_int_equal(listing.entries[i].n_bytes, 10 + i);
        assert_string_equal(texts_get(&listing.classes, i % 4), animals[i % 4]);
    }
    listing_free(&listing);
    listing_free(&listing);
}

static void classes_are_named_or_numbered_and_keep_their_order(void **state)
{
    /* kept: one digit a class, 1 where it stays */
    const struct {
        const char *list, *kept;
    } cases[] = {{"1", "0100"},       {"dog", "0100"},     {"3,1", "0101"},
                 {"fox,dog", "0101"}, {"1-2", "0110"},     {"0-3", "1111"},
                 {"2-2", "0010"},     {"cat,2-3", "1011"}, {"0,0,cat", "1000"},
                 {"003", "0001"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listing listing;
        size_t n = 0;
        if (choose(animals, 4, cases[i].list, 0, &listing) != CONVOY_OK)
            fail_msg("%s: %s", cases[i].list, convoy_status_text());
        for (int c = 0; c < 4; c++) {
            if (cases[i].kept[c] == '0')
                continue;
            assert_string_equal(texts_get(&listing.classes, n), animals[c]);
            /* The first n records are one of each class that stays. */
            assert_int_equal(listing.entries[n].label, n);
            assert_int_equal(listing.entries[n].n_bytes, 10 + c);
            n++;
        }
        assert_int_equal(listing.classes.n, n);
        assert_int_equal(listing.n, 3 * n);
        listing_free(&listing);
    }
}

static void the_first_records_of_each_class_stay(void **state)
{
    static const uint64_t kept[] = {1, 3, 5, 7};
    struct listing listing;
    (void)state;
    assert_int_equal(choose(animals, 4, "dog,fox", 2, &listing), CONVOY_OK);
    assert_int_equal(listing.n, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(listing.entries[i].n_bytes, 10 + kept[i]);
    listing_free(&listing);
    assert_int_equal(choose(animals, 4, NULL, 100, &listing), CONVOY_OK);
    assert_int_equal(listing.n, N);
    listing_free(&listing);
}

static void lists_that_fit_nothing_are_refused(void **state)
{
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"cow",
         "'cow' is neither a name nor an index; zoo has the classes 0 to 3: cat, "
         "dog, emu, fox"},
        {"4", "'4' is neither"},
        {"", "'' is neither"},
        {"1,,2", "'' is neither"},
        {"1,", "'' is neither"},
        {"-1", "'-1' is neither"},
        {"1-", "'1-' is neither"},
        {"1-2-3", "'1-2-3' is neither"},
        {" 1", "' 1' is neither"},
        {"1 ", "'1 ' is neither"},
        {"0-4", "'0-4' is no range"},
        {"2-1", "'2-1' is no range"},
        {"Cat", "'Cat' is neither"},
        {"99999999999999999999", "'99999999999999999999' is neither"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listing listing;
        assert_int_equal(choose(animals, 4, cases[i].list, 0, &listing),
                         CONVOY_ERROR_ARGUMENT);
        if (!strstr(convoy_status_text(), cases[i].text))
            fail_msg("no '%s' in '%s'", cases[i].text, convoy_status_text());
        listing_free(&listing);
    }
}

static void classes_without_records_are_refused_where_nothing_else_is_left(void **state)
{
    static const char *const names[] = {"0", "1", "2", "3", "4"};
    struct listing listing;
    (void)state;
    assert_int_equal(choose(names, 5, "4", 0, &listing), CONVOY_ERROR_ARGUMENT);
    assert_non_null(
        strstr(convoy_status_text(), "zoo: has no records of the classes '4'"));
    listing_free(&listing);
    assert_int_equal(choose(names, 5, "3-4", 0, &listing), CONVOY_OK);
    assert_int_equal(listing.classes.n, 2);
    listing_free(&listing);
}

static void a_name_that_is_another_index_is_refused(void **state)
{
    static const char *const names[] = {"0", "1", "10", "2"};
    struct listing listing;
    (void)state;
    assert_int_equal(choose(names, 4, "2", 0, &listing), CONVOY_ERROR_ARGUMENT);
    if (!strstr(convoy_status_text(), "name of class 3 and the index of class '10'"))
        fail_msg("%s", convoy_status_text());
    listing_free(&listing);
    assert_int_equal(choose(names, 4, "2-2,1", 0, &listing), CONVOY_OK);
    assert_string_equal(texts_get(&listing.classes, 1), "10");
    listing_free(&listing);
    assert_int_equal(choose(names, 4, "10", 0, &listing), CONVOY_OK);
    assert_string_equal(texts_get(&listing.classes, 0), "10");
    listing_free(&listing);
}

static void a_name_counts_before_a_range(void **state)
{
    static const char *const names[] = {"0-1", "1-300", "emu", "fox"};
    struct listing listing;
    (void)state;
    assert_int_equal(choose(names, 4, "0-1", 0, &listing), CONVOY_OK);
    assert_int_equal(listing.classes.n, 1);
    listing_free(&listing);
    assert_int_equal(choose(names, 4, "1-300,2-3", 0, &listing), CONVOY_OK);
    assert_int_equal(listing.classes.n, 3);
    listing_free(&listing);
}

/* A pack of part of an IDX set holds that part's images, under new labels. */
static void a_pack_holds_the_chosen_records_in_their_order(void **state)
{
    char folder[SCRATCH_PATH];
    const convoy_pack_options options = {.classes = "1,4", .max_per_class = 2};
    convoy_pack *pack = NULL;
    void *buffer = NULL;
    size_t capacity = 0;
    struct pack_record record;
    /* Of labels i * 3 % 5 = 0 3 1 4 2 0 3 1 4 2 0 3 1 …: */
    static const int records[] = {2, 3, 7, 8}, labels[] = {0, 1, 0, 1};
    (void)state;
    assert_int_equal(scratch_make(folder), 0);
    assert_int_equal(idx_write_set(folder, 25, 6, 5, 5), 0);
    if (convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                           scratch_path(folder, "part.h5"), &options) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(convoy_pack_open(scratch_path(folder, "part.h5"), &pack),
                     CONVOY_OK);
    assert_int_equal(convoy_pack_describe(pack)->n_records, 4);
    assert_int_equal(convoy_pack_describe(pack)->n_bytes, 4 * 30);
    assert_int_equal(convoy_pack_describe(pack)->n_classes, 2);
    assert_string_equal(convoy_pack_class_name(pack, 0), "1");
    assert_string_equal(convoy_pack_class_name(pack, 1), "4");
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(pack_read(pack, i, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.label, labels[i]);
        assert_int_equal(record.n_bytes, 30);
        for (int k = 0; k < 30; k++) {
            const int at = records[i] * 30 + k;
            assert_int_equal(record.bytes[k], (uint8_t)(at * 7 + at / 256));
        }
    }
    mem_free(buffer);
    convoy_pack_close(pack);
    assert_int_equal(scratch_remove(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_everything_stays),
        cmocka_unit_test(classes_are_named_or_numbered_and_keep_their_order),
        cmocka_unit_test(the_first_records_of_each_class_stay),
        cmocka_unit_test(lists_that_fit_nothing_are_refused),
        cmocka_unit_test(
            classes_without_records_are_refused_where_nothing_else_is_left),
        cmocka_unit_test(a_name_that_is_another_index_is_refused),
        cmocka_unit_test(a_name_counts_before_a_range),
        cmocka_unit_test(a_pack_holds_the_chosen_records_in_their_order),
    };
    return cmocka_run_group_tests_name("subset", tests, NULL, NULL);
}
