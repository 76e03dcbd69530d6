/* Boxes and flips: inside of the image, as likely as they should be, and torchvision's
 * roundings. */
#include "load/augment.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

static void assert_box(struct box box, int top, int left, int height, int width)
{
    assert_int_equal(box.top, top);
    assert_int_equal(box.left, left);
    assert_int_equal(box.height, height);
    assert_int_equal(box.width, width);
}

/* Expected offsets are int(round((size - crop) / 2.0)) of Python, which rounds to even,
 * and for padding (crop - size) // 2 in front. */
static void a_centre_crop_rounds_as_torchvision_does(void **state)
{
    (void)state;
    const int cases[][3] = {{256, 224, 16}, {225, 224, 0}, {227, 224, 2}, {229, 224, 2},
                            {231, 224, 4},  {224, 224, 0}, {28, 32, -2},  {27, 32, -2},
                            {1, 1, 0},      {4, 1, 2},     {2, 1, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int size = cases[k][0], crop = cases[k][1], offset = cases[k][2];
        assert_box(augment_centre_crop(size, crop, crop, crop), offset, 0, crop, crop);
        assert_box(augment_centre_crop(crop, size, crop, crop), 0, offset, crop, crop);
    }
}

/* What torchvision 0.14 does with images of these sizes; the last row, too large for
 * it, is int(size * long / short) by hand. */
static void resize_and_centre_crop_have_torchvision_s_geometry(void **state)
{
    (void)state;
    static const struct {
        int height, width, resize, crop;
        int new_height, new_width, top, left;
    } cases[] = {
        {333, 500, 256, 224, 256, 384, 16, 80},
        {501, 375, 256, 224, 342, 256, 59, 16},
        {224, 224, 256, 224, 256, 256, 16, 16},
        {256, 256, 256, 224, 256, 256, 16, 16},
        {100, 80, 256, 224, 320, 256, 48, 16},
        {257, 1023, 256, 224, 256, 1019, 16, 398},
        {1023, 257, 256, 224, 1019, 256, 398, 16},
        {300, 1, 256, 224, 76800, 256, 38288, 16},
        {1, 300, 256, 224, 256, 76800, 16, 38288},
        {37, 41, 256, 224, 256, 283, 16, 30},
        {41, 37, 37, 32, 41, 37, 4, 2},
        {375, 500, 232, 224, 232, 309, 4, 42},
        {481, 640, 236, 224, 236, 314, 6, 45},
        {640, 427, 299, 299, 448, 299, 74, 0},
        {3, 7, 5, 4, 5, 11, 0, 4},
        {65535, 1, 256, 224, 16776960, 256, 8388368, 16},
        {999, 1000, 257, 224, 257, 257, 16, 16},
        {28, 28, 28, 28, 28, 28, 0, 0},
        {28, 28, 28, 32, 28, 28, -2, -2},
        {28, 20, 20, 24, 28, 20, 2, -2},
        {5, 8, 5, 7, 5, 8, -1, 0},
        {1, 65535, AUGMENT_MAX_RESIZE, 224, 32767, 2147385345, 16272, 1073692560},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int crop = cases[k].crop;
        int height = 0, width = 0;
        augment_resized_size(cases[k].height, cases[k].width, cases[k].resize, &height,
                             &width);
        assert_int_equal(height, cases[k].new_height);
        assert_int_equal(width, cases[k].new_width);
        assert_box(augment_centre_crop(height, width, crop, crop), cases[k].top,
                   cases[k].left, crop, crop);
    }
}

static void half_of_the_samples_are_flipped(void **state)
{
    (void)state;
    enum { N = 40000 };
    int flips = 0, changes = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct rng rng = augment_stream(1, 0, i), next = augment_stream(1, 1, i);
        flips += augment_flip(&rng);
        changes += augment_flip(&rng) != augment_flip(&next);
    }
    /* Deviation sqrt(N) / 2 = 100. */
    assert_in_range(flips, N / 2 - 500, N / 2 + 500);
    assert_in_range(changes, N / 2 - 500, N / 2 + 500);
}

