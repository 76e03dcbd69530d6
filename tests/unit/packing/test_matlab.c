/* Struct arrays of MATLAB files, made here element by element; ImageNet's own form of
 * them, packed, is read in tests/cli/test_pack_sources.py. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "packing/matlab.h"

#include <stdio.h>
#include <string.h>

enum {
    INT8 = 1,
    INT32 = 5,
    UINT32 = 6,
    UINT8 = 2,
    MATRIX = 14,
    STRUCT = 2,
    NUMBER = 6
};

struct file {
    uint8_t bytes[2048];
    size_t n;
};

static void put_u32(struct file *file, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        file->bytes[file->n++] = (uint8_t)(value >> 8 * i);
}

static void put(struct file *file, uint32_t type, const void *data, size_t n)
{
    put_u32(file, type);
    put_u32(file, (uint32_t)n);
    memcpy(file->bytes + file->n, data, n);
    file->n += (n + 7) / 8 * 8;
}

/* Starts a matrix, whose length end_matrix writes at the place that this returns. */
static size_t begin_matrix(struct file *file, uint32_t class, uint32_t rows,
                           const char *name)
{
    put_u32(file, MATRIX);
    const size_t at = file->n;
    put_u32(file, 0);
    put_u32(file, UINT32);
    put_u32(file, 8);
    put_u32(file, class);
    put_u32(file, 0);
    put_u32(file, INT32);
    put_u32(file, 8);
    put_u32(file, rows);
    put_u32(file, 1);
    put(file, INT8, name, strlen(name));
    return at;
}

static void end_matrix(struct file *file, size_t at)
{
    const size_t n = file->n;
    file->n = at;
    put_u32(file, (uint32_t)(n - at - 4));
    file->n = n;
}

/* "synsets" of claimed elements, of which two are there, with n_fields of "id", "n". */
static struct file make(uint32_t claimed, size_t n_fields)
{
    struct file file = {.n = 128};
    memcpy(file.bytes + 124, "\0\1IM", 4);
    const size_t at = begin_matrix(&file, STRUCT, claimed, "synsets");
    put_u32(&file, 4U << 16 | INT32);
    put_u32(&file, 8);
    put(&file, INT8, "id\0\0\0\0\0\0n\0\0\0\0\0\0", n_fields * 8);
    for (size_t i = 1; i <= 2 * n_fields; i++) {
        const uint8_t value = (uint8_t)i;
        const size_t inner = begin_matrix(&file, NUMBER, 1, "");
        put(&file, UINT8, &value, 1);
        end_matrix(&file, inner);
    }
    end_matrix(&file, at);
    return file;
}

static convoy_status note(void *context, uint64_t element, const char *field,
                          const struct matlab_value *value)
{
    char *text = context;
    snprintf(text + strlen(text), 128 - strlen(text), "%d.%s=%g ", (int)element, field,
             value->is_number ? value->number : -1);
    return CONVOY_OK;
}

static void every_field_of_every_element_is_visited(void **state)
{
    (void)state;
    const struct file file = make(2, 2);
    char text[128] = "";
    assert_int_equal(matlab_visit("m", file.bytes, file.n, "synsets", note, text),
                     CONVOY_OK);
    assert_string_equal(text, "0.id=1 0.n=2 1.id=3 1.n=4 ");
}

static void refused(struct file file, const char *expected)
{
    char text[128] = "";
    assert_int_equal(matlab_visit("m", file.bytes, file.n, "synsets", note, text),
                     CONVOY_ERROR_FORMAT);
    if (!strstr(convoy_status_text(), expected))
        fail_msg("'%s' is not in '%s'", expected, convoy_status_text());
}

static void a_claim_of_more_elements_is_refused(void **state)
{
    (void)state;
    refused(make(3, 2), "it ends within an element");
}

/* They would take no bytes of the file and all the time in the world. */
static void elements_without_fields_are_refused(void **state)
{
    (void)state;
    refused(make(1U << 30, 0), "a struct has no field names");
}

static void a_file_that_is_cut_short_is_refused(void **state)
{
    (void)state;
    char text[128];
    const struct file file = make(2, 2);
    for (size_t n = 0; n < file.n - 8; n++) {
        *text = '\0';
        assert_int_not_equal(matlab_visit("m", file.bytes, n, "synsets", note, text),
                             CONVOY_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_every_element_is_visited),
        cmocka_unit_test(a_claim_of_more_elements_is_refused),
        cmocka_unit_test(elements_without_fields_are_refused),
        cmocka_unit_test(a_file_that_is_cut_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
