/* Crops of an image in memory: as if cut out first, or as part of a larger resized
 * image; flipped; into any layout. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/image/jpeg_file.h"

#include <math.h>
#include <string.h>

enum { W = 53, H = 41 };

static struct image_scratch *scratch;
static float identity[3][256];

static int prepare(void **state)
{
    (void)state;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            identity[c][v] = (float)v;
    return image_scratch_create(&scratch) == CONVOY_OK ? 0 : -1;
}

static int finish(void **state)
{
    (void)state;
    image_scratch_destroy(scratch);
    return 0;
}

static struct image_planes planes_of(const struct image_crop *crop, int channels,
                                     float *values)
{
    size_t w = (size_t)crop->width, h = (size_t)crop->height;
    return (struct image_planes){.channels = channels,
                                 .table = (const float(*)[256])identity,
                                 .values = values,
                                 .channel = w * h,
                                 .row = w,
                                 .pixel = 1};
}

/* One axis of a crop: output pixels, the interval, the pixels that take part. */
struct axis {
    int n_out;
    double from, length;
    int low, high;
};

static struct axis axis_of(int n_out, double from, double length, int n, bool beside)
{
    return (struct axis){n_out, from, length, beside ? 0 : (int)floor(from),
                         beside ? n : (int)ceil(from + length)};
}

/* The weight of pixel j in output pixel i, by the definition. */
static double weight(const struct axis *axis, int i, int j)
{
    double scale = axis->length / axis->n_out, reach = fmax(scale, 1.0);
    double centre = axis->from + (i + 0.5) * scale;
    return fmax(0.0, 1.0 - fabs(j + 0.5 - centre) / reach);
}

static double expected(const struct image *src, const struct image_crop *crop, int ox,
                       int oy, int c)
{
    const struct image_box *box = &crop->box;
    struct axis h = axis_of(crop->width, box->x, box->w, src->width, crop->beside);
    struct axis v = axis_of(crop->height, box->y, box->h, src->height, crop->beside);
    double sum = 0.0, total = 0.0;
    ox = crop->flip ? crop->width - 1 - ox : ox;
    for (int y = v.low; y < v.high; y++) {
        double of_row = weight(&v, oy, y);
        for (int x = h.low; of_row > 0.0 && x < h.high; x++) {
            double w = of_row * weight(&h, ox, x);
            total += w;
            sum += w * src->pixels[(y * src->width + x) * src->channels + c];
        }
    }
    return sum / total;
}

static const struct image_crop crops[] = {
    {{0, 0, W, H}, 20, 17, .beside = false},
    {{10, 8, 20, 15}, 33, 40, .beside = false},
    {{10, 8, 20, 15}, 33, 40, .beside = true, .flip = true},
    {{10.3, 8.7, 20.25, 15.5}, 33, 7, .beside = false, .flip = true},
    {{10.3, 8.7, 20.25, 15.5}, 5, 40, .beside = true},
    {{W - 1, H - 1, 1, 1}, 3, 4, .beside = false},
    {{W - 0.5, H - 0.25, 0.5, 0.25}, 3, 4, .beside = true},
    {{0.999999, 0.000001, 2, 30}, 1, 1, .beside = false},
    {{3, 4, 30, 20}, 30, 20, .beside = false, .flip = true},
};
enum { N_CROPS = sizeof crops / sizeof *crops, MAX_VALUES = 3 * 40 * 40 };

static void check(const struct image *src, const struct image_crop *crop)
{
    static float values[MAX_VALUES];
    const float *found = values;
    const struct image_planes to = planes_of(crop, src->channels, values);
    assert_int_equal(image_write_crop(src, crop, scratch, &to), CONVOY_OK);
    for (int c = 0; c < src->channels; c++)
        for (int y = 0; y < crop->height; y++)
            for (int x = 0; x < crop->width; x++, found++) {
                double wanted = expected(src, crop, x, y, c);
                if (fabs(*found - wanted) > 1.1)
                    fail_msg("crop %d, value %d, %d, %d: %g, not %g",
                             (int)(crop - crops), c, y, x, (double)*found, wanted);
            }
}

static void crops_follow_the_definition(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image src = rough_picture(W, H, channels, 100);
        for (int i = 0; i < N_CROPS; i++)
            check(&src, &crops[i]);
        image_free(&src);
    }
}

static void a_cut_box_ignores_what_lies_beside_it(void **state)
{
    (void)state;
    static float values[2][3 * 64 * 64];
    const struct image_crop crop = {{11, 7, 19, 13}, 64, 64, .beside = false};
    struct image src = rough_picture(W, H, 3, 100);
    for (int i = 0; i < 2; i++) {
        const struct image_planes to = planes_of(&crop, 3, values[i]);
        assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                if (x < 11 || x >= 30 || y < 7 || y >= 20)
                    memset(src.pixels + ((size_t)y * W + (size_t)x) * 3, 0, 3);
    }
    assert_memory_equal(values[0], values[1], sizeof values[0]);
    image_free(&src);
}

