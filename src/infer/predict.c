/* From image files to the probabilities of classes.
 *
 * Some files at a time are decoded and prepared by all threads; then the net computes
 * one image after the other, with all threads on each. In a larger microbatch the last
 * bits would depend on its size and on an image's place in it; so a file's prediction
 * is the same whatever files come with it. Probabilities are the softmax of the net's
 * f32 logits, in double. */
#include <convoy/predict.h>

#include "base/file.h"
#include "base/memory.h"
#include "load/sample.h"
#include "infer/inference.h"
#include "setup/setup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { N_ROWS = 16, DEFAULT_TOP = 5, NUMBER_SIZE = 12 };

/* A larger file is no image: its pixels would be more than image.h reads. */
static const int64_t max_bytes = INT64_C(1) << 30;

/* One of the files that are prepared together. */
struct row {
    struct sample_buffers buffers;
    struct failure failure; /* status OK: the image is ready */
};

struct predictor {
    struct inference inference;
    struct compiled *compiled;
    struct sample_rules rules;
    struct row rows[N_ROWS];
    float *images; /* [N_ROWS, c, h, w] */
    size_t image_floats;
    int n_classes, n_top;
    int *order;                    /* [n_classes] */
    convoy_class_probability *top; /* [n_top] */
    char (*numbers)[NUMBER_SIZE];  /* [n_top]: names of classes that have none */
};

static convoy_status allocate(struct predictor *p)
{
    convoy_status status = CONVOY_OK;
    const int *shape = p->inference.loading.shape;
    p->image_floats = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    TRY(mem_alloc_array(N_ROWS, p->image_floats * sizeof *p->images,
                        (void **)&p->images));
    TRY(mem_alloc_array((size_t)p->n_classes, sizeof *p->order, (void **)&p->order));
    TRY(mem_alloc_array((size_t)p->n_top, sizeof *p->top, (void **)&p->top));
    TRY(mem_alloc_array((size_t)p->n_top, sizeof *p->numbers, (void **)&p->numbers));
    for (int i = 0; i < N_ROWS; i++)
        TRY(sample_buffers_init(&p->rows[i].buffers));
cleanup:
    return status;
}

static void destroy(struct predictor *p)
{
    if (!p)
        return;
    for (int i = 0; i < N_ROWS; i++)
        sample_buffers_fini(&p->rows[i].buffers);
    compiled_destroy(p->compiled);
    inference_close(&p->inference);
    mem_free(p->images);
    mem_free(p->order);
    mem_free(p->top);
    mem_free(p->numbers);
    mem_free(p);
}

static convoy_status create(const char *weights, const convoy_predict_options *options,
                            struct predictor **predictor)
{
    convoy_status status = CONVOY_OK;
    struct predictor *p = NULL;
    const struct compile_options compiling = {.n = 1, .type = dnnl_f32};
    const int top = options && options->top > 0 ? options->top : DEFAULT_TOP;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    TRY(inference_open(NULL, weights, &p->inference));
    TRY(inference_build(&p->inference));
    TRY(setup_threads(options ? options->threads : 0, NULL));
    const convoy_net *net = p->inference.net;
    p->n_classes = (int)net->nodes[net->logits].shape.c;
    p->n_top = top < p->n_classes ? top : p->n_classes;
    TRY(allocate(p));
    p->inference.loading.evaluate = true;
    TRY(sample_rules_init(NULL, &p->inference.loading, &p->rules));
    TRY(net_compile(p->inference.net, &compiling, &p->compiled));
    TRY(inference_load(&p->inference));
    TRY(compiled_refresh(p->compiled));
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

static convoy_status prepare(struct predictor *p, const char *file, int i)
{
    convoy_status status = CONVOY_OK;
    char *bytes = NULL;
    size_t n = 0;
    TRY(check_file(file));
    TRY(file_read_all(file, &bytes, &n));
    status = sample_make_file(&p->rules, &p->rows[i].buffers, (const uint8_t *)bytes, n,
                              p->images + (size_t)i * p->image_floats);
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

static void prepare_rows(struct predictor *p, const char *const *files, int n)
{
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++)
        note(prepare(p, files[i], i), &p->rows[i].failure);
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

/* What row i comes to. */
static convoy_status predict(struct predictor *p, const char *file, int i,
                             convoy_prediction *found)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const int32_t no_label = -1;
    const float *image = p->images + (size_t)i * p->image_floats;
    struct failure *failure = &p->rows[i].failure;
    *found = (convoy_prediction){.file = file};
    if (failure->status == CONVOY_OK) {
        TRY(compiled_forward(p->compiled, image, &no_label, NULL, &info));
        note(check_logits(p, file, compiled_logits(p->compiled)), failure);
    }
    if (failure->status == CONVOY_OK) {
        choose(p, compiled_logits(p->compiled));
        found->top = p->top;
        found->n_top = p->n_top;
    } else {
        found->error = failure->text;
    }
cleanup:
    return status;
}

convoy_status convoy_predict_run(const char *weights, const char *const *files,
                                 size_t n, const convoy_predict_options *options,
                                 void (*visit)(void *context,
                                               const convoy_prediction *prediction),
                                 void *context)
{
    convoy_status status = CONVOY_OK;
    struct predictor *p = NULL;
    TRY(create(weights, options, &p));
    for (size_t first = 0; first < n; first += N_ROWS) {
        const size_t left = n - first;
        const int n_rows = left < N_ROWS ? (int)left : N_ROWS;
        prepare_rows(p, files + first, n_rows);
        for (int i = 0; i < n_rows; i++) {
            convoy_prediction found;
            TRY(predict(p, files[first + (size_t)i], i, &found));
            visit(context, &found);
        }
    }
cleanup:
    destroy(p);
    return status;
}
