/* Crops straight from files: exact ones have the pixels of the whole decode, scaled
 * ones nearly so and in the right place; damage is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/image/jpeg_file.h"

#include "image/image_reader.h"

#include <math.h>
#include <string.h>

enum { MAX_SIDE = 400, N_TRIES = 24 };

static struct image_reader *reader;
static struct image_scratch *scratch;
static float identity[3][256];

static int prepare(void **state)
{
    (void)state;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            identity[c][v] = (float)v;
    return image_reader_create(&reader) == CONVOY_OK &&
                   image_scratch_create(&scratch) == CONVOY_OK
               ? 0
               : -1;
}

static int finish(void **state)
{
    (void)state;
    image_reader_destroy(reader);
    image_reader_destroy(NULL);
    image_scratch_destroy(scratch);
    return 0;
}

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
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

static convoy_status read_crop(struct image_reader *from, const unsigned char *bytes,
                               size_t n, const struct image_crop *crop, int channels,
                               float *values)
{
    struct image_info info;
    const struct image_planes to = planes_of(crop, channels, values);
    convoy_status status = image_reader_open(from, bytes, n, &info);
    return status == CONVOY_OK ? image_reader_crop(from, crop, &to) : status;
}

/* A box of whole pixels, often at a border, and its size or another. */
static struct image_crop draw_crop(uint32_t *state, int width, int height)
{
    struct image_crop crop = {.exact = true, .flip = draw(state, 2) == 1};
    int w = 1 + draw(state, draw(state, 3) ? width : 9 < width ? 9 : width);
    int h = 1 + draw(state, draw(state, 3) ? height : 9 < height ? 9 : height);
    int x = draw(state, width - w + 1), y = draw(state, height - h + 1);
    x = draw(state, 4) ? x : draw(state, 2) ? 0 : width - w;
    y = draw(state, 4) ? y : draw(state, 2) ? 0 : height - h;
    crop.box = (struct image_box){x, y, w, h};
    crop.width = draw(state, 2) ? w : 1 + draw(state, 60);
    crop.height = draw(state, 2) ? h : 1 + draw(state, 60);
    crop.beside = draw(state, 4) == 0;
    return crop;
}

/* Crops of a file against crops of its whole decode. */
static void check_exact(const unsigned char *bytes, size_t n, int channels)
{
    static float found[3 * MAX_SIDE * MAX_SIDE], wanted[3 * MAX_SIDE * MAX_SIDE];
    struct image whole = {0};
    uint32_t state = (uint32_t)n;
    assert_int_equal(image_decode(bytes, n, channels, &whole), CONVOY_OK);
    for (int i = 0; i < N_TRIES; i++) {
        struct image_crop crop = draw_crop(&state, whole.width, whole.height);
        const struct image_planes to = planes_of(&crop, channels, wanted);
        size_t size = (size_t)crop.width * (size_t)crop.height * (size_t)channels;
        assert_int_equal(image_write_crop(&whole, &crop, scratch, &to), CONVOY_OK);
        assert_int_equal(read_crop(reader, bytes, n, &crop, channels, found),
                         CONVOY_OK);
        if (memcmp(found, wanted, size * sizeof *found) != 0)
            fail_msg("%d x %d, box %g, %g, %g x %g to %d x %d", whole.width,
                     whole.height, crop.box.x, crop.box.y, crop.box.w, crop.box.h,
                     crop.width, crop.height);
    }
    image_free(&whole);
}

static void check_style(struct jpeg_style style, int components)
{
    static const int sizes[][2] = {{200, 150}, {131, 97}, {64, 64}, {17, 90},
                                   {90, 5},    {3, 3},    {1, 1},   {163, 33}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct image picture = rough_picture(sizes[i][0], sizes[i][1], components, 60);
        unsigned long n = 0;
        unsigned char *bytes = jpeg_file_make(&picture, style, &n);
        check_exact(bytes, n, 3);
        check_exact(bytes, n, 1);
        free(bytes);
        image_free(&picture);
    }
}

static const int samplings[][2] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}};
enum { N_SAMPLINGS = sizeof samplings / sizeof *samplings };

static void exact_crops_are_those_of_the_whole_image(void **state)
{
    (void)state;
    for (int i = 0; i < N_SAMPLINGS; i++)
        check_style((struct jpeg_style){.in = JCS_RGB,
                                        .stored = JCS_YCbCr,
                                        .h = samplings[i][0],
                                        .v = samplings[i][1]},
                    3);
}

