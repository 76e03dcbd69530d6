/* Polyak averaging as torchvision's training reference has it (references/
 * classification: train.py and utils.ExponentialMovingAverage, use_buffers). With
 * steps of an epoch counted as i = 0, 1, …, after each with i mod every_steps = 0
 *
 *     average <- average + alpha (weights - average)
 *     alpha = (1 - decay) · batch · every_steps / epochs
 *
 * of parameters and running statistics. In epochs that begin within the warmup, and the
 * first time after it, the average becomes the weights themselves. So what a step does
 * to it depends on the number of the step alone, and a run that goes on finds its
 * place.
 *
 * The difference form has the weights as its fixed point: what does not change, such as
 * a frozen statistic, is not moved by rounding. Frozen parameters are copied once. */
#include "train/average.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"

#include <math.h>

/* Values that a lane averages at a time. */
enum { AVERAGED_AT_ONCE = 1 << 15 };

struct average {
    float *params;  /* [param_floats + frozen_floats], as in the net's arena */
    float *buffers; /* [buffer_floats] */
    float alpha;
    uint64_t every_steps;
    uint64_t first_epoch; /* that is averaged over: the first after the warmup */
};

/* An average with 1 or more would be the weights themselves. */
static double alpha_of(const convoy_recipe *recipe)
{
    const struct recipe_ema *ema = &recipe->ema;
    return (1 - ema->decay) * recipe->batch.size * ema->every_steps /
           recipe->schedule.epochs;
}

static convoy_status check_alpha(const convoy_recipe *recipe)
{
    const struct recipe_ema *ema = &recipe->ema;
    const double alpha = alpha_of(recipe);
    if (alpha < 1)
        return CONVOY_OK;
    return recipe_reject(
        recipe, "ema.decay",
        "is %g, with which each update would take in (1 - ema.decay) * batch.size * "
        "ema.every_steps / schedule.epochs = %.3g, so that the average would be a copy "
        "of the weights: take an ema.decay above %g (torchvision's is 0.99998)",
        ema->decay, alpha, ceil((1 - (1 - ema->decay) / alpha) * 1e6) / 1e6);
}

bool average_is_wanted(const convoy_recipe *recipe)
{
    return recipe->ema.decay > 0;
}

convoy_status average_check(const convoy_trainer *t)
{
    const convoy_recipe *recipe = t->recipe;
    const struct recipe_ema *ema = &recipe->ema;
    if (!average_is_wanted(recipe))
        return CONVOY_OK;
    if (!t->val_pack)
        return recipe_reject(recipe, "ema.decay",
                             "is %g, but nothing would evaluate the averaged weights: "
                             "set data.val, or ema.decay: 0",
                             ema->decay);
    if ((uint64_t)ema->every_steps > t->steps_per_epoch)
        return recipe_reject(recipe, "ema.every_steps",
                             "is %d, but it counts anew in each epoch, which has only "
                             "%llu steps: take at most so many",
                             ema->every_steps, (unsigned long long)t->steps_per_epoch);
    if (recipe->schedule.warmup_epochs > recipe->schedule.epochs - 1)
        return recipe_reject(recipe, "ema.decay",
                             "is %g, but the average begins after the warmup, and "
                             "schedule.warmup_epochs %g leaves none of the "
                             "schedule.epochs %d for it: lower the warmup, or set "
                             "ema.decay: 0",
                             ema->decay, recipe->schedule.warmup_epochs,
                             recipe->schedule.epochs);
    return check_alpha(recipe);
}

static size_t n_params(const convoy_net *net)
{
    return net->store.param_floats + net->store.frozen_floats;
}

uint64_t average_bytes(const convoy_trainer *t)
{
    const uint64_t floats = n_params(t->net) + t->net->store.buffer_floats;
    return average_is_wanted(t->recipe) ? floats * sizeof(float) : 0;
}

convoy_status average_create(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    struct average *a = NULL;
    if (!average_is_wanted(t->recipe))
        return CONVOY_OK;
    TRY(mem_alloc(sizeof *a, (void **)&a));
    a->alpha = (float)alpha_of(t->recipe);
    a->every_steps = (uint64_t)t->recipe->ema.every_steps;
    a->first_epoch = (uint64_t)ceil(t->recipe->schedule.warmup_epochs);
    TRY(mem_alloc_array(n_params(t->net), sizeof(float), (void **)&a->params));
    TRY(mem_alloc_array(t->net->store.buffer_floats, sizeof(float),
                        (void **)&a->buffers));
    t->average = a;
    a = NULL;
cleanup:
    average_destroy(a);
    return status;
}

void average_destroy(struct average *average)
{
    if (!average)
        return;
    mem_free(average->params);
    mem_free(average->buffers);
    mem_free(average);
}

/* One arena's way into its average, or the other way round. */
struct averaging {
    float *average, *weights;
    float alpha;
};

static void copy_range(void *context, int worker, size_t begin, size_t end)
{
    const struct averaging *a = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        a->average[i] = a->weights[i];
    pulse();
}

static void average_range(void *context, int worker, size_t begin, size_t end)
{
    const struct averaging *a = context;
    float *restrict average = a->average;
    const float *restrict weights = a->weights;
    const float alpha = a->alpha;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        average[i] += alpha * (weights[i] - average[i]);
    pulse();
}

static void swap_range(void *context, int worker, size_t begin, size_t end)
{
    const struct averaging *a = context;
    float *restrict average = a->average, *restrict weights = a->weights;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const float kept = weights[i];
        weights[i] = average[i];
        average[i] = kept;
    }
    pulse();
}

/* n: of the parameters. */
static void run(convoy_trainer *t, size_t n, lanes_range_function *function)
{
    const struct average *a = t->average;
    const struct param_store *store = &t->net->store;
    struct averaging params = {a->params, store->param_data, a->alpha},
                     buffers = {a->buffers, store->buffer_data, a->alpha};
    lanes_for(t->lanes, n, AVERAGED_AT_ONCE, function, &params);
    lanes_for(t->lanes, store->buffer_floats, AVERAGED_AT_ONCE, function, &buffers);
}

void average_begin(convoy_trainer *t)
{
    if (t->average)
        run(t, n_params(t->net), copy_range);
}

void average_begin_frozen(convoy_trainer *t)
{
    const struct param_store *store = &t->net->store;
    struct averaging frozen = {t->average->params + store->param_floats,
                               store->param_data + store->param_floats, 0};
    lanes_for(t->lanes, store->frozen_floats, AVERAGED_AT_ONCE, copy_range, &frozen);
}

double average_step(convoy_trainer *t)
{
    const struct average *a = t->average;
    const uint64_t i = t->step % t->steps_per_epoch,
                   epoch = t->step / t->steps_per_epoch;
    if (!a || i % a->every_steps != 0)
        return 0;
    const double since_s = clock_now_s();
    const bool restarts = epoch < a->first_epoch || (epoch == a->first_epoch && i == 0);
    run(t, t->net->store.param_floats, restarts ? copy_range : average_range);
    return clock_now_s() - since_s;
}

void average_swap(convoy_trainer *t)
{
    run(t, n_params(t->net), swap_range);
}

struct net_arenas average_arenas(const struct average *average)
{
    return (struct net_arenas){average->params, average->buffers};
}
