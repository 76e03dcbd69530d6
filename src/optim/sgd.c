/* Stochastic gradient descent with momentum, as PyTorch's SGD defines it (dampening 0):
 *
 *     g <- g + weight_decay p
 *     v <- momentum v + g              v starts at 0, so the first v is g
 *     p <- p - lr (g + momentum v)     with Nesterov's momentum
 *     p <- p - lr v                    without
 *
 * The learning rate is outside v: when it changes, past gradients move with it (Goyal
 * et al. 2017, remark 2, is about the other convention). All in f32, one pass over
 * memory.
 */
#include "optim/sgd.h"

#include "optim/optim.h"

/* Below, waking the threads costs more than they save. */
enum { PARALLEL_FROM = 1 << 15 };

static void plain_step(float momentum, const struct optim_range *range)
{
    float *restrict p = range->params, *restrict v = range->slots[0];
    const float *restrict grads = range->grads;
    const float lr = (float)range->lr, decay = (float)range->weight_decay;
    size_t n = range->n;
#pragma omp parallel for simd schedule(static) if (parallel : n >= PARALLEL_FROM)
    for (size_t i = 0; i < n; i++) {
        float g = grads[i] + decay * p[i];
        v[i] = momentum * v[i] + g;
        p[i] -= lr * v[i];
    }
}

static void nesterov_step(float momentum, const struct optim_range *range)
{
    float *restrict p = range->params, *restrict v = range->slots[0];
    const float *restrict grads = range->grads;
    const float lr = (float)range->lr, decay = (float)range->weight_decay;
    size_t n = range->n;
#pragma omp parallel for simd schedule(static) if (parallel : n >= PARALLEL_FROM)
    for (size_t i = 0; i < n; i++) {
        float g = grads[i] + decay * p[i];
        v[i] = momentum * v[i] + g;
        p[i] -= lr * (g + momentum * v[i]);
    }
}

static void step(const void *settings, const struct optim_range *range)
{
    const struct sgd_settings *sgd = settings;
    const float momentum = (float)optim_momentum(range, sgd->momentum);
    if (sgd->nesterov)
        nesterov_step(momentum, range);
    else
        plain_step(momentum, range);
}

static convoy_status check(const void *settings, const char **name)
{
    const struct sgd_settings *sgd = settings;
    if (!sgd->nesterov || sgd->momentum > 0)
        return CONVOY_OK;
    *name = "nesterov";
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "is true, which needs momentum, but optimizer.momentum is 0; set one "
                "of the two");
}

static const struct option options[] = {
    {"momentum", OPTION_FLOAT, offsetof(struct sgd_settings, momentum), "0.9", 0, 1,
     OPTION_BELOW_MAX, NULL, "momentum"},
    {"nesterov", OPTION_BOOL, offsetof(struct sgd_settings, nesterov), "false", 0, 0, 0,
     NULL, "Nesterov's momentum"},
};

extern const struct optim_kind optim_sgd;
const struct optim_kind optim_sgd = {
    .about = {.name = "sgd",
              .help = "stochastic gradient descent with momentum",
              OPTION_TABLE(options, struct sgd_settings),
              .check = check},
    .n_slots = 1,
    .slot_names = {"momentum"},
    .momentum = "momentum",
    .step = step,
};