static void also_of_progressive_files(void **state)
{
    (void)state;
    for (int i = 0; i < N_SAMPLINGS; i++)
        check_style((struct jpeg_style){.in = JCS_RGB,
                                        .stored = JCS_YCbCr,
                                        .h = samplings[i][0],
                                        .v = samplings[i][1],
                                        .progressive = true},
                    3);
}

/* Without finer scans, libjpeg smoothes what the coarse one leaves open. */
static void also_of_unfinished_progressive_files(void **state)
{
    (void)state;
    for (int i = 0; i < N_SAMPLINGS; i++)
        check_style((struct jpeg_style){.in = JCS_RGB,
                                        .stored = JCS_YCbCr,
                                        .h = samplings[i][0],
                                        .v = samplings[i][1],
                                        .quality = 50,
                                        .unfinished = true},
                    3);
}

static void also_with_restart_markers(void **state)
{
    (void)state;
    for (int rows = 1; rows <= 3; rows += 2)
        check_style((struct jpeg_style){.in = JCS_RGB,
                                        .stored = JCS_YCbCr,
                                        .restart_rows = rows,
                                        .quality = 80},
                    3);
}

static void also_of_other_colour_spaces(void **state)
{
    (void)state;
    check_style((struct jpeg_style){.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}, 1);
    check_style(
        (struct jpeg_style){
            .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .h = 2, .v = 2},
        1);
    check_style((struct jpeg_style){.in = JCS_RGB, .stored = JCS_RGB}, 3);
    check_style((struct jpeg_style){.in = JCS_CMYK, .stored = JCS_CMYK}, 4);
    check_style((struct jpeg_style){.in = JCS_CMYK, .stored = JCS_YCCK}, 4);
}

static void also_of_png_files(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image picture = rough_picture(61, 47, channels, 60);
        uint8_t *bytes = NULL;
        size_t n = 0;
        assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
        check_exact(bytes, n, 3);
        check_exact(bytes, n, 1);
        mem_free(bytes);
        image_free(&picture);
    }
}

/* The whole image at a scale, by libjpeg alone. */
static struct image decode_scaled(const unsigned char *bytes, unsigned long n,
                                  int eighths)
{
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct info = {.err = jpeg_std_error(&errors)};
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes, n);
    jpeg_read_header(&info, TRUE);
    info.scale_num = (unsigned)eighths;
    info.scale_denom = 8;
    jpeg_start_decompress(&info);
    struct image image =
        picture_make((int)info.output_width, (int)info.output_height, 3, 0);
    size_t stride = (size_t)image.width * 3;
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = image.pixels + info.output_scanline * stride;
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    return image;
}

/* A box whose sides are 8 / eighths of the result's is copied from the scaled image. */
static void check_scaled(const unsigned char *bytes, unsigned long n, int eighths)
{
    static float found[3 * MAX_SIDE * MAX_SIDE];
    struct image whole = decode_scaled(bytes, n, eighths);
    uint32_t state = (uint32_t)n;
    int factor = 8 / eighths;
    for (int i = 0; i < N_TRIES; i++) {
        int w = 1 + draw(&state, whole.width - 1), x = draw(&state, whole.width - w);
        int h = 1 + draw(&state, whole.height - 1), y = draw(&state, whole.height - h);
        const struct image_crop crop = {
            .box = {x * factor, y * factor, w * factor, h * factor},
            .width = w,
            .height = h};
        assert_int_equal(read_crop(reader, bytes, n, &crop, 3, found), CONVOY_OK);
        const float *value = found;
        for (int c = 0; c < 3; c++)
            for (int j = y; j < y + h; j++)
                for (int k = x; k < x + w; k++, value++)
                    if ((int)*value != whole.pixels[(j * whole.width + k) * 3 + c])
                        fail_msg("1/%d of box %d, %d, %d x %d: pixel %d, %d", factor, x,
                                 y, w, h, k, j);
    }
    image_free(&whole);
}

