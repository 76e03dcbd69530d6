/* Reading JPEG files through libjpeg-turbo's API, whole or in part.
 *
 * A part is decoded by jpeg_skip_scanlines (which still reads the Huffman codes of the
 * rows above), jpeg_crop_scanline (which does so for the columns beside) and stopping
 * below it. Its pixels equal the whole image's, for which the columns are widened:
 * interpolating chroma, libjpeg takes the borders of what it decodes for the image's.
 *
 * A progressive file may have any number of scans, each of which goes over the whole
 * image for a few bytes. Encoders write about ten; more than that is only followed as
 * far as the file's size accounts for it (libjpeg-turbo's own advice: count scans in
 * the progress monitor).
 *
 * Four components are Adobe's inverted CMYK, which libjpeg also makes of YCCK. With K
 * and the other inks inverted, R = K - (255 - C) K / 255, rounded as Pillow rounds. */
#include "image/image_internal.h"
#include "image/jpeg_internal.h"

#include "base/memory.h"

#include <string.h>

#include <jerror.h>

#ifndef LIBJPEG_TURBO_VERSION
#error "libjpeg-turbo 1.5 or newer is needed; this is another libjpeg"
#endif

enum {
    MARGIN = 2,       /* columns that interpolation spoils, at the most */
    LEAST_WIDTH = 64, /* libjpeg treats columns of one chroma sample otherwise */
    MAX_ROWS = 4,     /* libjpeg gives no more in one call */
    FREE_SCANS = 50,  /* of any file */
    MAX_SCANS = 500
};

/* With more than FREE_SCANS scans, these times the image's pixels must be covered by
 * its bytes. A byte goes over at most so many pixels: 16 blocks. */
static const uint64_t pixels_a_byte = 1024;

struct jpeg_decoder {
    struct catcher catcher;
    struct jpeg_decompress_struct info;
    struct jpeg_progress_mgr progress;
    size_t n_bytes; /* of the file */
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

struct jpeg_error_mgr *jpeg_catcher_init(struct catcher *catcher)
{
    struct jpeg_error_mgr *manager = jpeg_std_error(&catcher->manager);
    manager->error_exit = catch_error;
    manager->emit_message = catch_message;
    catcher->text[0] = '\0';
    return manager;
}

/* Called by libjpeg before each row of blocks that it reads. */
static void watch_scans(j_common_ptr common)
{
    const struct jpeg_decompress_struct *info =
        (const struct jpeg_decompress_struct *)common;
    struct jpeg_decoder *decoder = info->client_data;
    const int scans = info->input_scan_number;
    if (scans <= FREE_SCANS)
        return;
    const uint64_t pixels = (uint64_t)info->image_width * info->image_height;
    if (scans <= MAX_SCANS &&
        (uint64_t)scans * pixels <= pixels_a_byte * decoder->n_bytes)
        return;
    snprintf(decoder->catcher.text, sizeof decoder->catcher.text,
             "has more than %d scans, which go over its %u x %u pixels again and again "
             "for few bytes; an ordinary progressive image has about 10",
             scans - 1, info->image_width, info->image_height);
    longjmp(decoder->catcher.back, 1);
}

convoy_status jpeg_decoder_create(struct jpeg_decoder **decoder)
{
    return mem_alloc(sizeof **decoder, (void **)decoder);
}

void jpeg_decoder_destroy(struct jpeg_decoder *decoder)
{
    if (!decoder)
        return;
    jpeg_destroy_decompress(&decoder->info);
    mem_free(decoder);
}

/* libjpeg's object is made anew for each file, in less than a microsecond: tables that
 * one file defines would otherwise serve the next one that lacks them. */
static convoy_status read_header(struct jpeg_decoder *decoder, const uint8_t *bytes,
                                 size_t n)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    jpeg_destroy_decompress(info);
    info->err = jpeg_catcher_init(&decoder->catcher);
    if (setjmp(decoder->catcher.back))
        return FAIL(CONVOY_ERROR_FORMAT, "JPEG: %s", decoder->catcher.text);
    jpeg_create_decompress(info);
    info->client_data = decoder;
    info->progress = &decoder->progress;
    decoder->progress.progress_monitor = watch_scans;
    decoder->n_bytes = n;
    jpeg_mem_src(info, bytes, n);
    jpeg_read_header(info, TRUE);
    return image_check_size("JPEG", info->image_width, info->image_height);
}

convoy_status jpeg_decoder_open(struct jpeg_decoder *decoder, const uint8_t *bytes,
                                size_t n, int *width, int *height)
{
    convoy_status status = read_header(decoder, bytes, n);
    if (status == CONVOY_OK) {
        *width = (int)decoder->info.image_width;
        *height = (int)decoder->info.image_height;
    }
    return status;
}

