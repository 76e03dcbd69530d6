/* Datasets: what is written comes back, and what does not fit is refused in words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "h5/h5.h"
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
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

/* Finishes a written file and opens it again. */
static struct h5_file *reopen(struct h5_file *file)
{
    char path[2 * SCRATCH_PATH];
    snprintf(path, sizeof path, "%s", h5_path(file));
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
    assert_int_equal(h5_open(path, &file), CONVOY_OK);
    return file;
}

static void every_type_comes_back(void **state)
{
    (void)state;
    static const struct {
        enum h5_type type;
        size_t size;
    } types[] = {{H5_TYPE_F32, 4}, {H5_TYPE_F64, 8}, {H5_TYPE_U8, 1},
                 {H5_TYPE_U16, 2}, {H5_TYPE_I32, 4}, {H5_TYPE_U64, 8}};
    const uint64_t dims[3] = {2, 3, 4};
    unsigned char bytes[24 * 8], back[24 * 8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        struct h5_file *file = NULL;
        struct h5_shape shape;
        assert_int_equal(h5_create(scratch_path(folder, "types.h5"), &file), CONVOY_OK);
        assert_int_equal(h5_write(file, "x", types[t].type, 3, dims, bytes), CONVOY_OK);
        file = reopen(file);
        assert_int_equal(h5_describe(file, "/x", &shape), CONVOY_OK);
        assert_int_equal(shape.type, types[t].type);
        assert_int_equal(shape.n_dims, 3);
        assert_memory_equal(shape.dims, dims, sizeof dims);
        assert_int_equal(shape.n_values, 24);
        memset(back, 0, sizeof back);
        assert_int_equal(h5_read(file, "/x", types[t].type, 3, dims, back), CONVOY_OK);
        assert_memory_equal(back, bytes, 24 * types[t].size);
        h5_close(file);
    }
}

