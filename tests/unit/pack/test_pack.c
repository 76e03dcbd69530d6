/* Opening and reading packs: what is whole is read, what is not is refused in words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "h5/h5.h"
#include "pack/pack.h"
#include "support/idx_file.h"

#include <pthread.h>

enum { N = 30, H = 5, W = 4, PIXELS = H * W, N_READS = 20 * N };

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

static convoy_pack *make_pack(const char *name)
{
    convoy_pack *pack = NULL;
    assert_int_equal(idx_write_set(folder, N, H, W, 7), 0);
    assert_int_equal(convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                                        scratch_path(folder, name), NULL),
                     CONVOY_OK);
    assert_int_equal(convoy_pack_open(scratch_path(folder, name), &pack), CONVOY_OK);
    return pack;
}

static bool record_is_right(const struct pack_record *record, uint64_t index)
{
    for (size_t i = 0; i < PIXELS; i++) {
        size_t at = index * PIXELS + i;
        if (record->bytes[i] != (uint8_t)(at * 7 + at / 256))
            return false;
    }
    return record->n_bytes == PIXELS && record->label == (int32_t)(index * 3 % 7);
}

static void tells_what_it_holds(void **state)
{
    (void)state;
    convoy_pack *pack = make_pack("facts.h5");
    const convoy_pack_info *info = convoy_pack_describe(pack);
    uint64_t counts[7];
    int width = 0, height = 0;
    assert_int_equal(strlen(info->id), 32);
    assert_int_equal(info->version, 1);
    assert_int_equal(info->part, 0);
    assert_int_equal(info->n_parts, 1);
    assert_int_equal(info->encoding, CONVOY_ENCODING_RAW);
    assert_int_equal(info->shape[0], 1);
    assert_int_equal(info->shape[1], H);
    assert_int_equal(info->shape[2], W);
    assert_int_equal(info->n_records, N);
    assert_int_equal(info->n_bytes, N * PIXELS);
    assert_int_equal(info->largest_bytes, PIXELS);
    assert_int_equal(info->n_classes, 7);
    assert_string_equal(convoy_pack_class_name(pack, 6), "6");
    convoy_pack_count_labels(pack, counts);
    for (int c = 0; c < 7; c++)
        assert_int_equal(counts[c], c == 0 || c == 3 ? 5 : 4);
    pack_record_size(pack, 3, &width, &height);
    assert_int_equal(width, W);
    assert_int_equal(height, H);
    assert_string_equal(pack_path(pack), scratch_path(folder, "facts.h5"));
    convoy_pack_close(pack);
    convoy_pack_close(NULL);
}

static void every_record_comes_back(void **state)
{
    (void)state;
    convoy_pack *pack = make_pack("records.h5");
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    for (uint64_t i = 0; i < N; i++) {
        assert_int_equal(pack_read(pack, i, &buffer, &capacity, &record), CONVOY_OK);
        assert_true(record_is_right(&record, i));
    }
    mem_free(buffer);
    convoy_pack_close(pack);
}

/* As a program does it, with memory of its own. */
static bool reads_right(const convoy_pack *pack, uint64_t index)
{
    uint8_t bytes[PIXELS];
    convoy_pack_record found;
    if (convoy_pack_find(pack, index, &found) != CONVOY_OK ||
        convoy_pack_read(pack, index, bytes, sizeof bytes) != CONVOY_OK)
        return false;
    const struct pack_record record = {bytes, (size_t)found.n_bytes, found.label};
    return record_is_right(&record, index) && found.width == W && found.height == H;
}

static void a_program_reads_what_it_asks_for_and_no_more(void **state)
{
    (void)state;
    convoy_pack *pack = make_pack("program.h5");
    convoy_pack_record record = {.label = -1};
    uint8_t bytes[PIXELS + 1] = {0};
    for (uint64_t i = 0; i < N; i++)
        assert_true(reads_right(pack, i));
    bytes[PIXELS] = 77;
    assert_int_equal(convoy_pack_read(pack, 1, bytes, sizeof bytes), CONVOY_OK);
    assert_int_equal(bytes[PIXELS], 77);
    assert_fails(convoy_pack_read(pack, 3, bytes, PIXELS - 1), CONVOY_ERROR_ARGUMENT,
                 "record 3 has 20 bytes, there is room for 19");
    assert_fails(convoy_pack_read(pack, N, bytes, sizeof bytes), CONVOY_ERROR_ARGUMENT,
                 "there is no record 30, the last is 29");
    assert_fails(convoy_pack_find(pack, UINT64_MAX, &record), CONVOY_ERROR_ARGUMENT,
                 "there is no record 18446744073709551615");
    assert_int_equal(record.label, -1);
    convoy_pack_close(pack);
}

static void *read_all(void *pack)
{
    size_t n_right = 0;
    for (uint64_t i = 0; i < N_READS; i++)
        n_right += reads_right(pack, i * 11 % N);
    return n_right == N_READS ? pack : NULL;
}

