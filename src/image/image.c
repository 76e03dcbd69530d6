/* Images in memory, and which decoder a file goes to.
 *
 * The type is taken from the first bytes: ImageNet has PNG files that are called JPEG.
 */
#include "image/image_internal.h"

#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

/* 400 MB of RGB; the largest photograph of ImageNet has 25 million pixels. */
static const uint64_t max_pixels = UINT64_C(1) << 27;

void image_free(struct image *image)
{
    mem_free(image->pixels);
    *image = (struct image){0};
}

convoy_status image_shape(struct image *image, int width, int height, int channels)
{
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    if (!image->pixels || image->capacity < bytes) {
        /* Old pixels are of no use: they are not copied. */
        image_free(image);
        convoy_status status = mem_alloc(bytes, (void **)&image->pixels);
        if (status != CONVOY_OK)
            return status;
        image->capacity = bytes;
    }
    image->width = width;
    image->height = height;
    image->channels = channels;
    return CONVOY_OK;
}

convoy_status image_check_size(const char *type, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0 || width > UINT16_MAX || height > UINT16_MAX ||
        width * height > max_pixels)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: claims %" PRIu64 " x %" PRIu64
                    " pixels, 1 to %d a side and %" PRIu64 " in all can be read",
                    type, width, height, UINT16_MAX, max_pixels);
    return CONVOY_OK;
}

void image_luma_row(const uint8_t *rgb, int n, uint8_t *luma)
{
    for (int i = 0; i < n; i++, rgb += 3)
        luma[i] =
            (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 32768) >> 16);
}

enum image_type image_sniff(const uint8_t *bytes, size_t n)
{
    static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff};
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (n >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        return IMAGE_JPEG;
    if (n >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        return IMAGE_PNG;
    return IMAGE_UNKNOWN;
}

convoy_status image_check_channels(int channels)
{
    if (channels == 1 || channels == 3)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "images can be decoded to 1 or 3 channels, not to %d", channels);
}

convoy_status image_fail_unknown(size_t n)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%zu bytes that are neither a JPEG nor a PNG image", n);
}

convoy_status image_probe(const uint8_t *bytes, size_t n, int *width, int *height)
{
    switch (image_sniff(bytes, n)) {
    case IMAGE_JPEG:
        return jpeg_probe(bytes, n, width, height);
    case IMAGE_PNG:
        return png_probe(bytes, n, width, height);
    default:
        return image_fail_unknown(n);
    }
}

convoy_status image_decode(const uint8_t *bytes, size_t n, int channels,
                           struct image *out)
{
    convoy_status status = image_check_channels(channels);
    if (status != CONVOY_OK)
        return status;
    switch (image_sniff(bytes, n)) {
    case IMAGE_JPEG:
        return jpeg_decode(bytes, n, channels, out);
    case IMAGE_PNG:
        return png_decode(bytes, n, channels, out);
    default:
        return image_fail_unknown(n);
    }
}
