/* PNG files through libpng.
 *
 * Whatever is stored (1 to 16 bits, grey, palette, colour, alpha, interlaced) libpng
 * turns into 8-bit grey or RGB; alpha and transparency are dropped, 16 bits keep their
 * upper 8, gamma is left alone. Errors come by longjmp into the function that called
 * setjmp, which keeps what it must free in a struct outside. */
#include "image/image_internal.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

struct reader {
    const uint8_t *bytes;
    size_t n, at;
    png_structp png;
    png_infop info;
    png_bytepp rows;  /* of an interlaced image */
    struct image rgb; /* colour on its way to luma */
    convoy_status status;
};

_Noreturn static void catch_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);
    reader->status = FAIL(CONVOY_ERROR_FORMAT, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t n)
{
    struct reader *reader = png_get_io_ptr(png);
    if (n > reader->n - reader->at)
        png_error(png, "the file ends too early");
    memcpy(out, reader->bytes + reader->at, n);
    reader->at += n;
}

/* Jumps out of the caller, which is below decode's setjmp, where status is an error. */
static void must(struct reader *reader, convoy_status status)
{
    reader->status = status;
    if (status != CONVOY_OK)
        png_longjmp(reader->png, 1);
}

static void ask_for_8_bits(struct reader *reader)
{
    png_structp png = reader->png;
    int type = png_get_color_type(png, reader->info);
    png_set_strip_16(png);
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY)
        png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_alpha(png);
}

static void read_pixels(struct reader *reader, struct image *out)
{
    png_structp png = reader->png;
    size_t stride = (size_t)out->width * (size_t)out->channels;
    must(reader, mem_alloc_array((size_t)out->height, sizeof *reader->rows,
                                 (void **)&reader->rows));
    for (int y = 0; y < out->height; y++)
        reader->rows[y] = out->pixels + (size_t)y * stride;
    png_read_image(png, reader->rows);
    png_read_end(png, NULL);
}

static void to_luma(const struct image *rgb, struct image *out)
{
    for (int y = 0; y < rgb->height; y++)
        image_luma_row(rgb->pixels + (size_t)y * (size_t)rgb->width * 3, rgb->width,
                       out->pixels + (size_t)y * (size_t)rgb->width);
}

static void decode(struct reader *reader, int channels, struct image *out)
{
    png_structp png = reader->png;
    png_set_read_fn(png, reader, read_bytes);
    png_read_info(png, reader->info);
    uint32_t width = png_get_image_width(png, reader->info);
    uint32_t height = png_get_image_height(png, reader->info);
    must(reader, image_check_size("PNG", width, height));
    ask_for_8_bits(reader);
    bool grey = !(png_get_color_type(png, reader->info) & PNG_COLOR_MASK_COLOR);
    if (grey && channels == 3)
        png_set_gray_to_rgb(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    must(reader, image_shape(out, (int)width, (int)height, channels));
    if (grey || channels == 3) {
        read_pixels(reader, out);
        return;
    }
    must(reader, image_shape(&reader->rgb, (int)width, (int)height, 3));
    read_pixels(reader, &reader->rgb);
    to_luma(&reader->rgb, out);
}

static void decode_or_return(struct reader *reader, int channels, struct image *out)
{
    if (!setjmp(png_jmpbuf(reader->png)))
        decode(reader, channels, out);
}

convoy_status png_decode(const uint8_t *bytes, size_t n, int channels,
                         struct image *out)
{
    struct reader reader = {.bytes = bytes, .n = n};
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, catch_error,
                                        ignore_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
    if (!reader.info)
        reader.status = FAIL(CONVOY_ERROR_MEMORY, "libpng cannot start");
    else
        decode_or_return(&reader, channels, out);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    mem_free(reader.rows);
    image_free(&reader.rgb);
    return reader.status;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | bytes[3];
}

convoy_status png_probe(const uint8_t *bytes, size_t n, int *width, int *height)
{
    /* Signature 8, length 4, "IHDR", width 4, height 4, … */
    if (n < 33 || memcmp(bytes + 12, "IHDR", 4) != 0)
        return FAIL(CONVOY_ERROR_FORMAT, "PNG: has no header (chunk IHDR)");
    uint32_t w = read_u32(bytes + 16), h = read_u32(bytes + 20);
    convoy_status status = image_check_size("PNG", w, h);
    if (status == CONVOY_OK) {
        *width = (int)w;
        *height = (int)h;
    }
    return status;
}

convoy_status image_encode_png(const struct image *image, uint8_t **bytes, size_t *n)
{
    convoy_status status = CONVOY_OK;
    uint8_t *out = NULL;
    png_alloc_size_t size = 0;
    if (image->channels != 1 && image->channels != 3)
        return FAIL(CONVOY_ERROR_ARGUMENT, "PNG: %d channels, 1 or 3 are expected",
                    image->channels);
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)image->width,
                     .height = (png_uint_32)image->height,
                     .format = image->channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    if (!png_image_write_get_memory_size(png, size, 0, image->pixels, 0, NULL))
        TRY(FAIL(CONVOY_ERROR_LIBRARY, "PNG: %s", png.message));
    TRY(mem_alloc(size, (void **)&out));
    if (!png_image_write_to_memory(&png, out, &size, 0, image->pixels, 0, NULL))
        TRY(FAIL(CONVOY_ERROR_LIBRARY, "PNG: %s", png.message));
    *bytes = out;
    *n = size;
    out = NULL;
cleanup:
    png_image_free(&png);
    mem_free(out);
    return status;
}
