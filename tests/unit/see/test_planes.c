/* Matrices and pictures, from files and to files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/convolve.h>

#include "base/memory.h"
#include "support/picture.h"
#include "support/scratch.h"

#include <math.h>

struct scene {
    char folder[SCRATCH_PATH];
};

static int make_scene(void **state)
{
    static struct scene scene;
    *state = &scene;
    return scratch_make(scene.folder);
}

static int remove_scene(void **state)
{
    return scratch_remove(((struct scene *)*state)->folder);
}

static void assert_done(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

static const char *write_text(const struct scene *scene, const char *text)
{
    const char *path = scratch_path(scene->folder, "matrix.csv");
    assert_int_equal(scratch_write(path, text, strlen(text)), 0);
    return path;
}

static void numbers_may_stand_apart_in_several_ways(void **state)
{
    static const char *const texts[] = {
        "1,2,3\n4,-5,6.5\n",
        "1 2 3\n4 -5 6.5",
        "\xef\xbb\xbf# a comment\n\n  1 ;2;  3\r\n4\t, -5 ,\t65e-1 \r\n\n",
    };
    static const float expected[] = {1, 2, 3, 4, -5, 6.5F};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        convoy_planes m = {0};
        assert_done(convoy_planes_read(write_text(*state, texts[i]), false, &m));
        assert_int_equal(m.n, 1);
        assert_int_equal(m.rows, 2);
        assert_int_equal(m.columns, 3);
        assert_memory_equal(m.values, expected, sizeof expected);
        convoy_planes_free(&m);
    }
}

static void what_is_no_matrix_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "holds no number"},
        {"# nothing\n\n", "holds no number"},
        {"1,2\n3\n", "line 2 has 1 number, those before it 2"},
        {"1,2\n\n3,4,5\n", "line 3 has 3 numbers, those before it 2"},
        {"1,two\n", "line 1: 'two' is no number"},
        {"1,,2\n", "line 1: no number before or behind"},
        {"1,2,\n", "line 1: no number before or behind"},
        {",1\n", "line 1: no number before or behind"},
        {"1 nan\n", "'nan' is no number"},
        {"1e99\n", "'1e99' is too large"},
        {"0x10\n", "'0x10' is no number"},
        {"1,5;2,5\n", "line 1 has commas and semicolons"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_planes m = {0};
        assert_fails(convoy_matrix_read(write_text(*state, cases[i].text), &m),
                     CONVOY_ERROR_FORMAT, cases[i].reason);
        assert_null(m.values);
    }
    const struct scene *scene = *state;
    const char *path = scratch_path(scene->folder, "zeros.csv");
    convoy_planes m = {0};
    assert_int_equal(scratch_write(path, "1\0002\n", 4), 0);
    assert_fails(convoy_matrix_read(path, &m), CONVOY_ERROR_FORMAT, "no text");
    assert_fails(convoy_matrix_read(scratch_path(scene->folder, "absent.csv"), &m),
                 CONVOY_ERROR_IO, "absent.csv");
}

static void a_signal_is_one_row_or_one_column(void **state)
{
    static const char *const texts[] = {"1,2,3\n", "1\n2\n3\n"};
    convoy_planes signal = {0};
    for (int i = 0; i < 2; i++) {
        assert_done(convoy_signal_read(write_text(*state, texts[i]), &signal));
        assert_int_equal(signal.rows, 1);
        assert_int_equal(signal.columns, 3);
        assert_true(signal.values[2] == 3);
        convoy_planes_free(&signal);
    }
    assert_fails(convoy_signal_read(write_text(*state, "1,2\n3,4\n"), &signal),
                 CONVOY_ERROR_FORMAT, "2 rows of 2 numbers");
}

static void numbers_read_back_as_they_were_written(void **state)
{
    const struct scene *scene = *state;
    float values[] = {1.0F / 3, -2.5e-9F, 3e20F, 0, -7, 16777216};
    const convoy_planes m = {1, 2, 3, values};
    const convoy_planes colours = {3, 1, 2, values};
    const char *path = scratch_path(scene->folder, "out.csv");
    convoy_planes read = {0};
    assert_done(convoy_planes_write(&m, path, false));
    assert_done(convoy_planes_read(path, false, &read));
    assert_int_equal(read.rows, 2);
    assert_memory_equal(read.values, values, sizeof values);
    convoy_planes_free(&read);
    assert_fails(convoy_planes_write(&colours, path, false), CONVOY_ERROR_ARGUMENT,
                 "here are 3");
    assert_fails(convoy_planes_write(&m, scratch_path(scene->folder, "out.gif"), false),
                 CONVOY_ERROR_ARGUMENT, ".png or .csv");
}

static void write_png(const char *path, const struct image *image)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_done(image_encode_png(image, &bytes, &n));
    assert_int_equal(scratch_write(path, bytes, n), 0);
    mem_free(bytes);
}

static void an_image_s_numbers_are_its_pixels(void **state)
{
    const struct scene *scene = *state;
    const char *path = scratch_path(scene->folder, "picture.png");
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image image = picture_make(7, 5, channels, 3);
        convoy_planes planes = {0};
        write_png(path, &image);
        assert_done(convoy_planes_read(path, false, &planes));
        assert_int_equal(planes.n, channels);
        assert_int_equal(planes.rows, 5);
        assert_int_equal(planes.columns, 7);
        for (int c = 0; c < channels; c++)
            for (int i = 0; i < 35; i++)
                assert_true(planes.values[35 * c + i] ==
                            (float)image.pixels[channels * i + c]);
        convoy_planes_free(&planes);
        assert_done(convoy_planes_read(path, true, &planes));
        assert_int_equal(planes.n, 1);
        convoy_planes_free(&planes);
        image_free(&image);
    }
}

/* The pixels of a picture of three values, one row. */
static void assert_shades(const struct scene *scene, const float *values, bool scale,
                          const uint8_t *expected)
{
    float copy[3];
    memcpy(copy, values, sizeof copy);
    const convoy_planes planes = {1, 1, 3, copy};
    const char *path = scratch_path(scene->folder, "shades.png");
    struct image image = {0};
    size_t n = 0;
    assert_done(convoy_planes_write(&planes, path, scale));
    unsigned char *bytes = scratch_read(path, &n);
    assert_non_null(bytes);
    assert_done(image_decode(bytes, n, 1, &image));
    assert_int_equal(image.width, 3);
    assert_int_equal(image.height, 1);
    assert_memory_equal(image.pixels, expected, 3);
    image_free(&image);
    free(bytes);
}

