/* From a record to the f32 planes that the net takes: decode, crop, flip,
 * TrivialAugmentWide, jitter, normalise, erase.
 *
 * Normalisation is (v / 255 - mean) / std in f32, each operation rounded once, as
 * torchvision's ToTensor and Normalize do it; a pixel has only 256 values, so it is a
 * table look-up, made as the resized pixels are written. With colour jitter the table
 * only scales to [0, 1], and the rest follows in passes of its own.
 *
 * TrivialAugmentWide works on the crop's u8 planes, which then go through the table.
 *
 * An image file that is resized as a whole before its crop (Resize, then a crop) never
 * is: only the pixels that the crop shows are computed, from the box of the original
 * behind them. Raw records (planes) are copied row by row; a resized crop of one goes
 * through an interleaved copy. */
#include "load/sample.h"

#include "base/memory.h"
#include "load/jitter.h"
#include "load/trivial.h"

#include <math.h>
#include <string.h>

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
    if (shape[0] == 2 && (rules->jittered || rules->trivial ||
                          (rules->augment.resized_crop && !rules->evaluate)))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: resized_crop, trivial and colour jitter need images of 1 or 3 "
                    "channels, its records have 2: switch them off",
                    path);
    if (rules->augment.resized_crop && !rules->evaluate)
        return CONVOY_OK;
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

static void fill_tables(struct sample_rules *rules)
{
    for (int c = 0; c < rules->shape[0]; c++)
        for (int v = 0; v < 256; v++)
            rules->table[c][v] =
                rules->jittered ? (float)v / 255.0F
                                : ((float)v / 255.0F - rules->mean[c]) / rules->std[c];
}

static bool is_jittered(const struct loader_options *options)
{
    const struct augment *a = &options->augment;
    return !options->evaluate &&
           (a->brightness > 0 || a->contrast > 0 || a->saturation > 0 || a->hue > 0);
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
        .jittered = is_jittered(options),
        .trivial = options->augment.trivial && !options->evaluate,
    };
    if (info)
        memcpy(made.record, info->shape, sizeof made.record);
    memcpy(made.shape, options->shape, sizeof made.shape);
    if (made.resize == 0)
        made.resize = (int)lrint(larger(made.shape[1], made.shape[2]) * 256.0 / 224.0);
    convoy_status status = made.raw ? check_raw(&made) : check_images(&made);
    if (status != CONVOY_OK)
        return status;
    memcpy(made.mean, options->mean, sizeof made.mean);
    memcpy(made.std, options->std, sizeof made.std);
    fill_tables(&made);
    *rules = made;
    return CONVOY_OK;
}

convoy_status sample_rules_of_all(const convoy_pack *pack,
                                  const struct loader_options *options,
                                  struct sample_rules *rules)
{
    struct loader_options of_one = *options;
    convoy_status status = CONVOY_OK;
    if (!options->crops)
        return sample_rules_init(pack, options, rules);
    for (int i = 0; status == CONVOY_OK && i < options->n_crops; i++) {
        of_one.shape[1] = of_one.shape[2] = options->crops[i].side;
        status = sample_rules_init(pack, &of_one, &rules[i]);
    }
    return status;
}

size_t sample_values(const struct sample_rules *rules)
{
    return (size_t)rules->shape[0] * (size_t)rules->shape[1] * (size_t)rules->shape[2];
}

convoy_status sample_buffers_init(struct sample_buffers *buffers)
{
    convoy_status status = image_scratch_create(&buffers->scratch);
    if (status == CONVOY_OK)
        status = image_reader_create(&buffers->reader);
    if (status != CONVOY_OK)
        sample_buffers_fini(buffers);
    return status;
}

void sample_buffers_fini(struct sample_buffers *buffers)
{
    mem_free(buffers->record);
    mem_free(buffers->planes);
    image_reader_destroy(buffers->reader);
    image_free(&buffers->interleaved);
    image_scratch_destroy(buffers->scratch);
    *buffers = (struct sample_buffers){0};
}

static struct view view_raw(const uint8_t *bytes, const int shape[3])
{
    size_t height = (size_t)shape[1], width = (size_t)shape[2];
    return (struct view){bytes, shape[1], shape[2], height * width, width, 1};
}

