/* The loader's bench on a pack with a record that no convoy pack makes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/bench.h>

#include "base/memory.h"
#include "packing/pack_writer.h"
#include "support/picture.h"
#include "support/scratch.h"

enum { N = 4, BAD = 2 };

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

/* A pack of PNG images, one of which, with a good checksum, ends too early. */
static void write_pack(const char *path)
{
    struct texts classes = {.n = 0};
    struct pack_writer *writer = NULL;
    assert_int_equal(texts_add(&classes, "one"), CONVOY_OK);
    const struct pack_facts facts = {.classes = &classes, .n_parts = 1, .plan = "none"};
    assert_int_equal(pack_writer_create(path, &facts, &writer), CONVOY_OK);
    for (int i = 0; i < N; i++) {
        struct image picture = picture_make(12, 10, 3, i);
        uint8_t *bytes = NULL;
        size_t n = 0;
        assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
        const struct new_record record = {.bytes = bytes,
                                          .n_bytes = i == BAD ? n - 30 : n,
                                          .encoding = CONVOY_ENCODING_PNG,
                                          .width = 12,
                                          .height = 10};
        assert_int_equal(pack_writer_add(writer, &record), CONVOY_OK);
        mem_free(bytes);
        image_free(&picture);
    }
    assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
    pack_writer_destroy(writer);
    texts_free(&classes);
}

static void a_bad_record_is_named_with_its_pack(void **state)
{
    (void)state;
    char expected[2 * SCRATCH_PATH];
    const char *path = scratch_path(folder, "bad.h5");
    const convoy_bench_loader_options options = {.images = 8};
    convoy_bench_loader_result result;
    write_pack(path);
    path = scratch_path(folder, "bad.h5");
    snprintf(expected, sizeof expected, "%s: record %d: PNG: ", path, BAD);
    assert_int_equal(convoy_bench_loader(path, &options, &result), CONVOY_ERROR_FORMAT);
    if (!strstr(convoy_status_text(), expected))
        fail_msg("no '%s' in '%s'", expected, convoy_status_text());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_record_is_named_with_its_pack),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
