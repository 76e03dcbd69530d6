/* From a record to the f32 planes that the net takes: decode, cut, flip, normalise.
 *
 * Normalisation is (v / 255 - mean) / std in f32, each operation rounded once, as
 * torchvision's ToTensor and Normalize do it; a pixel has only 256 values, so it is a
 * table look-up. Raw records (planes) and decoded images (interleaved) differ in
 * strides only; a resized crop of a raw record goes through an interleaved copy.
 *
 * Evaluating, an image file becomes what torchvision's Resize and CenterCrop make of
 * it. Of the resized image only the pixels that the crop shows are computed, from the
 * box of the original behind them. */
#include "load/sample.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* Longer images would take more memory, resized, than any crop of them is worth. */
enum { MAX_ASPECT = 256 };

/* Pixels in memory: value (c, y, x) is at c·channel + y·row + x·pixel. */
struct view {
    const uint8_t *pixels;
    int height, width;
    size_t channel, row, pixel;
};

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static convoy_status check_raw(const struct sample_rules *rules)
{
    const int *record = rules->record, *shape = rules->shape;
    const char *path = pack_path(rules->pack);
    int pad = rules->augment.pad;
    if (record[0] != shape[0])
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: its records have %d channels, the net takes %d: use another "
                    "pack, or give the net %d input channels",
                    path, record[0], shape[0], record[0]);
    if (rules->augment.resized_crop && !rules->evaluate) {
        if (shape[0] == 2)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "%s: resized_crop needs images of 1 or 3 channels, its records "
                        "have 2: switch resized_crop off",
                        path);
        return CONVOY_OK;
    }
    if (record[1] + 2 * pad < shape[1] || record[2] + 2 * pad < shape[2])
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s: its records of %d x %d pixels (height x width), padded by %d, are "
            "smaller than the crop of %d x %d: make the crop smaller or pad more",
            path, record[1], record[2], pad, shape[1], shape[2]);
    return CONVOY_OK;
}

static convoy_status check_images(const struct sample_rules *rules)
{
    const int *shape = rules->shape;
    int least = 1;
    if (shape[0] != 1 && shape[0] != 3)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: image files decode to 1 or 3 channels, the net takes %d",
                    rules->pack ? pack_path(rules->pack) : "images", shape[0]);
    /* Evaluating, CenterCrop pads. */
    if (!rules->evaluate)
        least = larger(shape[1], shape[2]) - 2 * rules->augment.pad;
    if (rules->resize < least || rules->resize > AUGMENT_MAX_RESIZE)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "resizing images to a shorter side of %d, padded by %d, for a crop "
                    "of %d x %d: make resize at least %d and at most %d",
                    rules->resize, rules->augment.pad, shape[1], shape[2], least,
                    AUGMENT_MAX_RESIZE);
    return CONVOY_OK;
}

static void fill_tables(const struct loader_options *options,
                        struct sample_rules *rules)
{
    for (int c = 0; c < options->shape[0]; c++)
        for (int v = 0; v < 256; v++)
            rules->table[c][v] =
                ((float)v / 255.0F - options->mean[c]) / options->std[c];
}

convoy_status sample_rules_init(const convoy_pack *pack,
                                const struct loader_options *options,
                                struct sample_rules *rules)
{
    const convoy_pack_info *info = pack ? convoy_pack_describe(pack) : NULL;
    struct sample_rules made = {
        .pack = pack,
        .raw = info && info->encoding == CONVOY_ENCODING_RAW,
        .augment = options->augment,
        .evaluate = options->evaluate,
        .resize = options->resize,
        .seed = options->seed,
    };
    if (info)
        memcpy(made.record, info->shape, sizeof made.record);
    memcpy(made.shape, options->shape, sizeof made.shape);
    if (made.resize == 0)
        made.resize = (int)lrint(larger(made.shape[1], made.shape[2]) * 256.0 / 224.0);
    convoy_status status = made.raw ? check_raw(&made) : check_images(&made);
    if (status != CONVOY_OK)
        return status;
    fill_tables(options, &made);
    *rules = made;
    return CONVOY_OK;
}

convoy_status sample_buffers_init(struct sample_buffers *buffers)
{
    return image_scratch_create(&buffers->scratch);
}

void sample_buffers_fini(struct sample_buffers *buffers)
{
    mem_free(buffers->record);
    image_free(&buffers->decoded);
    image_free(&buffers->resized);
    image_scratch_destroy(buffers->scratch);
    *buffers = (struct sample_buffers){0};
}

static struct view view_image(const struct image *image)
{
    size_t channels = (size_t)image->channels;
    return (struct view){
        image->pixels, image->height, image->width, 1, channels * (size_t)image->width,
        channels};
}

