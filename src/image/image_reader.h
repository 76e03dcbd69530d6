/* From the bytes of an image file to a normalised crop, decoding no more than the crop
 * needs.
 *
 *     image_reader_open(reader, bytes, n, &info);     the size, to choose a crop by
 *     image_reader_crop(reader, &crop, &planes);
 *
 * Of a JPEG only the crop's rows and columns are decoded, at 1/2, 1/4 or 1/8 of the
 * resolution where that still has a pixel for every one that is wanted; the box is
 * scaled exactly, so nothing moves. With crop.exact the result is that of image_decode
 * and image_write_crop, bit for bit. Damage below the crop's last row goes unnoticed:
 * checksums are there for that.
 */
#ifndef IMAGE_IMAGE_READER_H
#define IMAGE_IMAGE_READER_H

#include "image/image.h"

struct image_info {
    enum image_type type;
    int width, height;
};

/* One a thread; keeps its buffers from image to image. Of two readers, each can be used
 * by a thread of its own. */
struct image_reader;

/* New; free with image_reader_destroy, which takes NULL. */
convoy_status image_reader_create(struct image_reader **reader);
void image_reader_destroy(struct image_reader *reader);

/* Reads the header of a file. bytes are borrowed until its crop is made or another file
 * is opened. Errors: FORMAT, as image_probe; no file is open then. */
convoy_status image_reader_open(struct image_reader *reader, const uint8_t *bytes,
                                size_t n, struct image_info *info);

/* Writes a crop of the opened file, converted to to->channels as image_decode does it,
 * and closes the file. Errors: FORMAT (corrupt, or truncated before the crop's end),
 * ARGUMENT (no such box or size, no open file, neither 1 nor 3 channels), MEMORY; to
 * may then be written in part. */
convoy_status image_reader_crop(struct image_reader *reader,
                                const struct image_crop *crop,
                                const struct image_planes *to);

#endif
