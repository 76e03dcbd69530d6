/* Writing JPEG files, 4:2:0 as libjpeg's defaults are. */
#include "image/image_internal.h"
#include "image/jpeg_internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* What a jump out of libjpeg must find again. */
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
    info->err = jpeg_catcher_init(&encoder->catcher);
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