/* Pearson's statistic over the 9 x 9 positions of a 32 x 32 image padded by 4: 80
 * degrees of freedom, deviation 12.6. */
static void every_padded_crop_is_equally_likely(void **state)
{
    (void)state;
    enum { N = 40500, SIDE = 9 };
    int counts[SIDE][SIDE] = {{0}};
    for (uint64_t i = 0; i < N; i++) {
        struct rng rng = augment_stream(1, 2, i);
        struct box box = augment_random_crop(&rng, 32, 32, 4, 32, 32);
        assert_in_range(box.top + 4, 0, SIDE - 1);
        assert_in_range(box.left + 4, 0, SIDE - 1);
        assert_int_equal(box.height, 32);
        assert_int_equal(box.width, 32);
        counts[box.top + 4][box.left + 4]++;
    }
    const double expected = (double)N / (SIDE * SIDE);
    double chi2 = 0.0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            chi2 += (counts[i][j] - expected) * (counts[i][j] - expected) / expected;
    assert_true(chi2 > 80 - 5 * 12.6);
    assert_true(chi2 < 80 + 5 * 12.6);
}

static void a_crop_of_the_whole_has_one_place(void **state)
{
    (void)state;
    struct rng rng = augment_stream(1, 2, 3);
    assert_box(augment_random_crop(&rng, 28, 28, 2, 32, 32), -2, -2, 32, 32);
    assert_box(augment_random_crop(&rng, 7, 9, 0, 7, 9), 0, 0, 7, 9);
}

static void the_longest_line_of_pixels_has_a_padded_crop(void **state)
{
    (void)state;
    /* 1 x 65535 pixels, resized as far as can be, in the widest border. */
    const int longest = AUGMENT_MAX_RESIZE * 65535, pad = 1 << 16;
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        const struct rng rng = augment_stream(1, epoch, 3);
        const struct box box =
            augment_random_crop(&rng, AUGMENT_MAX_RESIZE, longest, pad, 16, 16);
        assert_true(box.left >= -pad && box.left <= longest + pad - 16);
        assert_true(box.top >= -pad && box.top <= AUGMENT_MAX_RESIZE + pad - 16);
    }
}

static void assert_within(struct box box, int height, int width)
{
    assert_true(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0);
    assert_true(box.top + box.height <= height);
    assert_true(box.left + box.width <= width);
}

