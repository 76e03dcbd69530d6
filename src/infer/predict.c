/* From image files to the probabilities of classes.
 *
 * Some files at a time are shared out over lanes, each of which decodes, prepares and
 * computes one image after the other. In a larger microbatch the last bits would depend
 * on its size and on an image's place in it; so a file's prediction is the same
 * whatever files come with it. Probabilities are the softmax of the net's f32 logits,
 * in double.
 */
#include <convoy/predict.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "infer/inference.h"
#include "infer/mirror.h"
#include "load/sample.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ROWS_PER_LANE = 16, DEFAULT_TOP = 5, NUMBER_SIZE = 12 };

/* A larger file is no image: its pixels would be more than image.h reads. */
static const int64_t max_bytes = INT64_C(1) << 30;

/* What a lane works with. */
struct hand {
    struct sample_buffers buffers;
    float *image; /* [c, h, w] */
};

/* One of the files that are computed together. */
struct row {
    struct failure failure; /* status OK: the logits are there */
    float *logits;          /* [n_classes] */
};

struct predictor {
    struct inference inference;
    struct cores cores;
    struct lanes *lanes;
    struct net_lanes *net_lanes;
    struct sample_rules rules;
    int n_hands, n_rows;
    struct hand *hands; /* [n_hands], one a lane */
    struct row *rows;   /* [n_rows] */
    int n_classes, n_top;
    int *order;                    /* [n_classes] */
    convoy_class_probability *top; /* [n_top] */
    char (*numbers)[NUMBER_SIZE];  /* [n_top]: names of classes that have none */

    /* The files at work: */
    const char *const *files;
    int n_files;
    atomic_int next;
};

static convoy_status create_hands(struct predictor *p)
{
    convoy_status status = CONVOY_OK;
    const int *shape = p->inference.loading.shape;
    const size_t floats = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    const int n = lanes_n(p->lanes);
    TRY(mem_alloc_array((size_t)n, sizeof *p->hands, (void **)&p->hands));
    for (; p->n_hands < n; p->n_hands++) {
        struct hand *hand = &p->hands[p->n_hands];
        TRY(mem_alloc_array(floats, sizeof *hand->image, (void **)&hand->image));
        status = sample_buffers_init(&hand->buffers);
        if (status != CONVOY_OK) {
            mem_free(hand->image);
            goto cleanup;
        }
    }
cleanup:
    return status;
}

static convoy_status allocate(struct predictor *p)
{
    convoy_status status = CONVOY_OK;
    const size_t n_classes = (size_t)p->n_classes, n_top = (size_t)p->n_top;
    TRY(create_hands(p));
    p->n_rows = ROWS_PER_LANE * lanes_n(p->lanes);
    TRY(mem_alloc_array((size_t)p->n_rows, sizeof *p->rows, (void **)&p->rows));
    for (int i = 0; i < p->n_rows; i++)
        TRY(mem_alloc_array(n_classes, sizeof *p->rows[i].logits,
                            (void **)&p->rows[i].logits));
    TRY(mem_alloc_array(n_classes, sizeof *p->order, (void **)&p->order));
    TRY(mem_alloc_array(n_top, sizeof *p->top, (void **)&p->top));
    TRY(mem_alloc_array(n_top, sizeof *p->numbers, (void **)&p->numbers));
cleanup:
    return status;
}

static void destroy(struct predictor *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_hands; i++) {
        sample_buffers_fini(&p->hands[i].buffers);
        mem_free(p->hands[i].image);
    }
    for (int i = 0; i < p->n_rows && p->rows; i++)
        mem_free(p->rows[i].logits);
    net_lanes_destroy(p->net_lanes);
    lanes_destroy(p->lanes);
    cores_free(&p->cores);
    inference_close(&p->inference);
    mem_free(p->hands);
    mem_free(p->rows);
    mem_free(p->order);
    mem_free(p->top);
    mem_free(p->numbers);
    mem_free(p);
}

