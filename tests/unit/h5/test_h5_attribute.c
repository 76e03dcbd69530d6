/* Attributes come back, are replaced, and are refused in words where they do not fit.
 */
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

static struct h5_file *create(const char *name)
{
    struct h5_file *file = NULL;
    assert_int_equal(h5_create(scratch_path(folder, name), &file), CONVOY_OK);
    return file;
}

static struct h5_file *reopen(struct h5_file *file)
{
    char path[2 * SCRATCH_PATH];
    snprintf(path, sizeof path, "%s", h5_path(file));
    assert_int_equal(h5_finish(file), CONVOY_OK);
    h5_close(file);
    assert_int_equal(h5_open(path, &file), CONVOY_OK);
    return file;
}

static bool has_attribute(const struct h5_file *file, const char *object,
                          const char *name)
{
    bool has = false;
    assert_int_equal(h5_has_attribute(file, object, name, &has), CONVOY_OK);
    return has;
}

static void values_come_back(void **state)
{
    (void)state;
    struct h5_file *file = create("values.h5");
    char *text = NULL;
    int64_t whole = 0;
    double real = 0.0;
    assert_int_equal(h5_make_group(file, "/params"), CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "name", "gr\xc3\xbcn"), CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "blank", ""), CONVOY_OK);
    assert_int_equal(h5_write_i64(file, "/params", "step", INT64_MIN), CONVOY_OK);
    assert_int_equal(h5_write_f64(file, "/params", "lr", 0.1), CONVOY_OK);
    file = reopen(file);
    assert_int_equal(h5_read_text(file, "/", "name", &text), CONVOY_OK);
    assert_string_equal(text, "gr\xc3\xbcn");
    mem_free(text);
    assert_int_equal(h5_read_text(file, "/", "blank", &text), CONVOY_OK);
    assert_string_equal(text, "");
    mem_free(text);
    assert_int_equal(h5_read_i64(file, "/params", "step", &whole), CONVOY_OK);
    assert_true(whole == INT64_MIN);
    assert_int_equal(h5_read_f64(file, "/params", "lr", &real), CONVOY_OK);
    assert_true(real == 0.1);
    assert_true(has_attribute(file, "/", "name"));
    assert_false(has_attribute(file, "/", "step"));
    assert_false(has_attribute(file, "/none", "step"));
    h5_close(file);
}

static void a_second_write_replaces(void **state)
{
    (void)state;
    struct h5_file *file = create("replace.h5");
    char *text = NULL;
    assert_int_equal(h5_write_text(file, "/", "name", "first"), CONVOY_OK);
    assert_int_equal(h5_write_text(file, "/", "name", "the second, longer"), CONVOY_OK);
    file = reopen(file);
    assert_int_equal(h5_read_text(file, "/", "name", &text), CONVOY_OK);
    assert_string_equal(text, "the second, longer");
    mem_free(text);
    h5_close(file);
}

static void a_text_of_200_kilobytes_comes_back(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct h5_file *file = create("long.h5");
    char *text = malloc(N + 1), *back = NULL;
    for (int i = 0; i < N; i++)
        text[i] = (char)('a' + i % 26);
    text[N] = '\0';
    assert_int_equal(h5_write_text(file, "/", "recipe", text), CONVOY_OK);
    file = reopen(file);
    assert_int_equal(h5_read_text(file, "/", "recipe", &back), CONVOY_OK);
    assert_string_equal(back, text);
    mem_free(back);
    free(text);
    h5_close(file);
}

static void missing_and_mistyped_attributes_are_named(void **state)
{
    (void)state;
    struct h5_file *file = create("missing.h5");
    char *text = NULL;
    int64_t whole = 0;
    double real = 0.0;
    assert_int_equal(h5_write_i64(file, "/", "step", 3), CONVOY_OK);
    file = reopen(file);
    assert_fails(h5_read_i64(file, "/", "stp", &whole), CONVOY_ERROR_FORMAT,
                 "/: has no attribute 'stp'");
    assert_fails(h5_read_text(file, "/", "step", &text), CONVOY_ERROR_FORMAT,
                 "attribute 'step' is not a single text");
    assert_fails(h5_read_f64(file, "/", "step", &real), CONVOY_ERROR_FORMAT,
                 "attribute 'step' is not a single real number");
    assert_null(text);
    h5_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(a_second_write_replaces),
        cmocka_unit_test(a_text_of_200_kilobytes_comes_back),
        cmocka_unit_test(missing_and_mistyped_attributes_are_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
