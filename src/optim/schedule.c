/* Warmup, then decay, step by step (not epoch by epoch). With W warmup steps, N steps
 * in all and t the step from 0:
 *
 *     t < W     warmup_lr + (lr - warmup_lr) (t + 1) / W
 *     constant  lr
 *     step      lr gamma^(number of milestones <= t)
 *     cosine    final_lr + (lr - final_lr) (1 + cos(pi (t - W) / (N - W))) / 2
 *
 * The warmup is Goyal et al. 2017, section 2.2, "gradual warmup": the rate grows by the
 * same amount every step and is lr after W of them; with t + 1, no step is wasted at a
 * rate of 0. The cosine is Loshchilov and Hutter 2017 (SGDR), equation 5, without
 * restarts. Milestones count from the start of training, warmup included.
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

static double cosine_lr(const struct schedule *schedule, uint64_t step)
{
    const double pi = 3.14159265358979323846;
    if (step >= schedule->total_steps)
        return schedule->final_lr;
    double past = (double)(step - schedule->warmup_steps);
    double all = (double)(schedule->total_steps - schedule->warmup_steps);
    double height = (1 + cos(pi * past / all)) / 2;
    return schedule->final_lr + (schedule->lr - schedule->final_lr) * height;
}

double schedule_lr(const struct schedule *schedule, uint64_t step)
{
    if (step + 1 < schedule->warmup_steps) {
        double part = (double)(step + 1) / (double)schedule->warmup_steps;
        return schedule->warmup_lr + (schedule->lr - schedule->warmup_lr) * part;
    }
    if (step < schedule->warmup_steps)
        return schedule->lr; /* exactly, where the sum above may round */
    if (schedule->decay == SCHEDULE_STEP)
        return step_lr(schedule, step);
    if (schedule->decay == SCHEDULE_COSINE)
        return cosine_lr(schedule, step);
    return schedule->lr;
}