/* Where a sample's values go. */
static struct image_planes planes_of(const struct sample_rules *rules, float *out)
{
    const size_t h = (size_t)rules->shape[1], w = (size_t)rules->shape[2];
    return (struct image_planes){.channels = rules->shape[0],
                                 .table = rules->table,
                                 .values = out,
                                 .channel = h * w,
                                 .row = w,
                                 .pixel = 1};
}

static void fill(float *out, int n, float value)
{
    for (int i = 0; i < n; i++)
        out[i] = value;
}

/* n padded values from value `at` of channel c on. */
static void pad(const struct image_planes *to, int c, size_t at, int n)
{
    at += (size_t)c * to->channel;
    if (n <= 0)
        return;
    if (to->bytes)
        memset(to->bytes + at, 0, (size_t)n);
    else
        fill(to->values + at, n, to->table[c][0]);
}

/* Values begin … end - 1 of a row whose first is value `at` of channel c, flipped where
 * step is -1. src: the first of these, the next ones `pixel` apart. */
static void put(const struct image_planes *to, int c, size_t at, int n, int step,
                const uint8_t *src, size_t pixel)
{
    at += (size_t)c * to->channel;
    for (int i = 0; i < n; i++, src += pixel) {
        const size_t x = at + (size_t)(step * i);
        if (to->bytes)
            to->bytes[x] = *src;
        else
            to->values[x] = to->table[c][*src];
    }
}

/* Row i of the box of channel c. What is outside of the view is padding. */
static void write_row(const struct view *view, struct box box, bool flip, int c, int i,
                      const struct image_planes *to)
{
    const int y = box.top + i, n = box.width;
    const int begin = smaller(larger(-box.left, 0), n);
    const int end = larger(smaller(view->width - box.left, n), begin);
    const size_t at = (size_t)i * to->row;
    if (y < 0 || y >= view->height || begin == end) {
        pad(to, c, at, n);
        return;
    }
    const int before = flip ? n - end : begin, behind = flip ? begin : n - end;
    pad(to, c, at, before);
    pad(to, c, at + (size_t)(n - behind), behind);
    put(to, c, at + (size_t)(flip ? n - 1 - begin : begin), end - begin, flip ? -1 : 1,
        view->pixels + (size_t)c * view->channel + (size_t)y * view->row +
            (size_t)(box.left + begin) * view->pixel,
        view->pixel);
}

static void write_box(const struct view *view, struct box box, bool flip,
                      const struct image_planes *to)
{
    for (int c = 0; c < to->channels; c++)
        for (int i = 0; i < box.height; i++)
            write_row(view, box, flip, c, i, to);
}

/* RandomResizedCrop of an image of height x width, and the flip. */
static struct image_crop choose_crop(const struct sample_rules *rules,
                                     const struct rng *rng, int height, int width)
{
    const struct box box = augment_resized_crop(rng, height, width);
    return (struct image_crop){
        .box = {box.left, box.top, box.width, box.height},
        .width = rules->shape[2],
        .height = rules->shape[1],
        .flip = rules->augment.flip && augment_flip(rng),
        .exact = rules->augment.resized_crop == AUGMENT_CROP_EXACT,
    };
}

/* Crops without resizing: random, of the padded image, or in the centre. */
static struct box choose_box(const struct sample_rules *rules, const struct rng *rng,
                             int height, int width)
{
    int h = rules->shape[1], w = rules->shape[2], pad = rules->augment.pad;
    return !rules->evaluate && pad > 0
               ? augment_random_crop(rng, height, width, pad, h, w)
               : augment_centre_crop(height, width, h, w);
}

static bool choose_flip(const struct sample_rules *rules, const struct rng *rng)
{
    return !rules->evaluate && rules->augment.flip && augment_flip(rng);
}

/* Where a part of an image comes from: the box of what the image becomes resized. */
struct part {
    int height, width;         /* of the image */
    int new_height, new_width; /* resized */
    struct box box;
    bool flip;
};

