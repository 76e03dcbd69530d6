/* What every kind of source promises, and where a pack may be written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "image/image.h"
#include "packing/source.h"
#include "packing/source_reader.h"
#include "support/idx_file.h"
#include "support/picture.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    if (found != expected || !strstr(convoy_status_text(), text))
        fail_msg("status %d, not %d, or no '%s' in '%s'", found, expected, text,
                 convoy_status_text());
}

#define SOURCE(kind) extern const struct source_kind source_##kind;
#include "packing/source_list.h"
#undef SOURCE

static const struct source_kind *const kinds[] = {
#define SOURCE(kind) &source_##kind,
#include "packing/source_list.h"
#undef SOURCE
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void write_png(const char *path, int width, int seed)
{
    struct image picture = picture_make(width, 10, 3, seed);
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
    assert_int_equal(scratch_write(path, bytes, n), 0);
    mem_free(bytes);
    image_free(&picture);
}

/* Two classes, out of order. */
static const char *make_tar(void)
{
    static const char *const names[] = {"b/2.png", "a/x/1.png", "a/0.png"};
    const char *path = scratch_path(folder, "some.tar");
    struct archive *archive = archive_write_new();
    archive_write_set_format_ustar(archive);
    assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
    for (int i = 0; i < 3; i++) {
        size_t n = 0;
        write_png(scratch_path(folder, "one.png"), 8 + i, i);
        unsigned char *bytes = scratch_read(scratch_path(folder, "one.png"), &n);
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, names[i]);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_size(entry, (la_int64_t)n);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(archive, bytes, n), n);
        archive_entry_free(entry);
        free(bytes);
    }
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
    return path;
}

/* A small source of each kind. */
static const char *make_source(const char *kind)
{
    if (strcmp(kind, "idx") == 0) {
        assert_int_equal(idx_write_set(folder, 9, 6, 5, 3), 0);
        return scratch_path(folder, "train-images-idx3-ubyte");
    }
    if (strcmp(kind, "folder") == 0) {
        assert_int_equal(file_make_folder(scratch_path(folder, "tree/a")), CONVOY_OK);
        assert_int_equal(file_make_folder(scratch_path(folder, "tree/b")), CONVOY_OK);
        write_png(scratch_path(folder, "tree/a/1.png"), 8, 1);
        write_png(scratch_path(folder, "tree/b/2.png"), 9, 2);
        return scratch_path(folder, "tree");
    }
    if (strcmp(kind, "tar") == 0)
        return make_tar();
    if (strcmp(kind, "cifar") == 0) {
        uint8_t records[3][1 + 3072] = {{3}, {0}, {9}};
        const char *path = scratch_path(folder, "test_batch.bin");
        memset(records[1] + 1, 77, 3072);
        assert_int_equal(scratch_write(path, records, sizeof records), 0);
        return path;
    }
    fail_msg("give kind '%s' a sample here", kind);
    return NULL;
}

/* How many files the folder has whose names hold part. */
static int count_files(const char *part)
{
    int n = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory));)
        n += strstr(entry->d_name, part) != NULL;
    closedir(directory);
    return n;
}

static void every_kind_lists_what_it_delivers(void **state)
{
    (void)state;
    static const convoy_pack_options options = {.rank = 0};
    for (int k = 0; k < N_KINDS; k++) {
        struct listing listing = {.n = 0};
        struct source_reader *reader = NULL;
        void *buffer = NULL;
        size_t capacity = 0;
        const char *path = make_source(kinds[k]->name);
        for (int j = 0; j < N_KINDS; j++)
            assert_int_equal(kinds[j]->matches(path), j == k);
        if (kinds[k]->list(path, &options, &listing) != CONVOY_OK)
            fail_msg("%s", convoy_status_text());
        assert_true(listing.n > 0);
        assert_true(listing.classes.n > 0);
        assert_int_equal(listing.notes.n, 0);
        assert_int_equal(listing.is_raw, listing.shape[0] > 0);
        assert_int_equal(source_reader_open(path, &listing, &reader), CONVOY_OK);
        for (uint64_t i = 0; i < listing.n; i++) {
            const struct listing_entry *entry = &listing.entries[i];
            assert_in_range(entry->label, 0, listing.classes.n - 1);
            assert_true(i == 0 || listing.is_raw || entry[-1].label <= entry->label);
            assert_int_equal(source_reader_read(reader, i, &buffer, &capacity),
                             CONVOY_OK);
            if (!listing.is_raw)
                assert_int_not_equal(image_sniff(buffer, entry->n_bytes),
                                     IMAGE_UNKNOWN);
        }
        source_reader_close(reader);
        source_reader_close(NULL);
        mem_free(buffer);
        listing_free(&listing);
    }
}

