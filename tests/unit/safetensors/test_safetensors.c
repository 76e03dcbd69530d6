/* Files: what is no safetensors file, and what the values of each type become. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "safetensors/safetensors.h"
#include "support/scratch.h"

#include <float.h>
#include <math.h>
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

/* A file of this header and data; its path. */
static const char *write_file(const char *header, const void *data, size_t n)
{
    const char *path = scratch_path(folder, "x.safetensors");
    const size_t length = strlen(header);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    for (int i = 0; i < 8; i++)
        fputc((int)((uint64_t)length >> 8 * i & 0xff), stream);
    fputs(header, stream);
    if (n > 0)
        assert_int_equal(fwrite(data, 1, n, stream), n);
    assert_int_equal(fclose(stream), 0);
    return path;
}

/* A file with one tensor "a" of n values of value_bytes. */
static struct safetensors *open_one(const char *type, const void *values, size_t n,
                                    size_t value_bytes)
{
    char header[256];
    struct safetensors *file = NULL;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
             type, n, n * value_bytes);
    const char *path = write_file(header, values, n * value_bytes);
    assert_int_equal(safetensors_open(path, &file), CONVOY_OK);
    return file;
}

static void assert_refused(const char *path, convoy_status code, const char *words)
{
    struct safetensors *file = NULL;
    assert_int_equal(safetensors_open(path, &file), code);
    assert_null(file);
    if (!strstr(convoy_status_text(), words) || !strstr(convoy_status_text(), path))
        fail_msg("'%s' is not in '%s'", words, convoy_status_text());
}

static void what_is_no_regular_file_is_named(void **state)
{
    (void)state;
    assert_refused(scratch_path(folder, "none"), CONVOY_ERROR_IO,
                   "cannot open: No suc");
    assert_refused(folder, CONVOY_ERROR_FORMAT, "is a folder, not a regular file");
    const char *pipe = scratch_path(folder, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_refused(pipe, CONVOY_ERROR_FORMAT, "not a regular file");
}

static void what_is_no_safetensors_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *words;
    } cases[] = {
        {"", 0, "it has 0 bytes only"},
        {"\2\0\0\0\0\0\0", 7, "it has 7 bytes only"},
        {"\0\0\0\0\0\0\0\0", 8, "does not start with '{'"},
        {"\2\0\0\0\0\0\0\0{", 9,
         "was cut short or is no safetensors file: its header "
         "should have 2 bytes, the file has 9"},
        {"\1\xe1\xf5\5\0\0\0\0{}", 10,
         "would have 100000001 bytes, more than the format's limit of 100000000"},
        {"\0\xe1\xf5\5\0\0\0\0{}", 10, "should have 100000000 bytes, the file has 10"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "18446744073709551615 bytes"},
        {"\xf8\xff\xff\xff\xff\xff\xff\xff{}", 10, "18446744073709551608 bytes"},
        {"\x89HDF\r\n\x1a\n and more", 17, "it is an HDF5 file"},
        {"PK\3\4 and so on", 13, "PyTorch's own format"},
        {"\2\0\0\0\0\0\0\0[]", 10, "does not start with '{'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = scratch_path(folder, "bad");
        assert_int_equal(scratch_write(path, cases[i].bytes, cases[i].n), 0);
        assert_refused(path, CONVOY_ERROR_FORMAT, cases[i].words);
    }
}

static void a_file_without_tensors_is_one(void **state)
{
    (void)state;
    struct safetensors *file = NULL;
    size_t n = 1;
    assert_int_equal(safetensors_open(write_file("{}", NULL, 0), &file), CONVOY_OK);
    safetensors_tensors(file, &n);
    assert_int_equal(n, 0);
    assert_null(safetensors_find(file, "a"));
    safetensors_close(file);
    safetensors_close(NULL);
}

static void tensors_are_found_by_their_whole_name(void **state)
{
    (void)state;
    struct safetensors *file = NULL;
    const float data[] = {1, 2, 3};
    const char *header =
        "{\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"fc\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}";
    const char *path = write_file(header, data, sizeof data);
    assert_int_equal(safetensors_open(path, &file), CONVOY_OK);
    static const struct {
        const char *name;
        float value;
    } cases[] = {{"a", 2}, {"fc", 3}, {"fc.weight", 1}};
    for (int i = 0; i < 3; i++) {
        float value = 0;
        const struct safetensors_tensor *found = safetensors_find(file, cases[i].name);
        assert_non_null(found);
        assert_int_equal(safetensors_read_f32(file, found, &value), CONVOY_OK);
        assert_true(value == cases[i].value);
    }
    assert_null(safetensors_find(file, "fc."));
    assert_null(safetensors_find(file, "A"));
    safetensors_close(file);
}

static void f32_values_keep_every_bit(void **state)
{
    (void)state;
    const uint32_t bits[] = {0x80000000, 1, 0x7fc00001, 0xffa00000, 0x7f800000};
    uint32_t read[5];
    float values[5];
    struct safetensors *file = open_one("F32", bits, 5, 4);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "a"), values),
                     CONVOY_OK);
    memcpy(read, values, sizeof read);
    assert_memory_equal(read, bits, sizeof bits);
    safetensors_close(file);
}

