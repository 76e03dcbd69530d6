/* When a run's state goes to a file, and to which: good ones take turns, a diverged one
 * stands beside them. */
#include "train/run.h"

#include "base/clock.h"
#include "base/pulse.h"
#include "comm/world.h"
#include "train/run_dir.h"

#include <math.h>
#include <stdio.h>

convoy_status run_diverged(const struct run *run, const char *what)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    char path[4096];
    if (run->speaks)
        status = run_dir_save(t, run->options->out, true, path, sizeof path);
    TRY(convoy_world_agree(run->world, status));
    if (run->speaks)
        status = FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s of step %llu is not a finite number: the training diverged; lower "
            "schedule.lr (now %g) or lengthen schedule.warmup_epochs. The state is %s; "
            "--resume auto passes it over",
            what, (unsigned long long)t->step, run->last.lr, path);
    TRY(convoy_world_agree(run->world, status));
cleanup:
    return status;
}

static bool are_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* Parameters, what is between them (zeros), and running statistics. */
static bool is_finite(const struct param_store *store)
{
    return are_finite(store->param_data, store->param_floats + store->frozen_floats) &&
           are_finite(store->buffer_data, store->buffer_floats);
}

convoy_status run_save(struct run *run)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    char *path = run->summary.checkpoint;
    const double since_s = clock_now_s();
    if (run->saved_step == t->step)
        return CONVOY_OK;
    if (!is_finite(&t->net->store))
        return run_diverged(run, "a weight");
    pulse_enter(PULSE_SAVE, t->step);
    if (run->speaks)
        status = run_lock_check(&run->lock);
    if (run->speaks && status == CONVOY_OK)
        status = run_dir_save(t, run->options->out, false, path,
                              sizeof run->summary.checkpoint);
    TRY(convoy_world_agree(run->world, status));
    pulse_enter(PULSE_STEP, t->step);
    run->saved_step = t->step;
    run->patience.save_s = clock_now_s() - since_s;
    run_report(run, CONVOY_TRAIN_SAVED, NULL, path);
cleanup:
    return status;
}