static void scaled_crops_are_those_of_the_whole_scaled_image(void **state)
{
    (void)state;
    struct image picture = rough_picture(395, 267, 3, 60);
    for (int i = 0; i < 2 * N_SAMPLINGS; i++) {
        const int *sampling = samplings[i / 2];
        const struct jpeg_style style = {.in = JCS_RGB,
                                         .stored = JCS_YCbCr,
                                         .h = sampling[0],
                                         .v = sampling[1],
                                         .progressive = i % 2 == 1};
        unsigned long n = 0;
        unsigned char *bytes = jpeg_file_make(&picture, style, &n);
        for (int eighths = 1; eighths < 8; eighths *= 2)
            check_scaled(bytes, n, eighths);
        free(bytes);
    }
    image_free(&picture);
}

/* Slopes, down for green and up for the others: an image that moved by a pixel differs
 * by 0.6 everywhere, in opposite directions; what rounding does has one direction. */
static struct image slopes_make(int width, int height)
{
    struct image image = picture_make(width, height, 3, 0);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                long rise = lrint(0.3 * x + 0.27 * y);
                image.pixels[(y * width + x) * 3 + c] =
                    (uint8_t)(c == 1 ? 230 - rise : 20 + rise);
            }
    return image;
}

/* How much more a is than b, where they rise. */
static double movement(const float *a, const float *b, int size)
{
    double sums[2] = {0.0, 0.0};
    for (int i = 0; i < 3 * size; i++) {
        assert_true(fabsf(a[i] - b[i]) <= 3);
        sums[i / size == 1] += (double)(a[i] - b[i]);
    }
    return (sums[0] / (2 * size) - sums[1] / size) / 2;
}

static void scaled_crops_do_not_move(void **state)
{
    (void)state;
    static float scaled[3 * 40 * 40], exact[3 * 40 * 40];
    static const struct image_box boxes[] = {{0, 0, 400, 300},
                                             {13, 7, 381, 290},
                                             {100.5, 90.25, 150, 170},
                                             {3.3, 2.7, 330.1, 290.9},
                                             {77, 130, 322.5, 169.75}};
    struct image picture = slopes_make(400, 300);
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        for (int side = 20; side <= 40; side += 20) {
            struct image_crop crop = {.box = boxes[i], .width = side, .height = side};
            assert_int_equal(read_crop(reader, bytes, n, &crop, 3, scaled), CONVOY_OK);
            crop.exact = true;
            assert_int_equal(read_crop(reader, bytes, n, &crop, 3, exact), CONVOY_OK);
            double moved = movement(scaled, exact, side * side);
            if (fabs(moved) > 0.08)
                fail_msg("box %zu to %d: moved by %g", i, side, moved);
        }
    free(bytes);
    image_free(&picture);
}

static void scaled_crops_differ_little(void **state)
{
    (void)state;
    static float scaled[3 * 64 * 64], exact[3 * 64 * 64];
    struct image picture = rough_picture(400, 400, 3, 60);
    uint32_t seed = 1;
    unsigned long n = 0;
    int n_scaled = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    for (int i = 0; i < N_TRIES; i++) {
        int w = 130 + draw(&seed, 270), h = 130 + draw(&seed, 270);
        struct image_crop crop = {.width = 64, .height = 64};
        crop.box = (struct image_box){draw(&seed, 401 - w), draw(&seed, 401 - h), w, h};
        double sum = 0.0;
        assert_int_equal(read_crop(reader, bytes, n, &crop, 3, scaled), CONVOY_OK);
        crop.exact = true;
        assert_int_equal(read_crop(reader, bytes, n, &crop, 3, exact), CONVOY_OK);
        for (int k = 0; k < 3 * 64 * 64; k++)
            sum += fabs((double)(scaled[k] - exact[k]));
        assert_true(sum / (3 * 64 * 64) < 4.0);
        n_scaled += sum > 0.0;
    }
    assert_int_equal(n_scaled, N_TRIES);
    free(bytes);
    image_free(&picture);
}

static void crops_that_need_every_pixel_are_not_scaled(void **state)
{
    (void)state;
    static float a[3 * 64 * 64], b[3 * 64 * 64];
    struct image picture = rough_picture(400, 300, 3, 60);
    struct image_crop crop = {.box = {9, 11, 300, 127.9}, .width = 64, .height = 64};
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    assert_int_equal(read_crop(reader, bytes, n, &crop, 3, a), CONVOY_OK);
    crop.exact = true;
    assert_int_equal(read_crop(reader, bytes, n, &crop, 3, b), CONVOY_OK);
    assert_memory_equal(a, b, sizeof a);
    free(bytes);
    image_free(&picture);
}

