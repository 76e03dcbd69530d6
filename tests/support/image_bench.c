/* image_bench SIZE FILE...: images a second of one thread, in CPU time, for each step
 * from files to samples of SIZE x SIZE, cropped, flipped and normalised as in training.
 * Steps take turns, image by image, so a busy machine slows all alike; the median of
 * the rounds is printed. */
#include "base/file.h"
#include "base/memory.h"
#include "image/image_reader.h"
#include "load/augment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_ROUNDS = 7, BATCH = 32 };
enum step { READ, DECODE, RESIZE, EXACT, SCALED, N_STEPS };
static const char *const names[N_STEPS] = {
    [READ] = "read the file",
    [DECODE] = "decode whole",
    [RESIZE] = "crop, resize, normalise",
    [EXACT] = "decode the crop, exact: all",
    [SCALED] = "decode the crop, scaled: all",
};

struct bench {
    struct image_reader *reader;
    struct image_scratch *scratch;
    struct image decoded;
    float table[3][256];
    float *batch;
    int size;
    double seconds[N_STEPS][N_ROUNDS];
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static struct image_crop choose(const struct bench *bench, int round, int file)
{
    struct rng rng = augment_stream(1, (uint64_t)round, (uint64_t)file);
    struct box box =
        augment_resized_crop(&rng, bench->decoded.height, bench->decoded.width);
    return (struct image_crop){.box = {box.left, box.top, box.width, box.height},
                               .width = bench->size,
                               .height = bench->size,
                               .flip = augment_flip(&rng)};
}

/* Adds what the step that now ends took. */
static void add(struct bench *bench, enum step step, int round, double *since)
{
    bench->seconds[step][round] += now_s() - *since;
    *since = now_s();
}

static convoy_status run_file(struct bench *bench, const char *path, int round,
                              int file)
{
    convoy_status status = CONVOY_OK;
    struct image_info info;
    char *text = NULL;
    size_t n = 0, side = (size_t)bench->size, slot = (size_t)(file % BATCH);
    const struct image_planes to = {.channels = 3,
                                    .table = (const float(*)[256])bench->table,
                                    .values = bench->batch + slot * 3 * side * side,
                                    .channel = side * side,
                                    .row = side,
                                    .pixel = 1};
    double since = now_s();
    TRY(file_read_all(path, &text, &n));
    const uint8_t *bytes = (const uint8_t *)text;
    add(bench, READ, round, &since);
    TRY(image_decode(bytes, n, 3, &bench->decoded));
    add(bench, DECODE, round, &since);
    struct image_crop crop = choose(bench, round, file);
    since = now_s();
    TRY(image_write_crop(&bench->decoded, &crop, bench->scratch, &to));
    add(bench, RESIZE, round, &since);
    for (int exact = 1; exact >= 0; exact--) {
        crop.exact = exact == 1;
        TRY(image_reader_open(bench->reader, bytes, n, &info));
        TRY(image_reader_crop(bench->reader, &crop, &to));
        add(bench, exact ? EXACT : SCALED, round, &since);
    }
cleanup:
    mem_free(text);
    return status;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print(struct bench *bench, int n_files)
{
    for (int step = 0; step < N_STEPS; step++) {
        double *seconds = bench->seconds[step];
        qsort(seconds, N_ROUNDS, sizeof *seconds, compare);
        double each = seconds[N_ROUNDS / 2] / n_files;
        printf("%-30s %8.3f ms %8.0f img/s\n", names[step], 1e3 * each, 1.0 / each);
    }
}

static convoy_status run(struct bench *bench, char **files, int n_files)
{
    convoy_status status = CONVOY_OK;
    size_t side = (size_t)bench->size;
    TRY(image_reader_create(&bench->reader));
    TRY(image_scratch_create(&bench->scratch));
    TRY(mem_alloc_array(side * side * 3 * BATCH, sizeof *bench->batch,
                        (void **)&bench->batch));
    for (int i = 0; i < 3 * 256; i++)
        bench->table[i / 256][i % 256] = ((float)(i % 256) / 255.0F - 0.45F) / 0.225F;
    for (int round = 0; round < N_ROUNDS; round++)
        for (int file = 0; file < n_files; file++)
            TRY(run_file(bench, files[file], round, file));
    print(bench, n_files);
cleanup:
    image_reader_destroy(bench->reader);
    image_scratch_destroy(bench->scratch);
    image_free(&bench->decoded);
    mem_free(bench->batch);
    return status;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    if (argc < 3 || (bench.size = atoi(argv[1])) < 1) {
        fprintf(stderr, "usage: image_bench SIZE FILE...\n");
        return 2;
    }
    if (run(&bench, argv + 2, argc - 2) == CONVOY_OK)
        return 0;
    fprintf(stderr, "image_bench: %s\n", convoy_status_text());
    return 1;
}