static void a_resized_crop_lies_within_any_image(void **state)
{
    (void)state;
    const int sizes[][2] = {{1, 1},     {1, 2},        {2, 1},    {3, 3},
                            {375, 500}, {500, 3},      {3, 4000}, {40000, 39},
                            {224, 224}, {64000, 64000}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (uint64_t i = 0; i < 500; i++) {
            struct rng rng = augment_stream(8, k, i);
            assert_within(augment_resized_crop(&rng, sizes[k][0], sizes[k][1]),
                          sizes[k][0], sizes[k][1]);
        }
}

/* In a large square image rounding hardly shows. A try with area a and ratio r fits if
 * a·r and a/r are at most 1. With a uniform in (0.08, 1) and ln r in ±ln 4/3 that
 * leaves 85.8 % of the draws (integrated numerically), among which area has mean 0.4778
 * and deviation 0.233, and ln r mean 0 and deviation 0.159. Edges are 5 deviations of
 * the mean of N. */
static void a_resized_crop_has_the_rule_s_areas_and_ratios(void **state)
{
    (void)state;
    enum { N = 20000, SIDE = 10000 };
    double sum_area = 0.0, sum_log = 0.0, min_area = 1.0, max_area = 0.0, extreme = 0.0;
    for (uint64_t i = 0; i < N; i++) {
        struct rng rng = augment_stream(8, 0, i);
        struct box box = augment_resized_crop(&rng, SIDE, SIDE);
        double area = (double)box.height * box.width / ((double)SIDE * SIDE);
        double log_ratio = log((double)box.width / box.height);
        sum_area += area;
        sum_log += log_ratio;
        min_area = fmin(min_area, area);
        max_area = fmax(max_area, area);
        extreme = fmax(extreme, fabs(log_ratio));
    }
    assert_true(fabs(sum_area / N - 0.4778) < 5 * 0.233 / sqrt(N));
    assert_true(fabs(sum_log / N) < 5 * 0.16 / sqrt(N));
    assert_true(min_area > 0.0799 && min_area < 0.081);
    assert_true(max_area > 0.97 && max_area <= 1.0);
    assert_true(extreme > 0.285 && extreme < log(4.0 / 3.0) + 1e-3);
}

static void the_place_of_a_resized_crop_is_uniform(void **state)
{
    (void)state;
    enum { N = 20000, SIDE = 10000 };
    double sum_top = 0.0, sum_left = 0.0, product = 0.0;
    for (uint64_t i = 0; i < N; i++) {
        struct rng rng = augment_stream(9, 0, i);
        struct box box = augment_resized_crop(&rng, SIDE, SIDE);
        double top = (box.top + 0.5) / (SIDE - box.height + 1);
        double left = (box.left + 0.5) / (SIDE - box.width + 1);
        sum_top += top;
        sum_left += left;
        product += (top - 0.5) * (left - 0.5);
    }
    /* Mean 1/2, deviation 1/sqrt(12); the product of two independent ones 0 and 1/12.
     */
    assert_true(fabs(sum_top / N - 0.5) < 5 / sqrt(12.0 * N));
    assert_true(fabs(sum_left / N - 0.5) < 5 / sqrt(12.0 * N));
    assert_true(fabs(product / N) < 5 / (12 * sqrt(N)));
}

/* No box of at least 8 % of the area with a ratio in [3/4, 4/3] fits into these. */
static void an_image_too_long_for_any_try_is_cut_in_the_centre(void **state)
{
    (void)state;
    struct rng rng = augment_stream(8, 0, 0);
    assert_box(augment_resized_crop(&rng, 10000, 10), 4993, 0, 13, 10);
    assert_box(augment_resized_crop(&rng, 10, 10000), 0, 4993, 10, 13);
    assert_box(augment_resized_crop(&rng, 9000, 9), 4494, 0, 12, 9);
}

static void a_draw_depends_on_seed_epoch_and_record_alone(void **state)
{
    (void)state;
    struct rng rng = augment_stream(1, 2, 3), again = augment_stream(1, 2, 3);
    struct box box = augment_resized_crop(&rng, 3000, 4000);
    struct box same = augment_resized_crop(&again, 3000, 4000);
    assert_memory_equal(&box, &same, sizeof box);
    const uint64_t others[][3] = {
        {2, 2, 3}, {1, 3, 3}, {1, 2, 4}, {1, 3, 2}, {2, 1, 3}};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        struct rng other = augment_stream(others[k][0], others[k][1], others[k][2]);
        struct box another = augment_resized_crop(&other, 3000, 4000);
        assert_true(memcmp(&box, &another, sizeof box) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_centre_crop_rounds_as_torchvision_does),
        cmocka_unit_test(resize_and_centre_crop_have_torchvision_s_geometry),
        cmocka_unit_test(half_of_the_samples_are_flipped),
        cmocka_unit_test(every_padded_crop_is_equally_likely),
        cmocka_unit_test(a_crop_of_the_whole_has_one_place),
        cmocka_unit_test(the_longest_line_of_pixels_has_a_padded_crop),
        cmocka_unit_test(a_resized_crop_lies_within_any_image),
        cmocka_unit_test(a_resized_crop_has_the_rule_s_areas_and_ratios),
        cmocka_unit_test(the_place_of_a_resized_crop_is_uniform),
        cmocka_unit_test(an_image_too_long_for_any_try_is_cut_in_the_centre),
        cmocka_unit_test(a_draw_depends_on_seed_epoch_and_record_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