/* The pack at path, opened. */
static convoy_pack *open_pack(const char *path)
{
    convoy_pack *pack = NULL;
    if (convoy_pack_open(path, &pack) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return pack;
}

static void parts_of_every_kind_have_the_id_of_one_file(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const convoy_pack_options options = {.parts = 2, .threads = 2};
        const char *path = make_source(kinds[k]->name);
        const char *one = scratch_path(folder, "one.h5");
        const char *two = scratch_path(folder, "two");
        assert_int_equal(convoy_pack_create(path, one, NULL), CONVOY_OK);
        assert_int_equal(convoy_pack_create(path, two, &options), CONVOY_OK);
        convoy_pack *whole = open_pack(one), *parts = open_pack(two);
        const convoy_pack_info *info = convoy_pack_describe(parts);
        assert_string_equal(convoy_pack_describe(whole)->id, info->id);
        assert_int_equal(info->part, -1);
        assert_int_equal(info->n_parts, 2);
        void *buffers[2] = {NULL, NULL};
        size_t capacities[2] = {0, 0};
        for (uint64_t i = 0; i < info->n_records; i++) {
            struct pack_record a, b;
            assert_int_equal(pack_read(whole, i, &buffers[0], &capacities[0], &a), 0);
            assert_int_equal(pack_read(parts, i, &buffers[1], &capacities[1], &b), 0);
            assert_int_equal(a.label, b.label);
            assert_int_equal(a.n_bytes, b.n_bytes);
            assert_memory_equal(a.bytes, b.bytes, a.n_bytes);
        }
        mem_free(buffers[0]);
        mem_free(buffers[1]);
        convoy_pack_close(whole);
        convoy_pack_close(parts);
        assert_int_equal(scratch_remove(two), 0);
    }
}

static void packing_twice_gives_the_same_id(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        char ids[2][33];
        for (int i = 0; i < 2; i++) {
            convoy_pack *pack = NULL;
            const char *output = scratch_path(folder, i ? "second.h5" : "first.h5");
            assert_int_equal(
                convoy_pack_create(make_source(kinds[k]->name), output, NULL),
                CONVOY_OK);
            assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
            memcpy(ids[i], convoy_pack_describe(pack)->id, 33);
            convoy_pack_close(pack);
        }
        assert_string_equal(ids[0], ids[1]);
    }
}

static void one_other_label_gives_another_id(void **state)
{
    (void)state;
    convoy_pack *pack = NULL;
    char id[33];
    const char *source = make_source("idx"), *output = scratch_path(folder, "id.h5");
    assert_int_equal(convoy_pack_create(source, output, NULL), CONVOY_OK);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    memcpy(id, convoy_pack_describe(pack)->id, 33);
    convoy_pack_close(pack);
    assert_int_equal(idx_write(scratch_path(folder, "train-labels-idx1-ubyte"), 8, 1,
                               (uint32_t[]){9}, (uint8_t[]){0, 0, 1, 0, 0, 1, 0, 0, 2},
                               9),
                     0);
    assert_int_equal(convoy_pack_create(source, output, NULL), CONVOY_OK);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    assert_string_not_equal(id, convoy_pack_describe(pack)->id);
    convoy_pack_close(pack);
}

struct count {
    uint64_t calls, done, total;
};

static void count_progress(void *context, uint64_t done, uint64_t total)
{
    struct count *count = context;
    count->calls++;
    assert_true(done >= count->done);
    count->done = done;
    count->total = total;
}

static void progress_ends_at_the_total(void **state)
{
    (void)state;
    struct count count = {0};
    const convoy_pack_options options = {.progress = count_progress, .context = &count};
    assert_int_equal(
        convoy_pack_create(make_source("idx"), scratch_path(folder, "p.h5"), &options),
        CONVOY_OK);
    assert_true(count.calls > 0);
    assert_int_equal(count.done, 9);
    assert_int_equal(count.total, 9);
}

