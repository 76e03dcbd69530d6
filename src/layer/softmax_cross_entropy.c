/* The loss of each sample (Szegedy et al. 2016, section 7, for the smoothing):
 *   p = softmax(src[n]),  q = (1 − s) · onehot(label) + s / classes
 *   dst[n] = −Σ_c q[c] · log p[c]         d dst[n] / d src[n, c] = p[c] − q[c]
 * s: label_smoothing; 0 where nothing is trained, to report the plain loss. src: logits
 * [n, classes]; labels: i32 [n], −1 for "no sample", whose loss and gradient are 0.
 * Each sample is worked out in double, from f32 logits whatever activations are. */
#include "layer/layer.h"

#include <math.h>
#include <string.h>

struct context {
    int64_t n, classes;
    double smoothing;
};

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    char text[64];
    (void)attributes;
    (void)n_src;
    if (!src->flat || src->c < 2)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "needs at least two flat logits [classes], found %s",
                    layer_shape_text(src, text));
    *dst = (struct shape){.c = 1, .h = 1, .w = 1, .flat = true};
    return CONVOY_OK;
}

/* log Σ exp(x), without overflow. */
static double log_sum_exp(const float *x, int64_t n)
{
    double largest = (double)x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        if ((double)x[i] > largest)
            largest = (double)x[i];
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - largest);
    return largest + log(sum);
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    const float *logits = data[0];
    const int32_t *labels = data[1];
    float *losses = data[2];
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->n; i++) {
        const float *x = logits + i * c->classes;
        losses[i] = 0;
        if (labels[i] < 0)
            continue;
        double normalizer = log_sum_exp(x, c->classes), mean = 0;
        for (int64_t k = 0; k < c->classes; k++)
            mean += (double)x[k];
        mean /= (double)c->classes;
        losses[i] = (float)(normalizer - (1 - c->smoothing) * (double)x[labels[i]] -
                            c->smoothing * mean);
    }
}

static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    const float *logits = data[0];
    const int32_t *labels = data[1];
    const float *diff_losses = data[2];
    float *diff_logits = data[3];
    const double spread = c->smoothing / (double)c->classes;
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->n; i++) {
        const float *x = logits + i * c->classes;
        float *d = diff_logits + i * c->classes;
        if (labels[i] < 0) {
            memset(d, 0, (size_t)c->classes * sizeof *d);
            continue;
        }
        double normalizer = log_sum_exp(x, c->classes);
        for (int64_t k = 0; k < c->classes; k++) {
            double q = spread + (k == labels[i] ? 1 - c->smoothing : 0);
            d[k] =
                (float)((double)diff_losses[i] * (exp((double)x[k] - normalizer) - q));
        }
    }
}

static struct context context_of(const struct layer_build *b)
{
    return (struct context){
        .n = b->n,
        .classes = b->src_shapes[0].c,
        .smoothing = b->training ? (double)layer_told(b)->label_smoothing : 0};
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    struct dnn_md losses = {0};
    tensor logits;
    const int64_t dims[] = {b->n, 1};
    TRY(layer_src_f32(b, 0, &logits));
    TRY(dnn_md_make_plain(2, dims, dnnl_f32, &losses));
    TRY(layer_tensor(b, dnn_md_ref(&losses), &b->dst));
    const tensor tensors[] = {logits, b->labels, b->dst};
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     3, tensors));
    b->saved[0] = logits;
cleanup:
    dnn_md_free(&losses);
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    tensor diff;
    TRY(layer_tensor(b, program_md(b->program, b->saved[0]), &diff));
    const tensor tensors[] = {b->saved[0], b->labels, b->diff_dst, diff};
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     4, tensors));
    b->diff_src[0] = diff;
cleanup:
    return status;
}

static const struct option options[] = {
    {"label_smoothing", OPTION_F32, LAYER_AT(label_smoothing), "0", 0, 1,
     OPTION_BELOW_MAX, .help = "probability spread evenly over all classes"},
};

const struct layer_kind layer_softmax_cross_entropy = {
    .about = {.name = "softmax_cross_entropy",
              .help = "the loss: softmax and cross-entropy",
              .min_src = 1,
              .max_src = 1,
              .is_loss = true,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .takes_labels = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