/* The part of the open image, the rest of the box padded. */
static convoy_status write_part(struct sample_buffers *buffers, const struct part *part,
                                const struct image_planes *out)
{
    const struct box box = part->box;
    const int top = larger(box.top, 0), left = larger(box.left, 0);
    const int rows = smaller(box.top + box.height, part->new_height) - top;
    const int columns = smaller(box.left + box.width, part->new_width) - left;
    const double down = (double)part->height / part->new_height,
                 across = (double)part->width / part->new_width;
    const struct image_crop crop = {
        .box = {left * across, top * down, columns * across, rows * down},
        .width = columns,
        .height = rows,
        .beside = true,
        .flip = part->flip,
        .exact = true,
    };
    for (int c = 0; c < out->channels && (rows < box.height || columns < box.width);
         c++)
        pad(out, c, 0, (int)out->channel);
    if (rows <= 0 || columns <= 0)
        return CONVOY_OK;
    const int before = left - box.left, behind = box.width - columns - before;
    const size_t at = (size_t)(top - box.top) * out->row +
                      (size_t)(part->flip ? behind : before) * out->pixel;
    struct image_planes to = *out;
    if (to.bytes)
        to.bytes += at;
    else
        to.values += at;
    return image_reader_crop(buffers->reader, &crop, &to);
}

/* Opens an image file and finds what it becomes resized: its shorter side rules->resize
 * pixels long; itself where it has the sample's size in training. */
static convoy_status open_image(const struct sample_rules *rules,
                                struct sample_buffers *buffers, const uint8_t *bytes,
                                size_t n, struct part *part)
{
    struct image_info info;
    convoy_status status = image_reader_open(buffers->reader, bytes, n, &info);
    if (status != CONVOY_OK)
        return status;
    part->height = part->new_height = info.height;
    part->width = part->new_width = info.width;
    if (rules->evaluate || info.height != rules->shape[1] ||
        info.width != rules->shape[2])
        augment_resized_size(info.height, info.width, rules->resize, &part->new_height,
                             &part->new_width);
    return CONVOY_OK;
}

convoy_status sample_make_file(const struct sample_rules *rules,
                               struct sample_buffers *buffers, const uint8_t *bytes,
                               size_t n, float *images)
{
    struct part part = {0};
    convoy_status status = open_image(rules, buffers, bytes, n, &part);
    if (status != CONVOY_OK)
        return status;
    part.box = augment_centre_crop(part.new_height, part.new_width, rules->shape[1],
                                   rules->shape[2]);
    const struct image_planes to = planes_of(rules, images);
    return write_part(buffers, &part, &to);
}

static convoy_status make_image(const struct sample_rules *rules,
                                struct sample_buffers *buffers,
                                const struct pack_record *record, const struct rng *rng,
                                const struct image_planes *to)
{
    struct part part = {0};
    convoy_status status =
        open_image(rules, buffers, record->bytes, record->n_bytes, &part);
    if (status != CONVOY_OK)
        return status;
    if (rules->augment.resized_crop && !rules->evaluate) {
        const struct image_crop crop = choose_crop(rules, rng, part.height, part.width);
        return image_reader_crop(buffers->reader, &crop, to);
    }
    part.box = choose_box(rules, rng, part.new_height, part.new_width);
    part.flip = choose_flip(rules, rng);
    return write_part(buffers, &part, to);
}

/* Copies planes [c, h, w] to buffers->interleaved, [h, w, c]. */
static convoy_status interleave(const uint8_t *planes, const int shape[3],
                                struct sample_buffers *buffers)
{
    size_t channels = (size_t)shape[0], n = (size_t)shape[1] * (size_t)shape[2];
    struct image *image = &buffers->interleaved;
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

/* A resized crop of a raw record. */
static convoy_status make_raw_resized(const struct sample_rules *rules,
                                      struct sample_buffers *buffers,
                                      const uint8_t *bytes, const struct rng *rng,
                                      const struct image_planes *to)
{
    const int *shape = rules->record;
    const struct image_crop crop = choose_crop(rules, rng, shape[1], shape[2]);
    convoy_status status = interleave(bytes, shape, buffers);
    if (status == CONVOY_OK)
        status = image_write_crop(&buffers->interleaved, &crop, buffers->scratch, to);
    return status;
}

static convoy_status make_raw(const struct sample_rules *rules,
                              struct sample_buffers *buffers,
                              const struct pack_record *record, const struct rng *rng,
                              const struct image_planes *to)
{
    const int *shape = rules->record;
    size_t expected = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    if (record->n_bytes != expected)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%zu bytes, %d x %d x %d values need %zu: pack again",
                    record->n_bytes, shape[0], shape[1], shape[2], expected);
    if (rules->augment.resized_crop && !rules->evaluate)
        return make_raw_resized(rules, buffers, record->bytes, rng, to);
    struct view view = view_raw(record->bytes, shape);
    write_box(&view, choose_box(rules, rng, shape[1], shape[2]),
              choose_flip(rules, rng), to);
    return CONVOY_OK;
}

