/* Pictures of numbers, pixel by pixel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "see/see_picture.h"

#include <math.h>
#include <string.h>

static void a_sample_becomes_the_pixels_that_it_was(void **state)
{
    const float mean[3] = {0.5F, 0.25F, 0}, std[3] = {0.5F, 0.5F, 1};
    const int shape[3] = {3, 1, 2};
    uint8_t wanted[6] = {0, 17, 255, 128, 200, 3};
    float values[6];
    struct image image = {0};
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int c = 0; c < 3; c++)
            values[c * 2 + i] = ((float)wanted[i * 3 + c] / 255.0F - mean[c]) / std[c];
    assert_int_equal(see_picture_sample(values, shape, mean, std, &image), CONVOY_OK);
    assert_int_equal(image.width, 2);
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.pixels, wanted, 6);
    values[0] = 90; /* what jitter can lead out of the range is cut off */
    values[1] = -90;
    values[2] = NAN;
    assert_int_equal(see_picture_sample(values, shape, mean, std, &image), CONVOY_OK);
    assert_int_equal(image.pixels[0], 255);
    assert_int_equal(image.pixels[3], 0);
    assert_int_equal(image.pixels[1], 0);
    image_free(&image);
}

static void enlarging_repeats_pixels(void **state)
{
    uint8_t pixels[] = {1, 2, 3, 4};
    const struct image small = {
        .pixels = pixels, .width = 2, .height = 2, .channels = 1};
    const uint8_t wanted[] = {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4};
    struct image large = {0};
    (void)state;
    assert_int_equal(see_picture_enlarge(&small, 2, &large), CONVOY_OK);
    assert_int_equal(large.width, 4);
    assert_memory_equal(large.pixels, wanted, sizeof wanted);
    image_free(&large);
    assert_int_equal(see_picture_factor(224, 224), 1);
    assert_int_equal(see_picture_factor(28, 28), 11);
    assert_int_equal(see_picture_factor(2, 1), 16);
}

static int luma(const uint8_t *rgb)
{
    return 299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2];
}

static void hotter_is_lighter(void **state)
{
    float values[32];
    struct heat heat = {values, 1, 32, 0, 0};
    struct image image = {0};
    (void)state;
    for (int i = 0; i < 32; i++)
        values[i] = 3 + 0.5F * (float)i;
    heat_find_range(values, 32, &heat.least, &heat.most);
    assert_float_equal(heat.least, 3, 0);
    assert_float_equal(heat.most, 18.5F, 0);
    assert_int_equal(heat_draw(&heat, 1, &image), CONVOY_OK);
    for (size_t i = 1; i < 32; i++)
        assert_true(luma(image.pixels + 3 * i) > luma(image.pixels + 3 * (i - 1)));
    assert_true(luma(image.pixels) < 1000);
    assert_true(luma(&image.pixels[93]) > 230000);
    heat.most = heat.least; /* the same all over */
    assert_int_equal(heat_draw(&heat, 1, &image), CONVOY_OK);
    assert_memory_equal(image.pixels, &image.pixels[93], 3);
    image_free(&image);
}

static void a_range_leaves_out_what_is_no_number(void **state)
{
    const float values[] = {NAN, -2, INFINITY, 5}, none[] = {NAN};
    float least, most;
    (void)state;
    heat_find_range(values, 4, &least, &most);
    assert_float_equal(least, -2, 0);
    assert_float_equal(most, 5, 0);
    heat_find_range(none, 1, &least, &most);
    assert_float_equal(least, 0, 0);
    assert_float_equal(most, 0, 0);
}

/* Two values over four pixels: each stands on the middle of its half. */
static void a_map_is_stretched_centre_on_centre(void **state)
{
    const float values[] = {0, 1}, all[] = {0, 0.25F, 0.75F, 1};
    const struct heat coarse = {values, 1, 2, 0, 1}, fine = {all, 1, 4, 0, 1};
    uint8_t grey[4] = {100, 100, 100, 100};
    const struct image picture = {
        .pixels = grey, .width = 4, .height = 1, .channels = 1};
    struct image stretched = {0}, expected = {0};
    (void)state;
    assert_int_equal(heat_draw_over(&coarse, &picture, &stretched), CONVOY_OK);
    assert_int_equal(heat_draw_over(&fine, &picture, &expected), CONVOY_OK);
    assert_memory_equal(stretched.pixels, expected.pixels, 12);
    assert_int_equal(stretched.pixels[0], 85); /* 0.85 · 100 + 0.15 · 0 */
    image_free(&stretched);
    image_free(&expected);
}

static void a_sheet_places_tiles_row_by_row(void **state)
{
    uint8_t grey[2] = {7, 9};
    const struct image tile = {.pixels = grey, .width = 2, .height = 1, .channels = 1};
    struct sheet sheet = {.n = 0};
    (void)state;
    assert_int_equal(sheet_begin(&sheet, 3, 2, 1), CONVOY_OK);
    assert_int_equal(sheet.image.width, 2 * (2 + 2) + 2);
    assert_int_equal(sheet.image.height, 2 * (1 + 2) + 2);
    for (int i = 0; i < 5; i++) /* one more than there is room for */
        sheet_add(&sheet, &tile);
    assert_int_equal(sheet.n, 4);
    const uint8_t *row = sheet.image.pixels + 6 * (size_t)sheet.image.width;
    assert_int_equal(row[0], 255);
    assert_int_equal(row[6], 7);
    assert_int_equal(row[9], 9);
    assert_int_equal(row[12], 255);
    assert_int_equal(row[18], 7);
    assert_int_equal(sheet_begin(&sheet, 4, 32000, 1), CONVOY_ERROR_ARGUMENT);
    image_free(&sheet.image);
}

static void a_grid_has_a_tile_for_each_kernel_or_channel(void **state)
{
    static const float values[2 * 3 * 2 * 2] = {1, 2, 3, 4};
    static const struct {
        int64_t n, c;
        int width, height; /* tiles of 18 x 18 and gaps of 2 */
    } cases[] = {{2, 3, 42, 22}, {3, 2, 62, 42}, {1, 1, 22, 22}};
    struct image image = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct kernel_set set = {values, cases[i].n, cases[i].c, 2, 2};
        assert_int_equal(see_picture_grid(&set, &image), CONVOY_OK);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].height);
        assert_int_equal(image.pixels[0], 255);
        image_free(&image);
    }
    const struct kernel_set large = {values, 1, 1, 1, 3000};
    image = (struct image){0};
    assert_int_equal(see_picture_grid(&large, &image), CONVOY_OK);
    assert_int_equal(image.width, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_becomes_the_pixels_that_it_was),
        cmocka_unit_test(enlarging_repeats_pixels),
        cmocka_unit_test(hotter_is_lighter),
        cmocka_unit_test(a_range_leaves_out_what_is_no_number),
        cmocka_unit_test(a_map_is_stretched_centre_on_centre),
        cmocka_unit_test(a_sheet_places_tiles_row_by_row),
        cmocka_unit_test(a_grid_has_a_tile_for_each_kernel_or_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
