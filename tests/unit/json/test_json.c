/* What is written is JSON, whatever bytes and numbers it is asked to write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/json.h>

#include "json/json_value.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *found;
static size_t found_size;

static convoy_json start(convoy_json_style style)
{
    free(found);
    found = NULL;
    convoy_json json = {.stream = open_memstream(&found, &found_size), .style = style};
    assert_non_null(json.stream);
    return json;
}

static void expect(convoy_json *json, const char *expected)
{
    fclose(json->stream);
    assert_int_equal(json->depth, 0);
    assert_string_equal(found, expected);
}

static void expect_text(const char *text, const char *expected)
{
    convoy_json json = start(CONVOY_JSON_COMPACT);
    convoy_json_text(&json, NULL, text);
    expect(&json, expected);
}

static void texts_are_valid_whatever_the_bytes(void **state)
{
    (void)state;
    expect_text("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                "\"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    expect_text("a\"b\\c\n\x1b", "\"a\\\"b\\\\c\\u000a\\u001b\"");
    expect_text(NULL, "null");
    static const char *const invalid[] = {
        "\xff",             /* no first byte */
        "\x80",             /* a continuation */
        "\xc3",             /* cut short */
        "\xc0\xaf",         /* a longer form of '/' */
        "\xe0\x80\x80",     /* of 0 */
        "\xed\xa0\x80",     /* half a surrogate pair */
        "\xf0\x80\x80\x80", /* of 0 */
        "\xf4\x90\x80\x80", /* beyond U+10FFFF */
        "\xf5\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        char expected[64] = "\"";
        for (size_t k = 0; k < strlen(invalid[i]); k++)
            snprintf(expected + strlen(expected), 8, "\\ufffd");
        snprintf(expected + strlen(expected), 8, "\"");
        expect_text(invalid[i], expected);
    }
}

static void number(double value)
{
    convoy_json json = start(CONVOY_JSON_COMPACT);
    convoy_json_number(&json, NULL, value);
    fclose(json.stream);
}

static void numbers_read_as_the_same_double(void **state)
{
    (void)state;
    const double values[] = {
        0,      -0.0,   0.1,  1.0 / 3, 2.5e-7, DBL_MAX,        DBL_MIN,
        1e-310, -1e300, 0.05, M_PI,    1e15,   1 + DBL_EPSILON};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        number(values[i]);
        const double read = strtod(found, NULL);
        assert_memory_equal(&read, &values[i], sizeof read);
    }
    number(0.05);
    assert_string_equal(found, "0.05");
}

static void what_is_no_number_is_null(void **state)
{
    (void)state;
    const double values[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        number(values[i]);
        assert_string_equal(found, "null");
    }
}

static void the_decimal_point_is_one_in_every_locale(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        skip();
    number(0.5);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(found, "0.5");
}

static void write_all(convoy_json *json)
{
    const int sides[] = {3, 32, 32};
    convoy_json_begin_object(json, NULL);
    convoy_json_count(json, "a", UINT64_MAX);
    convoy_json_integer(json, "b", INT64_MIN);
    convoy_json_integers(json, "c", sides, 3);
    convoy_json_begin_list(json, "d");
    convoy_json_begin_object(json, NULL);
    convoy_json_end(json);
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "e\n", "f");
    convoy_json_end(json);
    convoy_json_end(json);
    convoy_json_end(json);
}

static void objects_and_lists_stand_in_each_other(void **state)
{
    (void)state;
    convoy_json json = start(CONVOY_JSON_LINE);
    write_all(&json);
    expect(&json,
           "{\"a\": 18446744073709551615, \"b\": -9223372036854775808, \"c\": [3, 32, "
           "32], \"d\": [{}, {\"e\\u000a\": \"f\"}]}\n");
    json = start(CONVOY_JSON_COMPACT);
    write_all(&json);
    expect(&json, "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":[3,32,"
                  "32],\"d\":[{},{\"e\\u000a\":\"f\"}]}");
    json = start(CONVOY_JSON_LINES);
    write_all(&json);
    expect(&json, "{\n  \"a\": 18446744073709551615,\n  \"b\": -9223372036854775808,\n"
                  "  \"c\": [3, 32, 32],\n  \"d\": [{}, {\"e\\u000a\": \"f\"}]\n}\n");
}

static void what_is_written_can_be_read(void **state)
{
    (void)state;
    struct json_value *value = NULL;
    convoy_json json = start(CONVOY_JSON_LINE);
    convoy_json_begin_list(&json, NULL);
    for (int c = 1; c < 256; c++) {
        const char text[] = {(char)c, '\0'};
        convoy_json_text(&json, NULL, text);
    }
    convoy_json_end(&json);
    fclose(json.stream);
    assert_int_equal(json_value_read("list", found, found_size, &value), CONVOY_OK);
    assert_int_equal(json_value_count(value), 255);
    for (int c = 1; c < 128; c++) {
        const char text[] = {(char)c, '\0'};
        assert_string_equal(json_value_text(json_value_item(value, (size_t)c - 1)),
                            text);
    }
    json_value_free(value);
}

static int free_found(void **state)
{
    (void)state;
    free(found);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_valid_whatever_the_bytes),
        cmocka_unit_test(numbers_read_as_the_same_double),
        cmocka_unit_test(what_is_no_number_is_null),
        cmocka_unit_test(the_decimal_point_is_one_in_every_locale),
        cmocka_unit_test(objects_and_lists_stand_in_each_other),
        cmocka_unit_test(what_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, free_found);
}
