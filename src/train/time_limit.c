/* A stop that is asked for travels with a step, so it is decided before one: if the run
 * took this step as any other, would the next one, with which it can stop then, still
 * leave time? Where it would not, this one is the last. What steps, evaluations and
 * saves take is measured; a quarter more is allowed for, since machines are shared, and
 * a little for the end of the program and of the job script. */
#include "train/time_limit.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* Of the time there is, at most; and what the end of a job takes. */
static const double reserve_share = 0.05, own_reserve_s = 2, job_reserve_s = 30;
static const double allowance = 1.25;

static void set(double left_s, double reserve_s, double now_s, struct time_limit *limit)
{
    limit->until_s = now_s + left_s;
    limit->reserve_s = fmin(reserve_s, reserve_share * left_s);
}

void time_limit_begin(double max_s, double now_s, struct time_limit *limit)
{
    const char *text = getenv("SLURM_JOB_END_TIME");
    const double end_s = text ? strtod(text, NULL) : 0;
    const double left_s = end_s - (double)time(NULL);
    *limit = (struct time_limit){.until_s = (double)INFINITY};
    if (max_s > 0)
        set(max_s, own_reserve_s, now_s, limit);
    limit->is_past = end_s > 0 && left_s <= 0;
    if (end_s > 0 && left_s > 0 && now_s + left_s < limit->until_s) {
        set(left_s, job_reserve_s, now_s, limit);
        limit->is_jobs = true;
    }
}

bool time_limit_is_up(const struct time_limit *limit, const struct time_needs *needs,
                      uint64_t step, uint64_t steps_per_epoch, double now_s)
{
    enum { STEPS = 2, SAVES = 2 };
    const uint64_t n_ends = (step + STEPS) / steps_per_epoch - step / steps_per_epoch;
    const double needed_s = STEPS * needs->step_s +
                            (double)n_ends * needs->epoch_end_s + SAVES * needs->save_s;
    return now_s + allowance * needed_s + limit->reserve_s > limit->until_s;
}
