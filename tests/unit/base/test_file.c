/* Texts as JSON, folders, and files that are the old ones or whole new ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void expect_json(const char *text, const char *expected)
{
    char *found = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&found, &n);
    assert_non_null(stream);
    file_json_text(stream, text);
    fclose(stream);
    assert_string_equal(found, expected);
    free(found);
}

static void json_texts_are_valid_whatever_the_bytes(void **state)
{
    (void)state;
    expect_json("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
                "\"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    expect_json("a\"b\\c\n\x1b", "\"a\\\"b\\\\c\\u000a\\u001b\"");
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
        expect_json(invalid[i], expected);
    }
}

static void a_folder_is_made_with_its_parents(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "a/b/c");
    assert_int_equal(file_make_folder(path), CONVOY_OK);
    assert_int_equal(file_make_folder(path), CONVOY_OK);
    assert_true(file_is_folder(path));
    assert_int_equal(file_write_whole(scratch_path(folder, "file"), "x", 1), CONVOY_OK);
    assert_int_equal(file_make_folder(scratch_path(folder, "file/d")), CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "file"));
    assert_int_equal(file_make_folder(""), CONVOY_ERROR_ARGUMENT);
}

static void a_file_is_written_whole_or_stays(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    const char *path = scratch_path(folder, "whole");
    assert_int_equal(file_write_whole(path, "old", 3), CONVOY_OK);
    assert_int_equal(file_write_whole(path, "newer", 5), CONVOY_OK);
    assert_int_equal(file_read_all(path, &text, &n), CONVOY_OK);
    assert_int_equal(n, 5);
    assert_string_equal(text, "newer");
    mem_free(text);
    assert_int_equal(file_write_whole(scratch_path(folder, "none/x"), "x", 1),
                     CONVOY_ERROR_IO);
    assert_int_equal(file_read_all(scratch_path(folder, "none"), &text, &n),
                     CONVOY_ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_texts_are_valid_whatever_the_bytes),
        cmocka_unit_test(a_folder_is_made_with_its_parents),
        cmocka_unit_test(a_file_is_written_whole_or_stays),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
