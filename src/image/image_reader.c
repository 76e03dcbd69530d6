/* One image file after another, a crop of each: plan the resize, decode what it looks
 * at, write it.
 *
 * A JPEG may be decoded at a scale of 1/2, 1/4 or 1/8, for which libjpeg-turbo has fast
 * code (at 7/8 … 5/8 decoding is slower than at 1). Scaled by s, pixel j stands for the
 * pixels j/s … (j + 1)/s of the file, so the box is multiplied by s and the filter's
 * support with it. */
#include "image/image_reader.h"

#include "image/image_internal.h"

#include "base/memory.h"

enum { FULL = 8 }; /* eighths */

struct image_reader {
    struct jpeg_decoder *jpeg;
    struct image_scratch *scratch;
    struct image decoded;
    const uint8_t *bytes; /* of the open file, or NULL */
    size_t n;
    struct image_info info;
};

convoy_status image_reader_create(struct image_reader **reader)
{
    convoy_status status = CONVOY_OK;
    struct image_reader *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    TRY(jpeg_decoder_create(&made->jpeg));
    TRY(image_scratch_create(&made->scratch));
    *reader = made;
    made = NULL;
cleanup:
    image_reader_destroy(made);
    return status;
}

void image_reader_destroy(struct image_reader *reader)
{
    if (!reader)
        return;
    jpeg_decoder_destroy(reader->jpeg);
    image_scratch_destroy(reader->scratch);
    image_free(&reader->decoded);
    mem_free(reader);
}

convoy_status image_reader_open(struct image_reader *reader, const uint8_t *bytes,
                                size_t n, struct image_info *info)
{
    convoy_status status = CONVOY_OK;
    struct image_info found = {.type = image_sniff(bytes, n)};
    reader->bytes = NULL;
    if (found.type == IMAGE_JPEG)
        TRY(jpeg_decoder_open(reader->jpeg, bytes, n, &found.width, &found.height));
    else if (found.type == IMAGE_PNG)
        TRY(png_probe(bytes, n, &found.width, &found.height));
    else
        TRY(image_fail_unknown(n));
    reader->bytes = bytes;
    reader->n = n;
    reader->info = found;
    *info = found;
cleanup:
    return status;
}

/* The smallest scale at which the box still has a pixel for each one wanted. */
static int choose_eighths(const struct image_crop *crop)
{
    int eighths = FULL;
    while (eighths > 1 && !crop->exact && crop->box.w * eighths >= 16.0 * crop->width &&
           crop->box.h * eighths >= 16.0 * crop->height)
        eighths /= 2;
    return eighths;
}

static convoy_status crop_jpeg(struct image_reader *reader,
                               const struct image_crop *crop,
                               const struct image_planes *to)
{
    convoy_status status = CONVOY_OK;
    int eighths = choose_eighths(crop);
    double scale = eighths / (double)FULL;
    struct image_crop scaled = *crop;
    struct region region;
    scaled.box = (struct image_box){crop->box.x * scale, crop->box.y * scale,
                                    crop->box.w * scale, crop->box.h * scale};
    TRY(resize_plan(reader->scratch, &scaled, jpeg_scaled(reader->info.width, eighths),
                    jpeg_scaled(reader->info.height, eighths), &region));
    TRY(jpeg_decoder_read(reader->jpeg, eighths, to->channels, &region,
                          &reader->decoded));
    TRY(resize_write(reader->scratch, &reader->decoded, region.left, region.top,
                     crop->flip, to));
cleanup:
    return status;
}

convoy_status image_reader_crop(struct image_reader *reader,
                                const struct image_crop *crop,
                                const struct image_planes *to)
{
    convoy_status status = CONVOY_OK;
    const uint8_t *bytes = reader->bytes;
    reader->bytes = NULL;
    if (!bytes)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "a crop of no image: open a file before each"));
    TRY(image_check_channels(to->channels));
    if (reader->info.type == IMAGE_JPEG) {
        TRY(crop_jpeg(reader, crop, to));
    } else {
        TRY(png_decode(bytes, reader->n, to->channels, &reader->decoded));
        TRY(image_write_crop(&reader->decoded, crop, reader->scratch, to));
    }
cleanup:
    return status;
}
