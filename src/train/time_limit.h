/* When a run has to stop so that it has saved before its time is up. */
#ifndef TRAIN_TIME_LIMIT_H
#define TRAIN_TIME_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

/* Times are in seconds; those of the clock are clock_now_s'. */
struct time_limit {
    double until_s;   /* infinite: none */
    double reserve_s; /* for all that is not foreseen */
    bool is_jobs;     /* the batch job's, not one that was asked for */
    bool is_past;     /* the job's end was over at the start, so it is not heeded */
};

/* What a run still has to do, as far as it is known: each the longest so far. */
struct time_needs {
    double step_s;
    double epoch_end_s; /* what comes after an epoch's last step */
    double save_s;
};

/* The earlier of max_s from now on (0: none) and SLURM_JOB_END_TIME, a Unix time in the
 * environment. Local. */
void time_limit_begin(double max_s, double now_s, struct time_limit *limit);

/* Whether a run that has done step steps must be told to stop with the next one: what
 * is asked for one step later comes after that one and a second, either of which may
 * end an epoch, and then there must be time to let a save under way end and make the
 * last one. Local. */
bool time_limit_is_up(const struct time_limit *limit, const struct time_needs *needs,
                      uint64_t step, uint64_t steps_per_epoch, double now_s);

#endif
