/* The writer: records of any size, and claims that do not come true. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "pack/pack_writer.h"
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

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    if (found != expected || !strstr(convoy_status_text(), text))
        fail_msg("status %d, not %d, or no '%s' in '%s'", found, expected, text,
                 convoy_status_text());
}

enum { N = 9 };

/* From one byte to more than the writer's buffer holds. */
static const size_t sizes[N] = {1,  5,       4 << 20, 1, (4 << 20) - 1,
                                17, 5 << 20, 1000000, 3};

static const char *const names[] = {"one", "two"};

static uint8_t content(size_t record, size_t i)
{
    return (uint8_t)(record * 31 + i * 13 + i / 1000);
}

static struct source_facts facts_of(uint64_t n_records, uint64_t n_bytes)
{
    return (struct source_facts){.n_records = n_records,
                                 .n_bytes = n_bytes,
                                 .class_names = names,
                                 .n_classes = 2};
}

static convoy_status add(struct pack_writer *writer, size_t record)
{
    uint8_t *bytes = malloc(sizes[record]);
    for (size_t i = 0; i < sizes[record]; i++)
        bytes[i] = content(record, i);
    const struct source_record r = {.bytes = bytes,
                                    .n_bytes = sizes[record],
                                    .encoding = CONVOY_ENCODING_JPEG,
                                    .label = (int32_t)(record % 2),
                                    .width = 7,
                                    .height = (uint16_t)(record + 1)};
    convoy_status status = pack_writer_add(writer, &r);
    free(bytes);
    return status;
}

static void records_of_any_size_come_back(void **state)
{
    (void)state;
    struct pack_writer *writer = NULL;
    convoy_pack *pack = NULL;
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    uint64_t n_bytes = 0;
    const char *path = scratch_path(folder, "sizes.h5");
    for (size_t r = 0; r < N; r++)
        n_bytes += sizes[r];
    const struct source_facts facts = facts_of(N, n_bytes);
    assert_int_equal(pack_writer_create(path, &writer), CONVOY_OK);
    assert_int_equal(pack_writer_begin(writer, &facts), CONVOY_OK);
    for (size_t r = 0; r < N; r++)
        assert_int_equal(add(writer, r), CONVOY_OK);
    assert_false(file_exists(path));
    assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
    pack_writer_destroy(writer);
    assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
    for (size_t r = 0; r < N; r++) {
        assert_int_equal(pack_read(pack, r, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.n_bytes, sizes[r]);
        assert_int_equal(record.label, r % 2);
        for (size_t i = 0; i < sizes[r]; i++)
            if (record.bytes[i] != content(r, i))
                fail_msg("record %zu, byte %zu", r, i);
    }
    mem_free(buffer);
    convoy_pack_close(pack);
}

static void more_than_was_claimed_is_refused(void **state)
{
    (void)state;
    struct pack_writer *writer = NULL;
    const char *path = scratch_path(folder, "more.h5");
    const struct source_facts facts = facts_of(1, 4);
    assert_int_equal(pack_writer_create(path, &writer), CONVOY_OK);
    assert_int_equal(pack_writer_begin(writer, &facts), CONVOY_OK);
    assert_fails(add(writer, 1), CONVOY_ERROR_FORMAT,
                 "more arrives than the source claimed");
    assert_int_equal(add(writer, 0), CONVOY_OK);
    assert_fails(add(writer, 0), CONVOY_ERROR_FORMAT,
                 "more arrives than the source claimed");
    pack_writer_destroy(writer);
}

static void less_than_was_claimed_is_refused(void **state)
{
    (void)state;
    struct pack_writer *writer = NULL;
    const char *path = scratch_path(folder, "less.h5");
    const struct source_facts facts = facts_of(2, 2);
    assert_int_equal(pack_writer_create(path, &writer), CONVOY_OK);
    assert_int_equal(pack_writer_begin(writer, &facts), CONVOY_OK);
    assert_int_equal(add(writer, 0), CONVOY_OK);
    assert_fails(pack_writer_commit(writer), CONVOY_ERROR_FORMAT,
                 "1 records of 1 bytes arrived, the source claimed 2 of 2");
    pack_writer_destroy(writer);
    assert_false(file_exists(path));
    pack_writer_destroy(NULL);
}

static void a_disk_that_is_too_small_shows_at_once(void **state)
{
    (void)state;
    struct pack_writer *writer = NULL;
    const struct source_facts facts = facts_of(1, UINT64_C(1) << 60);
    assert_int_equal(pack_writer_create(scratch_path(folder, "big.h5"), &writer),
                     CONVOY_OK);
    assert_fails(pack_writer_begin(writer, &facts), CONVOY_ERROR_IO,
                 "takes 1152921504606846976 bytes, its disk has only");
    pack_writer_destroy(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_any_size_come_back),
        cmocka_unit_test(more_than_was_claimed_is_refused),
        cmocka_unit_test(less_than_was_claimed_is_refused),
        cmocka_unit_test(a_disk_that_is_too_small_shows_at_once),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