static void a_single_value_and_an_empty_array_come_back(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    struct h5_shape shape;
    const double pi = 3.141592653589793;
    const uint64_t none[2] = {3, 0};
    double back = 0.0;
    void *values = NULL;
    uint64_t n = 7;
    assert_int_equal(h5_create(scratch_path(folder, "small.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_write(file, "/pi", H5_TYPE_F64, 0, NULL, &pi), CONVOY_OK);
    assert_int_equal(h5_write(file, "/none", H5_TYPE_F32, 2, none, NULL), CONVOY_OK);
    assert_int_equal(h5_write(file, "/void", H5_TYPE_U64, 1, &none[1], NULL),
                     CONVOY_OK);
    file = reopen(file);
    assert_int_equal(h5_read(file, "/pi", H5_TYPE_F64, 0, NULL, &back), CONVOY_OK);
    assert_true(back == pi);
    assert_int_equal(h5_read(file, "/none", H5_TYPE_F32, 2, none, NULL), CONVOY_OK);
    assert_int_equal(h5_describe(file, "/none", &shape), CONVOY_OK);
    assert_int_equal(shape.n_values, 0);
    assert_int_equal(h5_read_vector(file, "/void", H5_TYPE_U64, &values, &n),
                     CONVOY_OK);
    assert_int_equal(n, 0);
    mem_free(values);
    h5_close(file);
}

static void another_type_or_shape_is_refused_with_both(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const int32_t values[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t dims[2] = {2, 3}, turned[2] = {3, 2}, flat = 6;
    int32_t back[6];
    void *vector = NULL;
    uint64_t n = 0;
    assert_int_equal(h5_create(scratch_path(folder, "wrong.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_write(file, "/v", H5_TYPE_I32, 2, dims, values), CONVOY_OK);
    file = reopen(file);
    assert_fails(h5_read(file, "/v", H5_TYPE_F32, 2, dims, back), CONVOY_ERROR_FORMAT,
                 "/v: is i32[2, 3], f32[2, 3] is expected");
    assert_fails(h5_read(file, "/v", H5_TYPE_I32, 2, turned, back), CONVOY_ERROR_FORMAT,
                 "is i32[2, 3], i32[3, 2] is expected");
    assert_fails(h5_read(file, "/v", H5_TYPE_I32, 1, &flat, back), CONVOY_ERROR_FORMAT,
                 "is i32[2, 3], i32[6] is expected");
    assert_fails(h5_read_vector(file, "/v", H5_TYPE_I32, &vector, &n),
                 CONVOY_ERROR_FORMAT, "i32[n] is expected");
    assert_fails(h5_read(file, "/w", H5_TYPE_I32, 2, dims, back), CONVOY_ERROR_FORMAT,
                 "has no dataset /w");
    h5_close(file);
}

static void a_second_dataset_of_the_same_name_is_refused(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const float value = 1.0f;
    assert_int_equal(h5_create(scratch_path(folder, "twice.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_write(file, "/v", H5_TYPE_F32, 0, NULL, &value), CONVOY_OK);
    assert_fails(h5_write(file, "/v", H5_TYPE_F32, 0, NULL, &value), CONVOY_ERROR_IO,
                 "/v");
    h5_close(file);
}

static void texts_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "cat", "n02105855", "gr\xc3\xbc\xc3\x9f",
                                        "\xff"};
    struct h5_file *file = NULL;
    char **back = NULL;
    size_t n = 0;
    assert_int_equal(h5_create(scratch_path(folder, "texts.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_write_texts(file, "/names", texts, 5), CONVOY_OK);
    assert_int_equal(h5_write_texts(file, "/blank", texts, 1), CONVOY_OK);
    assert_int_equal(h5_write_texts(file, "/none", texts, 0), CONVOY_OK);
    file = reopen(file);
    assert_int_equal(h5_read_texts(file, "/names", &back, &n), CONVOY_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(back[i], texts[i]);
    h5_free_texts(back, n);
    assert_int_equal(h5_read_texts(file, "/blank", &back, &n), CONVOY_OK);
    assert_int_equal(n, 1);
    assert_string_equal(back[0], "");
    h5_free_texts(back, n);
    assert_int_equal(h5_read_texts(file, "/none", &back, &n), CONVOY_OK);
    assert_int_equal(n, 0);
    h5_free_texts(back, n);
    h5_close(file);
}

static void reserved_bytes_lie_on_a_page_where_the_offset_says(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const uint64_t n = 100000;
    unsigned char pattern[1000];
    uint64_t offset = 0, n_bytes = 0;
    size_t file_bytes = 0;
    assert_int_equal(h5_create(scratch_path(folder, "bytes.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_reserve_bytes(file, "/bytes", n), CONVOY_OK);
    for (unsigned i = 0; i < n / sizeof pattern; i++) {
        memset(pattern, (int)(i + 1), sizeof pattern);
        assert_int_equal(
            h5_write_bytes(file, "/bytes", i * sizeof pattern, pattern, sizeof pattern),
            CONVOY_OK);
    }
    assert_fails(h5_write_bytes(file, "/bytes", n - 1, pattern, 2), CONVOY_ERROR_IO,
                 "/bytes");
    file = reopen(file);
    assert_int_equal(h5_locate_bytes(file, "/bytes", &offset, &n_bytes), CONVOY_OK);
    assert_int_equal(offset % 4096, 0);
    assert_int_equal(n_bytes, n);
    unsigned char *bytes = scratch_read(h5_path(file), &file_bytes);
    assert_true(file_bytes >= offset + n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[offset + i], (unsigned char)(i / sizeof pattern + 1));
    free(bytes);
    h5_close(file);
}

static void only_bytes_can_be_located(void **state)
{
    (void)state;
    struct h5_file *file = NULL;
    const float value = 1.0f;
    uint64_t offset = 0, n_bytes = 0;
    assert_int_equal(h5_create(scratch_path(folder, "floats.h5"), &file), CONVOY_OK);
    assert_int_equal(h5_write(file, "/v", H5_TYPE_F32, 1, &(uint64_t){1}, &value),
                     CONVOY_OK);
    file = reopen(file);
    assert_fails(h5_locate_bytes(file, "/v", &offset, &n_bytes), CONVOY_ERROR_FORMAT,
                 "is f32[1], u8[n] is expected");
    h5_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(a_single_value_and_an_empty_array_come_back),
        cmocka_unit_test(another_type_or_shape_is_refused_with_both),
        cmocka_unit_test(a_second_dataset_of_the_same_name_is_refused),
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(reserved_bytes_lie_on_a_page_where_the_offset_says),
        cmocka_unit_test(only_bytes_can_be_located),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
