/* Verifying names every bad record, in order, and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "pack/pack.h"
#include "packing/pack_writer.h"
#include "support/picture.h"
#include "support/scratch.h"

enum { N = 600, MAX_BAD = 8 };

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

struct found {
    uint64_t n, records[MAX_BAD], done;
    char texts[MAX_BAD][256];
};

static void note_bad(void *context, uint64_t record, const char *text)
{
    struct found *found = context;
    assert_true(found->n < MAX_BAD);
    snprintf(found->texts[found->n], sizeof found->texts[0], "%s", text);
    found->records[found->n++] = record;
}

static void note_done(void *context, uint64_t done, uint64_t total)
{
    assert_int_equal(total, N);
    ((struct found *)context)->done = done;
}

/* N PNG records; three of them are not what they seem. */
static void make_pack(const char *path)
{
    static const char *const names[] = {"cat"};
    struct pack_writer *writer = NULL;
    struct image picture = picture_make(8, 6, 3, 1);
    uint8_t *png = NULL, *jpeg = NULL;
    size_t n_png = 0, n_jpeg = 0;
    assert_int_equal(image_encode_png(&picture, &png, &n_png), CONVOY_OK);
    assert_int_equal(image_encode_jpeg(&picture, 90, &jpeg, &n_jpeg), CONVOY_OK);
    struct texts classes = {.n = 0};
    const struct pack_facts facts = {.classes = &classes, .n_parts = 1, .plan = "x"};
    assert_int_equal(texts_add(&classes, names[0]), CONVOY_OK);
    assert_int_equal(pack_writer_create(path, &facts, &writer), CONVOY_OK);
    for (int i = 0; i < N; i++) {
        struct new_record record = {.bytes = png,
                                    .n_bytes = n_png,
                                    .encoding = CONVOY_ENCODING_PNG,
                                    .width = i == 7 ? 9 : 8,
                                    .height = 6};
        if (i == 300)
            record.bytes = jpeg, record.n_bytes = n_jpeg;
        if (i == N - 1)
            record.bytes = (const uint8_t *)"hello", record.n_bytes = 5;
        assert_int_equal(pack_writer_add(writer, &record), CONVOY_OK);
    }
    assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
    pack_writer_destroy(writer);
    texts_free(&classes);
    mem_free(png);
    mem_free(jpeg);
    image_free(&picture);
}

/* Flips a bit of record 500: it ends n_after bytes before the records' end. */
static void damage_record_500(const char *path)
{
    convoy_pack *pack = NULL;
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0, n = 0;
    assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
    assert_int_equal(pack_read(pack, 0, &buffer, &capacity, &record), CONVOY_OK);
    unsigned char *bytes = scratch_read(path, &n), *at = bytes;
    for (int i = 0; i < 500; i++) { /* the JPEG is skipped, so count PNGs only */
        at = memmem(at, n - (size_t)(at - bytes), record.bytes, record.n_bytes);
        assert_non_null(at);
        at += record.n_bytes;
    }
    at[record.n_bytes / 2] ^= 4;
    assert_int_equal(scratch_write(path, bytes, n), 0);
    free(bytes);
    mem_free(buffer);
    convoy_pack_close(pack);
}

static void every_bad_record_is_named_in_order(void **state)
{
    (void)state;
    static const uint64_t expected[] = {7, 300, 501, N - 1};
    static const char *const texts[] = {
        "record 7 (class 'cat'): is 8 x 6 pixels, the index says 9 x 6",
        "record 300 (class 'cat'): is a JPEG in a pack of PNG images",
        "record 501 (class 'cat'): checksum ",
        "record 599 (class 'cat'): 5 bytes that are neither a JPEG nor a PNG"};
    struct found found = {0};
    convoy_pack *pack = NULL;
    uint64_t n_bad = 0;
    const char *path = scratch_path(folder, "bad.h5");
    make_pack(path);
    damage_record_500(path);
    const convoy_pack_checker checker = {
        .bad = note_bad, .progress = note_done, .context = &found};
    assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
    assert_int_equal(convoy_pack_check(pack, &checker, &n_bad), CONVOY_OK);
    assert_int_equal(n_bad, 4);
    assert_int_equal(found.done, N);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found.records[i], expected[i]);
        if (!strstr(found.texts[i], texts[i]))
            fail_msg("'%s' is not in '%s'", texts[i], found.texts[i]);
        assert_non_null(strstr(found.texts[i], "bad.h5: "));
    }
    convoy_pack_close(pack);
    n_bad = 0;
    assert_int_equal(convoy_pack_verify(path, NULL, NULL, &n_bad), CONVOY_OK);
    assert_int_equal(n_bad, 4);
}

static void what_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    uint64_t n_bad = 77;
    assert_fails(
        convoy_pack_verify(scratch_path(folder, "none.h5"), NULL, NULL, &n_bad),
        CONVOY_ERROR_IO, "none.h5: cannot open");
    assert_int_equal(n_bad, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_record_is_named_in_order),
        cmocka_unit_test(what_cannot_be_opened_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
