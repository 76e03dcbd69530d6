/* Pixels: decode, encode, crop and resize. The only folder that includes the image
 * libraries. Images are u8, interleaved [height, width, channels], rows without
 * padding.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum image_type { IMAGE_UNKNOWN, IMAGE_JPEG, IMAGE_PNG };

struct image {
    uint8_t *pixels; /* start with {0}: functions that write an image grow it */
    size_t capacity; /* of pixels, in bytes */
    int width, height, channels;
};

/* Frees the pixels; the image is then {0}. */
void image_free(struct image *image);

/* The type by its first bytes, whatever the file was called. */
enum image_type image_sniff(const uint8_t *bytes, size_t n);

/* Width and height from the header, without decoding. FORMAT where it is no JPEG or
 * PNG, or claims a side above 65535 or more than 2^27 pixels. */
convoy_status image_probe(const uint8_t *bytes, size_t n, int *width, int *height);

/* Decodes a JPEG or PNG to channels = 1 (luma) or 3 (RGB), as Pillow's convert("L") and
 * convert("RGB") do: greyscale is repeated, a palette looked up, alpha dropped, CMYK
 * and YCCK taken for Adobe's. 16-bit samples keep their upper 8 bits (Pillow clips
 * 16-bit greyscale instead). Errors: FORMAT (truncated, corrupt, or more than 2^27
 * pixels; out may then hold anything), never a crash. Local; any number of threads at
 * once, each with an image of its own. */
convoy_status image_decode(const uint8_t *bytes, size_t n, int channels,
                           struct image *out);

/* Part of an image, in its pixels; may be fractional. */
struct image_box {
    double x, y, w, h;
};

/* Buffers kept between calls; serves one thread at a time. */
struct image_scratch;
convoy_status image_scratch_create(struct image_scratch **scratch);
void image_scratch_destroy(struct image_scratch *scratch);

/* Resizes the box of src to width x height: bilinear with antialiasing, the pixels of
 * Pillow's Image.resize(..., BILINEAR, box) up to 1. Pixels outside the box (and,
 * enlarging, one beside it) are not looked at. dst must not be src. Errors: ARGUMENT
 * (no such box or size, neither 1 nor 3 channels). */
convoy_status image_resize(const struct image *src, struct image_box box, int width,
                           int height, struct image_scratch *scratch,
                           struct image *dst);

/* A resized crop of an image. */
struct image_crop {
    struct image_box box;
    int width, height; /* to which the box is resized */
    bool beside; /* the filter may look at pixels beside the box, as image_resize does:
                    for a box that is part of a larger resized image. false: as if the
                    box had been cut out first (to whole pixels, outwards) */
    bool flip;   /* exchange left and right, last */
    bool exact;  /* image_reader_crop only: all pixels are decoded in full resolution */
};

/* Where the values of an image of 1 or 3 channels go: value (c, y, x) to
 * values[c·channel + y·row + x·pixel]. What lies between them is not touched. */
struct image_planes {
    int channels;
    const float (*table)[256]; /* [channels]: the value that stands for each u8 */
    float *values;
    uint8_t *bytes; /* NULL, or in place of values: each u8 itself, without a table */
    size_t channel, row, pixel;
};

/* Writes the crop of src. crop->exact says nothing here. Errors: those of image_resize,
 * and ARGUMENT where channels differ. */
convoy_status image_write_crop(const struct image *src, const struct image_crop *crop,
                               struct image_scratch *scratch,
                               const struct image_planes *to);

/* New JPEG (quality 1-100) or PNG bytes; free with mem_free. For tests and packing. */
convoy_status image_encode_jpeg(const struct image *image, int quality, uint8_t **bytes,
                                size_t *n);
convoy_status image_encode_png(const struct image *image, uint8_t **bytes, size_t *n);

#endif