/* By its definition: sign, 5 bits of exponent with bias 15, 10 of fraction. */
static double half_value(unsigned half)
{
    const int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    double value =
        ldexp(exponent ? 1024 + fraction : fraction, exponent ? exponent - 25 : -24);
    if (exponent == 31)
        value = fraction ? (double)NAN : (double)INFINITY;
    return half & 0x8000 ? -value : value;
}

static void every_f16_becomes_its_value(void **state)
{
    (void)state;
    enum { N = 65536 };
    static uint16_t halves[N];
    static float values[N];
    for (unsigned i = 0; i < N; i++)
        halves[i] = (uint16_t)i;
    struct safetensors *file = open_one("F16", halves, N, 2);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "a"), values),
                     CONVOY_OK);
    for (unsigned i = 0; i < N; i++) {
        const double expected = half_value(i), found = (double)values[i];
        if (isnan(expected) ? !isnan(found)
                            : found != expected || signbit(found) != signbit(expected))
            fail_msg("half %04x: %g, expected %g", i, found, expected);
    }
    safetensors_close(file);
}

static void a_bf16_is_the_upper_half_of_an_f32(void **state)
{
    (void)state;
    enum { N = 100001 }; /* some chunks, and a part of one */
    static uint16_t halves[N];
    static float values[N];
    for (unsigned i = 0; i < N; i++)
        halves[i] = (uint16_t)(i * 7);
    struct safetensors *file = open_one("BF16", halves, N, 2);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "a"), values),
                     CONVOY_OK);
    for (unsigned i = 0; i < N; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if (bits != (uint32_t)halves[i] << 16)
            fail_msg("value %u: %08x of %04x", i, bits, halves[i]);
    }
    safetensors_close(file);
}

static void an_f64_is_rounded_to_the_nearest_f32(void **state)
{
    (void)state;
    const double wide[] = {1.0 / 3,
                           -0.0,
                           1e-300,
                           (double)FLT_MAX,
                           -(double)INFINITY,
                           1 + ldexp(1, -24) + ldexp(1, -40),
                           (double)NAN};
    const float expected[] = {1.0F / 3,         -0.0F,          0, FLT_MAX,
                              -(float)INFINITY, 1 + FLT_EPSILON};
    float values[7];
    struct safetensors *file = open_one("F64", wide, 7, 8);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "a"), values),
                     CONVOY_OK);
    assert_memory_equal(values, expected, sizeof expected);
    assert_true(isnan(values[6]));
    safetensors_close(file);
}

static void an_f64_that_no_f32_holds_is_refused(void **state)
{
    (void)state;
    const double wide[] = {1, -1e39};
    float values[2];
    struct safetensors *file = open_one("F64", wide, 2, 8);
    assert_int_equal(safetensors_read_f32(file, safetensors_find(file, "a"), values),
                     CONVOY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(convoy_status_text(), "a holds an F64 value that is too"));
    safetensors_close(file);
}

static void other_types_cannot_be_read_as_numbers(void **state)
{
    (void)state;
    static const char *const types[] = {"I64", "U64"};
    for (int i = 0; i < 2; i++) {
        const int64_t one = 1;
        float value;
        struct safetensors *file = open_one(types[i], &one, 1, 8);
        assert_int_equal(
            safetensors_read_f32(file, safetensors_find(file, "a"), &value),
            CONVOY_ERROR_UNSUPPORTED);
        assert_non_null(strstr(convoy_status_text(), types[i]));
        safetensors_close(file);
    }
}

static void a_file_that_shrinks_while_it_is_read_is_noticed(void **state)
{
    (void)state;
    static const char *const types[] = {"F32", "F16"};
    for (int i = 0; i < 2; i++) {
        const float zeros[4] = {0};
        float values[4];
        struct safetensors *file = open_one(types[i], zeros, 4, i ? 2 : 4);
        assert_int_equal(truncate(scratch_path(folder, "x.safetensors"), 10), 0);
        assert_int_equal(
            safetensors_read_f32(file, safetensors_find(file, "a"), values),
            CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "cut short"));
        safetensors_close(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_regular_file_is_named),
        cmocka_unit_test(what_is_no_safetensors_file_is_refused),
        cmocka_unit_test(a_file_without_tensors_is_one),
        cmocka_unit_test(tensors_are_found_by_their_whole_name),
        cmocka_unit_test(f32_values_keep_every_bit),
        cmocka_unit_test(every_f16_becomes_its_value),
        cmocka_unit_test(a_bf16_is_the_upper_half_of_an_f32),
        cmocka_unit_test(an_f64_is_rounded_to_the_nearest_f32),
        cmocka_unit_test(an_f64_that_no_f32_holds_is_refused),
        cmocka_unit_test(other_types_cannot_be_read_as_numbers),
        cmocka_unit_test(a_file_that_shrinks_while_it_is_read_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
