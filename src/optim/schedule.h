/* The learning rate of each step, and its momentum where that changes too. */
#ifndef OPTIM_SCHEDULE_H
#define OPTIM_SCHEDULE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { SCHEDULE_MAX_MILESTONES = 32 };

enum schedule_decay {
    SCHEDULE_CONSTANT,
    SCHEDULE_STEP,
    SCHEDULE_COSINE,
    SCHEDULE_POLYNOMIAL,
    SCHEDULE_LINEAR,
    SCHEDULE_ONE_CYCLE
};

/* A schedule in epochs. */
struct schedule_options {
    enum schedule_decay decay;
    uint64_t steps_per_epoch;
    double epochs;
    double lr;                /* after the warmup */
    double warmup_epochs;     /* <= epochs */
    double warmup_lr;         /* where the warmup begins */
    int n_milestones;         /* SCHEDULE_STEP */
    const double *milestones; /* [n_milestones], epochs; borrowed for the call */
    double gamma;             /* SCHEDULE_STEP: factor at each milestone */
    double final_lr;          /* of the decays that fall all the time */
    double power;             /* SCHEDULE_POLYNOMIAL */
    bool warms_momentum;      /* in the warmup, from warmup_momentum to momentum */
    double warmup_momentum, momentum;
    bool cycles_momentum; /* SCHEDULE_ONE_CYCLE: max, base where lr is highest, max */
    double base_momentum, max_momentum;
};

/* The same in steps: plain data. */
struct schedule {
    enum schedule_decay decay;
    double lr, warmup_lr, gamma, final_lr, power;
    bool warms_momentum, cycles_momentum;
    double momentum, warmup_momentum, base_momentum, max_momentum;
    uint64_t warmup_steps, total_steps;
    int n_milestones;
    uint64_t milestones[SCHEDULE_MAX_MILESTONES]; /* first steps with the lower rate */
};

/* Epochs become steps, rounded to the nearest. ARGUMENT: no steps in an epoch, too many
 * milestones. */
convoy_status schedule_init(const struct schedule_options *options,
                            struct schedule *schedule);

/* The learning rate of step (from 0). A pure function, so a run that goes on at any
 * step finds its place. Steps from total_steps on have what the decay ends with. */
double schedule_lr(const struct schedule *schedule, uint64_t step);

/* The momentum of step, as pure a function; below 0: what the optimizer is told. */
double schedule_momentum(const struct schedule *schedule, uint64_t step);

#endif