static void many_threads_read_at_once(void **state)
{
    (void)state;
    convoy_pack *pack = make_pack("threads.h5");
    pthread_t threads[4];
    void *results[4];
    for (int t = 0; t < 4; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, read_all, pack), 0);
    for (int t = 0; t < 4; t++)
        pthread_join(threads[t], &results[t]);
    for (int t = 0; t < 4; t++)
        assert_ptr_equal(results[t], pack);
    convoy_pack_close(pack);
}

static void a_damaged_record_is_named(void **state)
{
    (void)state;
    convoy_pack_close(make_pack("damaged.h5"));
    const char *path = scratch_path(folder, "damaged.h5");
    size_t n = 0;
    convoy_pack *pack = NULL;
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    unsigned char *bytes = scratch_read(path, &n);
    unsigned char first[8];
    for (int i = 0; i < 8; i++)
        first[i] = (unsigned char)(7 * (PIXELS * 2 + i));
    unsigned char *at = memmem(bytes, n, first, sizeof first);
    assert_non_null(at);
    at[3] ^= 0x10;
    assert_int_equal(scratch_write(path, bytes, n), 0);
    assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
    assert_int_equal(pack_read(pack, 1, &buffer, &capacity, &record), CONVOY_OK);
    assert_fails(pack_read(pack, 2, &buffer, &capacity, &record), CONVOY_ERROR_FORMAT,
                 "damaged.h5: record 2 (class '6'): checksum ");
    assert_non_null(strstr(convoy_status_text(), "run 'convoy verify "));
    mem_free(buffer);
    free(bytes);
    convoy_pack_close(pack);
}

/* A flipped bit is refused at open, found by its record's checksum, or in a place that
 * nobody reads: never a crash and never wrong data. */
static void no_flipped_bit_gives_wrong_data(void **state)
{
    (void)state;
    convoy_pack_close(make_pack("flips.h5"));
    const char *path = scratch_path(folder, "flips.h5");
    size_t n = 0, n_refused = 0, capacity = 0;
    void *buffer = NULL;
    unsigned char *bytes = scratch_read(path, &n);
    for (size_t i = 0; i < n; i += 23) {
        convoy_pack *pack = NULL;
        struct pack_record record;
        bytes[i] ^= (unsigned char)(1 << i % 8);
        assert_int_equal(scratch_write(path, bytes, n), 0);
        bytes[i] ^= (unsigned char)(1 << i % 8);
        if (convoy_pack_open(path, &pack) != CONVOY_OK) {
            n_refused++;
            continue;
        }
        for (uint64_t r = 0; r < convoy_pack_describe(pack)->n_records; r++)
            if (pack_read(pack, r, &buffer, &capacity, &record) == CONVOY_OK)
                assert_true(record_is_right(&record, r));
        convoy_pack_close(pack);
    }
    assert_true(n_refused > 20);
    mem_free(buffer);
    free(bytes);
}

static void a_pack_that_was_cut_short_is_refused(void **state)
{
    (void)state;
    convoy_pack_close(make_pack("whole.h5"));
    size_t n = 0;
    convoy_pack *pack = NULL;
    unsigned char *bytes = scratch_read(scratch_path(folder, "whole.h5"), &n);
    const char *path = scratch_path(folder, "cut.h5");
    for (size_t keep = 0; keep < n; keep += 61) {
        assert_int_equal(scratch_write(path, bytes, keep), 0);
        assert_fails(convoy_pack_open(path, &pack), CONVOY_ERROR_FORMAT, "cut.h5: ");
    }
    assert_null(pack);
    free(bytes);
}

static void other_files_are_no_packs(void **state)
{
    (void)state;
    convoy_pack *pack = NULL;
    struct h5_file *file = NULL;
    const char *path = scratch_path(folder, "other.h5");
    assert_fails(convoy_pack_open(path, &pack), CONVOY_ERROR_IO,
                 "other.h5: cannot open");
    assert_int_equal(scratch_write(path, "no pack", 7), 0);
    assert_fails(convoy_pack_open(path, &pack), CONVOY_ERROR_FORMAT,
                 "not an HDF5 file");
    assert_int_equal(h5_create(path, &file), CONVOY_OK);
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
    assert_fails(convoy_pack_open(path, &pack), CONVOY_ERROR_FORMAT,
                 "an HDF5 file, but not a pack");
    assert_null(pack);
}

/* A pack made by hand, with one thing in it changed. */
struct recipe {
    const char *format, *encoding, *id;
    int64_t version, part, parts, width;
    uint64_t n, offsets[3];
    int32_t labels[2];
    size_t n_classes;
};

static const struct recipe good = {.format = "convoy pack",
                                   .encoding = "raw",
                                   .id = "00000000000000000000000000000000",
                                   .version = 1,
                                   .parts = 1,
                                   .width = 3,
                                   .n = 2,
                                   .offsets = {0, 6, 12},
                                   .labels = {0, 1},
                                   .n_classes = 2};

