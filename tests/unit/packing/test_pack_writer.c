/* The writer: records of any size, notes, parts without records. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "pack/pack_file.h"
#include "packing/pack_writer.h"
#include "support/scratch.h"

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

enum { N = 9 };

/* From one byte to more than the writer's buffer holds. */
static const size_t sizes[N] = {1,  5,       4 << 20, 1, (4 << 20) - 1,
                                17, 5 << 20, 1000000, 3};

static uint8_t content(size_t record, size_t i)
{
    return (uint8_t)(record * 31 + i * 13 + i / 1000);
}

static struct texts classes;

static int make_classes(void **state)
{
    return make_folder(state) || texts_add(&classes, "one") ||
           texts_add(&classes, "two");
}

static int free_classes(void **state)
{
    texts_free(&classes);
    return remove_folder(state);
}

static struct pack_writer *create(const char *path, int n_parts)
{
    struct pack_writer *writer = NULL;
    const struct pack_facts facts = {
        .classes = &classes, .part = n_parts - 1, .n_parts = n_parts, .plan = "a plan"};
    assert_int_equal(pack_writer_create(path, &facts, &writer), CONVOY_OK);
    return writer;
}

static convoy_status add(struct pack_writer *writer, size_t record)
{
    uint8_t *bytes = malloc(sizes[record]);
    for (size_t i = 0; i < sizes[record]; i++)
        bytes[i] = content(record, i);
    const struct new_record r = {.bytes = bytes,
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
    convoy_pack *pack = NULL;
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    const char *path = scratch_path(folder, "sizes.h5");
    struct pack_writer *writer = create(path, 1);
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

/* From less than a page on, where HDF5 puts /bytes elsewhere. */
static void small_packs_come_back_too(void **state)
{
    (void)state;
    static uint8_t bytes[9000];
    const size_t lengths[] = {1, 100, 2047, 4095, 4096, 4097, 9000};
    const char *path = scratch_path(folder, "small.h5");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = content(3, i);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const struct new_record r = {.bytes = bytes,
                                     .n_bytes = lengths[l],
                                     .encoding = CONVOY_ENCODING_PNG,
                                     .width = 1,
                                     .height = 1};
        struct pack_writer *writer = create(path, 1);
        convoy_pack *pack = NULL;
        struct pack_record record;
        void *buffer = NULL;
        size_t capacity = 0;
        assert_int_equal(pack_writer_add(writer, &r), CONVOY_OK);
        assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
        pack_writer_destroy(writer);
        assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
        assert_int_equal(pack_read(pack, 0, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.n_bytes, lengths[l]);
        assert_memory_equal(record.bytes, bytes, lengths[l]);
        mem_free(buffer);
        convoy_pack_close(pack);
    }
}

static void notes_come_back_in_their_order(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "notes.h5");
    struct pack_writer *writer = create(path, 1);
    convoy_pack *pack = NULL;
    assert_int_equal(pack_writer_note(writer, "b: is no image"), CONVOY_OK);
    assert_int_equal(add(writer, 0), CONVOY_OK);
    assert_int_equal(pack_writer_note(writer, "a: \xff"), CONVOY_OK);
    assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
    pack_writer_destroy(writer);
    assert_int_equal(convoy_pack_open(path, &pack), CONVOY_OK);
    assert_int_equal(convoy_pack_count_left_out(pack), 2);
    assert_string_equal(convoy_pack_left_out(pack, 0), "b: is no image");
    assert_string_equal(convoy_pack_left_out(pack, 1), "a: \xff");
    convoy_pack_close(pack);
}

static void a_pack_without_records_is_refused(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "none.h5");
    struct pack_writer *writer = create(path, 1);
    assert_int_equal(pack_writer_note(writer, "x.jpg: is no image"), CONVOY_OK);
    assert_fails(pack_writer_commit(writer), CONVOY_ERROR_FORMAT,
                 "none.h5: no image is left for it: x.jpg: is no image");
    pack_writer_destroy(writer);
    pack_writer_destroy(NULL);
    assert_false(file_exists(path));
}

/* Everything of its share may have been left out. */
static void one_of_several_parts_may_be_empty(void **state)
{
    (void)state;
    struct pack_file file = {.start = 0};
    const char *path = scratch_path(folder, "empty.h5");
    struct pack_writer *writer = create(path, 2);
    assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
    pack_writer_destroy(writer);
    assert_int_equal(pack_file_load(path, &file), CONVOY_OK);
    assert_int_equal(file.info.n_records, 0);
    assert_int_equal(file.info.part, 1);
    assert_string_equal(file.plan, "a plan");
    pack_file_free(&file);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "gone/x.h5");
    assert_int_equal(file_make_folder(scratch_path(folder, "gone")), CONVOY_OK);
    struct pack_writer *writer = create(path, 1);
    assert_int_equal(add(writer, 0), CONVOY_OK);
    pack_writer_destroy(writer);
    assert_int_equal(rmdir(scratch_path(folder, "gone")), 0);
}

static void more_parts_than_there_can_be_are_not_believed(void **state)
{
    static const int claims[] = {PACK_MAX_PARTS + 1, INT32_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        const char *path = scratch_path(folder, "parts.h5");
        struct pack_writer *writer = create(path, claims[i]);
        convoy_pack *pack = NULL;
        assert_int_equal(add(writer, 0), CONVOY_OK);
        assert_int_equal(pack_writer_commit(writer), CONVOY_OK);
        pack_writer_destroy(writer);
        assert_fails(convoy_pack_open(scratch_path(folder, "parts.h5"), &pack),
                     CONVOY_ERROR_FORMAT, "1 to 512 is expected");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_any_size_come_back),
        cmocka_unit_test(small_packs_come_back_too),
        cmocka_unit_test(notes_come_back_in_their_order),
        cmocka_unit_test(a_pack_without_records_is_refused),
        cmocka_unit_test(one_of_several_parts_may_be_empty),
        cmocka_unit_test(an_abandoned_file_leaves_nothing),
        cmocka_unit_test(more_parts_than_there_can_be_are_not_believed),
    };
    return cmocka_run_group_tests(tests, make_classes, free_classes);
}
