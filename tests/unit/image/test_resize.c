/* Resizing against the definition in double precision, over shapes, boxes and channels.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/picture.h"

#include <math.h>
#include <string.h>

static struct image_scratch *scratch;

static int make_scratch(void **state)
{
    (void)state;
    return image_scratch_create(&scratch) == CONVOY_OK ? 0 : -1;
}

static int drop_scratch(void **state)
{
    (void)state;
    image_scratch_destroy(scratch);
    image_scratch_destroy(NULL);
    return 0;
}

static struct image noise_make(int width, int height, int channels)
{
    struct image image = picture_make(width, height, channels, 0);
    uint32_t x = 12345;
    for (int i = 0; i < width * height * channels; i++) {
        x = x * 1664525 + 1013904223;
        image.pixels[i] = (uint8_t)(x >> 24);
    }
    return image;
}

/* The weight of input pixel j in output pixel i. */
static double weight(int i, int j, double from, double length, int n_out)
{
    double scale = length / n_out, reach = fmax(scale, 1.0);
    return fmax(0.0, 1.0 - fabs(j + 0.5 - (from + (i + 0.5) * scale)) / reach);
}

static double expected(const struct image *src, struct image_box box,
                       const struct image *dst, int ox, int oy, int c)
{
    double sum = 0.0, total = 0.0;
    for (int y = 0; y < src->height; y++) {
        double wy = weight(oy, y, box.y, box.h, dst->height);
        for (int x = 0; wy > 0.0 && x < src->width; x++) {
            double w = wy * weight(ox, x, box.x, box.w, dst->width);
            total += w;
            sum += w * src->pixels[(y * src->width + x) * src->channels + c];
        }
    }
    return sum / total;
}

static void check(const struct image *src, struct image_box box, int width, int height)
{
    struct image dst = {0};
    assert_int_equal(image_resize(src, box, width, height, scratch, &dst), CONVOY_OK);
    assert_int_equal(dst.width, width);
    assert_int_equal(dst.height, height);
    assert_int_equal(dst.channels, src->channels);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < dst.channels; c++) {
                int found = dst.pixels[(y * width + x) * dst.channels + c];
                double wanted = expected(src, box, &dst, x, y, c);
                if (fabs(found - wanted) > 1.01)
                    fail_msg("%d x %d, pixel %d, %d, %d: %d, not %g", width, height, x,
                             y, c, found, wanted);
            }
    image_free(&dst);
}

static void follows_the_definition(void **state)
{
    (void)state;
    static const struct {
        struct image_box box;
        int width, height;
    } cases[] = {
        {{0, 0, 37, 29}, 12, 9},          {{0, 0, 37, 29}, 80, 50},
        {{0, 0, 37, 29}, 37, 5},          {{0, 0, 37, 29}, 1, 1},
        {{3, 4, 20, 11}, 7, 30},          {{2.25, 3.5, 10.75, 9.125}, 16, 4},
        {{36, 28, 1, 1}, 5, 3},           {{0.1, 0.2, 0.3, 0.4}, 4, 4},
        {{36.5, 28.75, 0.5, 0.25}, 3, 3},
    };
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image src = noise_make(37, 29, channels);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            check(&src, cases[i].box, cases[i].width, cases[i].height);
        image_free(&src);
    }
}

static void the_same_size_is_a_copy(void **state)
{
    (void)state;
    struct image src = noise_make(19, 23, 3), dst = {0};
    assert_int_equal(
        image_resize(&src, (struct image_box){0, 0, 19, 23}, 19, 23, scratch, &dst),
        CONVOY_OK);
    assert_int_equal(picture_distance(&src, &dst), 0);
    image_free(&src);
    image_free(&dst);
}

static void a_whole_box_of_the_same_size_is_a_crop(void **state)
{
    (void)state;
    struct image src = noise_make(19, 23, 3), dst = {0};
    assert_int_equal(
        image_resize(&src, (struct image_box){4, 5, 10, 11}, 10, 11, scratch, &dst),
        CONVOY_OK);
    for (size_t y = 0; y < 11; y++)
        assert_memory_equal(&dst.pixels[y * 30], &src.pixels[((y + 5) * 19 + 4) * 3],
                            30);
    image_free(&src);
    image_free(&dst);
}

static void white_stays_white(void **state)
{
    (void)state;
    struct image src = noise_make(301, 211, 3), dst = {0};
    memset(src.pixels, 255, (size_t)301 * 211 * 3);
    assert_int_equal(image_resize(&src, (struct image_box){0.3, 0.7, 300.1, 210.2}, 97,
                                  89, scratch, &dst),
                     CONVOY_OK);
    for (int i = 0; i < 97 * 89 * 3; i++)
        assert_int_equal(dst.pixels[i], 255);
    image_free(&src);
    image_free(&dst);
}

static void boxes_and_sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct image_box box;
        int width, height;
    } cases[] = {
        {{-0.5, 0, 5, 5}, 4, 4},  {{0, 0, 0, 5}, 4, 4},      {{0, 0, 5, -1}, 4, 4},
        {{6, 0, 5, 5}, 4, 4},     {{0, 6, 5, 5}, 4, 4},      {{0, 0, NAN, 5}, 4, 4},
        {{0, 0, 5, 5}, 0, 4},     {{0, 0, 5, 5}, 4, -1},     {{NAN, 0, 5, 5}, 4, 4},
        {{0, 0, 1e300, 5}, 4, 4}, {{0, 0, 5, 5}, 4, 1 << 20}};
    struct image src = noise_make(10, 10, 3), two = noise_make(10, 10, 2), dst = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(image_resize(&src, cases[i].box, cases[i].width,
                                      cases[i].height, scratch, &dst),
                         CONVOY_ERROR_ARGUMENT);
    }
    assert_int_equal(
        image_resize(&two, (struct image_box){0, 0, 5, 5}, 4, 4, scratch, &dst),
        CONVOY_ERROR_ARGUMENT);
    assert_null(dst.pixels);
    image_free(&src);
    image_free(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_definition),
        cmocka_unit_test(the_same_size_is_a_copy),
        cmocka_unit_test(a_whole_box_of_the_same_size_is_a_crop),
        cmocka_unit_test(white_stays_white),
        cmocka_unit_test(boxes_and_sizes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