static struct view view_raw(const uint8_t *bytes, const int shape[3])
{
    size_t height = (size_t)shape[1], width = (size_t)shape[2];
    return (struct view){bytes, shape[1], shape[2], height * width, width, 1};
}

static void fill(float *out, int n, float value)
{
    for (int i = 0; i < n; i++)
        out[i] = value;
}

/* Writes values left … left + n - 1 of the row at src, `width` values `pixel` apart;
 * those outside of the row are padding. */
static void write_row(const uint8_t *src, int width, size_t pixel, int left, int n,
                      const float *table, float *out)
{
    int begin = left < 0 ? -left : 0;
    int end = width - left < n ? width - left : n;
    if (begin >= end) {
        fill(out, n, table[0]);
        return;
    }
    fill(out, begin, table[0]);
    fill(out + end, n - end, table[0]);
    src += (size_t)(left + begin) * pixel;
    for (int i = begin; i < end; i++, src += pixel)
        out[i] = table[*src];
}

static void flip_row(float *row, int n)
{
    for (int i = 0, j = n - 1; i < j; i++, j--) {
        float value = row[i];
        row[i] = row[j];
        row[j] = value;
    }
}

/* out: [c, box.height, box.width] */
static void write_box(const struct sample_rules *rules, const struct view *view,
                      struct box box, bool flip, float *out)
{
    for (int c = 0; c < rules->shape[0]; c++) {
        const uint8_t *plane = view->pixels + (size_t)c * view->channel;
        const float *table = rules->table[c];
        for (int i = 0; i < box.height; i++, out += box.width) {
            int y = box.top + i;
            if (y < 0 || y >= view->height) {
                fill(out, box.width, table[0]);
                continue;
            }
            write_row(plane + (size_t)y * view->row, view->width, view->pixel, box.left,
                      box.width, table, out);
            if (flip)
                flip_row(out, box.width);
        }
    }
}

/* Cuts the box out of the image, in place: enlarging a box of the whole image would let
 * pixels from beside the box in at its edges. */
static void cut(struct image *image, struct box box)
{
    size_t channels = (size_t)image->channels;
    size_t from_row = (size_t)image->width * channels;
    size_t row = (size_t)box.width * channels;
    const uint8_t *from =
        image->pixels + (size_t)box.top * from_row + (size_t)box.left * channels;
    for (int y = 0; y < box.height; y++)
        memmove(image->pixels + (size_t)y * row, from + (size_t)y * from_row, row);
    image->height = box.height;
    image->width = box.width;
}

/* The resized crop of buffers->decoded. */
static convoy_status make_resized_crop(const struct sample_rules *rules,
                                       struct sample_buffers *buffers,
                                       const struct rng *rng, float *out)
{
    struct image *image = &buffers->decoded;
    int h = rules->shape[1], w = rules->shape[2];
    cut(image, augment_resized_crop(rng, image->height, image->width));
    const struct image_box whole = {0, 0, image->width, image->height};
    convoy_status status =
        image_resize(image, whole, w, h, buffers->scratch, &buffers->resized);
    if (status != CONVOY_OK)
        return status;
    struct view view = view_image(&buffers->resized);
    bool flip = rules->augment.flip && augment_flip(rng);
    write_box(rules, &view, (struct box){0, 0, h, w}, flip, out);
    return CONVOY_OK;
}

/* Crops without resizing, random or in the centre. */
static void make_crop(const struct sample_rules *rules, const struct view *view,
                      const struct rng *rng, float *out)
{
    int h = rules->shape[1], w = rules->shape[2], pad = rules->augment.pad;
    bool train = !rules->evaluate;
    bool flip = train && rules->augment.flip && augment_flip(rng);
    struct box box =
        train && pad > 0
            ? augment_random_crop(rng, view->height, view->width, pad, h, w)
            : augment_centre_crop(view->height, view->width, h, w);
    write_box(rules, view, box, flip, out);
}

/* Brings the shorter side of buffers->decoded to rules->resize, into buffers->resized.
 */
static convoy_status resize_shorter(const struct sample_rules *rules,
                                    struct sample_buffers *buffers)
{
    const struct image *image = &buffers->decoded;
    int height = image->height, width = image->width;
    int new_height = 0, new_width = 0;
    if (height > MAX_ASPECT * width || width > MAX_ASPECT * height)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "an image of %d x %d pixels: one side may be at most %d times the "
                    "other; leave it out of the pack",
                    height, width, MAX_ASPECT);
    augment_resized_size(height, width, rules->resize, &new_height, &new_width);
    return image_resize(image, (struct image_box){0, 0, width, height}, new_width,
                        new_height, buffers->scratch, &buffers->resized);
}

