/* Warmup, then decay, step by step (not epoch by epoch). With W warmup steps, N steps
 * in all and t the step from 0:
 *
 *     t < W       warmup_lr + (lr - warmup_lr) (t + 1) / W
 *     constant    lr
 *     step        lr gamma^(number of milestones <= t)
 *     cosine      final_lr + (lr - final_lr) (1 + cos(pi (t - W) / (N - W))) / 2
 *     linear      final_lr + (lr - final_lr) (1 - (t - W) / (N - W))
 *     polynomial  final_lr + (lr - final_lr) (1 - (t + 1 - W) / (N - W + 1))^power
 *     one_cycle   halves of a cosine: from warmup_lr at step 0 to lr at step W - 1,
 * then to final_lr at step N - 1; no warmup as above
 *
 * The warmup is Goyal et al. 2017, section 2.2, "gradual warmup": the rate grows by the
 * same amount every step and is lr after W of them; with t + 1, no step is wasted at a
 * rate of 0. The cosine is Loshchilov and Hutter 2017 (SGDR), equation 5, without
 * restarts. The polynomial is that of MLPerf's LARS reference, which counts steps from
 * 1; its last step has a rate just above final_lr. one_cycle is Smith and Topin 2018 as
 * PyTorch's OneCycleLR has it. Milestones count from the start of training, warmup
 * included.
 *
 * Momentum goes with the step where the recipe says so: in the warmup as the rate does,
 * from warmup_momentum to the optimizer's; in one_cycle against the rate, from
 * max_momentum to base_momentum and back.
 */
#include "optim/schedule.h"

#include <math.h>

static uint64_t to_steps(double epochs, uint64_t steps_per_epoch)
{
    return (uint64_t)llround(epochs * (double)steps_per_epoch);
}

convoy_status schedule_init(const struct schedule_options *options,
                            struct schedule *schedule)
{
    uint64_t per_epoch = options->steps_per_epoch;
    if (per_epoch == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a schedule needs at least one step an epoch");
    if (options->n_milestones > SCHEDULE_MAX_MILESTONES)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a schedule has %d milestones, at most %d fit",
                    options->n_milestones, SCHEDULE_MAX_MILESTONES);
    *schedule = (struct schedule){
        .decay = options->decay,
        .lr = options->lr,
        .warmup_lr = options->warmup_lr,
        .gamma = options->gamma,
        .final_lr = options->final_lr,
        .power = options->power,
        .warms_momentum = options->warms_momentum,
        .cycles_momentum = options->cycles_momentum,
        .momentum = options->momentum,
        .warmup_momentum = options->warmup_momentum,
        .base_momentum = options->base_momentum,
        .max_momentum = options->max_momentum,
        .warmup_steps = to_steps(options->warmup_epochs, per_epoch),
        .total_steps = to_steps(options->epochs, per_epoch),
        .n_milestones = options->n_milestones,
    };
    for (int i = 0; i < options->n_milestones; i++)
        schedule->milestones[i] = to_steps(options->milestones[i], per_epoch);
    return CONVOY_OK;
}

static double step_lr(const struct schedule *schedule, uint64_t step)
{
    double lr = schedule->lr;
    for (int i = 0; i < schedule->n_milestones; i++)
        if (step >= schedule->milestones[i])
            lr *= schedule->gamma;
    return lr;
}

/* From 1 to 0 as past goes from 0 to all. */
static double half_cosine(double past, double all)
{
    const double pi = 3.14159265358979323846;
    return (1 + cos(pi * past / all)) / 2;
}

/* The share of the decay that is still to come: 1 right after the warmup. */
static double height_of(const struct schedule *schedule, uint64_t step)
{
    const double past = (double)(step - schedule->warmup_steps);
    const double all = (double)(schedule->total_steps - schedule->warmup_steps);
    if (schedule->decay == SCHEDULE_POLYNOMIAL)
        return pow(1 - (past + 1) / (all + 1), schedule->power);
    if (schedule->decay == SCHEDULE_LINEAR)
        return 1 - past / all;
    return half_cosine(past, all);
}

static double falling_lr(const struct schedule *schedule, uint64_t step)
{
    if (step >= schedule->total_steps)
        return schedule->final_lr;
    return schedule->final_lr +
           (schedule->lr - schedule->final_lr) * height_of(schedule, step);
}

/* One cycle of a value: from start at step 0 to peak at step W - 1, to end at step
 * N - 1. */
static double cycle(const struct schedule *schedule, uint64_t step, double start,
                    double peak, double end)
{
    const uint64_t w = schedule->warmup_steps, n = schedule->total_steps;
    if (step + 1 < w)
        return peak + (start - peak) * half_cosine((double)step, (double)(w - 1));
    if (step + 1 >= n)
        return n > w || step >= n ? end : peak;
    return end + (peak - end) * half_cosine((double)(step + 1 - w), (double)(n - w));
}

/* The warmup's value of step, in equal steps to `to`. */
static double warming(const struct schedule *schedule, uint64_t step, double from,
                      double to)
{
    if (step + 1 == schedule->warmup_steps)
        return to; /* exactly, where the sum below may round */
    const double part = (double)(step + 1) / (double)schedule->warmup_steps;
    return from + (to - from) * part;
}

double schedule_lr(const struct schedule *schedule, uint64_t step)
{
    if (schedule->decay == SCHEDULE_ONE_CYCLE)
        return cycle(schedule, step, schedule->warmup_lr, schedule->lr,
                     schedule->final_lr);
    if (step < schedule->warmup_steps)
        return warming(schedule, step, schedule->warmup_lr, schedule->lr);
    if (schedule->decay == SCHEDULE_CONSTANT)
        return schedule->lr;
    if (schedule->decay == SCHEDULE_STEP)
        return step_lr(schedule, step);
    return falling_lr(schedule, step);
}

double schedule_momentum(const struct schedule *schedule, uint64_t step)
{
    if (schedule->decay == SCHEDULE_ONE_CYCLE && schedule->cycles_momentum)
        return cycle(schedule, step, schedule->max_momentum, schedule->base_momentum,
                     schedule->max_momentum);
    if (schedule->warms_momentum && step < schedule->warmup_steps)
        return warming(schedule, step, schedule->warmup_momentum, schedule->momentum);
    return -1;
}
