/* Headers, good and hostile: each is believed only where it fits the data exactly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "safetensors/safetensors_header.h"

#include <stdlib.h>
#include <string.h>

#define NOT_JSON "x.safetensors: its header is not what safetensors allows: line 1"
#define T(shape, begin, end)                                                           \
    "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static convoy_status read_text(const char *text, uint64_t data_bytes,
                               struct safetensors_header *header)
{
    /* A copy without a 0 behind it: reading too far shows under a sanitizer. */
    const size_t n = strlen(text);
    char *exact = malloc(n > 0 ? n : 1);
    assert_non_null(exact);
    for (size_t i = 0; i < n; i++)
        exact[i] = text[i];
    convoy_status status =
        safetensors_header_read("x.safetensors", exact, n, data_bytes, header);
    free(exact);
    return status;
}

static const struct {
    const char *text;
    uint64_t data_bytes;
    const char *words;
} bad[] = {
    /* JSON */
    {"", 0, "x.safetensors: is no safetensors file: its header does not start"},
    {" {}", 0, "does not start with '{'"},
    {"[]", 0, "does not start with '{'"},
    {"{", 0, NOT_JSON},
    {"{} {}", 0, NOT_JSON},
    {"{\"a\":" T("[1]", "0", "4") ",}", 4, NOT_JSON},
    {"{\"a\\u0000b\":" T("[1]", "0", "4") "}", 4, NOT_JSON},
    {"{\"a\xff\":" T("[1]", "0", "4") "}", 4, NOT_JSON},
    {"{\"a\":" T("[1]", "0", "4") ",\"a\":" T("[1]", "4", "8") "}", 8,
     "duplicate object key"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
     "}",
     4, "duplicate object key"},
    /* entries */
    {"{\"a\":1}", 0, "a: expected {\"dtype\": text"},
    {"{\"a\":[]}", 0, "a: expected {\"dtype\": text"},
    {"{\"a\":{}}", 0, "a: expected {\"dtype\": text"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "a: expected {\"dtype\": text"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
     "a: expected {\"dtype\": text"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
     "a: expected {\"dtype\": text"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "a: expected {\"dtype\": text"},
    {"{\"a\":{\"dtype\":\"\\u001b[2J\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "the type '?[2J' holds a control character"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4,
     "a: F4 values of the shape [1] take"},
    {"{\"a\":" T("4", "0", "16") "}", 16, "a: its shape is no list"},
    {"{\"a\":" T("[2.0]", "0", "8") "}", 8, "dimension 0 of its shape is no integer"},
    {"{\"a\":" T("[1,-1]", "0", "4") "}", 4, "dimension 1 of its shape is no integer"},
    {"{\"a\":" T("[\"1\"]", "0", "4") "}", 4, "dimension 0 of its shape is no integer"},
    {"{\"a\\u0007\":" T("[1]", "0", "4") "}", 4,
     "the name of the tensor 'a?' holds a control character"},
    /* offsets */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4,
     "a: expected {"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
     "a: expected {"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":4}}", 4,
     "a: expected {"},
    {"{\"a\":" T("[1]", "0.0", "4") "}", 4, "a: expected {"},
    {"{\"a\":" T("[2]", "0", "4") "}", 4,
     "F32 values of the shape [2] take 8 bytes, but its data_offsets are 0 and 4"},
    {"{\"a\":" T("[]", "0", "8") "}", 8, "the shape [] take 4 bytes"},
    {"{\"a\":" T("[1]", "4", "0") "}", 4, "data_offsets are 4 and 0"},
    {"{\"a\":" T("[1]", "-4", "0") "}", 4, "data_offsets are -4 and 0"},
    {"{\"a\":" T("[1]", "-9223372036854775808", "9223372036854775807") "}", 4,
     "data_offsets are -9223372036854775808 and 9223372036854775807"},
    {"{\"a\":" T("[1]", "0", "18446744073709551616") "}", 4, NOT_JSON},
    {"{\"a\":" T("[4294967296,4294967296]", "0", "0") "}", 0,
     "the shape [4294967296, 4294967296] is larger than any file"},
    {"{\"a\":" T("[4611686018427387904]", "0", "0") "}", 0, "larger than any file"},
    {"{\"a\":" T("[4611686018427387904,4,0]", "0", "0") "}", 0, "larger than any file"},
    {"{\"a\":" T("[2305843009213693951]", "0", "9223372036854775804") "}", 8,
     "was cut short: 8 bytes of data follow its header, expected 9223372036854775804"},
    /* cover */
    {"{\"a\":" T("[1]", "4", "8") "}", 8,
     "bytes 0 to 4 of the data belong to no tensor"},
    {"{\"a\":" T("[1]", "0", "4") ",\"b\":" T("[1]", "8", "12") "}", 12,
     "bytes 4 to 8 of the data belong to no tensor"},
    {"{\"a\":" T("[2]", "0", "8") ",\"b\":" T("[2]", "4", "12") "}", 12,
     "a and b overlap: both hold byte 4"},
    {"{\"b\":" T("[2]", "0", "8") ",\"a\":" T("[2]", "0", "8") "}", 8, "overlap"},
    {"{\"a\":" T("[2]", "0", "8") "}", 7, "was cut short: 7 bytes of data"},
    {"{\"a\":" T("[2]", "0", "8") "}", 9,
     "9 bytes of data follow its header, which accounts for 8 only"},
    {"{}", 1, "1 bytes of data follow its header"},
    /* metadata */
    {"{\"__metadata__\":[]}", 0, "__metadata__ in the header is no object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "'a' of __metadata__ in the header is no text"},
};

