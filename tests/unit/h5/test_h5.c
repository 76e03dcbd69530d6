/* Opening, closing, groups and listing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "h5/h5.h"
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
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const char *path = scratch_path(folder, "none.h5");
    assert_fails(h5_open(path, &file), CONVOY_ERROR_IO,
                 "none.h5: cannot open: No such file");
    assert_null(file);
}

static void a_folder_is_no_file(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    assert_fails(h5_open(folder, &file), CONVOY_ERROR_FORMAT, "is a folder");
}

static void an_empty_file_is_refused(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const char *path = scratch_path(folder, "empty.h5");
    assert_int_equal(scratch_write(path, "", 0), 0);
    assert_fails(h5_open(path, &file), CONVOY_ERROR_FORMAT, "the file is empty");
}

static void a_file_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const char *path = scratch_path(folder, "text.h5");
    assert_int_equal(scratch_write(path, "hello, this is text\n", 20), 0);
    assert_fails(h5_open(path, &file), CONVOY_ERROR_FORMAT, "not an HDF5 file");
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const char *path = scratch_path(folder, "missing/new.h5");
    assert_fails(h5_create(path, &file), CONVOY_ERROR_IO,
                 "missing/new.h5: cannot write");
}

static void write_sample(const char *path)
{
    struct h5_file *file = NULL;
    const float values[3000] = {1.0f, 2.0f};
    const uint64_t n = 3000;
    assert_int_equal(h5_create(path, &file), CONVOY_OK);
    assert_int_equal(h5_write(file, "/b/deep/er", H5_TYPE_F32, 1, &n, values),
                     CONVOY_OK);
    assert_int_equal(h5_write(file, "/b/a", H5_TYPE_F32, 1, &n, values), CONVOY_OK);
    assert_int_equal(h5_write(file, "/b/a.b", H5_TYPE_F32, 1, &n, values), CONVOY_OK);
    assert_int_equal(h5_write(file, "/b/B", H5_TYPE_F32, 1, &n, values), CONVOY_OK);
    assert_int_equal(h5_make_group(file, "/b/empty"), CONVOY_OK);
    assert_int_equal(h5_make_group(file, "/b/empty"), CONVOY_OK);
    assert_int_equal(h5_make_group(file, "/x/y/z"), CONVOY_OK);
    assert_int_equal(h5_finish(file), CONVOY_OK);
    assert_string_equal(h5_path(file), path);
    h5_close(file);
}

static void every_cut_of_a_file_is_refused(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "whole.h5");
    write_sample(path);
    size_t n = 0;
    unsigned char *bytes = scratch_read(path, &n);
    assert_non_null(bytes);
    for (size_t keep = 0; keep < n; keep += n / 97) {
        struct h5_file *file = NULL;
        const char *cut = scratch_path(folder, "cut.h5");
        assert_int_equal(scratch_write(cut, bytes, keep), 0);
        assert_int_equal(h5_open(cut, &file), CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "cut.h5: "));
    }
    free(bytes);
}

/* Of HDF5's format: an object begins with "OHDR", a version and flags, of which bit 5
 * says that times follow. */
static void nothing_tells_when_it_was_made(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "timeless.h5");
    write_sample(path);
    size_t n = 0, n_objects = 0;
    unsigned char *bytes = scratch_read(path, &n);
    assert_non_null(bytes);
    for (size_t i = 0; i + 6 <= n; i++) {
        if (memcmp(bytes + i, "OHDR", 4) != 0)
            continue;
        n_objects++;
        assert_int_equal(bytes[i + 5] & 0x20, 0);
    }
    assert_int_equal(n_objects, 11); /* the root, 6 groups, 4 arrays */
    free(bytes);
}

static bool exists(const struct h5_file *file, const char *name)
{
    bool found = false;
    assert_int_equal(h5_exists(file, name, &found), CONVOY_OK);
    return found;
}

static void existence_looks_at_every_part_of_the_path(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "exists.h5");
    struct h5_file *file = NULL;
    write_sample(path);
    assert_int_equal(h5_open(path, &file), CONVOY_OK);
    assert_true(exists(file, "/"));
    assert_true(exists(file, "/b"));
    assert_true(exists(file, "b/deep/er"));
    assert_true(exists(file, "/x/y/z"));
    assert_false(exists(file, "/c"));
    assert_false(exists(file, "/c/d/e"));
    assert_false(exists(file, "/b/a/under_a_dataset"));
    h5_close(file);
}

static void lists_datasets_at_any_depth_in_byte_order(void **state)
{
    (void)state;
    static const char *const expected[] = {"B", "a", "a.b", "deep/er"};
    const char *path = scratch_path(folder, "list.h5");
    struct h5_file *file = NULL;
    char **names = NULL;
    size_t n = 0;
    write_sample(path);
    assert_int_equal(h5_open(path, &file), CONVOY_OK);
    assert_int_equal(h5_list(file, "/b", &names, &n), CONVOY_OK);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(names[i], expected[i]);
    h5_free_texts(names, n);
    assert_int_equal(h5_list(file, "/x", &names, &n), CONVOY_OK);
    assert_int_equal(n, 0);
    h5_free_texts(names, n);
    assert_fails(h5_list(file, "/none", &names, &n), CONVOY_ERROR_FORMAT, "/none");
    h5_close(file);
}

static void lists_many_datasets(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    char **names = NULL, name[32];
    size_t n = 0;
    assert_int_equal(h5_create(scratch_path(folder, "many.h5"), &file), CONVOY_OK);
    for (int i = 299; i >= 0; i--) {
        snprintf(name, sizeof name, "/params/p%03d", i);
        assert_int_equal(h5_write(file, name, H5_TYPE_I32, 0, NULL, &i), CONVOY_OK);
    }
    assert_int_equal(h5_list(file, "/params", &names, &n), CONVOY_OK);
    assert_int_equal(n, 300);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "p%03d", i);
        assert_string_equal(names[i], name);
    }
    h5_free_texts(names, n);
    h5_close(file);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    struct h5_file *file = NULL;
    static const uint8_t bytes[100000];
    convoy_status status = h5_create("/dev/full", &file);
    if (status == CONVOY_OK)
        status = h5_write(file, "/x", H5_TYPE_U8, 1, &(uint64_t){sizeof bytes}, bytes);
    if (status == CONVOY_OK)
        status = h5_finish(file);
    assert_int_equal(status, CONVOY_ERROR_IO);
    h5_close(file);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    h5_close(NULL);
    h5_free_texts(NULL, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(a_folder_is_no_file),
        cmocka_unit_test(an_empty_file_is_refused),
        cmocka_unit_test(a_file_of_another_kind_is_refused),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(nothing_tells_when_it_was_made),
        cmocka_unit_test(existence_looks_at_every_part_of_the_path),
        cmocka_unit_test(lists_datasets_at_any_depth_in_byte_order),
        cmocka_unit_test(lists_many_datasets),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(closing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