static void what_nobody_reads_is_refused(void **state)
{
    (void)state;
    const char *output = scratch_path(folder, "none.h5");
    const char *text = scratch_path(folder, "notes.txt");
    assert_int_equal(scratch_write(text, "hello", 5), 0);
    assert_fails(convoy_pack_create(text, output, NULL), CONVOY_ERROR_ARGUMENT,
                 "notes.txt: cannot be packed: CIFAR-10 or");
    assert_fails(convoy_pack_create(scratch_path(folder, "gone"), output, NULL),
                 CONVOY_ERROR_IO, "gone: cannot open: No such file");
    assert_fails(convoy_pack_create("/dev/null", output, NULL), CONVOY_ERROR_FORMAT,
                 "/dev/null: not a regular file");
    assert_false(file_exists(output));
}

static void places_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    const char *tree = make_source("folder");
    assert_int_equal(scratch_write(scratch_path(folder, "file"), "kept", 4), 0);
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "file/x.h5"), NULL),
                 CONVOY_ERROR_IO, "file: ");
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "new/"), NULL),
                 CONVOY_ERROR_ARGUMENT, "new: is a folder; give the pack's file name");
    assert_fails(convoy_pack_create(tree, "", NULL), CONVOY_ERROR_ARGUMENT, "is empty");
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "tree/new/x.h5"), NULL),
                 CONVOY_ERROR_ARGUMENT, "lies in the source");
    assert_int_not_equal(access(scratch_path(folder, "tree/new"), F_OK), 0);
    assert_fails(convoy_pack_create(tree, folder, NULL), CONVOY_ERROR_ARGUMENT,
                 "is a folder; give the pack's file name");
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "tree/a/x.h5"), NULL),
                 CONVOY_ERROR_ARGUMENT, "lies in the source");
    const char *images = make_source("idx");
    assert_fails(convoy_pack_create(images, images, NULL), CONVOY_ERROR_ARGUMENT,
                 "is the source itself");
}

static void the_folder_of_the_output_is_made(void **state)
{
    (void)state;
    const char *tree = make_source("folder");
    const convoy_pack_options parts = {.parts = 2};
    assert_int_equal(
        convoy_pack_create(tree, scratch_path(folder, "new/deep/x.h5"), NULL),
        CONVOY_OK);
    assert_int_equal(
        convoy_pack_create(tree, scratch_path(folder, "new/parts/"), &parts),
        CONVOY_OK);
    assert_int_equal(access(scratch_path(folder, "new/parts/part-00001.h5"), F_OK), 0);
}

static void a_failure_leaves_the_old_pack_and_no_other_file(void **state)
{
    (void)state;
    const char *output = scratch_path(folder, "kept.h5");
    convoy_pack *pack = NULL;
    assert_int_equal(convoy_pack_create(make_source("idx"), output, NULL), CONVOY_OK);
    const convoy_pack_options strict = {.strict = true};
    assert_int_equal(scratch_write(scratch_path(folder, "tree/b/9.jpg"), "broken", 6),
                     0);
    assert_fails(convoy_pack_create(scratch_path(folder, "tree"), output, &strict),
                 CONVOY_ERROR_FORMAT, "tree/b/9.jpg: ");
    assert_int_equal(unlink(scratch_path(folder, "tree/b/9.jpg")), 0);
    assert_int_equal(count_files(".tmp"), 0);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    assert_int_equal(convoy_pack_describe(pack)->encoding, CONVOY_ENCODING_RAW);
    convoy_pack_close(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_lists_what_it_delivers),
        cmocka_unit_test(parts_of_every_kind_have_the_id_of_one_file),
        cmocka_unit_test(packing_twice_gives_the_same_id),
        cmocka_unit_test(one_other_label_gives_another_id),
        cmocka_unit_test(progress_ends_at_the_total),
        cmocka_unit_test(what_nobody_reads_is_refused),
        cmocka_unit_test(places_that_cannot_be_written_are_refused),
        cmocka_unit_test(the_folder_of_the_output_is_made),
        cmocka_unit_test(a_failure_leaves_the_old_pack_and_no_other_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