/* Resize and CenterCrop of buffers->decoded. */
static convoy_status make_centre(const struct sample_rules *rules,
                                 struct sample_buffers *buffers, float *out)
{
    const struct image *image = &buffers->decoded;
    int height = 0, width = 0;
    augment_resized_size(image->height, image->width, rules->resize, &height, &width);
    struct box box =
        augment_centre_crop(height, width, rules->shape[1], rules->shape[2]);
    /* The part of the resized image within the box. */
    int rows = smaller(height, box.height), columns = smaller(width, box.width);
    int top = larger(box.top, 0), left = larger(box.left, 0);
    double down = (double)image->height / height, across = (double)image->width / width;
    const struct image_box behind = {left * across, top * down, columns * across,
                                     rows * down};
    convoy_status status =
        image_resize(image, behind, columns, rows, buffers->scratch, &buffers->resized);
    if (status != CONVOY_OK)
        return status;
    struct view view = view_image(&buffers->resized);
    box.top = smaller(box.top, 0);
    box.left = smaller(box.left, 0);
    write_box(rules, &view, box, false, out);
    return CONVOY_OK;
}

convoy_status sample_make_file(const struct sample_rules *rules,
                               struct sample_buffers *buffers, const uint8_t *bytes,
                               size_t n, float *images)
{
    convoy_status status = image_decode(bytes, n, rules->shape[0], &buffers->decoded);
    return status == CONVOY_OK ? make_centre(rules, buffers, images) : status;
}

static convoy_status make_image(const struct sample_rules *rules,
                                struct sample_buffers *buffers,
                                const struct pack_record *record, const struct rng *rng,
                                float *out)
{
    if (rules->evaluate)
        return sample_make_file(rules, buffers, record->bytes, record->n_bytes, out);
    struct image *image = &buffers->decoded;
    convoy_status status =
        image_decode(record->bytes, record->n_bytes, rules->shape[0], image);
    if (status != CONVOY_OK)
        return status;
    if (rules->augment.resized_crop)
        return make_resized_crop(rules, buffers, rng, out);
    if (image->height != rules->shape[1] || image->width != rules->shape[2]) {
        status = resize_shorter(rules, buffers);
        if (status != CONVOY_OK)
            return status;
        image = &buffers->resized;
    }
    struct view view = view_image(image);
    make_crop(rules, &view, rng, out);
    return CONVOY_OK;
}

/* Copies planes [c, h, w] to buffers->decoded, [h, w, c]. */
static convoy_status interleave(const uint8_t *planes, const int shape[3],
                                struct sample_buffers *buffers)
{
    size_t channels = (size_t)shape[0], n = (size_t)shape[1] * (size_t)shape[2];
    struct image *image = &buffers->decoded;
    void *pixels = image->pixels;
    convoy_status status = mem_reserve(&pixels, &image->capacity, n * channels);
    image->pixels = pixels;
    if (status != CONVOY_OK)
        return status;
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < n; i++)
            image->pixels[i * channels + c] = planes[c * n + i];
    image->channels = shape[0];
    image->height = shape[1];
    image->width = shape[2];
    return CONVOY_OK;
}

static convoy_status make_raw(const struct sample_rules *rules,
                              struct sample_buffers *buffers,
                              const struct pack_record *record, const struct rng *rng,
                              float *out)
{
    const int *shape = rules->record;
    size_t expected = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    if (record->n_bytes != expected)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%zu bytes, %d x %d x %d values need %zu: pack again",
                    record->n_bytes, shape[0], shape[1], shape[2], expected);
    if (rules->augment.resized_crop && !rules->evaluate) {
        convoy_status status = interleave(record->bytes, shape, buffers);
        if (status != CONVOY_OK)
            return status;
        return make_resized_crop(rules, buffers, rng, out);
    }
    struct view view = view_raw(record->bytes, shape);
    make_crop(rules, &view, rng, out);
    return CONVOY_OK;
}

convoy_status sample_make(const struct sample_rules *rules,
                          struct sample_buffers *buffers, uint64_t epoch,
                          uint64_t record, float *images, int32_t *label)
{
    struct pack_record read;
    convoy_status status =
        pack_read(rules->pack, record, &buffers->record, &buffers->capacity, &read);
    if (status != CONVOY_OK)
        return status;
    struct rng rng = augment_stream(rules->seed, epoch, record);
    status = rules->raw ? make_raw(rules, buffers, &read, &rng, images)
                        : make_image(rules, buffers, &read, &rng, images);
    if (status != CONVOY_OK)
        return status_prefix(status, "%s: record %llu", pack_path(rules->pack),
                             (unsigned long long)record);
    *label = read.label;
    return CONVOY_OK;
}
