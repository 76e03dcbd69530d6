/* Layer-wise adaptive rate scaling (You, Gitman, Ginsburg 2017), in the two forms that
 * are in use. Of each weight tensor w with gradient g, before decay,
 *
 *     r = trust_coefficient |w| / (|g| + weight_decay |w| + epsilon)
 *
 * and r = 1 where |w| or |g| is 0, and for norms' parameters and biases, which decay
 * only with optimizer.decay_norm_and_bias. With d = g + weight_decay w:
 *
 *     scaled     v <- momentum v - lr r d
 *                w <- w + v
 *                w <- w + momentum v - lr r d       with Nesterov's momentum
 *     unscaled   v <- momentum v + d
 *                w <- w - lr r v
 *                w <- w - lr r (d + momentum v)     with Nesterov's momentum
 *
 * scaled is the paper's and MLPerf's reference, unscaled that of Intel's submissions.
 * v starts at 0. Norms are sums in double; all else is f32. docs/optimizers.md has the
 * sources and what other trainers do differently.
 */
#include "optim/optim.h"

#include <math.h>

enum lars_form { LARS_SCALED, LARS_UNSCALED };

struct lars_settings {
    double momentum;
    bool nesterov;
    double trust_coefficient, epsilon;
    enum lars_form form;
};

enum { NORM_PARAMS, NORM_GRADS };

static void measure(const void *settings, const struct optim_range *range,
                    double sums[OPTIM_MAX_NORMS])
{
    (void)settings;
    if (!range->adapts)
        return;
    sums[NORM_PARAMS] = optim_sum_squares(range->params, range->n);
    sums[NORM_GRADS] = optim_sum_squares(range->grads, range->n);
}

static double trust(const struct lars_settings *lars, const struct optim_range *range)
{
    const double w = range->norms[NORM_PARAMS], g = range->norms[NORM_GRADS];
    if (!range->adapts || !(w > 0) || !(g > 0))
        return 1;
    return lars->trust_coefficient * w / (g + range->weight_decay * w + lars->epsilon);
}

static void scaled_step(float rate, float momentum, bool nesterov,
                        const struct optim_range *range)
{
    float *restrict w = range->params, *restrict v = range->slots[0];
    const float *restrict grads = range->grads;
    const float decay = (float)range->weight_decay;
#pragma omp simd
    for (size_t i = 0; i < range->n; i++) {
        const float change = rate * (grads[i] + decay * w[i]);
        v[i] = momentum * v[i] - change;
        w[i] += nesterov ? momentum * v[i] - change : v[i];
    }
}

static void unscaled_step(float rate, float momentum, bool nesterov,
                          const struct optim_range *range)
{
    float *restrict w = range->params, *restrict v = range->slots[0];
    const float *restrict grads = range->grads;
    const float decay = (float)range->weight_decay;
#pragma omp simd
    for (size_t i = 0; i < range->n; i++) {
        const float d = grads[i] + decay * w[i];
        v[i] = momentum * v[i] + d;
        w[i] -= rate * (nesterov ? d + momentum * v[i] : v[i]);
    }
}

static void step(const void *settings, const struct optim_range *range)
{
    const struct lars_settings *lars = settings;
    const float rate = (float)(range->lr * trust(lars, range));
    const float momentum = (float)optim_momentum(range, lars->momentum);
    if (lars->form == LARS_SCALED)
        scaled_step(rate, momentum, lars->nesterov, range);
    else
        unscaled_step(rate, momentum, lars->nesterov, range);
}

/* scaled is not momentum as sgd and unscaled have it: the rate and the sign are in it.
 */
static const char *slot_name(const void *settings, int i)
{
    const struct lars_settings *lars = settings;
    (void)i;
    return lars->form == LARS_SCALED ? "scaled_momentum" : "momentum";
}

static convoy_status check(const void *settings, const char **name)
{
    const struct lars_settings *lars = settings;
    if (!lars->nesterov || lars->momentum > 0)
        return CONVOY_OK;
    *name = "nesterov";
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "is true, which needs momentum, but optimizer.momentum is 0; set one "
                "of the two");
}

static const char *const forms[] = {"scaled", "unscaled", NULL};

#define AT(field) offsetof(struct lars_settings, field)
static const struct option options[] = {
    {"momentum", OPTION_FLOAT, AT(momentum), "0.9", 0, 1, OPTION_BELOW_MAX, NULL,
     "momentum"},
    {"nesterov", OPTION_BOOL, AT(nesterov), "false", 0, 0, 0, NULL,
     "Nesterov's momentum"},
    {"trust_coefficient", OPTION_FLOAT, AT(trust_coefficient), "0.001", 0, INFINITY,
     OPTION_ABOVE_MIN, NULL,
     "a step's length, in lengths of the weights, at a rate of 1"},
    {"epsilon", OPTION_FLOAT, AT(epsilon), "0", 0, INFINITY, 0, NULL,
     "added to the gradient's norm"},
    {"momentum_form", OPTION_CHOICE, AT(form), "scaled", 0, 0, 0, forms,
     "whether momentum holds gradients times the rate, or gradients"},
};

/* Neither r nor decay is for norms and biases. */
static const char *const presets[] = {"optimizer.decay_norm_and_bias", "false", NULL};

extern const struct optim_kind optim_lars;
const struct optim_kind optim_lars = {
    .about = {.name = "lars",
              .help = "momentum with a rate for each tensor, by its norms",
              OPTION_TABLE(options, struct lars_settings),
              .presets = presets,
              .check = check},
    .n_slots = 1,
    .slot_name = slot_name,
    .momentum = "momentum",
    .measure = measure,
    .step = step,
};
