/* PNG: every way to store pixels comes out as 8-bit grey or RGB; damage is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/picture.h"

#include <string.h>

#include <png.h>

enum { W = 13, H = 9, MAX_BYTES = 1 << 16 };

struct sink {
    uint8_t bytes[MAX_BYTES];
    size_t n;
};

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

static void take(png_structp png, png_bytep bytes, size_t n)
{
    struct sink *sink = png_get_io_ptr(png);
    assert_true(sink->n + n <= MAX_BYTES);
    memcpy(sink->bytes + sink->n, bytes, n);
    sink->n += n;
}

static void flush(png_structp png)
{
    (void)png;
}

/* Byte i of row y of a test image, whatever the bytes mean. */
static uint8_t sample(int y, int i)
{
    return (uint8_t)(y * 37 + i * 11 + 5);
}

static void store(struct sink *sink, int type, int depth, bool interlaced)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    sink->n = 0;
    png_set_write_fn(png, sink, take, flush);
    png_set_IHDR(png, info, W, H, depth, type,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_color palette[256];
        png_byte alpha[256];
        for (int i = 0; i < 256; i++) {
            palette[i] =
                (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
            alpha[i] = (png_byte)(i * 3);
        }
        png_set_PLTE(png, info, palette, 1 << depth);
        png_set_tRNS(png, info, alpha, 1 << depth, NULL);
    }
    png_write_info(png, info);
    size_t stride = png_get_rowbytes(png, info);
    uint8_t rows[H][W * 8];
    png_bytep pointers[H];
    for (int y = 0; y < H; y++) {
        pointers[y] = rows[y];
        for (size_t i = 0; i < stride; i++)
            rows[y][i] = sample(y, (int)i);
    }
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

/* What pixel (x, y) of a stored image should be, as RGB. */
static void expect(int type, int depth, int x, int y, int rgb[3])
{
    int bits = x * depth, value;
    int bytes = depth / 8;
    if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_PALETTE) {
        value = depth < 8
                    ? sample(y, bits / 8) >> (8 - depth - bits % 8) & ((1 << depth) - 1)
                    : sample(y, x * bytes);
        if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
            value = value * 255 / ((1 << depth) - 1);
        rgb[0] = rgb[1] = rgb[2] = value;
        if (type == PNG_COLOR_TYPE_PALETTE) {
            rgb[1] = 255 - value;
            rgb[2] = value / 2;
        }
        return;
    }
    int samples = type == PNG_COLOR_TYPE_RGB         ? 3
                  : type == PNG_COLOR_TYPE_RGB_ALPHA ? 4
                                                     : 2;
    for (int c = 0; c < 3; c++)
        rgb[c] = sample(y, (x * samples + (samples > 2 ? c : 0)) * bytes);
}

static void check_kind(int type, int depth, bool interlaced)
{
    static struct sink sink;
    struct image rgb = {0}, grey = {0};
    store(&sink, type, depth, interlaced);
    assert_int_equal(image_decode(sink.bytes, sink.n, 3, &rgb), CONVOY_OK);
    assert_int_equal(image_decode(sink.bytes, sink.n, 1, &grey), CONVOY_OK);
    assert_int_equal(rgb.width * 100 + rgb.height, W * 100 + H);
    assert_int_equal(grey.width * 100 + grey.height, W * 100 + H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int e[3];
            expect(type, depth, x, y, e);
            const uint8_t *found = &rgb.pixels[3 * ((size_t)y * W + (size_t)x)];
            for (int c = 0; c < 3; c++)
                if (found[c] != e[c])
                    fail_msg("type %d depth %d pixel %d, %d channel %d: %d, not %d",
                             type, depth, x, y, c, found[c], e[c]);
            double luma = 0.299 * e[0] + 0.587 * e[1] + 0.114 * e[2];
            assert_true(grey.pixels[y * W + x] - luma < 0.51 &&
                        luma - grey.pixels[y * W + x] < 0.51);
        }
    image_free(&rgb);
    image_free(&grey);
}

