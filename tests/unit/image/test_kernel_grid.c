/* Pictures of kernels: scaling, colour, places, and how many are drawn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "image/kernel_grid.h"

#include <math.h>
#include <stdlib.h>

static const uint8_t *pixel(const struct image *image, int x, int y)
{
    return image->pixels +
           ((size_t)y * (size_t)image->width + (size_t)x) * (size_t)image->channels;
}

static void the_channels_of_a_kernel_are_scaled_together(void **state)
{
    (void)state;
    /* Two kernels of 1 x 2: red from -1 to 1, then blue alone. */
    static const float values[] = {-1, 1, 0, 0, 0, 0, 5, 5, 5, 5, 5, 7};
    const struct kernel_set set = {values, 2, 3, 1, 2};
    struct image image = {.width = 0};
    assert_int_equal(kernel_grid_draw(&set, &image), CONVOY_OK);
    assert_int_equal(image.channels, 3);
    assert_int_equal(image.width, 1 + 2 * 17);
    assert_int_equal(image.height, 1 + 9);
    static const uint8_t expected[4][3] = {
        {0, 128, 128}, {255, 128, 128}, {0, 0, 0}, {0, 0, 255}};
    static const int left[] = {1, 9, 18, 26};
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(pixel(&image, left[i], 1), expected[i], 3);
        assert_memory_equal(pixel(&image, left[i] + 7, 8), expected[i], 3);
    }
    assert_int_equal(pixel(&image, 17, 4)[2], 0); /* the line between */
    assert_int_equal(pixel(&image, 34, 4)[2], 0);
    image_free(&image);
}

static void each_of_other_channels_is_a_grey_picture(void **state)
{
    (void)state;
    static const float values[] = {0, 1, 2, 2, 3, NAN, INFINITY, 4};
    const struct kernel_set set = {values, 2, 2, 2, 1};
    struct image image = {.width = 0};
    assert_int_equal(kernel_grid_draw(&set, &image), CONVOY_OK);
    assert_int_equal(image.channels, 1);
    assert_int_equal(image.width, 1 + 2 * 9);
    assert_int_equal(image.height, 1 + 2 * 17);
    static const uint8_t expected[4][2] = {
        {0, 255}, {128, 128}, {128, 128}, {128, 128}};
    for (int i = 0; i < 4; i++)
        for (int y = 0; y < 2; y++)
            assert_int_equal(*pixel(&image, 1 + 9 * (i % 2), 1 + 17 * (i / 2) + 8 * y),
                             expected[i][y]);
    image_free(&image);
}

static void as_many_are_drawn_as_there_is_room_for(void **state)
{
    (void)state;
    static const struct {
        int64_t n, c, h, w;
        int width, height;
    } cases[] = {
        {64, 3, 7, 7, 1 + 8 * 57, 1 + 8 * 57},
        {5, 1, 3, 3, 1 + 3 * 25, 1 + 2 * 25},
        {1000, 1, 5, 5, 1 + 16 * 41, 1 + 16 * 41},
        {1000, 1, 28, 28, 1 + 16 * 85, 1 + 16 * 85},
        {9, 3, 500, 500, 1 + 3 * 501, 1 + 3 * 501},
        {20, 3, 500, 500, 1 + 4 * 501, 1 + 4 * 501},
        {3, 1, 2046, 1, 1 + 3 * 2, 2048},
        {5000, 1, 1, 2046, 2048, 1 + 256 * 2},
        {4, 1, 3000, 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = (size_t)(cases[i].n * cases[i].c * cases[i].h * cases[i].w);
        float *values = calloc(n, sizeof *values);
        assert_non_null(values);
        const struct kernel_set set = {values, cases[i].n, cases[i].c, cases[i].h,
                                       cases[i].w};
        struct image image = {.width = 0};
        assert_int_equal(kernel_grid_draw(&set, &image), CONVOY_OK);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].height);
        image_free(&image);
        free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_channels_of_a_kernel_are_scaled_together),
        cmocka_unit_test(each_of_other_channels_is_a_grey_picture),
        cmocka_unit_test(as_many_are_drawn_as_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
