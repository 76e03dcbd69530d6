/* JPEG: greyscale, colour, progressive, CMYK and YCCK come out right; damage is
 * refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/image/jpeg_file.h"

#include <string.h>

static const struct jpeg_style baseline = {.in = JCS_RGB, .stored = JCS_YCbCr};
static const struct jpeg_style progressive = {
    .in = JCS_RGB, .stored = JCS_YCbCr, .progressive = true};

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

static void colour_and_greyscale_survive_a_round_trip(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image picture = picture_make(61, 43, channels, 1), out = {0};
        uint8_t *bytes = NULL;
        size_t n = 0;
        int w = 0, h = 0;
        assert_int_equal(image_encode_jpeg(&picture, 98, &bytes, &n), CONVOY_OK);
        assert_int_equal(image_probe(bytes, n, &w, &h), CONVOY_OK);
        assert_int_equal(w, 61);
        assert_int_equal(h, 43);
        assert_int_equal(image_decode(bytes, n, channels, &out), CONVOY_OK);
        assert_true(picture_distance(&picture, &out) <= 12);
        mem_free(bytes);
        image_free(&picture);
        image_free(&out);
    }
}

static void progressive_files_decode_like_baseline(void **state)
{
    (void)state;
    struct image picture = picture_make(50, 40, 3, 2), a = {0}, b = {0};
    unsigned long n = 0;
    unsigned char *bytes = jpeg_file_make(&picture, baseline, &n);
    assert_int_equal(image_decode(bytes, n, 3, &a), CONVOY_OK);
    free(bytes);
    bytes = jpeg_file_make(&picture, progressive, &n);
    assert_int_equal(image_decode(bytes, n, 3, &b), CONVOY_OK);
    assert_int_equal(picture_distance(&a, &b), 0);
    free(bytes);
    image_free(&picture);
    image_free(&a);
    image_free(&b);
}

static void greyscale_gives_three_equal_channels(void **state)
{
    (void)state;
    struct image picture = picture_make(20, 10, 1, 3), grey = {0}, rgb = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(image_encode_jpeg(&picture, 90, &bytes, &n), CONVOY_OK);
    assert_int_equal(image_decode(bytes, n, 1, &grey), CONVOY_OK);
    assert_int_equal(image_decode(bytes, n, 3, &rgb), CONVOY_OK);
    for (int i = 0; i < 200; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(rgb.pixels[3 * i + c], grey.pixels[i]);
    mem_free(bytes);
    image_free(&picture);
    image_free(&grey);
    image_free(&rgb);
}

static void colour_gives_its_luma(void **state)
{
    (void)state;
    struct image picture = picture_make(20, 10, 3, 3), grey = {0}, rgb = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(image_encode_jpeg(&picture, 90, &bytes, &n), CONVOY_OK);
    assert_int_equal(image_decode(bytes, n, 1, &grey), CONVOY_OK);
    assert_int_equal(image_decode(bytes, n, 3, &rgb), CONVOY_OK);
    const uint8_t *p = rgb.pixels;
    for (int i = 0; i < 200; i++, p += 3) {
        double luma = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        assert_true(grey.pixels[i] - luma < 0.51 && luma - grey.pixels[i] < 0.51);
    }
    mem_free(bytes);
    image_free(&picture);
    image_free(&grey);
    image_free(&rgb);
}

/* R = (1 - C)(1 - K), with all four stored as their complements. */
static void inverted_cmyk_and_ycck_give_rgb(void **state)
{
    (void)state;
    static const J_COLOR_SPACE stored[] = {JCS_CMYK, JCS_YCCK};
    struct image picture = picture_make(24, 16, 4, 3);
    for (int s = 0; s < 2; s++) {
        struct image rgb = {0}, grey = {0};
        unsigned long n = 0;
        unsigned char *bytes = jpeg_file_make(
            &picture, (struct jpeg_style){.in = JCS_CMYK, .stored = stored[s]}, &n);
        assert_int_equal(image_decode(bytes, n, 3, &rgb), CONVOY_OK);
        for (int i = 0; i < 24 * 16; i++)
            for (int c = 0; c < 3; c++) {
                int expected =
                    picture.pixels[4 * i + c] * picture.pixels[4 * i + 3] / 255;
                int distance = abs(rgb.pixels[3 * i + c] - expected);
                assert_true(distance <= 8);
            }
        assert_int_equal(image_decode(bytes, n, 1, &grey), CONVOY_OK);
        assert_int_equal(grey.channels, 1);
        assert_true(abs(grey.pixels[0] - (rgb.pixels[0] * 299 + rgb.pixels[1] * 587 +
                                          rgb.pixels[2] * 114) /
                                             1000) <= 1);
        free(bytes);
        image_free(&rgb);
        image_free(&grey);
    }
    image_free(&picture);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct image picture = picture_make(40, 30, 3, 5), out = {0};
    for (int i = 0; i < 2; i++) {
        unsigned long n = 0;
        unsigned char *bytes = jpeg_file_make(&picture, i ? progressive : baseline, &n);
        for (unsigned long keep = 3; keep < n; keep++) {
            uint8_t *cut = malloc(keep); /* so that a read beyond is seen */
            memcpy(cut, bytes, keep);
            assert_fails(image_decode(cut, keep, 3, &out), CONVOY_ERROR_FORMAT,
                         "JPEG: ");
            free(cut);
        }
        free(bytes);
    }
    image_free(&picture);
    image_free(&out);
}

