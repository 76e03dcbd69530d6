/* Layer-wise adaptive moments for batch training (You et al. 2020, algorithm 2), with
 * bias correction. With t the step from 1, of each tensor w:
 *
 *     m <- beta1 m + (1 - beta1) g
 *     v <- beta2 v + (1 - beta2) g^2
 *     u  = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + epsilon) + weight_decay w
 *     w <- w - lr r u              r = |w| / |u|
 *
 * r = 1 where |w| or |u| is 0, and for norms' parameters and biases, which decay only
 * with optimizer.decay_norm_and_bias. Two passes: the first makes m, v and the norms,
 * the second makes u once more of what the first has left, so u has no memory. t counts
 * as adamw.c says. Norms are sums in double; all else is f32.
 */
#include "optim/optim.h"

#include <math.h>

struct lamb_settings {
    double beta1, beta2, epsilon;
};

enum { NORM_PARAMS, NORM_CHANGE, BLOCK = 1024 };

/* What the elements of a step have in common. */
struct factors {
    float beta1, new1, beta2, new2, narrow, widen, epsilon, decay;
};

static struct factors factors_of(const struct lamb_settings *lamb,
                                 const struct optim_range *range)
{
    const double t = (double)range->step + 1,
                 momentum = optim_momentum(range, lamb->beta1);
    return (struct factors){.beta1 = (float)momentum,
                            .new1 = (float)(1 - momentum),
                            .beta2 = (float)lamb->beta2,
                            .new2 = (float)(1 - lamb->beta2),
                            .narrow = (float)(1 / (1 - pow(momentum, t))),
                            .widen = (float)(1 / sqrt(1 - pow(lamb->beta2, t))),
                            .epsilon = (float)lamb->epsilon,
                            .decay = (float)range->weight_decay};
}

static inline float change(const struct factors *f, float m, float v, float w)
{
    return m * f->narrow / (sqrtf(v) * f->widen + f->epsilon) + f->decay * w;
}

static void measure(const void *settings, const struct optim_range *range,
                    double sums[OPTIM_MAX_NORMS])
{
    const struct factors f = factors_of(settings, range);
    const float *restrict w = range->params, *restrict g = range->grads;
    float *restrict m = range->slots[0], *restrict v = range->slots[1];
    float u[BLOCK];
    for (size_t at = 0; at < range->n; at += BLOCK) {
        const size_t n = range->n - at < BLOCK ? range->n - at : BLOCK;
#pragma omp simd
        for (size_t i = 0; i < n; i++) {
            const size_t j = at + i;
            m[j] = f.beta1 * m[j] + f.new1 * g[j];
            v[j] = f.beta2 * v[j] + f.new2 * (g[j] * g[j]);
            u[i] = change(&f, m[j], v[j], w[j]);
        }
        if (range->adapts)
            sums[NORM_CHANGE] += optim_sum_squares(u, n);
    }
    if (range->adapts)
        sums[NORM_PARAMS] = optim_sum_squares(w, range->n);
}

static void step(const void *settings, const struct optim_range *range)
{
    const struct factors f = factors_of(settings, range);
    const double w_norm = range->norms[NORM_PARAMS], u_norm = range->norms[NORM_CHANGE];
    const bool is_adapted = range->adapts && w_norm > 0 && u_norm > 0;
    const float rate = (float)(range->lr * (is_adapted ? w_norm / u_norm : 1));
    const float *restrict m = range->slots[0], *restrict v = range->slots[1];
    float *restrict w = range->params;
#pragma omp simd
    for (size_t i = 0; i < range->n; i++)
        w[i] -= rate * change(&f, m[i], v[i], w[i]);
}

#define AT(field) offsetof(struct lamb_settings, field)
static const struct option options[] = {
    {"beta1", OPTION_FLOAT, AT(beta1), "0.9", 0, 1, OPTION_BELOW_MAX, NULL,
     "how much of the gradients' mean a step keeps"},
    {"beta2", OPTION_FLOAT, AT(beta2), "0.999", 0, 1, OPTION_BELOW_MAX, NULL,
     "how much of the squares' mean a step keeps"},
    {"epsilon", OPTION_FLOAT, AT(epsilon), "1e-6", 1e-30, INFINITY, 0, NULL,
     "added to the squares' root"},
};

/* Neither r nor decay is for norms and biases. */
static const char *const presets[] = {"optimizer.decay_norm_and_bias", "false", NULL};

extern const struct optim_kind optim_lamb;
const struct optim_kind optim_lamb = {
    .about = {.name = "lamb",
              .help = "Adam with a rate for each tensor, by its norms",
              OPTION_TABLE(options, struct lamb_settings),
              .presets = presets},
    .n_slots = 2,
    .slot_names = {"exp_avg", "exp_avg_sq"},
    .momentum = "beta1",
    .measure = measure,
    .measure_uses_up_grads = true,
    .step = step,
};