static void the_header_tells_size_and_type(void **state)
{
    (void)state;
    struct image picture = picture_make(61, 43, 3, 0);
    uint8_t *jpeg = NULL, *png = NULL;
    size_t n_jpeg = 0, n_png = 0;
    struct image_info info;
    assert_int_equal(image_encode_jpeg(&picture, 90, &jpeg, &n_jpeg), CONVOY_OK);
    assert_int_equal(image_encode_png(&picture, &png, &n_png), CONVOY_OK);
    assert_int_equal(image_reader_open(reader, jpeg, n_jpeg, &info), CONVOY_OK);
    assert_int_equal(info.type, IMAGE_JPEG);
    assert_int_equal(image_reader_open(reader, png, n_png, &info), CONVOY_OK);
    assert_int_equal(info.type, IMAGE_PNG);
    assert_int_equal(info.width, 61);
    assert_int_equal(info.height, 43);
    mem_free(jpeg);
    mem_free(png);
    image_free(&picture);
}

static void a_file_is_opened_for_each_crop(void **state)
{
    (void)state;
    float values[3 * 16];
    struct image picture = picture_make(40, 30, 3, 5);
    const struct image_crop crop = {.box = {0, 0, 40, 30}, .width = 4, .height = 4};
    const struct image_planes to = planes_of(&crop, 3, values);
    struct image_info info;
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    assert_int_equal(read_crop(reader, bytes, n, &crop, 3, values), CONVOY_OK);
    assert_fails(image_reader_crop(reader, &crop, &to), CONVOY_ERROR_ARGUMENT,
                 "open a file");
    assert_int_equal(image_reader_open(reader, bytes, n, &info), CONVOY_OK);
    assert_fails(image_reader_open(reader, (const uint8_t *)"GIF89a", 6, &info),
                 CONVOY_ERROR_FORMAT, "neither a JPEG nor a PNG");
    assert_fails(image_reader_crop(reader, &crop, &to), CONVOY_ERROR_ARGUMENT,
                 "open a file");
    free(bytes);
    image_free(&picture);
}

static void crops_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct image_crop crops[] = {
        {.box = {0, 0, 41, 30}, .width = 4, .height = 4},
        {.box = {-1, 0, 40, 30}, .width = 4, .height = 4},
        {.box = {0, NAN, 40, 30}, .width = 4, .height = 4},
        {.box = {0, 0, 40, 0}, .width = 4, .height = 4},
        {.box = {0, 0, 40, 30}, .width = 0, .height = 4},
        {.box = {0, 0, 40, 30}, .width = 4, .height = 70000},
    };
    float values[2 * 16];
    struct image picture = picture_make(40, 30, 3, 5);
    const struct image_crop good = {.box = {0, 0, 40, 30}, .width = 4, .height = 4};
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    for (size_t i = 0; i < sizeof crops / sizeof *crops; i++)
        assert_int_equal(read_crop(reader, bytes, n, &crops[i], 3, values),
                         CONVOY_ERROR_ARGUMENT);
    assert_fails(read_crop(reader, bytes, n, &good, 2, values), CONVOY_ERROR_ARGUMENT,
                 "1 or 3 channels, not to 2");
    free(bytes);
    image_free(&picture);
}

/* Refused where the crop needs what is missing; above the cut all is well. */
static void cuts_are_refused_where_they_matter(void **state)
{
    (void)state;
    static float whole[3 * 48 * 48], cut[3 * 48 * 48];
    struct image picture = rough_picture(96, 96, 3, 60);
    const struct image_crop top = {
        .box = {10, 0, 48, 48}, .width = 48, .height = 48, .exact = true};
    struct image_crop bottom = top;
    bottom.box.y = 48;
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(
        &picture, (struct jpeg_style){.in = JCS_RGB, .stored = JCS_YCbCr}, &n);
    assert_int_equal(read_crop(reader, bytes, n, &top, 3, whole), CONVOY_OK);
    for (unsigned long keep = n / 4 * 3; keep < n; keep += 7) {
        uint8_t *copy = malloc(keep); /* so that a read beyond is seen */
        memcpy(copy, bytes, keep);
        assert_int_equal(read_crop(reader, copy, keep, &top, 3, cut), CONVOY_OK);
        assert_memory_equal(whole, cut, sizeof cut);
        assert_fails(read_crop(reader, copy, keep, &bottom, 3, cut),
                     CONVOY_ERROR_FORMAT, "JPEG: ");
        free(copy);
    }
    free(bytes);
    image_free(&picture);
}

