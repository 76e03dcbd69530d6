/* What loading costs, stage by stage, and all of it as training does it.
 *
 * Each stage runs on the same records with all threads at once: reading (with the
 * checksum), decoding whole images, random resized crops of decoded images, and
 * normalising into the net's layout. Their speeds are images a second of CPU time,
 * which other programs on the machine distort little. `all` is the loader itself, which
 * decodes only what the crop needs and normalises as it resizes: its speed is usually
 * better than the stages' sum. Stages alternate, round by round, and a stage's speed is
 * that of its median round. */
#include <convoy/bench.h>

#include "base/clock.h"
#include "base/memory.h"
#include "image/image.h"
#include "load/loader.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { N_ROUNDS = 5, CROP = 224, DEFAULT_IMAGES = 1024, MICROBATCH = 32 };

enum stage { STAGE_READ, STAGE_DECODE, STAGE_RESIZE, STAGE_NORMALISE, N_STAGES };

/* A thread's own. */
struct hand {
    void *record;
    size_t capacity;
    struct image decoded, resized;
    struct image_scratch *scratch;
    float *sample;
    double cpu_s[N_STAGES]; /* in this round */
};

struct bench {
    convoy_pack *pack;
    bool raw;
    struct loader_options options;
    float table[3][256];
    uint32_t *records; /* [n]: which to use */
    int n, n_threads;
    struct hand *hands; /* [n_threads] */
    struct loader *loader;
    double speed[N_STAGES][N_ROUNDS], all[N_ROUNDS], wall[N_ROUNDS];
    uint64_t bytes;
};

static double process_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec +
           (double)usage.ru_stime.tv_sec + 1e-6 * (double)usage.ru_stime.tv_usec;
}

/* All that there is, with the values of torchvision's references. */
static void augment_fully(struct augment *augment)
{
    augment->trivial = true;
    augment->brightness = augment->contrast = augment->saturation = 0.4;
    augment->hue = 0.1;
    augment->erasing = 0.1;
    augment->mixup = 0.2;
    augment->cutmix = 1;
}

/* ImageNet's augmentation for image files; raw records are taken whole. */
static void choose_options(struct bench *b, const convoy_bench_loader_options *o)
{
    static const float mean[] = {0.485F, 0.456F, 0.406F},
                       std[] = {0.229F, 0.224F, 0.225F};
    const convoy_pack_info *info = convoy_pack_describe(b->pack);
    const int side = o->crop > 0 ? o->crop : CROP;
    struct loader_options *l = &b->options;
    b->raw = info->encoding == CONVOY_ENCODING_RAW;
    *l = (struct loader_options){
        .microbatch = info->n_records < MICROBATCH ? (int)info->n_records : MICROBATCH,
        .n_microbatches = 1,
        .count = 1,
        .shape = {3, side, side},
        .augment = {.resized_crop = o->exact ? AUGMENT_CROP_EXACT : AUGMENT_CROP_SCALED,
                    .flip = true},
        .shuffle = true,
        .seed = 1,
        .n_threads = b->n_threads,
    };
    if (b->raw && o->crop == 0) {
        memcpy(l->shape, info->shape, sizeof l->shape);
        l->augment.resized_crop = AUGMENT_CROP_OFF;
    }
    if (o->augment)
        augment_fully(&l->augment);
    l->shape[0] = b->raw ? info->shape[0] : 3;
    memcpy(l->mean, mean, sizeof mean);
    memcpy(l->std, std, sizeof std);
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            b->table[c][v] = ((float)v / 255.0F - mean[c]) / std[c];
}

static convoy_status create_hands(struct bench *b)
{
    convoy_status status = CONVOY_OK;
    const int *shape = b->options.shape;
    const size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    TRY(mem_alloc_array((size_t)b->n_threads, sizeof *b->hands, (void **)&b->hands));
    for (int t = 0; t < b->n_threads; t++) {
        TRY(image_scratch_create(&b->hands[t].scratch));
        TRY(mem_alloc_array(n, sizeof(float), (void **)&b->hands[t].sample));
    }
cleanup:
    return status;
}

/* The records at the beginning of an epoch, again and again in a small pack. */
static convoy_status choose_records(struct bench *b, int wanted)
{
    convoy_status status = CONVOY_OK;
    uint32_t *order = NULL;
    const uint64_t n = convoy_pack_describe(b->pack)->n_records;
    const int m = b->options.microbatch;
    b->n = (wanted + m - 1) / m * m;
    TRY(loader_order(n, b->options.seed, 0, &order));
    TRY(mem_alloc_array((size_t)b->n, sizeof *b->records, (void **)&b->records));
    for (int i = 0; i < b->n; i++) {
        b->records[i] = order[(uint64_t)i % n];
        b->bytes += pack_record_bytes(b->pack, b->records[i]);
    }
cleanup:
    mem_free(order);
    return status;
}

static convoy_status prepare(struct bench *b, const char *path,
                             const convoy_bench_loader_options *o)
{
    convoy_status status = CONVOY_OK;
    b->n_threads = o->threads > 0 ? o->threads : 1;
    TRY(convoy_pack_open(path, &b->pack));
    choose_options(b, o);
    TRY(loader_create(b->pack, &b->options, &b->loader));
    TRY(choose_records(b, o->images > 0 ? o->images : DEFAULT_IMAGES));
    TRY(create_hands(b));
cleanup:
    return status;
}

