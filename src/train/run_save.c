/* When a run's state goes to a file, and what becomes of it.
 *
 * Rank 0 copies the state between two steps (snapshot.c), and a thread writes the copy
 * while training goes on (saver.c). The outcome is heard at a later step's border, or
 * waited for where the copy is needed again, and at the end. Other ranks, whose weights
 * are the same, take no part: only that all of them are finite is everybody's business.
 *
 * A save that fails ends no run: the checkpoints that there are stay, and the next save
 * tries again. Only the last one has to succeed. */
#include "train/run.h"

#include "base/clock.h"
#include "base/pulse.h"
#include "comm/world.h"
#include "train/run_dir.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

/* Values that a lane looks at at a time. */
enum { LOOKED_AT = 1 << 16 };

convoy_status run_save_start(struct run *run)
{
    convoy_status status = CONVOY_OK;
    struct run_saving *saving = &run->saving;
    const struct saver_options options = {
        .life = &run->life, .keep = run->trainer->recipe->checkpoint.keep};
    saving->whole_step = saving->begun_step =
        run->resumed ? run->trainer->step : UINT64_MAX;
    TRY(snapshot_create(run->trainer, &saving->snapshot));
    TRY(saver_start(&options, &saving->saver));
cleanup:
    return status;
}

void run_save_stop(struct run *run)
{
    saver_stop(run->saving.saver);
    snapshot_destroy(run->saving.snapshot);
}

struct looking {
    const float *values;
    atomic_bool *is_finite;
};

static void look_at_range(void *context, int worker, size_t begin, size_t end)
{
    const struct looking *looking = context;
    bool all = true;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        all = all & isfinite(looking->values[i]);
    if (!all)
        atomic_store(looking->is_finite, false);
}

/* Parameters, what is between them (zeros), and running statistics. */
static bool is_finite(const convoy_trainer *t)
{
    const struct param_store *store = &t->net->store;
    atomic_bool all = true;
    struct looking params = {store->param_data, &all},
                   buffers = {store->buffer_data, &all};
    lanes_for(t->lanes, store->param_floats + store->frozen_floats, LOOKED_AT,
              look_at_range, &params);
    lanes_for(t->lanes, store->buffer_floats, LOOKED_AT, look_at_range, &buffers);
    return all;
}

static void note_failure(const struct run *run, const struct saver_outcome *outcome)
{
    const char *newest = run->summary.checkpoint;
    run_note(
        run,
        "cannot save step %llu: %.2000s; training goes on and tries again, and %s%s",
        (unsigned long long)outcome->step, outcome->failure.text,
        *newest ? "the newest checkpoint is " : "there is no checkpoint yet", newest);
}

/* Of a save that was begun: told once while they fail for the same reason. */
static void take_outcome(struct run *run, const struct saver_outcome *outcome)
{
    struct run_saving *saving = &run->saving;
    const bool failed_before = saving->failure.status != CONVOY_OK;
    const bool fails = outcome->failure.status != CONVOY_OK;
    if (fails && outcome->is_taken_over && run->log.status == CONVOY_OK)
        run->log = outcome->failure;
    else if (fails &&
             (!failed_before || saving->failure.status != outcome->failure.status))
        note_failure(run, outcome);
    saving->failure = outcome->failure;
    if (fails)
        return;
    saving->whole_step = outcome->step;
    run->patience.save_s = saving->waited_s + outcome->seconds;
    snprintf(run->summary.checkpoint, sizeof run->summary.checkpoint, "%s",
             outcome->path);
    if (failed_before)
        run_note(run, "saving works again: step %llu is saved",
                 (unsigned long long)outcome->step);
    run_report(run, CONVOY_TRAIN_SAVED, NULL, outcome->path);
}

static void hear(struct run *run, bool waits)
{
    struct saver_outcome outcome;
    if (saver_hear(run->saving.saver, waits, &outcome))
        take_outcome(run, &outcome);
}

void run_save_look(struct run *run)
{
    if (run->speaks)
        hear(run, false);
}

/* Waits for the save before, copies the state and hands it over. */
static void begin(struct run *run)
{
    struct run_saving *saving = &run->saving;
    const convoy_trainer *t = run->trainer;
    const double since_s = clock_now_s();
    struct saver_outcome outcome = {.step = t->step};
    pulse_enter(PULSE_SAVE, t->step);
    hear(run, true);
    saving->begun_step = t->step;
    const convoy_status status = snapshot_take(saving->snapshot, t);
    if (status == CONVOY_OK) {
        saver_write(saving->saver, saving->snapshot);
    } else {
        status_save(status, &outcome.failure);
        take_outcome(run, &outcome);
    }
    pulse_enter(PULSE_STEP, t->step);
    saving->waited_s = clock_now_s() - since_s;
}

convoy_status run_save(struct run *run)
{
    if (!is_finite(run->trainer))
        return run_diverged(run, "a weight");
    if (run->speaks && run->saving.begun_step != run->trainer->step)
        begin(run);
    return CONVOY_OK;
}

/* Until the current step is whole under its name. */
static convoy_status save_now(struct run *run)
{
    struct run_saving *saving = &run->saving;
    const uint64_t step = run->trainer->step;
    hear(run, true);
    if (saving->whole_step == step)
        return CONVOY_OK;
    begin(run);
    pulse_enter(PULSE_SAVE, step);
    hear(run, true);
    pulse_enter(PULSE_STEP, step);
    if (saving->failure.status == CONVOY_OK)
        return CONVOY_OK;
    const convoy_status status = status_restore(&saving->failure);
    return status_prefix(status, "the run ends without step %llu saved",
                         (unsigned long long)step);
}

convoy_status run_save_last(struct run *run)
{
    convoy_status status = CONVOY_OK;
    if (!is_finite(run->trainer))
        return run_diverged(run, "a weight");
    if (run->speaks)
        status = save_now(run);
    TRY(convoy_world_agree(run->world, status));
cleanup:
    return status;
}

convoy_status run_save_hash(struct run *run, char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct snapshot *snapshot = run->saving.snapshot;
    if (!snapshot_is_of(snapshot, run->trainer->step))
        TRY(snapshot_take(snapshot, run->trainer));
    TRY(snapshot_hash(snapshot, hex));
cleanup:
    return status;
}

static convoy_status save_diverged(struct run *run, char *path, size_t size)
{
    convoy_status status = CONVOY_OK;
    struct run_saving *saving = &run->saving;
    hear(run, true);
    TRY(snapshot_take(saving->snapshot, run->trainer));
    TRY(run_dir_save(saving->snapshot, &run->life, true, 0, path, size));
cleanup:
    return status;
}

convoy_status run_diverged(struct run *run, const char *what)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    char path[4096];
    if (run->speaks)
        status = save_diverged(run, path, sizeof path);
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