static void headers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct safetensors_header header = {0};
        const convoy_status status = read_text(bad[i].text, bad[i].data_bytes, &header);
        safetensors_header_free(&header);
        if (status != CONVOY_ERROR_FORMAT ||
            !strstr(convoy_status_text(), bad[i].words))
            fail_msg("%s: '%s' is not in '%s'", bad[i].text, bad[i].words,
                     convoy_status_text());
    }
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    struct safetensors_header header = {0};
    char *text = malloc(DEPTH + 6);
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEPTH);
    text[DEPTH + 5] = '\0';
    assert_int_equal(read_text(text, 0, &header), CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), NOT_JSON));
    safetensors_header_free(&header);
    free(text);
}

static void more_dimensions_than_there_is_room_for_are_unsupported(void **state)
{
    (void)state;
    struct safetensors_header header = {0};
    assert_int_equal(
        read_text("{\"a\":" T("[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, &header),
        CONVOY_ERROR_UNSUPPORTED);
    assert_non_null(strstr(convoy_status_text(), "a has 9 dimensions; up to 8 work"));
    safetensors_header_free(&header);
}

static void tensors_are_read_in_the_order_of_their_names(void **state)
{
    (void)state;
    struct safetensors_header header = {0};
    const char *text = "{\"__metadata__\":{\"format\":\"pt\"},"
                       "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
                       "\"a\":" T("[2,0,3]", "16",
                                  "16") ",\"b\":{\"dtype\":\"BF16\","
                                        "\"shape\":[1,2,2],\"data_offsets\":[0,8]}}   ";
    assert_int_equal(read_text(text, 16, &header), CONVOY_OK);
    assert_int_equal(header.n, 3);
    const struct safetensors_tensor *t = header.tensors;
    assert_string_equal(t[0].name, "a");
    assert_int_equal(t[0].n_dims, 3);
    assert_int_equal(t[0].begin, t[0].end);
    assert_string_equal(t[1].name, "b");
    assert_int_equal(t[1].type, SAFETENSORS_BF16);
    assert_string_equal(t[1].type_name, "BF16");
    assert_int_equal(t[1].dims[2], 2);
    assert_int_equal(t[1].end, 8);
    assert_string_equal(t[2].name, "c");
    assert_int_equal(t[2].n_dims, 0);
    assert_int_equal(t[2].begin, 8);
    char shape[SAFETENSORS_SHAPE_SIZE];
    safetensors_shape_text(&t[1], shape);
    assert_string_equal(shape, "[1, 2, 2]");
    safetensors_header_free(&header);
}

static void every_type_of_the_format_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t bytes;
        bool is_float;
    } types[] = {{"F32", 4, true},      {"F64", 8, true},      {"F16", 2, true},
                 {"BF16", 2, true},     {"I64", 8, false},     {"I32", 4, false},
                 {"I16", 2, false},     {"I8", 1, false},      {"U64", 8, false},
                 {"U32", 4, false},     {"U16", 2, false},     {"U8", 1, false},
                 {"F8_E5M2", 1, false}, {"F8_E4M3", 1, false}, {"BOOL", 1, false}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct safetensors_header header = {0};
        char text[128];
        snprintf(text, sizeof text,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%zu]}}",
                 types[i].name, 3 * types[i].bytes);
        const uint64_t data_bytes = 3 * types[i].bytes;
        assert_int_equal(read_text(text, data_bytes, &header), CONVOY_OK);
        assert_string_equal(header.tensors[0].type_name, types[i].name);
        assert_int_equal(safetensors_is_float(header.tensors[0].type),
                         types[i].is_float);
        safetensors_header_free(&header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_that_do_not_fit_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(more_dimensions_than_there_is_room_for_are_unsupported),
        cmocka_unit_test(tensors_are_read_in_the_order_of_their_names),
        cmocka_unit_test(every_type_of_the_format_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
