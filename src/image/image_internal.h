/* What the files of this folder share; nobody else includes it. */
#ifndef IMAGE_IMAGE_INTERNAL_H
#define IMAGE_IMAGE_INTERNAL_H

#include "image/image.h"

/* Sets the size and makes room for the pixels, whose contents are then undefined. */
convoy_status image_shape(struct image *image, int width, int height, int channels);

/* FORMAT where an image file claims a size that nothing sane has (a few bytes can claim
 * gigabytes). type: for the message. */
convoy_status image_check_size(const char *type, uint64_t width, uint64_t height);

/* Turns a row of n RGB pixels into luma, as Pillow does: (19595 R + 38470 G + 7471 B +
 * 32768) >> 16. */
void image_luma_row(const uint8_t *rgb, int n, uint8_t *luma);

/* The parts of image_probe and image_decode for one type. */
convoy_status jpeg_probe(const uint8_t *bytes, size_t n, int *width, int *height);
convoy_status jpeg_decode(const uint8_t *bytes, size_t n, int channels,
                          struct image *out);
convoy_status png_probe(const uint8_t *bytes, size_t n, int *width, int *height);
convoy_status png_decode(const uint8_t *bytes, size_t n, int channels,
                         struct image *out);

#endif