static void write_by_hand(const char *path, const struct recipe *recipe)
{
    static const char *const names[] = {"cat", "dog"};
    struct h5_file *file = NULL;
    uint64_t n = recipe->n, n_offsets = n + 1, checksums[2] = {1, 2};
    uint16_t width[2] = {3, 3}, height[2] = {2, 2};
    int bad = 0;
    assert_int_equal(h5_create(path, &file), CONVOY_OK);
    bad |= h5_reserve_bytes(file, "/bytes", 12) != CONVOY_OK;
    bad |= h5_write(file, "/offsets", H5_TYPE_U64, 1, &n_offsets, recipe->offsets) !=
           CONVOY_OK;
    bad |= h5_write(file, "/labels", H5_TYPE_I32, 1, &n, recipe->labels) != CONVOY_OK;
    bad |= h5_write(file, "/checksums", H5_TYPE_U64, 1, &n, checksums) != CONVOY_OK;
    bad |= h5_write(file, "/width", H5_TYPE_U16, 1, &n, width) != CONVOY_OK;
    bad |= h5_write(file, "/height", H5_TYPE_U16, 1, &n, height) != CONVOY_OK;
    bad |= h5_write_texts(file, "/class_names", names, recipe->n_classes) != CONVOY_OK;
    bad |= h5_write_text(file, "/", "format", recipe->format) != CONVOY_OK;
    bad |= h5_write_text(file, "/", "encoding", recipe->encoding) != CONVOY_OK;
    bad |= h5_write_text(file, "/", "pack_id", recipe->id) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "version", recipe->version) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "part", recipe->part) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "parts", recipe->parts) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "channels", 1) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "height", 2) != CONVOY_OK;
    bad |= h5_write_i64(file, "/", "width", recipe->width) != CONVOY_OK;
    bad |= h5_finish(file) != CONVOY_OK;
    h5_close(file);
    assert_int_equal(bad, 0);
}

static void open_refuses(struct recipe recipe, const char *text)
{
    convoy_pack *pack = NULL;
    const char *path = scratch_path(folder, "hand.h5");
    write_by_hand(path, &recipe);
    assert_fails(convoy_pack_open(path, &pack), CONVOY_ERROR_FORMAT, text);
    assert_null(pack);
}

static void every_contradiction_is_refused(void **state)
{
    (void)state;
    struct recipe r = good;
    open_refuses(r, "its index has the id");
    r.format = "something else";
    open_refuses(r, "its format is 'something else'");
    r = good, r.version = 2;
    open_refuses(r, "a pack of version 2, this convoy reads version 1");
    r = good, r.version = -1;
    open_refuses(r, "attribute 'version' is -1");
    r = good, r.id = "abc";
    open_refuses(r, "32 hex digits are expected");
    r = good, r.part = 1;
    open_refuses(r, "is part 1 (from 0) of only 1");
    r = good, r.encoding = "webp";
    open_refuses(r, "unknown encoding 'webp'");
    r = good, r.width = 70000;
    open_refuses(r, "attribute 'width' is 70000");
    r = good, r.width = 4;
    open_refuses(r, "record 0 has 6 bytes for 3 x 2 pixels");
    r = good, r.offsets[0] = 1;
    open_refuses(r, "/offsets goes from 1 to 12");
    r = good, r.offsets[2] = 13;
    open_refuses(r, "/offsets goes from 0 to 13, 0 to 12 is expected");
    r = good, r.offsets[1] = 12;
    open_refuses(r, "record 0 has 12 bytes");
    r = good, r.encoding = "jpeg", r.offsets[1] = 12;
    open_refuses(r, "record 1 lies from byte 12 to 12 of 12");
    r = good, r.encoding = "jpeg", r.offsets[1] = UINT64_MAX;
    open_refuses(r, "record 0 lies from byte 0 to 18446744073709551615");
    r = good, r.labels[1] = 2;
    open_refuses(r, "record 1 has label 2, 0 to 1 is expected");
    r = good, r.labels[0] = -1;
    open_refuses(r, "record 0 has label -1");
    r = good, r.n_classes = 0;
    open_refuses(r, "has 0 classes");
    r = good, r.n = 0;
    open_refuses(r, "has no records");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_it_holds),
        cmocka_unit_test(every_record_comes_back),
        cmocka_unit_test(a_program_reads_what_it_asks_for_and_no_more),
        cmocka_unit_test(many_threads_read_at_once),
        cmocka_unit_test(a_damaged_record_is_named),
        cmocka_unit_test(no_flipped_bit_gives_wrong_data),
        cmocka_unit_test(a_pack_that_was_cut_short_is_refused),
        cmocka_unit_test(other_files_are_no_packs),
        cmocka_unit_test(every_contradiction_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
