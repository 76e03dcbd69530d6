/* JPEG files through libjpeg's API (libjpeg-turbo).
 *
 * libjpeg reports errors by a callback that must not return: ours jumps back into the
 * function that called setjmp, which only sets up the objects; all memory belongs to
 * libjpeg's pools or to the image, so a jump leaks nothing. Of libjpeg's warnings only
 * the premature end of the file is made an error: others (stray bytes before a marker)
 * occur in files that every other reader takes. Four components are Adobe's inverted
 * CMYK, which libjpeg also makes of YCCK. With K and the other inks inverted, R = K -
 * (255 - C) K / 255, rounded as Pillow rounds. */
#include "image/image_internal.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct catcher {
    struct jpeg_error_mgr manager; /* first: libjpeg hands its address back */
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
};

_Noreturn static void catch_error(j_common_ptr info)
{
    struct catcher *catcher = (struct catcher *)info->err;
    catcher->manager.format_message(info, catcher->text);
    longjmp(catcher->back, 1);
}

/* level < 0: a warning; else a trace message of no interest. */
static void catch_message(j_common_ptr info, int level)
{
    if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF)
        catch_error(info);
}

static struct jpeg_error_mgr *catcher_init(struct catcher *catcher)
{
    struct jpeg_error_mgr *manager = jpeg_std_error(&catcher->manager);
    manager->error_exit = catch_error;
    manager->emit_message = catch_message;
    catcher->text[0] = '\0';
    return manager;
}

/* Lives in the caller of the function with setjmp: a jump back leaves that function's
 * own changed locals undefined. */
struct decoder {
    struct catcher catcher;
    struct jpeg_decompress_struct info;
};

static convoy_status read_header(struct decoder *decoder, const uint8_t *bytes,
                                 size_t n)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    info->err = catcher_init(&decoder->catcher);
    if (setjmp(decoder->catcher.back))
        return FAIL(CONVOY_ERROR_FORMAT, "JPEG: %s", decoder->catcher.text);
    jpeg_create_decompress(info);
    jpeg_mem_src(info, bytes, n);
    jpeg_read_header(info, TRUE);
    return image_check_size("JPEG", info->image_width, info->image_height);
}

convoy_status jpeg_probe(const uint8_t *bytes, size_t n, int *width, int *height)
{
    convoy_status status = CONVOY_OK;
    struct decoder decoder = {0};
    TRY(read_header(&decoder, bytes, n));
    *width = (int)decoder.info.image_width;
    *height = (int)decoder.info.image_height;
cleanup:
    jpeg_destroy_decompress(&decoder.info);
    return status;
}

/* a b / 255, rounded. */
static int scale_255(int a, int b)
{
    int t = a * b + 128;
    return (t + (t >> 8)) >> 8;
}

/* In place: every RGB pixel ends before the CMYK pixel that it is made of. */
static void cmyk_to_rgb(uint8_t *row, int n)
{
    const uint8_t *cmyk = row;
    for (int i = 0; i < n; i++, cmyk += 4, row += 3) {
        int k = cmyk[3];
        for (int c = 0; c < 3; c++)
            row[c] = (uint8_t)(k - scale_255(255 - cmyk[c], k));
    }
}

static void grey_to_rgb(const uint8_t *grey, int n, uint8_t *rgb)
{
    for (int i = 0; i < n; i++, rgb += 3)
        rgb[0] = rgb[1] = rgb[2] = grey[i];
}

/* Chooses what libjpeg delivers: the components that are there, as few as will do. */
static convoy_status choose_output(struct jpeg_decompress_struct *info)
{
    switch (info->num_components) {
    case 1:
        info->out_color_space = JCS_GRAYSCALE;
        return CONVOY_OK;
    case 3:
        info->out_color_space = JCS_RGB;
        return CONVOY_OK;
    case 4:
        info->out_color_space = JCS_CMYK;
        return CONVOY_OK;
    default:
        return FAIL(CONVOY_ERROR_FORMAT,
                    "JPEG: has %d colour components, 1, 3 or 4 are expected",
                    info->num_components);
    }
}

