/* Values are told apart exactly, and what is no JSON is refused with its place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "json/json_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_value *read_text(const char *text)
{
    struct json_value *value = NULL;
    assert_int_equal(json_value_read("x", text, strlen(text), &value), CONVOY_OK);
    return value;
}

static void values_have_their_types(void **state)
{
    (void)state;
    static const enum json_type types[] = {
        JSON_TYPE_INTEGER, JSON_TYPE_REAL,   JSON_TYPE_REAL, JSON_TYPE_TEXT,
        JSON_TYPE_LIST,    JSON_TYPE_OBJECT, JSON_TYPE_NULL, JSON_TYPE_OTHER};
    const size_t n = sizeof types / sizeof *types;
    struct json_value *root = read_text("[1, 1.0, 1e0, \"1\", [1], {}, null, true]");
    assert_int_equal(json_value_count(root), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(json_value_type(json_value_item(root, i)), types[i]);
    assert_true(json_value_number(json_value_item(root, 0)) == 1);
    assert_true(json_value_number(json_value_item(root, 1)) == 1);
    assert_true(isnan(json_value_number(json_value_item(root, 3))));
    assert_int_equal(json_value_integer(json_value_item(root, 1)), 0);
    assert_null(json_value_text(json_value_item(root, 0)));
    assert_null(json_value_item(root, n));
    json_value_free(root);
}

static void nothing_is_a_value_without_content(void **state)
{
    (void)state;
    struct json_member member = {0};
    assert_int_equal(json_value_type(NULL), JSON_TYPE_OTHER);
    assert_int_equal(json_value_count(NULL), 0);
    assert_null(json_value_item(NULL, 0));
    assert_null(json_value_member(NULL, "a"));
    assert_null(json_value_text(NULL));
    assert_int_equal(json_value_integer(NULL), 0);
    assert_true(isnan(json_value_number(NULL)));
    assert_false(json_value_next(NULL, &member));
    json_value_free(NULL);
}

static void integers_are_exact_to_the_last_of_64_bits(void **state)
{
    (void)state;
    struct json_value *root = read_text("[9223372036854775807, -9223372036854775808]");
    assert_true(json_value_integer(json_value_item(root, 0)) == INT64_MAX);
    assert_true(json_value_integer(json_value_item(root, 1)) == INT64_MIN);
    json_value_free(root);
}

static void members_come_in_the_order_of_the_text(void **state)
{
    (void)state;
    static const char *const names[] = {"c", "a", "b"};
    struct json_value *root = read_text("{\"c\": 0, \"a\": 1, \"b\": 2}");
    struct json_member member = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(json_value_next(root, &member));
        assert_string_equal(member.name, names[i]);
        assert_int_equal(json_value_integer(member.value), i);
    }
    assert_false(json_value_next(root, &member));
    assert_int_equal(json_value_integer(json_value_member(root, "b")), 2);
    assert_null(json_value_member(root, "d"));
    json_value_free(root);
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "1",
                                      "{",
                                      "{} {}",
                                      "[1,]",
                                      "[nan]",
                                      "[NaN]",
                                      "[Infinity]",
                                      "[01]",
                                      "['a']",
                                      "[\"\\u0000\"]",
                                      "[\"\xff\"]",
                                      "[9223372036854775808]",
                                      "{\"a\": 1, \"a\": 2}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json_value *value = NULL;
        if (json_value_read("the file", bad[i], strlen(bad[i]), &value) !=
            CONVOY_ERROR_FORMAT)
            fail_msg("%s is taken", bad[i]);
        assert_null(value);
        assert_ptr_equal(strstr(convoy_status_text(), "the file: line "),
                         convoy_status_text());
    }
    struct json_value *value = NULL;
    assert_int_equal(json_value_read("x", "[\033\a]", 4, &value), CONVOY_ERROR_FORMAT);
    assert_null(strpbrk(convoy_status_text(), "\033\a"));
}

/* As it was read, but for spaces and what is too deep. */
static void a_value_is_written_as_it_was_read(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"b\": [1, -2.5, null], \"a\": {\"t\": true, \"f\": false, \"x\": "
         "\"\\u0001\\\"\"}}",
         NULL},
        {"{\"v\": [[[[[[[[1, 2]]]]]]]]}", "{\"v\": [[[[[[null]]]]]]}"},
        {"{\"v\": []}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_value *value = NULL;
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);
        convoy_json json = {.stream = stream};
        assert_non_null(stream);
        assert_int_equal(json_value_read("x", cases[i][0], strlen(cases[i][0]), &value),
                         CONVOY_OK);
        convoy_json_begin_object(&json, NULL);
        json_value_print(value, "value", &json);
        convoy_json_end(&json);
        fclose(stream);
        char expected[256];
        snprintf(expected, sizeof expected, "{\"value\": %s}\n",
                 cases[i][1] ? cases[i][1] : cases[i][0]);
        assert_string_equal(text, expected);
        json_value_free(value);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_their_types),
        cmocka_unit_test(nothing_is_a_value_without_content),
        cmocka_unit_test(integers_are_exact_to_the_last_of_64_bits),
        cmocka_unit_test(members_come_in_the_order_of_the_text),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(a_value_is_written_as_it_was_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
