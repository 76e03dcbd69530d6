/* Text becomes text whatever it is, and numbers are short. */
#include "draw/html.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REPLACEMENT "\xef\xbf\xbd"

static void assert_text(const char *text, const char *expected)
{
    char *written = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&written, &n);
    html_text(stream, text);
    fclose(stream);
    assert_string_equal(written, expected);
    free(written);
}

static void markup_is_escaped(void **state)
{
    (void)state;
    assert_text("<a href=\"x\">'&'</a>",
                "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    assert_text(NULL, "");
}

static void only_utf8_is_left(void **state)
{
    (void)state;
    assert_text("\xc3\xa4 \xe2\x80\x93 \xf0\x9f\x9a\x90",
                "\xc3\xa4 \xe2\x80\x93 \xf0\x9f\x9a\x90");
    assert_text("a\x80z", "a" REPLACEMENT "z");
    assert_text("a\xc3", "a" REPLACEMENT);            /* cut off */
    assert_text("\xc0\xaf", REPLACEMENT REPLACEMENT); /* too long for a slash */
    assert_text("\xed\xa0\x80", REPLACEMENT REPLACEMENT REPLACEMENT); /* a surrogate */
    assert_text("\xf4\x90\x80\x80", REPLACEMENT REPLACEMENT REPLACEMENT REPLACEMENT);
    assert_text("a\x1b[2Jb\n\tc\x7f", "a" REPLACEMENT "[2Jb\n\tc" REPLACEMENT);
}

static void bytes_become_base64(void **state)
{
    (void)state;
    static const char *const of[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="};
    for (size_t i = 0; i < 5; i++) {
        char *written = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&written, &n);
        html_data_uri(stream, "a/b", "foobar", i);
        fclose(stream);
        assert_memory_equal(written, "data:a/b;base64,", 16);
        assert_string_equal(written + 16, of[i]);
        free(written);
    }
}

static void numbers_have_three_digits_that_count(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},          {1.2345, "1.23"},       {9.999, "10.0"},
                 {99.96, "100"},    {1234567, "1,234,567"}, {-1234.5, "-1,234"},
                 {0.05, "0.0500"},  {1e-9, "1e-09"},        {1e300, "1e+300"},
                 {-0.25, "-0.250"}, {999.6, "1,000"}};
    char out[HTML_NUMBER_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(html_number(cases[i].value, out), cases[i].text);
    assert_string_equal(html_number((double)NAN, out), "\xe2\x80\x93");
    assert_string_equal(html_count(UINT64_MAX, out), "18,446,744,073,709,551,615");
}

static void units_fit_the_size(void **state)
{
    (void)state;
    char out[HTML_NUMBER_SIZE];
    assert_string_equal(html_seconds(0.0123, out), "12.3\u00a0ms");
    assert_string_equal(html_seconds(0.0000446, out), "44.6\u00a0\u00b5s");
    assert_string_equal(html_seconds(4.46e-8, out), "< 1\u00a0\u00b5s");
    assert_string_equal(html_seconds(0.9999, out), "1.00\u00a0s");
    assert_string_equal(html_seconds(245, out), "4\u00a0min 05\u00a0s");
    assert_string_equal(html_seconds(3599.9, out), "1\u00a0h 00\u00a0min");
    assert_string_equal(html_seconds(12000, out), "3\u00a0h 20\u00a0min");
    assert_string_equal(html_seconds(1e6, out), "11.6\u00a0"
                                                "d");
    assert_string_equal(html_bytes(1536.0 * 1024, out), "1.50\u00a0MiB");
    assert_string_equal(html_percent(0.934, out), "93.4\u00a0%");
    assert_string_equal(html_percent(1, out), "100\u00a0%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_is_escaped),
        cmocka_unit_test(only_utf8_is_left),
        cmocka_unit_test(bytes_become_base64),
        cmocka_unit_test(numbers_have_three_digits_that_count),
        cmocka_unit_test(units_fit_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