/* Reads all rows. info is started; row is libjpeg's scratch of one row as delivered. */
static void read_rows(struct jpeg_decompress_struct *info, JSAMPROW row,
                      struct image *out)
{
    size_t stride = (size_t)out->width * (size_t)out->channels;
    while (info->output_scanline < info->output_height) {
        uint8_t *to = out->pixels + info->output_scanline * stride;
        JSAMPROW target = info->output_components == out->channels ? to : row;
        jpeg_read_scanlines(info, &target, 1);
        if (target == to)
            continue;
        if (info->output_components == 4)
            cmyk_to_rgb(row, out->width);
        if (info->output_components == 1)
            grey_to_rgb(row, out->width, to);
        else if (out->channels == 1)
            image_luma_row(row, out->width, to);
        else
            memcpy(to, row, stride);
    }
}

/* out has its shape. */
static convoy_status read_image(struct decoder *decoder, struct image *out)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    if (setjmp(decoder->catcher.back))
        return FAIL(CONVOY_ERROR_FORMAT, "JPEG: %s", decoder->catcher.text);
    jpeg_start_decompress(info);
    JSAMPARRAY row = info->mem->alloc_sarray(
        (j_common_ptr)info, JPOOL_IMAGE,
        info->output_width * (JDIMENSION)info->output_components, 1);
    read_rows(info, row[0], out);
    jpeg_finish_decompress(info);
    return CONVOY_OK;
}

convoy_status jpeg_decode(const uint8_t *bytes, size_t n, int channels,
                          struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct decoder decoder = {0};
    TRY(read_header(&decoder, bytes, n));
    TRY(choose_output(&decoder.info));
    TRY(image_shape(out, (int)decoder.info.image_width, (int)decoder.info.image_height,
                    channels));
    TRY(read_image(&decoder, out));
cleanup:
    jpeg_destroy_decompress(&decoder.info);
    return status;
}

/* What a jump out of libjpeg must find again: a setjmp leaves changed locals undefined.
 */
struct encoder {
    struct catcher catcher;
    struct jpeg_compress_struct info;
    unsigned char *bytes; /* libjpeg's malloc */
    unsigned long n;
};

static convoy_status encode(struct encoder *encoder, const struct image *image,
                            int quality)
{
    struct jpeg_compress_struct *info = &encoder->info;
    info->err = catcher_init(&encoder->catcher);
    if (setjmp(encoder->catcher.back))
        return FAIL(CONVOY_ERROR_LIBRARY, "JPEG: %s", encoder->catcher.text);
    jpeg_create_compress(info);
    jpeg_mem_dest(info, &encoder->bytes, &encoder->n);
    info->image_width = (JDIMENSION)image->width;
    info->image_height = (JDIMENSION)image->height;
    info->input_components = image->channels;
    info->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    jpeg_start_compress(info, TRUE);
    size_t stride = (size_t)image->width * (size_t)image->channels;
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = image->pixels + info->next_scanline * stride;
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    return CONVOY_OK;
}

convoy_status image_encode_jpeg(const struct image *image, int quality, uint8_t **bytes,
                                size_t *n)
{
    convoy_status status = CONVOY_OK;
    struct encoder encoder = {.n = 0};
    uint8_t *copy = NULL;
    if (quality < 1 || quality > 100)
        return FAIL(CONVOY_ERROR_ARGUMENT, "JPEG quality %d: 1 to 100 is expected",
                    quality);
    if (image->channels != 1 && image->channels != 3)
        return FAIL(CONVOY_ERROR_ARGUMENT, "JPEG: %d channels, 1 or 3 are expected",
                    image->channels);
    TRY(encode(&encoder, image, quality));
    TRY(mem_alloc(encoder.n, (void **)&copy));
    memcpy(copy, encoder.bytes, encoder.n);
    *bytes = copy;
    *n = encoder.n;
cleanup:
    jpeg_destroy_compress(&encoder.info);
    free(encoder.bytes);
    return status;
}
