/* Options: what follows from a row of a table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/option.h"

#include <math.h>

static const char *const colours[] = {"", "red", "blue", NULL};

static const struct option rows[] = {
    {"text", OPTION_TEXT, 0, "", 0, 0, 0, NULL, ""},
    {"side", OPTION_INT, 0, "0", 1, 9, 0, NULL, ""},
    {"rate", OPTION_FLOAT, 0, "0.5", 0, INFINITY, OPTION_ABOVE_MIN, NULL, ""},
    {"share", OPTION_FLOAT, 0, "-1", 0, 1, OPTION_BELOW_MAX, NULL, ""},
    {"on", OPTION_BOOL, 0, "true", 0, 0, 0, NULL, ""},
    {"colour", OPTION_CHOICE, 0, "red", 0, 0, 0, colours, ""},
    {"out", OPTION_CLASSES, 0, NULL, 1, 8, 0, NULL, ""},
    {"threads", OPTION_AUTO, 0, "auto", 1, 4, 0, NULL, ""},
};
enum { N_ROWS = (int)(sizeof rows / sizeof *rows) };

static void options_say_what_they_expect(void **state)
{
    (void)state;
    static const struct {
        const char *expects, *type;
    } texts[N_ROWS] = {
        {"text", "text"},
        {"an integer at least 1 and at most 9, or 0", "integer"},
        {"a number above 0", "number"},
        {"a number at least 0 and below 1, or -1", "number"},
        {"true or false", "true|false"},
        {"one of \"\", red, blue", "\"\"|red|blue"},
        {"an integer at least 1 and at most 8, or classes", "integer|classes"},
        {"auto or an integer at least 1 and at most 4", "auto|integer"},
    };
    for (int i = 0; i < N_ROWS; i++) {
        char expects[OPTION_EXPECTS_SIZE], type[64];
        option_expects(&rows[i], expects);
        option_type_text(&rows[i], type, sizeof type);
        assert_string_equal(expects, texts[i].expects);
        assert_string_equal(type, texts[i].type);
    }
}

static void ranges_leave_out_open_ends(void **state)
{
    (void)state;
    assert_true(option_in_range(&rows[1], 1) && option_in_range(&rows[1], 9));
    assert_false(option_in_range(&rows[1], 0) || option_in_range(&rows[1], 10));
    assert_true(option_is_special(&rows[1], 0) && !option_is_special(&rows[1], -1));
    assert_false(option_in_range(&rows[2], 0) || option_is_special(&rows[2], 0));
    assert_false(option_in_range(&rows[2], INFINITY) ||
                 option_in_range(&rows[2], (double)NAN));
    assert_true(option_in_range(&rows[3], 0) && !option_in_range(&rows[3], 1));
    assert_true(option_is_special(&rows[3], -1));
}

static void names_are_found(void **state)
{
    (void)state;
    const struct option_owner first = {.name = "first"};
    const struct option_owner second = {.name = "second",
                                        OPTION_TABLE(rows, double[3])};
    const struct option_owner *const owners[] = {&first, &second, NULL};
    assert_int_equal(second.n_options, N_ROWS);
    assert_int_equal(second.size, 3 * sizeof(double));
    assert_ptr_equal(option_owner_find(owners, "second"), &second);
    assert_null(option_owner_find(owners, "third"));
    assert_int_equal(option_find(rows, N_ROWS, "on"), 4);
    assert_int_equal(option_find(rows, N_ROWS, "off"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_say_what_they_expect),
        cmocka_unit_test(ranges_leave_out_open_ends),
        cmocka_unit_test(names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