static void shades_are_cut_off_or_scaled(void **state)
{
    assert_shades(*state, (const float[]){-20, 99.6F, 300}, false,
                  (const uint8_t[]){0, 100, 255});
    assert_shades(*state, (const float[]){-20, 30, 80}, true,
                  (const uint8_t[]){0, 128, 255});
    assert_shades(*state, (const float[]){7, 7, 7}, true,
                  (const uint8_t[]){128, 128, 128});
}

static void colours_are_scaled_together(void **state)
{
    const struct scene *scene = *state;
    float values[] = {0, 10, 20, 30, 40, 50}; /* [3, 1, 2] */
    const convoy_planes planes = {3, 1, 2, values};
    const char *path = scratch_path(scene->folder, "colours.png");
    convoy_planes read = {0};
    assert_done(convoy_planes_write(&planes, path, true));
    assert_done(convoy_planes_read(path, false, &read));
    assert_int_equal(read.n, 3);
    for (int i = 0; i < 6; i++)
        assert_true(fabs((double)read.values[i] - 51.0 * i) < 0.5);
    convoy_planes_free(&read);
}

static void a_file_that_is_no_image_is_named(void **state)
{
    const struct scene *scene = *state;
    const char *path = scratch_path(scene->folder, "text.png");
    convoy_planes planes = {0};
    assert_int_equal(scratch_write(path, "no picture", 10), 0);
    assert_fails(convoy_planes_read(path, false, &planes), CONVOY_ERROR_FORMAT,
                 "text.png: 10 bytes that are neither");
    assert_fails(convoy_planes_read(scene->folder, false, &planes), CONVOY_ERROR_FORMAT,
                 scene->folder);
    assert_null(planes.values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_may_stand_apart_in_several_ways),
        cmocka_unit_test(what_is_no_matrix_is_refused_with_its_line),
        cmocka_unit_test(a_signal_is_one_row_or_one_column),
        cmocka_unit_test(numbers_read_back_as_they_were_written),
        cmocka_unit_test(an_image_s_numbers_are_its_pixels),
        cmocka_unit_test(shades_are_cut_off_or_scaled),
        cmocka_unit_test(colours_are_scaled_together),
        cmocka_unit_test(a_file_that_is_no_image_is_named),
    };
    return cmocka_run_group_tests(tests, make_scene, remove_scene);
}