int jpeg_scaled(int n, int eighths)
{
    return (n * eighths + 7) / 8;
}

convoy_status jpeg_probe(const uint8_t *bytes, size_t n, int *width, int *height)
{
    convoy_status status = CONVOY_OK;
    struct jpeg_decoder *decoder = NULL;
    TRY(jpeg_decoder_create(&decoder));
    TRY(jpeg_decoder_open(decoder, bytes, n, width, height));
cleanup:
    jpeg_decoder_destroy(decoder);
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

/* Widens the region to columns that libjpeg can decode alone. Versions before 3.0 fail
 * at unusual sampling factors, and in progressive files smoothing looks two blocks to
 * either side. */
static void widen(const struct jpeg_decompress_struct *info, int eighths, int width,
                  struct region *region)
{
    if (info->max_h_samp_factor > 2 || info->max_v_samp_factor > 2) {
        region->left = 0;
        region->width = width;
        return;
    }
    int unit = eighths * info->max_h_samp_factor;
    int margin = info->progressive_mode ? MARGIN + 2 * unit : MARGIN;
    int left = region->left - margin, right = region->left + region->width + margin;
    if (right > width)
        right = width;
    if (left > right - LEAST_WIDTH)
        left = right - LEAST_WIDTH;
    left = left < 0 ? 0 : left / unit * unit;
    if (right < left + LEAST_WIDTH)
        right = left + LEAST_WIDTH < width ? left + LEAST_WIDTH : width;
    region->left = left;
    region->width = right - left;
}

/* Reads all rows of out, which is of libjpeg's own format. */
static void read_rows(struct jpeg_decompress_struct *info, struct image *out)
{
    size_t stride = (size_t)out->width * (size_t)out->channels;
    for (int y = 0; y < out->height;) {
        JSAMPROW rows[MAX_ROWS];
        int n = 0;
        for (; n < MAX_ROWS && y + n < out->height; n++)
            rows[n] = out->pixels + (size_t)(y + n) * stride;
        y += (int)jpeg_read_scanlines(info, rows, (JDIMENSION)n);
    }
}

/* The same with a conversion; row is scratch of one row as libjpeg delivers it. */
static void convert_rows(struct jpeg_decompress_struct *info, JSAMPROW row,
                         struct image *out)
{
    size_t stride = (size_t)out->width * (size_t)out->channels;
    uint8_t *to = out->pixels;
    for (int y = 0; y < out->height; y++, to += stride) {
        jpeg_read_scanlines(info, &row, 1);
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

static convoy_status read_region(struct jpeg_decoder *decoder,
                                 const struct region *region, struct image *out)
{
    struct jpeg_decompress_struct *info = &decoder->info;
    if (setjmp(decoder->catcher.back))
        return FAIL(CONVOY_ERROR_FORMAT, "JPEG: %s", decoder->catcher.text);
    jpeg_start_decompress(info);
    JDIMENSION left = (JDIMENSION)region->left, width = (JDIMENSION)region->width;
    if (width < info->output_width)
        jpeg_crop_scanline(info, &left, &width);
    jpeg_skip_scanlines(info, (JDIMENSION)region->top);
    if (info->output_components == out->channels) {
        read_rows(info, out);
    } else {
        JSAMPARRAY row = info->mem->alloc_sarray(
            (j_common_ptr)info, JPOOL_IMAGE,
            info->output_width * (JDIMENSION)info->output_components, 1);
        convert_rows(info, row[0], out);
    }
    /* Of a whole image, what follows its last row must be there too. */
    if (info->output_scanline == info->output_height)
        jpeg_finish_decompress(info);
    return CONVOY_OK;
}

convoy_status jpeg_decoder_read(struct jpeg_decoder *decoder, int eighths, int channels,
                                struct region *region, struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct jpeg_decompress_struct *info = &decoder->info;
    struct region wide = *region;
    TRY(choose_output(info));
    info->scale_num = (unsigned)eighths;
    info->scale_denom = 8;
    widen(info, eighths, jpeg_scaled((int)info->image_width, eighths), &wide);
    TRY(image_shape(out, wide.width, wide.height, channels));
    TRY(read_region(decoder, &wide, out));
    *region = wide;
cleanup:
    return status;
}

convoy_status jpeg_decode(const uint8_t *bytes, size_t n, int channels,
                          struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct jpeg_decoder *decoder = NULL;
    struct region whole = {0};
    TRY(jpeg_decoder_create(&decoder));
    TRY(jpeg_decoder_open(decoder, bytes, n, &whole.width, &whole.height));
    TRY(jpeg_decoder_read(decoder, 8, channels, &whole, out));
cleanup:
    jpeg_decoder_destroy(decoder);
    return status;
}