static void free_bench(struct bench *b)
{
    for (int t = 0; t < b->n_threads && b->hands; t++) {
        mem_free(b->hands[t].record);
        image_free(&b->hands[t].decoded);
        image_free(&b->hands[t].resized);
        image_scratch_destroy(b->hands[t].scratch);
        mem_free(b->hands[t].sample);
    }
    mem_free(b->hands);
    loader_destroy(b->loader);
    mem_free(b->records);
    convoy_pack_close(b->pack);
}

/* [h, w, c] to normalised [c, h, w]. */
static void normalise(const struct bench *b, const uint8_t *pixels, size_t n,
                      float *out)
{
    const int channels = b->options.shape[0];
    for (int c = 0; c < channels; c++, out += n)
        for (size_t i = 0; i < n; i++)
            out[i] = b->table[c][pixels[i * (size_t)channels + (size_t)c]];
}

/* An image file through all stages, each timed. */
static convoy_status take_image(const struct bench *b, struct hand *hand,
                                const struct pack_record *record, const struct rng *rng)
{
    convoy_status status = CONVOY_OK;
    const int *shape = b->options.shape;
    double start = clock_thread_s();
    TRY(image_decode(record->bytes, record->n_bytes, shape[0], &hand->decoded));
    double decoded = clock_thread_s();
    const struct box box =
        augment_resized_crop(rng, hand->decoded.height, hand->decoded.width);
    TRY(image_resize(&hand->decoded,
                     (struct image_box){box.left, box.top, box.width, box.height},
                     shape[2], shape[1], hand->scratch, &hand->resized));
    double resized = clock_thread_s();
    normalise(b, hand->resized.pixels, (size_t)shape[1] * (size_t)shape[2],
              hand->sample);
    double normalised = clock_thread_s();
    hand->cpu_s[STAGE_DECODE] += decoded - start;
    hand->cpu_s[STAGE_RESIZE] += resized - decoded;
    hand->cpu_s[STAGE_NORMALISE] += normalised - resized;
cleanup:
    return status;
}

static convoy_status take_record(const struct bench *b, struct hand *hand, int i)
{
    convoy_status status = CONVOY_OK;
    struct pack_record record;
    const struct rng rng = augment_stream(1, 0, (uint64_t)i);
    const double start = clock_thread_s();
    TRY(pack_read(b->pack, b->records[i], &hand->record, &hand->capacity, &record));
    hand->cpu_s[STAGE_READ] += clock_thread_s() - start;
    if (!b->raw) {
        status = take_image(b, hand, &record, &rng);
        if (status != CONVOY_OK)
            status_prefix(status, "%s: record %u", pack_path(b->pack), b->records[i]);
    }
cleanup:
    return status;
}

/* One round of the stages. */
static convoy_status run_stages(struct bench *b, int round)
{
    struct failure failure = {0};
    for (int t = 0; t < b->n_threads; t++)
        memset(b->hands[t].cpu_s, 0, sizeof b->hands[t].cpu_s);
#pragma omp parallel for schedule(dynamic) num_threads(b->n_threads)
    for (int i = 0; i < b->n; i++) {
        const convoy_status status = take_record(b, &b->hands[omp_get_thread_num()], i);
        if (status != CONVOY_OK)
#pragma omp critical
            status_save(status, &failure);
    }
    for (int s = 0; s < N_STAGES; s++) {
        double cpu_s = 0;
        for (int t = 0; t < b->n_threads; t++)
            cpu_s += b->hands[t].cpu_s[s];
        b->speed[s][round] = cpu_s > 0 ? b->n / cpu_s : 0;
    }
    return failure.status == CONVOY_OK ? CONVOY_OK : status_restore(&failure);
}

/* One round of the loader as training uses it. Microbatches are taken faster than they
 * are made, so at the end no more than a few samples have been made that are not taken.
 */
static convoy_status run_all(struct bench *b, int round)
{
    convoy_status status = CONVOY_OK;
    TRY(loader_start(b->loader, 0));
    const double start = clock_now_s(), cpu = process_s();
    for (int done = 0; done < b->n; done += b->options.microbatch) {
        struct batch batch;
        TRY(loader_next(b->loader, &batch));
        loader_release(b->loader, &batch);
    }
    b->wall[round] = b->n / (clock_now_s() - start);
    b->all[round] = b->n / (process_s() - cpu);
cleanup:
    return status;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *rounds)
{
    qsort(rounds, N_ROUNDS, sizeof *rounds, ascending);
    return rounds[N_ROUNDS / 2];
}

convoy_status convoy_bench_loader(const char *path,
                                  const convoy_bench_loader_options *options,
                                  convoy_bench_loader_result *result)
{
    convoy_status status = CONVOY_OK;
    struct bench b = {0};
    TRY(prepare(&b, path, options));
    for (int round = 0; round < N_ROUNDS; round++) {
        TRY(run_stages(&b, round));
        TRY(run_all(&b, round));
    }
    const double mb = (double)b.bytes / b.n / 1e6;
    *result = (convoy_bench_loader_result){
        .shape = {b.options.shape[0], b.options.shape[1], b.options.shape[2]},
        .threads = b.n_threads,
        .images = b.n,
        .read = median(b.speed[STAGE_READ]),
        .decode = median(b.speed[STAGE_DECODE]),
        .resize = median(b.speed[STAGE_RESIZE]),
        .normalise = median(b.speed[STAGE_NORMALISE]),
        .all = median(b.all),
        .images_per_s = median(b.wall),
    };
    result->read_mb_per_s = result->read * mb;
    result->mb_per_s = result->images_per_s * mb;
cleanup:
    free_bench(&b);
    return status;
}
