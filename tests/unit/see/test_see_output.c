/* Files, a page and values: what appears, under which names, and what is left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "see/see_output.h"
#include "support/picture.h"
#include "support/scratch.h"

#include <dirent.h>

static char folder[SCRATCH_PATH];

static int set_up(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int tear_down(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static int count_entries(const char *path)
{
    int n = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *e = readdir(directory); e; e = readdir(directory))
        n += e->d_name[0] != '.';
    closedir(directory);
    return n;
}

static void names_cannot_leave_the_folder(void **state)
{
    const char *out = scratch_path(folder, "new/pictures");
    const convoy_show_options options = {.output = out};
    struct image image = picture_make(3, 2, 3, 1), again = {0};
    struct see_output output;
    unsigned char *bytes = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(see_output_open(&options, "w <1>.h5", NULL, &output), CONVOY_OK);
    assert_int_equal(see_output_file(&output, "layer1.0.conv-1", &image), CONVOY_OK);
    assert_int_equal(see_output_file(&output, "../../a b\n", &image), CONVOY_OK);
    assert_int_equal(see_output_finish(&output, "title"), CONVOY_OK);
    see_output_close(&output);
    assert_true(file_exists(scratch_path(folder, "new/pictures/_._.._a_b_.png")));
    bytes = scratch_read(scratch_path(folder, "new/pictures/layer1.0.conv-1.png"), &n);
    assert_non_null(bytes);
    assert_int_equal(image_decode(bytes, n, 3, &again), CONVOY_OK);
    assert_int_equal(picture_distance(&image, &again), 0);
    assert_int_equal(count_entries(folder), 1);
    free(bytes);
    image_free(&image);
    image_free(&again);
}

static void a_single_file_takes_one_picture(void **state)
{
    const char *path = scratch_path(folder, "one.png");
    const convoy_show_options options = {.output = path};
    struct image image = picture_make(3, 2, 1, 1);
    struct see_output output;
    (void)state;
    for (int i = 0; i < 2; i++) { /* the second time it replaces its own */
        assert_int_equal(see_output_open(&options, "w <1>.h5", NULL, &output),
                         CONVOY_OK);
        assert_int_equal(see_output_file(&output, "a", &image), CONVOY_OK);
        assert_int_equal(see_output_file(&output, "b", &image), CONVOY_ERROR_ARGUMENT);
        see_output_close(&output);
        assert_true(file_exists(path));
    }
    image_free(&image);
}

static void a_page_is_whole_and_escaped(void **state)
{
    const char *path = scratch_path(folder, "page.html");
    const convoy_show_options options = {.html = path};
    struct image image = picture_make(3, 2, 1, 1);
    struct see_output output;
    char *text = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(see_output_open(&options, "w <1>.h5", NULL, &output), CONVOY_OK);
    see_output_heading(&output, "<b>");
    see_output_paragraph(&output, "%d & %s", 1, "two");
    assert_int_equal(see_output_figure(&output, &image, "of \"it\"", "below"),
                     CONVOY_OK);
    const struct heat heat = {.h = 3, .w = 2, .least = 0, .most = 0.25F};
    assert_int_equal(see_output_heat(&output, &image, "a map", &heat, 100), CONVOY_OK);
    assert_int_equal(see_output_file(&output, "none", &image), CONVOY_OK);
    assert_false(file_exists(path));
    assert_int_equal(see_output_finish(&output, "a < b"), CONVOY_OK);
    see_output_close(&output);
    assert_int_equal(file_read_all(path, &text, &n), CONVOY_OK);
    for (const char *const *part =
             (const char *const[]){
                 "<!DOCTYPE html>", "<h1>a &lt; b</h1>", "<h2>&lt;b&gt;</h2>",
                 "<p>1 &amp; two</p>", "title=\"of &quot;it&quot;\"",
                 "<figcaption>below</figcaption>",
                 "<figcaption>a map<span class=\"scale\">0 <img",
                 "\"> 25</span></figcaption>", "Of w &lt;1&gt;.h5,", "</html>", NULL};
         *part; part++)
        assert_non_null(strstr(text, *part));
    assert_int_equal(count_entries(folder), 1);
    mem_free(text);
    image_free(&image);
}

static void a_class_whose_name_is_a_number_is_called_class(void **state)
{
    char text[SEE_CLASS_SIZE];
    (void)state;
    assert_string_equal(see_output_class("boot", 3, text), "boot");
    assert_string_equal(see_output_class("7", 3, text), "class 7");
    assert_string_equal(see_output_class("7a", 3, text), "7a");
    assert_string_equal(see_output_class(NULL, 3, text), "class 3");
}

static void values_come_at_the_end_or_not_at_all(void **state)
{
    const char *path = scratch_path(folder, "values.h5");
    const convoy_show_options options = {.values = path};
    const float values[] = {1, 2, 3};
    const int64_t n_values = 3;
    const uint64_t dims[] = {3};
    float read[3];
    struct see_output output;
    struct h5_file *file = NULL;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(see_output_open(&options, "w <1>.h5", NULL, &output),
                         CONVOY_OK);
        assert_int_equal(see_output_values(&output, "of/layer1.conv", H5_TYPE_F32, 1,
                                           &n_values, values),
                         CONVOY_OK);
        if (i == 1)
            assert_int_equal(see_output_finish(&output, "title"), CONVOY_OK);
        see_output_close(&output);
        assert_int_equal(count_entries(folder), i);
    }
    assert_int_equal(h5_open(path, &file), CONVOY_OK);
    assert_int_equal(h5_read(file, "of/layer1.conv", H5_TYPE_F32, 1, dims, read),
                     CONVOY_OK);
    assert_memory_equal(read, values, sizeof read);
    h5_close(file);
    assert_int_equal(see_output_open(&options, "w <1>.h5", NULL, &output),
                     CONVOY_OK); /* its own */
    see_output_close(&output);
}

static void what_is_no_picture_page_or_values_is_left_alone(void **state)
{
    const char *path = scratch_path(folder, "mine.png");
    const convoy_show_options all[] = {
        {.output = path}, {.html = path}, {.values = path}, {0}};
    struct see_output output;
    (void)state;
    assert_int_equal(scratch_write(path, "mine", 4), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(see_output_open(&all[i], "w <1>.h5", NULL, &output),
                         i < 3 ? CONVOY_ERROR_IO : CONVOY_ERROR_ARGUMENT);
        see_output_close(&output);
    }
    assert_int_equal(count_entries(folder), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_cannot_leave_the_folder, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_single_file_takes_one_picture, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_page_is_whole_and_escaped, set_up, tear_down),
        cmocka_unit_test(a_class_whose_name_is_a_number_is_called_class),
        cmocka_unit_test_setup_teardown(values_come_at_the_end_or_not_at_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_picture_page_or_values_is_left_alone,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