/* A flipped bit may still be an image, but never a crash. */
static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    struct image picture = picture_make(40, 30, 3, 5), out = {0};
    unsigned long n = 0;
    int refused = 0;
    unsigned char *bytes = jpeg_file_make(&picture, baseline, &n);
    for (unsigned long i = 2; i < n; i++) {
        bytes[i] ^= (unsigned char)(1 << i % 8);
        refused += image_decode(bytes, n, 3, &out) != CONVOY_OK;
        bytes[i] ^= (unsigned char)(1 << i % 8);
    }
    assert_true(refused > 0);
    free(bytes);
    image_free(&picture);
    image_free(&out);
}

static void a_claim_of_gigabytes_is_refused(void **state)
{
    (void)state;
    struct image picture = picture_make(16, 16, 3, 5), out = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    int w = 0, h = 0;
    assert_int_equal(image_encode_jpeg(&picture, 90, &bytes, &n), CONVOY_OK);
    for (size_t i = 0; i + 9 < n; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc0)
            memset(bytes + i + 5, 0xfd, 4);
    assert_fails(image_decode(bytes, n, 3, &out), CONVOY_ERROR_FORMAT, "65021 x 65021");
    assert_fails(image_probe(bytes, n, &w, &h), CONVOY_ERROR_FORMAT, "65021 x 65021");
    assert_null(out.pixels);
    mem_free(bytes);
    image_free(&picture);
}

static void bad_encoder_arguments_are_refused(void **state)
{
    (void)state;
    struct image picture = picture_make(4, 4, 3, 0), two = picture_make(4, 4, 2, 0);
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_fails(image_encode_jpeg(&picture, 0, &bytes, &n), CONVOY_ERROR_ARGUMENT,
                 "1 to 100");
    assert_fails(image_encode_jpeg(&picture, 101, &bytes, &n), CONVOY_ERROR_ARGUMENT,
                 "1 to 100");
    assert_fails(image_encode_jpeg(&two, 90, &bytes, &n), CONVOY_ERROR_ARGUMENT,
                 "2 channels");
    assert_null(bytes);
    image_free(&picture);
    image_free(&two);
}

/* Where the scan that starts at or behind `from` starts, and where it ends. */
static size_t find_scan(const unsigned char *bytes, size_t n, size_t from, size_t *end)
{
    size_t at = from;
    while (at + 4 < n && !(bytes[at] == 0xff && bytes[at + 1] == 0xda))
        at++;
    assert_true(at + 4 < n);
    *end = at + 2;
    while (bytes[*end] != 0xff || bytes[*end + 1] == 0)
        ++*end;
    return at;
}

/* A progressive grey file with its first scan, of the averages, or its last, of a few
 * bits, in it so many times more. */
static unsigned char *with_copies(const struct image *picture, bool last, int copies,
                                  size_t *n)
{
    const struct jpeg_style style = {
        .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true};
    unsigned long n_plain = 0;
    unsigned char *plain = jpeg_file_make(picture, style, &n_plain);
    size_t end = 0, at = find_scan(plain, n_plain, 0, &end);
    while (last && plain[end + 1] != 0xd9)
        at = find_scan(plain, n_plain, end, &end);
    const size_t size = end - at;
    unsigned char *bytes = malloc(n_plain + size * (size_t)copies);
    assert_non_null(bytes);
    memcpy(bytes, plain, end);
    for (int c = 0; c < copies; c++)
        memcpy(bytes + end + size * (size_t)c, plain + at, size);
    *n = n_plain + size * (size_t)copies;
    memcpy(bytes + end + size * (size_t)copies, plain + end, n_plain - end);
    free(plain);
    return bytes;
}

static void scans_are_followed_as_far_as_the_bytes_account_for_them(void **state)
{
    static const struct {
        int side, copies;
        bool last, decodes;
    } cases[] = {{50, 0, false, true},     {50, 100, false, true},
                 {50, 480, false, true},   {50, 600, false, false},
                 {1200, 30, true, true},   {1200, 100, true, false},
                 {1200, 1000, true, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int side = cases[i].side;
        struct image picture = picture_make(side, side, 1, 3), plain = {0}, out = {0};
        size_t n = 0, n_plain = 0;
        memset(picture.pixels, 100, (size_t)side * (size_t)side);
        unsigned char *bytes = with_copies(&picture, cases[i].last, 0, &n_plain);
        assert_int_equal(image_decode(bytes, n_plain, 1, &plain), CONVOY_OK);
        free(bytes);
        bytes = with_copies(&picture, cases[i].last, cases[i].copies, &n);
        if (cases[i].decodes) {
            assert_int_equal(image_decode(bytes, n, 1, &out), CONVOY_OK);
            assert_int_equal(picture_distance(&plain, &out), 0);
        } else {
            assert_fails(image_decode(bytes, n, 1, &out), CONVOY_ERROR_FORMAT, "scans");
        }
        free(bytes);
        image_free(&picture);
        image_free(&plain);
        image_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colour_and_greyscale_survive_a_round_trip),
        cmocka_unit_test(progressive_files_decode_like_baseline),
        cmocka_unit_test(greyscale_gives_three_equal_channels),
        cmocka_unit_test(colour_gives_its_luma),
        cmocka_unit_test(inverted_cmyk_and_ycck_give_rgb),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(a_claim_of_gigabytes_is_refused),
        cmocka_unit_test(scans_are_followed_as_far_as_the_bytes_account_for_them),
        cmocka_unit_test(bad_encoder_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
