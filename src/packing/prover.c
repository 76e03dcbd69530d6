/* What an image is, its first bytes say. It is proven when decoding all of it would not
 * fail. A PNG is decoded for that, and a JPEG as a rule, to an eighth of its size: then
 * every code is read, but few pixels are computed.
 *
 * Most JPEGs, though, are headers, one scan, and an end, and are spared most of that:
 * tables and parameters are used, and so found to be wrong, in the first rows, and the
 * decoder, as all others, goes on over wrong codes in a scan. It fails only where the
 * data run out, which the search for the file's end shows. */
#include "packing/prover.h"

#include "base/memory.h"
#include "image/image.h"
#include "image/image_reader.h"
#include "packing/jpeg_outline.h"

#include <string.h>

enum { SHRUNK = 8, FIRST_ROWS = 16, DEFAULT_QUALITY = 90 };

/* Nobody looks at what comes out. */
static const float no_pixels[1][256] = {{0}};

struct prover {
    const convoy_pack_options *options;
    struct image_reader *reader;
    struct image_scratch *scratch;
    struct image decoded, resized;
    float *values;
    size_t capacity;
};

convoy_status prover_create(const convoy_pack_options *options, struct prover **prover)
{
    convoy_status status = CONVOY_OK;
    struct prover *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->options = options;
    TRY(image_reader_create(&made->reader));
    TRY(image_scratch_create(&made->scratch));
    *prover = made;
    made = NULL;
cleanup:
    prover_destroy(made);
    return status;
}

void prover_destroy(struct prover *prover)
{
    if (!prover)
        return;
    image_reader_destroy(prover->reader);
    image_scratch_destroy(prover->scratch);
    image_free(&prover->decoded);
    image_free(&prover->resized);
    mem_free(prover->values);
    mem_free(prover);
}

/* What the bytes are if they are no image that we read: for the message. */
static const char *guess(const uint8_t *bytes, size_t n)
{
    static const struct {
        size_t at, n;
        const char *bytes, *name;
    } kinds[] = {
        {0, 4, "GIF8", "a GIF image"},    {8, 4, "WEBP", "a WebP image"},
        {0, 2, "BM", "a BMP image"},      {0, 4, "II*\0", "a TIFF image"},
        {0, 4, "MM\0*", "a TIFF image"},  {4, 4, "ftyp", "a HEIF or AVIF image"},
        {0, 5, "<html", "a web page"},    {0, 5, "<!DOC", "a web page"},
        {0, 4, "PK\3\4", "a zip archive"}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (n >= kinds[k].at + kinds[k].n &&
            memcmp(bytes + kinds[k].at, kinds[k].bytes, kinds[k].n) == 0)
            return kinds[k].name;
    return NULL;
}

static convoy_status sniff(const uint8_t *bytes, size_t n, convoy_encoding *encoding)
{
    const enum image_type type = image_sniff(bytes, n);
    const char *other = guess(bytes, n);
    *encoding = type == IMAGE_PNG ? CONVOY_ENCODING_PNG : CONVOY_ENCODING_JPEG;
    if (type != IMAGE_UNKNOWN)
        return CONVOY_OK;
    if (n == 0)
        return FAIL(CONVOY_ERROR_FORMAT, "the file is empty, an image is expected");
    if (other)
        return FAIL(CONVOY_ERROR_FORMAT, "is %s, a JPEG or PNG image is expected",
                    other);
    return FAIL(CONVOY_ERROR_FORMAT,
                "%zu bytes that are neither a JPEG nor a PNG image", n);
}

static convoy_status prove(struct prover *prover, const struct image_info *info,
                           const uint8_t *bytes, size_t n_bytes)
{
    convoy_status status = CONVOY_OK;
    const bool is_plain =
        info->type == IMAGE_JPEG && jpeg_outline_is_plain(bytes, n_bytes);
    const int rows = is_plain && info->height > FIRST_ROWS ? FIRST_ROWS : info->height;
    const int w = info->width / SHRUNK, h = rows / SHRUNK;
    const struct image_crop crop = {
        .box = {0, 0, info->width, rows}, .width = w ? w : 1, .height = h ? h : 1};
    const size_t n = (size_t)crop.width * (size_t)crop.height;
    TRY(mem_reserve((void **)&prover->values, &prover->capacity,
                    n * sizeof *prover->values));
    const struct image_planes planes = {.channels = 1,
                                        .table = no_pixels,
                                        .values = prover->values,
                                        .channel = n,
                                        .row = (size_t)crop.width,
                                        .pixel = 1};
    TRY(image_reader_crop(prover->reader, &crop, &planes));
cleanup:
    return status;
}

/* The shorter side of an image whose longer one becomes max_side, rounded. */
static int scale_side(int shorter, int longer, int max_side)
{
    const int64_t side =
        ((int64_t)shorter * max_side * 2 + longer) / (2 * (int64_t)longer);
    return side < 1 ? 1 : (int)side;
}

/* Puts a smaller JPEG into *buffer. */
static convoy_status shrink(struct prover *prover, void **buffer, size_t *capacity,
                            struct new_record *record)
{
    convoy_status status = CONVOY_OK;
    const int side = prover->options->max_side, quality = prover->options->quality;
    struct image *image = &prover->decoded;
    uint8_t *bytes = NULL;
    size_t n = 0;
    TRY(image_decode(*buffer, record->n_bytes, 3, image));
    const struct image_box whole = {0, 0, image->width, image->height};
    const bool wide = image->width >= image->height;
    const int width = wide ? side : scale_side(image->width, image->height, side);
    const int height = wide ? scale_side(image->height, image->width, side) : side;
    TRY(image_resize(image, whole, width, height, prover->scratch, &prover->resized));
    TRY(image_encode_jpeg(&prover->resized, quality ? quality : DEFAULT_QUALITY, &bytes,
                          &n));
    mem_free(*buffer);
    *buffer = bytes;
    *capacity = n;
    *record = (struct new_record){.bytes = bytes,
                                  .n_bytes = n,
                                  .encoding = CONVOY_ENCODING_JPEG,
                                  .width = (uint16_t)width,
                                  .height = (uint16_t)height};
cleanup:
    return status;
}

convoy_status prover_take(struct prover *prover, void **buffer, size_t *capacity,
                          size_t n, struct new_record *record)
{
    convoy_status status = CONVOY_OK;
    const int max_side = prover->options->max_side;
    struct image_info info;
    struct new_record found = {.bytes = *buffer, .n_bytes = n};
    TRY(sniff(*buffer, n, &found.encoding));
    TRY(image_reader_open(prover->reader, *buffer, n, &info));
    found.width = (uint16_t)info.width;
    found.height = (uint16_t)info.height;
    if (max_side > 0 && (info.width > max_side || info.height > max_side))
        TRY(shrink(prover, buffer, capacity, &found));
    else
        TRY(prove(prover, &info, *buffer, n));
    *record = found;
cleanup:
    return status;
}
