/* Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as
 * PyTorch's AdamW computes it. With t the step from 1:
 *
 *     m <- beta1 m + (1 - beta1) g
 *     v <- beta2 v + (1 - beta2) g^2
 *     p <- (1 - lr weight_decay) p
 *          - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *
 * m and v start at 0. t is the trainer's step, so it counts steps that were left out
 * for their numbers, and nothing but m and v has to be saved. All in f32, the factors
 * that depend on t alone in double; one pass over memory.
 */
#include "optim/optim.h"

#include <math.h>

struct adamw_settings {
    double beta1, beta2, epsilon;
};

static void step(const void *settings, const struct optim_range *range)
{
    const struct adamw_settings *adamw = settings;
    const double t = (double)range->step + 1, lr = range->lr,
                 momentum = optim_momentum(range, adamw->beta1);
    float *restrict p = range->params;
    float *restrict m = range->slots[0], *restrict v = range->slots[1];
    const float *restrict g = range->grads;
    const float beta1 = (float)momentum, new1 = (float)(1 - momentum),
                beta2 = (float)adamw->beta2, new2 = (float)(1 - adamw->beta2),
                keep = (float)(1 - lr * range->weight_decay),
                rate = (float)(lr / (1 - pow(momentum, t))),
                widen = (float)(1 / sqrt(1 - pow(adamw->beta2, t))),
                epsilon = (float)adamw->epsilon;
#pragma omp simd
    for (size_t i = 0; i < range->n; i++) {
        m[i] = beta1 * m[i] + new1 * g[i];
        v[i] = beta2 * v[i] + new2 * (g[i] * g[i]);
        p[i] = keep * p[i] - rate * (m[i] / (sqrtf(v[i]) * widen + epsilon));
    }
}

#define AT(field) offsetof(struct adamw_settings, field)
static const struct option options[] = {
    {"beta1", OPTION_FLOAT, AT(beta1), "0.9", 0, 1, OPTION_BELOW_MAX, NULL,
     "how much of the gradients' mean a step keeps"},
    {"beta2", OPTION_FLOAT, AT(beta2), "0.999", 0, 1, OPTION_BELOW_MAX, NULL,
     "how much of the squares' mean a step keeps"},
    {"epsilon", OPTION_FLOAT, AT(epsilon), "1e-8", 1e-30, INFINITY, 0, NULL,
     "added to the squares' root"},
};

extern const struct optim_kind optim_adamw;
const struct optim_kind optim_adamw = {
    .about = {.name = "adamw",
              .help = "Adam with decoupled weight decay",
              OPTION_TABLE(options, struct adamw_settings)},
    .n_slots = 2,
    .slot_names = {"exp_avg", "exp_avg_sq"},
    .momentum = "beta1",
    .shrinks = true,
    .step = step,
};