/* The net, a copy a lane; no more lanes than there are files. */
static convoy_status create_lanes(struct predictor *p,
                                  const convoy_predict_options *options, size_t n)
{
    convoy_status status = CONVOY_OK;
    struct compiled *plan = NULL;
    const int threads = options->threads > 0 ? options->threads : 1;
    const struct compile_options compiling = {
        .n = 1, .type = dnnl_f32, .threads = threads};
    const struct inference_lanes wanted = {.lanes = options->lanes,
                                           .threads = threads,
                                           .microbatches =
                                               n < INT_MAX ? (int)n : INT_MAX,
                                           .left_bytes = limits_memory_left()};
    TRY(cores_here(&p->cores));
    TRY(net_plan(p->inference.net, &compiling, &plan));
    TRY(inference_lanes(&wanted, plan, &p->cores, &p->lanes));
    struct compiled *taken = plan;
    plan = NULL;
    TRY(net_lanes_create(p->lanes, taken, NULL, &p->net_lanes));
cleanup:
    compiled_destroy(plan);
    return status;
}

static convoy_status create(const char *weights, const convoy_predict_options *options,
                            size_t n, struct predictor **predictor)
{
    convoy_status status = CONVOY_OK;
    struct predictor *p = NULL;
    const int top = options->top > 0 ? options->top : DEFAULT_TOP;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    p->inference.ema = options->ema;
    TRY(inference_open(NULL, weights, &p->inference));
    TRY(inference_build(&p->inference));
    const convoy_net *net = p->inference.net;
    p->n_classes = (int)net->nodes[net->logits].shape.c;
    p->n_top = top < p->n_classes ? top : p->n_classes;
    p->inference.loading.evaluate = true;
    TRY(sample_rules_init(NULL, &p->inference.loading, &p->rules));
    TRY(create_lanes(p, options, n));
    TRY(allocate(p));
    TRY(inference_load(&p->inference));
    TRY(net_lanes_refresh(p->net_lanes));
    *predictor = p;
    p = NULL;
cleanup:
    destroy(p);
    return status;
}

/* What would be waited for or read for ever, or into all memory, is refused first. */
static convoy_status check_file(const char *file)
{
    struct stat info;
    if (stat(file, &info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", file, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: is a folder; name the images in it, as in %s/*.jpg", file,
                    file);
    if (!S_ISREG(info.st_mode))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: not a regular file, a JPEG or PNG image is expected", file);
    if (info.st_size > max_bytes)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: has %lld bytes, too many for a JPEG or PNG image", file,
                    (long long)info.st_size);
    return CONVOY_OK;
}

static convoy_status prepare(struct predictor *p, struct hand *hand, const char *file)
{
    convoy_status status = CONVOY_OK;
    char *bytes = NULL;
    size_t n = 0;
    TRY(check_file(file));
    TRY(file_read_all(file, &bytes, &n));
    status = sample_make_file(&p->rules, &hand->buffers, (const uint8_t *)bytes, n,
                              hand->image);
    if (status != CONVOY_OK)
        status_prefix(status, "%s", file);
cleanup:
    mem_free(bytes);
    return status;
}

static void note(convoy_status status, struct failure *failure)
{
    failure->status = status;
    if (status != CONVOY_OK)
        status_save(status, failure);
}

/* A class number before another: the larger logit, then the lower number. */
static int compare(const void *a, const void *b, void *context)
{
    const float *logits = *(const float *const *)context;
    const int i = *(const int *)a, j = *(const int *)b;
    if (logits[i] > logits[j])
        return -1;
    if (logits[i] < logits[j])
        return 1;
    return i < j ? -1 : 1;
}

static convoy_status check_logits(const struct predictor *p, const char *file,
                                  const float *logits)
{
    for (int c = 0; c < p->n_classes; c++)
        if (!isfinite(logits[c]))
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: the net's output for class %d is not finite: has the "
                        "training of %s diverged?",
                        file, c, checkpoint_path(p->inference.checkpoint));
    return CONVOY_OK;
}