static convoy_status make_crop(const struct sample_rules *rules,
                               struct sample_buffers *buffers,
                               const struct pack_record *record, const struct rng *rng,
                               const struct image_planes *to)
{
    return rules->raw ? make_raw(rules, buffers, record, rng, to)
                      : make_image(rules, buffers, record, rng, to);
}

/* The crop as bytes, TrivialAugmentWide's operation, and the table. */
static convoy_status make_trivial(const struct sample_rules *rules,
                                  struct sample_buffers *buffers,
                                  const struct pack_record *record,
                                  const struct rng *rng, float *out)
{
    convoy_status status = CONVOY_OK;
    struct image_planes to = planes_of(rules, NULL);
    const size_t n = to.channel * (size_t)to.channels;
    TRY(mem_reserve(&buffers->planes, &buffers->planes_capacity, 2 * n));
    to.bytes = buffers->planes;
    TRY(make_crop(rules, buffers, record, rng, &to));
    const struct trivial_image crop = {to.bytes, to.channels, rules->shape[1],
                                       rules->shape[2]};
    const struct augment_trivial drawn = augment_trivial(rng);
    trivial_write(&drawn, &crop, to.bytes + n, rules->table, out);
cleanup:
    return status;
}

/* ColorJitter and Normalize. */
static void adjust(const struct sample_rules *rules, const struct rng *rng, float *out)
{
    const size_t n = (size_t)rules->shape[1] * (size_t)rules->shape[2];
    const struct augment_jitter jitter = augment_jitter(rng, &rules->augment);
    jitter_apply(&jitter, out, rules->shape[0], n);
    for (int c = 0; c < rules->shape[0]; c++, out += n)
        for (size_t i = 0; i < n; i++)
            out[i] = (out[i] - rules->mean[c]) / rules->std[c];
}

static void erase(const struct sample_rules *rules, const struct rng *rng, float *out)
{
    const int h = rules->shape[1], w = rules->shape[2];
    struct box box;
    if (!augment_erasing(rng, rules->augment.erasing, h, w, &box))
        return;
    for (int c = 0; c < rules->shape[0]; c++)
        for (int y = box.top; y < box.top + box.height; y++)
            fill(out + ((size_t)c * (size_t)h + (size_t)y) * (size_t)w + box.left,
                 box.width, 0.0F);
}

convoy_status sample_make_of(const struct sample_rules *rules,
                             struct sample_buffers *buffers, uint64_t epoch,
                             uint64_t sample, const struct pack_record *read,
                             float *images)
{
    struct rng rng = augment_stream(rules->seed, epoch, sample);
    const struct image_planes to = planes_of(rules, images);
    convoy_status status = rules->trivial
                               ? make_trivial(rules, buffers, read, &rng, images)
                               : make_crop(rules, buffers, read, &rng, &to);
    if (status != CONVOY_OK)
        return status_prefix(status, "%s: record %u", pack_path(rules->pack),
                             (uint32_t)sample);
    if (rules->jittered)
        adjust(rules, &rng, images);
    if (!rules->evaluate && rules->augment.erasing > 0)
        erase(rules, &rng, images);
    return CONVOY_OK;
}

convoy_status sample_make(const struct sample_rules *rules,
                          struct sample_buffers *buffers, uint64_t epoch,
                          uint64_t record, float *images, int32_t *label)
{
    convoy_status status = CONVOY_OK;
    struct pack_record read;
    TRY(pack_read(rules->pack, record, &buffers->record, &buffers->capacity, &read));
    TRY(sample_make_of(rules, buffers, epoch, record, &read, images));
    *label = read.label;
cleanup:
    return status;
}