/* A file without its own tables is no better off for the file before it. */
static void nothing_is_left_of_the_file_before(void **state)
{
    (void)state;
    static float first[3 * 900], second[3 * 900];
    struct image picture = rough_picture(30, 30, 3, 60);
    struct jpeg_style style = {.in = JCS_RGB, .stored = JCS_YCbCr, .quality = 50};
    const struct image_crop crop = {.box = {0, 0, 30, 30}, .width = 30, .height = 30};
    struct image_reader *fresh = NULL;
    unsigned long n = 0, n_bare = 0;
    unsigned char *bytes = jpeg_file_make(&picture, style, &n);
    style.without_tables = true;
    unsigned char *bare = jpeg_file_make(&picture, style, &n_bare);
    assert_true(n_bare < n);
    assert_int_equal(image_reader_create(&fresh), CONVOY_OK);
    convoy_status wanted = read_crop(fresh, bare, n_bare, &crop, 3, first);
    assert_int_equal(read_crop(fresh, bytes, n, &crop, 3, first), CONVOY_OK);
    assert_int_equal(read_crop(fresh, bare, n_bare, &crop, 3, second), wanted);
    assert_int_equal(wanted, CONVOY_ERROR_FORMAT);
    image_reader_destroy(fresh);
    free(bytes);
    free(bare);
    image_free(&picture);
}

/* A flipped bit may still be an image, but never a crash; and the next file is read as
 * ever. */
static void check_flips(const struct image *picture, struct jpeg_style style)
{
    static float values[3 * 32 * 32], good[3 * 32 * 32];
    uint32_t seed = 3;
    unsigned long n = 0;
    int refused = 0;
    unsigned char *bytes = jpeg_file_make(picture, style, &n);
    const struct image_crop same = {.box = {9, 5, 60, 40}, .width = 32, .height = 32};
    assert_int_equal(read_crop(reader, bytes, n, &same, 3, good), CONVOY_OK);
    for (unsigned long i = 2; i < n; i++) {
        struct image_crop crop = draw_crop(&seed, picture->width, picture->height);
        crop.width = crop.height = 1 + draw(&seed, 32);
        crop.exact = draw(&seed, 2) == 1;
        unsigned char bit = (unsigned char)(1 << draw(&seed, 8));
        bytes[i] ^= bit;
        refused += read_crop(reader, bytes, n, &crop, 1 + 2 * draw(&seed, 2), values) !=
                   CONVOY_OK;
        bytes[i] ^= bit;
    }
    assert_true(refused > 0);
    assert_int_equal(read_crop(reader, bytes, n, &same, 3, values), CONVOY_OK);
    assert_memory_equal(values, good, sizeof good);
    free(bytes);
}

static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    struct image picture = rough_picture(90, 70, 3, 30);
    for (int i = 0; i < N_SAMPLINGS; i++)
        check_flips(&picture, (struct jpeg_style){.in = JCS_RGB,
                                                  .stored = JCS_YCbCr,
                                                  .h = samplings[i][0],
                                                  .v = samplings[i][1],
                                                  .quality = 60,
                                                  .restart_rows = i % 2,
                                                  .progressive = i % 3 == 2});
    image_free(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_crops_are_those_of_the_whole_image),
        cmocka_unit_test(also_of_progressive_files),
        cmocka_unit_test(also_of_unfinished_progressive_files),
        cmocka_unit_test(also_with_restart_markers),
        cmocka_unit_test(also_of_other_colour_spaces),
        cmocka_unit_test(also_of_png_files),
        cmocka_unit_test(scaled_crops_are_those_of_the_whole_scaled_image),
        cmocka_unit_test(scaled_crops_do_not_move),
        cmocka_unit_test(scaled_crops_differ_little),
        cmocka_unit_test(crops_that_need_every_pixel_are_not_scaled),
        cmocka_unit_test(the_header_tells_size_and_type),
        cmocka_unit_test(a_file_is_opened_for_each_crop),
        cmocka_unit_test(crops_that_cannot_be_are_refused),
        cmocka_unit_test(cuts_are_refused_where_they_matter),
        cmocka_unit_test(nothing_is_left_of_the_file_before),
        cmocka_unit_test(flipped_bits_do_no_harm),
    };
    return cmocka_run_group_tests(tests, prepare, finish);
}
