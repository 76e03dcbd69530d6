/* What the files of this folder share; nobody else includes it. */
#ifndef IMAGE_IMAGE_INTERNAL_H
#define IMAGE_IMAGE_INTERNAL_H

#include "image/image.h"

/* Sets the size and makes room for the pixels, whose contents are then undefined. */
convoy_status image_shape(struct image *image, int width, int height, int channels);

/* FORMAT where an image file claims a size that nothing sane has (a few bytes can claim
 * gigabytes). type: for the message. */
convoy_status image_check_size(const char *type, uint64_t width, uint64_t height);

/* ARGUMENT for anything but 1 and 3. */
convoy_status image_check_channels(int channels);

/* FORMAT: n bytes that are no image we know. */
convoy_status image_fail_unknown(size_t n);

/* Turns a row of n RGB pixels into luma, as Pillow does: (19595 R + 38470 G + 7471 B +
 * 32768) >> 16. */
void image_luma_row(const uint8_t *rgb, int n, uint8_t *luma);

/* Whole pixels of an image. */
struct region {
    int left, top, width, height;
};

/* A JPEG file that is being read; memory is kept between files. */
struct jpeg_decoder;
convoy_status jpeg_decoder_create(struct jpeg_decoder **decoder);
void jpeg_decoder_destroy(struct jpeg_decoder *decoder);

/* Reads the header. bytes are borrowed until the next open or close. */
convoy_status jpeg_decoder_open(struct jpeg_decoder *decoder, const uint8_t *bytes,
                                size_t n, int *width, int *height);

/* The size of the image that scaling a side of n pixels by eighths/8 gives; pixel j of
 * it stands for the pixels 8j/eighths … 8(j+1)/eighths of the file's. */
int jpeg_scaled(int n, int eighths);

/* Decodes, once after an open, the region of the image scaled by eighths = 1, 2, 4 or
 * 8. *region may come back wider than it went in; out then has that size. Its pixels
 * are those that decoding the whole image (at that scale) gives. What the file holds
 * below the region is not looked at. */
convoy_status jpeg_decoder_read(struct jpeg_decoder *decoder, int eighths, int channels,
                                struct region *region, struct image *out);

/* The parts of image_probe and image_decode for one type. */
convoy_status jpeg_probe(const uint8_t *bytes, size_t n, int *width, int *height);
convoy_status jpeg_decode(const uint8_t *bytes, size_t n, int channels,
                          struct image *out);
convoy_status png_probe(const uint8_t *bytes, size_t n, int *width, int *height);
convoy_status png_decode(const uint8_t *bytes, size_t n, int channels,
                         struct image *out);

/* Prepares resizing the crop of an image of width x height. *needed are the pixels that
 * it will look at. Errors: ARGUMENT (no such box or size). */
convoy_status resize_plan(struct image_scratch *scratch, const struct image_crop *crop,
                          int width, int height, struct region *needed);

/* Writes what was planned. src has the pixels of the planned image from (left, top) on,
 * all that are needed at least. */
convoy_status resize_write(struct image_scratch *scratch, const struct image *src,
                           int left, int top, bool flip, const struct image_planes *to);

#endif
