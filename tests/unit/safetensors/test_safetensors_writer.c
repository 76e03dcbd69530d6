/* Written files: their bytes, and that nothing unfinished has a final name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "safetensors/safetensors.h"
#include "support/scratch.h"

#include <dirent.h>
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

static int count_files(void)
{
    int n = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));)
        n += entry->d_name[0] != '.';
    closedir(stream);
    return n;
}

static const struct safetensors_note note = {"for\"mat", "p\nt"};
static const struct safetensors_tensor sample[] = {
    {.name = "n", .type = SAFETENSORS_I64},
    {.name = "b", .type = SAFETENSORS_F32, .n_dims = 2, .dims = {2, 1}},
    {.name = "a", .type = SAFETENSORS_F32, .n_dims = 1, .dims = {0}},
};
static const int64_t sample_n = 258;
static const float sample_b[] = {1.5F, -2};

static void write_sample(const char *path, bool commit)
{
    struct safetensors_writer *writer = NULL;
    assert_int_equal(safetensors_create(path, sample, 3, &note, 1, &writer), CONVOY_OK);
    assert_int_equal(safetensors_write(writer, &sample_n, sizeof sample_n), CONVOY_OK);
    assert_int_equal(safetensors_write(writer, sample_b, sizeof sample_b), CONVOY_OK);
    if (commit)
        assert_int_equal(safetensors_commit(writer), CONVOY_OK);
    safetensors_writer_destroy(writer);
}

static void a_file_is_header_length_padded_header_and_values(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"for\\\"mat\":\"p\\u000at\"},"
        "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]}}";
    const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    const char *path = scratch_path(folder, "x.safetensors");
    size_t n = 0;
    write_sample(path, true);
    unsigned char *bytes = scratch_read(path, &n);
    assert_non_null(bytes);
    assert_int_equal(n, 8 + padded + 16);
    assert_int_equal(bytes[0], padded);
    for (int i = 1; i < 8; i++)
        assert_int_equal(bytes[i], 0);
    assert_memory_equal(bytes + 8, header, sizeof header - 1);
    for (size_t i = sizeof header - 1; i < padded; i++)
        assert_int_equal(bytes[8 + i], ' ');
    assert_memory_equal(bytes + 8 + padded, &sample_n, 8);
    assert_memory_equal(bytes + 8 + padded + 8, sample_b, 8);
    free(bytes);
}

static void what_was_written_can_be_read(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "x.safetensors");
    struct safetensors *file = NULL;
    float values[2] = {0};
    size_t n = 0;
    write_sample(path, true);
    assert_int_equal(safetensors_open(path, &file), CONVOY_OK);
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n);
    assert_int_equal(n, 3);
    assert_string_equal(tensors[0].name, "a");
    assert_int_equal(tensors[2].type, SAFETENSORS_I64);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "b"), values),
                     CONVOY_OK);
    assert_memory_equal(values, sample_b, sizeof values);
    safetensors_close(file);
}

static void a_file_without_tensors_can_be_written(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "empty.safetensors");
    struct safetensors_writer *writer = NULL;
    struct safetensors *file = NULL;
    assert_int_equal(safetensors_create(path, NULL, 0, NULL, 0, &writer), CONVOY_OK);
    assert_int_equal(safetensors_commit(writer), CONVOY_OK);
    safetensors_writer_destroy(writer);
    assert_int_equal(safetensors_open(path, &file), CONVOY_OK);
    safetensors_close(file);
}

static void what_is_not_committed_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "y.safetensors");
    const int before = count_files();
    write_sample(path, false);
    assert_int_equal(count_files(), before);
    safetensors_writer_destroy(NULL);
}

static void an_old_file_stays_until_the_new_one_is_complete(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "z.safetensors");
    size_t n = 0;
    assert_int_equal(scratch_write(path, "old", 3), 0);
    write_sample(path, false);
    unsigned char *bytes = scratch_read(path, &n);
    assert_int_equal(n, 3);
    free(bytes);
    write_sample(path, true);
    bytes = scratch_read(path, &n);
    assert_true(n > 3);
    free(bytes);
}

static void a_place_that_cannot_be_written_is_named(void **state)
{
    (void)state;
    struct safetensors_writer *writer = NULL;
    const char *path = scratch_path(folder, "missing/x.safetensors");
    assert_int_equal(safetensors_create(path, sample, 3, NULL, 0, &writer),
                     CONVOY_ERROR_IO);
    assert_null(writer);
    assert_non_null(
        strstr(convoy_status_text(), "missing/x.safetensors: cannot write"));
    char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(safetensors_create(endless, sample, 3, NULL, 0, &writer),
                     CONVOY_ERROR_ARGUMENT);
    assert_null(writer);
}

static void a_folder_is_not_replaced(void **state)
{
    (void)state;
    struct safetensors_writer *writer = NULL;
    const int before = count_files();
    assert_int_equal(safetensors_create(folder, NULL, 0, NULL, 0, &writer), CONVOY_OK);
    assert_int_equal(safetensors_commit(writer), CONVOY_ERROR_IO);
    safetensors_writer_destroy(writer);
    assert_int_equal(count_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_header_length_padded_header_and_values),
        cmocka_unit_test(what_was_written_can_be_read),
        cmocka_unit_test(a_file_without_tensors_can_be_written),
        cmocka_unit_test(what_is_not_committed_leaves_nothing),
        cmocka_unit_test(an_old_file_stays_until_the_new_one_is_complete),
        cmocka_unit_test(a_place_that_cannot_be_written_is_named),
        cmocka_unit_test(a_folder_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
