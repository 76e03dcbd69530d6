/* Softmax and cross-entropy per sample, with PyTorch's label smoothing: the target puts
 * 1 - e on the label and e / c on every class. Label -1: no sample, loss and gradient
 * 0. src: logits [n, c]; dst: losses [n, 1]. */
#include "reference/reference.h"

#include <math.h>

/* log Σ exp(logits), without overflow. */
static double log_sum(const double *logits, int64_t c)
{
    double largest = logits[0], sum = 0;
    for (int64_t k = 1; k < c; k++)
        largest = logits[k] > largest ? logits[k] : largest;
    for (int64_t k = 0; k < c; k++)
        sum += exp(logits[k] - largest);
    return largest + log(sum);
}

static double target(const struct reference *r, int64_t i, int64_t k)
{
    double smoothing = r->training ? (double)r->a.label_smoothing : 0;
    double uniform = smoothing / (double)r->src_shapes[0].c;
    return uniform + (r->labels[i] == k ? 1 - smoothing : 0);
}

static void forward(struct reference *r)
{
    int64_t c = r->src_shapes[0].c;
    for (int64_t i = 0; i < r->n; i++) {
        const double *logits = r->src[0] + i * c;
        double all = log_sum(logits, c);
        r->dst[i] = 0;
        for (int64_t k = 0; r->labels[i] >= 0 && k < c; k++)
            r->dst[i] += target(r, i, k) * (all - logits[k]);
    }
}

static void backward(struct reference *r)
{
    int64_t c = r->src_shapes[0].c;
    for (int64_t i = 0; i < r->n; i++) {
        const double *logits = r->src[0] + i * c;
        double all = log_sum(logits, c);
        for (int64_t k = 0; r->labels[i] >= 0 && k < c; k++)
            r->diff_src[0][i * c + k] +=
                r->diff_dst[i] * (exp(logits[k] - all) - target(r, i, k));
    }
}

const struct reference_kind reference_softmax_cross_entropy = {
    .name = "softmax_cross_entropy", .forward = forward, .backward = backward};