/* Cutting an output crop out of a resized image equals resizing the box that it comes
 * from, up to the rounding of weights. */
static void a_box_beside_others_is_part_of_a_resized_image(void **state)
{
    (void)state;
    static float values[3 * 16 * 16];
    struct image src = rough_picture(W, H, 3, 100), whole = {0};
    assert_int_equal(
        image_resize(&src, (struct image_box){0, 0, W, H}, 30, 24, scratch, &whole),
        CONVOY_OK);
    const double sx = W / 30.0, sy = H / 24.0;
    const struct image_crop crop = {
        {7 * sx, 4 * sy, 16 * sx, 16 * sy}, 16, 16, .beside = true};
    const struct image_planes to = planes_of(&crop, 3, values);
    assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 16; x++)
            for (int c = 0; c < 3; c++) {
                int wanted = whole.pixels[((y + 4) * 30 + x + 7) * 3 + c];
                assert_true(fabsf(values[(c * 16 + y) * 16 + x] - (float)wanted) <= 1);
            }
    image_free(&src);
    image_free(&whole);
}

static void any_layout_can_be_written(void **state)
{
    (void)state;
    enum { SIDE = 24, BLOCKED = 16 };
    static float planar[3 * SIDE * SIDE], blocked[SIDE * SIDE * BLOCKED];
    struct image src = rough_picture(W, H, 3, 100);
    for (int flip = 0; flip < 2; flip++) {
        const struct image_crop crop = {
            {5, 6, 40, 30}, SIDE, SIDE, .beside = false, .flip = flip == 1};
        struct image_planes to = planes_of(&crop, 3, planar);
        assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
        for (int i = 0; i < SIDE * SIDE * BLOCKED; i++)
            blocked[i] = -1.0F;
        to.values = blocked;
        to.channel = 1;
        to.pixel = BLOCKED;
        to.row = (size_t)SIDE * BLOCKED;
        assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
        for (int i = 0; i < SIDE * SIDE; i++)
            for (int c = 0; c < BLOCKED; c++) {
                float wanted = c < 3 ? planar[c * SIDE * SIDE + i] : -1.0F;
                assert_true(blocked[i * BLOCKED + c] == wanted);
            }
    }
    image_free(&src);
}

static void bytes_are_the_values_without_a_table(void **state)
{
    (void)state;
    enum { SIDE = 24, PLANE = SIDE * SIDE };
    static float values[3 * PLANE];
    static uint8_t bytes[3 * PLANE];
    for (int n = 0; n < 4; n++) {
        const int channels = n < 2 ? 3 : 1;
        struct image src = rough_picture(W, H, channels, 100);
        const struct image_crop crop = {
            {5, 6, 40, 30}, SIDE, SIDE, .beside = false, .flip = n % 2 == 1};
        struct image_planes to = planes_of(&crop, channels, values);
        assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
        to.values = NULL;
        to.table = NULL;
        to.bytes = bytes;
        assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
        for (int i = 0; i < channels * PLANE; i++)
            assert_true(values[i] == (float)bytes[i]);
        image_free(&src);
    }
}

static void each_channel_has_its_own_table(void **state)
{
    (void)state;
    float table[3][256], values[12];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = (float)(1000 * c + v);
    struct image src = picture_make(2, 2, 3, 0);
    const struct image_crop crop = {{0, 0, 2, 2}, 2, 2, .beside = false};
    struct image_planes to = planes_of(&crop, 3, values);
    to.table = (const float(*)[256])table;
    assert_int_equal(image_write_crop(&src, &crop, scratch, &to), CONVOY_OK);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4; i++)
            assert_int_equal((int)values[4 * c + i], 1000 * c + src.pixels[3 * i + c]);
    image_free(&src);
}

static void the_wrong_number_of_planes_is_refused(void **state)
{
    (void)state;
    float values[3 * 4];
    struct image grey = picture_make(2, 2, 1, 0);
    const struct image_crop crop = {{0, 0, 2, 2}, 2, 2, .beside = false};
    const struct image_planes to = planes_of(&crop, 3, values);
    assert_int_equal(image_write_crop(&grey, &crop, scratch, &to),
                     CONVOY_ERROR_ARGUMENT);
    image_free(&grey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crops_follow_the_definition),
        cmocka_unit_test(a_cut_box_ignores_what_lies_beside_it),
        cmocka_unit_test(a_box_beside_others_is_part_of_a_resized_image),
        cmocka_unit_test(any_layout_can_be_written),
        cmocka_unit_test(bytes_are_the_values_without_a_table),
        cmocka_unit_test(each_channel_has_its_own_table),
        cmocka_unit_test(the_wrong_number_of_planes_is_refused),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
