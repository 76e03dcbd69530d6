/* The loss of each sample (Szegedy et al. 2016, section 7, for the smoothing):
 *   p = softmax(src[n]),  q = (1 − s) · target + s / classes,  target = onehot(label)
 *   dst[n] = −Σ_c q[c] · log p[c]         d dst[n] / d src[n, c] = p[c] − q[c]
 * s: label_smoothing; 0 where nothing is trained, to report the plain loss. src: logits
 * [n, classes]; labels: i32 [n], −1 for "no sample", whose loss and gradient are 0. Of
 * a sample that is mixed of two, target = share · onehot(label) + (1 − share) ·
 * onehot(partner). Each sample is worked out in double, from f32 logits whatever
 * activations are. */
#include "layer/layer.h"

#include <math.h>
#include <string.h>

struct context {
    int64_t n, classes;
    double smoothing;
    bool mixes;
};

/* Of one sample; label -1: none. */
struct target {
    int32_t label, partner;
    double share;
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

static struct target target_of(const struct context *c, const int32_t *labels,
                               const int32_t *partners, const float *shares, int64_t i)
{
    if (!c->mixes || !shares)
        return (struct target){labels[i], labels[i], 1};
    return (struct target){labels[i], partners[i], (double)shares[i]};
}

/* The target's mean of x. */
static double mean_of(const struct target *t, const float *x)
{
    const double own = (double)x[t->label];
    return t->share < 1 ? t->share * own + (1 - t->share) * (double)x[t->partner] : own;
}

static double probability(const struct target *t, int64_t k)
{
    return (k == t->label ? t->share : 0) + (k == t->partner ? 1 - t->share : 0);
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    const float *logits = data[0];
    float *losses = data[1];
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->n; i++) {
        const float *x = logits + i * c->classes;
        const struct target t = target_of(c, data[2], data[3], data[4], i);
        losses[i] = 0;
        if (t.label < 0)
            continue;
        double normalizer = log_sum_exp(x, c->classes), mean = 0;
        for (int64_t k = 0; k < c->classes; k++)
            mean += (double)x[k];
        mean /= (double)c->classes;
        losses[i] = (float)(normalizer - (1 - c->smoothing) * mean_of(&t, x) -
                            c->smoothing * mean);
    }
}

static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    const float *logits = data[0];
    const float *diff_losses = data[1];
    float *diff_logits = data[5];
    const double spread = c->smoothing / (double)c->classes;
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < c->n; i++) {
        const float *x = logits + i * c->classes;
        float *d = diff_logits + i * c->classes;
        const struct target t = target_of(c, data[2], data[3], data[4], i);
        if (t.label < 0) {
            memset(d, 0, (size_t)c->classes * sizeof *d);
            continue;
        }
        double normalizer = log_sum_exp(x, c->classes);
        for (int64_t k = 0; k < c->classes; k++) {
            double q = spread + (1 - c->smoothing) * probability(&t, k);
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
        .smoothing = b->training ? (double)layer_told(b)->label_smoothing : 0,
        .mixes = b->mixes};
}

/* Something where there is none: context.mixes says whether it is read. */
static tensor partners_of(const struct layer_build *b)
{
    return b->mixes ? b->partners : b->labels;
}

static tensor shares_of(const struct layer_build *b)
{
    return b->mixes ? b->shares : b->labels;
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
    const tensor tensors[] = {logits, b->dst, b->labels, partners_of(b), shares_of(b)};
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     5, tensors));
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
    const tensor tensors[] = {b->saved[0],    b->diff_dst,  b->labels,
                              partners_of(b), shares_of(b), diff};
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     6, tensors));
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