/* Fills p->top. */
static void choose(struct predictor *p, const float *logits)
{
    const struct checkpoint_facts *facts = checkpoint_describe(p->inference.checkpoint);
    double sum = 0.0;
    for (int c = 0; c < p->n_classes; c++)
        p->order[c] = c;
    qsort_r(p->order, (size_t)p->n_classes, sizeof *p->order, compare, &logits);
    const double largest = (double)logits[p->order[0]];
    for (int c = 0; c < p->n_classes; c++)
        sum += exp((double)logits[c] - largest);
    for (int k = 0; k < p->n_top; k++) {
        const int c = p->order[k];
        snprintf(p->numbers[k], NUMBER_SIZE, "%d", c);
        p->top[k] = (convoy_class_probability){
            .index = c,
            .name = (size_t)c < facts->n_class_names ? facts->class_names[c]
                                                     : p->numbers[k],
            .probability = exp((double)logits[c] - largest) / sum};
    }
}

/* The row's logits become the means with those of the mirror image, which takes the
 * image's place. */
static convoy_status add_mirrored(const struct predictor *p, int lane, struct row *row)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const int32_t no_label = -1;
    const int *shape = p->inference.loading.shape;
    struct compiled *compiled = p->net_lanes->copies[lane];
    mirror_rows(p->hands[lane].image, (size_t)shape[0] * (size_t)shape[1], shape[2],
                sizeof(float));
    TRY(compiled_forward(compiled, p->hands[lane].image, &no_label, NULL, &info));
    mirror_mean(row->logits, compiled_logits(compiled), (size_t)p->n_classes);
cleanup:
    return status;
}

/* File i's logits into its row, or why there are none. */
static convoy_status compute(struct predictor *p, int lane, int i)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const int32_t no_label = -1;
    struct hand *hand = &p->hands[lane];
    struct row *row = &p->rows[i];
    struct compiled *compiled = p->net_lanes->copies[lane];
    note(prepare(p, hand, p->files[i]), &row->failure);
    if (row->failure.status != CONVOY_OK)
        return CONVOY_OK;
    TRY(compiled_forward(compiled, hand->image, &no_label, NULL, &info));
    memcpy(row->logits, compiled_logits(compiled),
           (size_t)p->n_classes * sizeof *row->logits);
    if (p->inference.recipe->eval.flip)
        TRY(add_mirrored(p, lane, row));
    note(check_logits(p, p->files[i], row->logits), &row->failure);
cleanup:
    return status;
}

static convoy_status compute_files(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct predictor *p = context;
    for (int i = atomic_fetch_add(&p->next, 1); i < p->n_files;
         i = atomic_fetch_add(&p->next, 1))
        TRY(compute(p, lane, i));
cleanup:
    return status;
}

/* What row i comes to. */
static void find(struct predictor *p, int i, convoy_prediction *found)
{
    const struct row *row = &p->rows[i];
    *found = (convoy_prediction){.file = p->files[i]};
    if (row->failure.status != CONVOY_OK) {
        found->error = row->failure.text;
        return;
    }
    choose(p, row->logits);
    found->top = p->top;
    found->n_top = p->n_top;
}

convoy_status convoy_predict_run(const char *weights, const char *const *files,
                                 size_t n, const convoy_predict_options *options,
                                 void (*visit)(void *context,
                                               const convoy_prediction *prediction),
                                 void *context)
{
    convoy_status status = CONVOY_OK;
    const convoy_predict_options defaults = {0};
    struct predictor *p = NULL;
    TRY(create(weights, options ? options : &defaults, n, &p));
    for (size_t first = 0; first < n; first += (size_t)p->n_rows) {
        const size_t left = n - first, n_rows = (size_t)p->n_rows;
        p->files = files + first;
        p->n_files = (int)(left < n_rows ? left : n_rows);
        atomic_store(&p->next, 0);
        TRY(lanes_run(p->lanes, compute_files, p));
        for (int i = 0; i < p->n_files; i++) {
            convoy_prediction found;
            find(p, i, &found);
            visit(context, &found);
        }
    }
cleanup:
    destroy(p);
    return status;
}
