/* Small questions about texts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"

static void a_byte_order_mark_is_passed_over_once(void **state)
{
    static const struct {
        const char *text, *rest;
    } cases[] = {{"\xef\xbb\xbf"
                  "0\n",
                  "0\n"},
                 {"\xef\xbb\xbf\xef\xbb\xbf", "\xef\xbb\xbf"},
                 {"\xef\xbb", "\xef\xbb"},
                 {"0", "0"},
                 {"", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_behind_mark(cases[i].text), cases[i].rest);
}

static void edits_count_swaps_of_neighbours(void **state)
{
    (void)state;
    assert_int_equal(text_edits("weigth", "weight"), 1);
    assert_int_equal(text_edits("", "abc"), 3);
    assert_int_equal(text_edits("same", "same"), 0);
}

static void text_is_appended_as_far_as_there_is_room(void **state)
{
    char text[8] = "ab";
    (void)state;
    text_append(text, sizeof text, "%d", 12);
    assert_string_equal(text, "ab12");
    text_append(text, sizeof text, "%s", "cdefg");
    assert_string_equal(text, "ab12cde");
    text_append(text, sizeof text, "h");
    assert_string_equal(text, "ab12cde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_order_mark_is_passed_over_once),
        cmocka_unit_test(edits_count_swaps_of_neighbours),
        cmocka_unit_test(text_is_appended_as_far_as_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