static void every_kind_of_pixel_comes_out_right(void **state)
{
    (void)state;
    static const struct {
        int type, depth;
    } kinds[] = {{PNG_COLOR_TYPE_GRAY, 1},        {PNG_COLOR_TYPE_GRAY, 2},
                 {PNG_COLOR_TYPE_GRAY, 4},        {PNG_COLOR_TYPE_GRAY, 8},
                 {PNG_COLOR_TYPE_GRAY, 16},       {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {PNG_COLOR_TYPE_PALETTE, 1},
                 {PNG_COLOR_TYPE_PALETTE, 2},     {PNG_COLOR_TYPE_PALETTE, 4},
                 {PNG_COLOR_TYPE_PALETTE, 8},     {PNG_COLOR_TYPE_RGB, 8},
                 {PNG_COLOR_TYPE_RGB, 16},        {PNG_COLOR_TYPE_RGB_ALPHA, 8},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        check_kind(kinds[i].type, kinds[i].depth, false);
        check_kind(kinds[i].type, kinds[i].depth, true);
    }
}

static void our_encoder_is_lossless(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        struct image picture = picture_make(31, 17, channels, 2), out = {0};
        uint8_t *bytes = NULL;
        size_t n = 0;
        int w = 0, h = 0;
        assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
        assert_int_equal(image_probe(bytes, n, &w, &h), CONVOY_OK);
        assert_int_equal(w, 31);
        assert_int_equal(h, 17);
        assert_int_equal(image_decode(bytes, n, channels, &out), CONVOY_OK);
        assert_int_equal(picture_distance(&picture, &out), 0);
        mem_free(bytes);
        image_free(&picture);
        image_free(&out);
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    static struct sink sink;
    struct image out = {0};
    int w = 0, h = 0;
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        store(&sink, PNG_COLOR_TYPE_RGB_ALPHA, 8, interlaced == 1);
        for (size_t keep = 8; keep < sink.n; keep++) {
            uint8_t *cut = malloc(keep);
            memcpy(cut, sink.bytes, keep);
            assert_fails(image_decode(cut, keep, 1, &out), CONVOY_ERROR_FORMAT,
                         "PNG: ");
            if (keep < 33)
                assert_fails(image_probe(cut, keep, &w, &h), CONVOY_ERROR_FORMAT,
                             "PNG: ");
            free(cut);
        }
    }
    image_free(&out);
}

/* Every chunk carries a CRC, so every flipped bit of one that matters is seen; that of
 * the last chunk, which is empty, some libpngs do not check. */
static void flipped_bits_are_refused(void **state)
{
    (void)state;
    static struct sink sink;
    struct image out = {0};
    store(&sink, PNG_COLOR_TYPE_RGB, 8, false);
    for (size_t i = 8; i < sink.n - 4; i++)
        for (int bit = 0; bit < 8; bit += 3) {
            sink.bytes[i] ^= (uint8_t)(1 << bit);
            if (image_decode(sink.bytes, sink.n, 3, &out) == CONVOY_OK)
                fail_msg("byte %zu of %zu, bit %d", i, sink.n, bit);
            sink.bytes[i] ^= (uint8_t)(1 << bit);
        }
    image_free(&out);
}

static void a_claim_of_gigabytes_is_refused(void **state)
{
    (void)state;
    static struct sink sink;
    int w = 0, h = 0;
    store(&sink, PNG_COLOR_TYPE_RGB, 8, false);
    memcpy(sink.bytes + 16, "\0\0\xff\xff\0\0\xff\xff", 8);
    assert_fails(image_probe(sink.bytes, sink.n, &w, &h), CONVOY_ERROR_FORMAT,
                 "65535 x 65535");
    memcpy(sink.bytes + 16, "\0\1\0\0\0\0\0\1", 8);
    assert_fails(image_probe(sink.bytes, sink.n, &w, &h), CONVOY_ERROR_FORMAT,
                 "65536 x 1");
    memset(sink.bytes + 16, 0, 8);
    assert_fails(image_probe(sink.bytes, sink.n, &w, &h), CONVOY_ERROR_FORMAT, "0 x 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_pixel_comes_out_right),
        cmocka_unit_test(our_encoder_is_lossless),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(flipped_bits_are_refused),
        cmocka_unit_test(a_claim_of_gigabytes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
