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
#include "train/average.h"
#include "train/run_dir.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Values that a lane looks at at a time. */
enum { LOOKED_AT = 1 << 16 };

/* Links to what the run goes on from, where that is its own. If they cannot be made,
 * the next save tells. */
static void mend_links(const struct run *run)
{
    const struct best *best = &run->saving.best;
    if (run->resumed && !run_resumes_file(run) &&
        run_dir_link(&run->life, run->trainer->step,
                     best->is_known ? &best->step : NULL) != CONVOY_OK)
        convoy_status_clear();
}

convoy_status run_save_start(struct run *run)
{
    convoy_status status = CONVOY_OK;
    struct run_saving *saving = &run->saving;
    const struct saver_options options = {.life = &run->life};
    const bool is_there =
        run->resumed && run_dir_owns(run->options->out, checkpoint_path(run->resumed));
    saving->whole_step = saving->begun_step =
        is_there ? run->trainer->step : UINT64_MAX;
    saving->begun_s = clock_now_s();
    TRY(best_read(run->options->out, &saving->best));
    TRY(run_dir_look_across(&run->life));
    mend_links(run);
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
static bool are_finite(const convoy_trainer *t, const struct net_arenas *arenas)
{
    const struct param_store *store = &t->net->store;
    atomic_bool all = true;
    struct looking params = {arenas->params, &all}, buffers = {arenas->buffers, &all};
    lanes_for(t->lanes, store->param_floats + store->frozen_floats, LOOKED_AT,
              look_at_range, &params);
    lanes_for(t->lanes, store->buffer_floats, LOOKED_AT, look_at_range, &buffers);
    return all;
}

/* Also of their average: a checkpoint in which one is not would be passed over. */
static bool is_finite(const convoy_trainer *t)
{
    const struct net_arenas own = net_arenas_own(t->net);
    if (!are_finite(t, &own))
        return false;
    if (!t->average)
        return true;
    const struct net_arenas average = average_arenas(t->average);
    return are_finite(t, &average);
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

/* A series of failures is told once. */
static void take_failure(struct run *run, const struct saver_outcome *outcome)
{
    struct run_saving *saving = &run->saving;
    if (outcome->is_taken_over && run->log.status == CONVOY_OK)
        run->log = outcome->failure;
    else if (!outcome->is_taken_over && saving->failure.status == CONVOY_OK)
        note_failure(run, outcome);
    saving->failure = outcome->failure;
}

static void take_success(struct run *run, const struct saver_outcome *outcome)
{
    struct run_saving *saving = &run->saving;
    saving->whole_step = outcome->step;
    if (saving->candidate.is_known)
        saving->best = saving->candidate;
    run->patience.save_s = saving->waited_s + outcome->seconds;
    snprintf(run->summary.checkpoint, sizeof run->summary.checkpoint, "%s",
             outcome->path);
    if (saving->failure.status != CONVOY_OK)
        run_note(run, "saving works again: step %llu is saved",
                 (unsigned long long)outcome->step);
    saving->failure = outcome->failure;
    if (outcome->untidy.status != CONVOY_OK && !saving->untidy_is_told)
        run_note(run, "step %llu is saved, but %.2000s",
                 (unsigned long long)outcome->step, outcome->untidy.text);
    saving->untidy_is_told = outcome->untidy.status != CONVOY_OK;
    run_log_save(run, outcome->step, outcome->seconds);
    run_report(run, CONVOY_TRAIN_SAVED, outcome->path);
}

static void hear(struct run *run, bool waits)
{
    struct saver_outcome outcome;
    const double since_s = clock_now_s();
    if (!saver_hear(run->saving.saver, waits, &outcome))
        return;
    run->saving.waited_s += clock_now_s() - since_s;
    if (outcome.failure.status == CONVOY_OK)
        take_success(run, &outcome);
    else
        take_failure(run, &outcome);
}

/* Whether the current step has been evaluated, and is better than what is saved. Of its
 * weights and their average the better counts: a checkpoint has both. */
static struct best find_candidate(const struct run *run)
{
    const convoy_train_summary *s = &run->summary;
    const uint64_t step = run->trainer->step;
    struct best found = {0};
    if (s->has_eval && run->eval_step == step)
        best_take(&found, step, s->eval.top1, s->eval.loss);
    if (s->has_ema && run->eval_step == step)
        best_take(&found, step, s->ema.top1, s->ema.loss);
    return best_is_below(&run->saving.best, found.top1, found.loss) ? found
                                                                    : (struct best){0};
}

/* Waits for the save before, copies the state and hands it over. */
static void begin(struct run *run)
{
    struct run_saving *saving = &run->saving;
    const convoy_trainer *t = run->trainer;
    struct saver_outcome outcome = {.step = t->step};
    pulse_enter(PULSE_SAVE, t->step);
    hear(run, true);
    const double since_s = saving->begun_s = clock_now_s();
    saving->begun_step = t->step;
    saving->candidate = find_candidate(run);
    const struct best *best =
        saving->candidate.is_known ? &saving->candidate : &saving->best;
    const struct run_dir_keep keep = {.newest = t->recipe->checkpoint.keep,
                                      .has_best = best->is_known,
                                      .best = best->step};
    const convoy_status status = snapshot_take(saving->snapshot, t);
    saving->waited_s = clock_now_s() - since_s;
    if (status == CONVOY_OK) {
        saver_write(saving->saver, saving->snapshot, &keep);
    } else {
        status_save(status, &outcome.failure);
        take_failure(run, &outcome);
    }
    pulse_enter(PULSE_STEP, t->step);
}

/* How long after one that failed a save is tried again, if none is due before. What is
 * no number of seconds is not heeded. */
static double retry_s(void)
{
    const double usual_s = 120;
    const char *own = getenv("CONVOY_SAVE_RETRY");
    char *end = NULL;
    const double own_s = own ? strtod(own, &end) : usual_s;
    return own && (end == own || *end != '\0' || !(own_s >= 0)) ? usual_s : own_s;
}

static bool is_to_be_tried_again(const struct run_saving *saving)
{
    return saving->failure.status != CONVOY_OK &&
           clock_now_s() - saving->begun_s >= retry_s();
}

/* A state that is not finite is left to the end of the epoch, or of the run, where all
 * ranks see it. */
static bool is_due(const struct run *run)
{
    const convoy_trainer *t = run->trainer;
    const struct recipe_checkpoint *when = &t->recipe->checkpoint;
    const double minutes = (clock_now_s() - run->saving.begun_s) / 60;
    return run->saving.begun_step != t->step &&
           ((when->every_steps > 0 && t->step % (uint64_t)when->every_steps == 0) ||
            (when->every_minutes > 0 && minutes >= when->every_minutes) ||
            is_to_be_tried_again(&run->saving)) &&
           is_finite(t);
}

void run_save_step(struct run *run)
{
    const double since_s = clock_now_s();
    if (!run->speaks)
        return;
    hear(run, false);
    if (is_due(run))
        begin(run);
    run_leave_out(run, since_s);
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
    /* Of all ranks: those that only wait for it are doing that. */
    pulse_enter(PULSE_SAVE, run->trainer->step);
    if (run->speaks)
        status = save_now(run);
    TRY(convoy_world_agree(run->world, status));
    pulse_enter(PULSE_STEP, run->trainer->step);
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
    TRY(run_dir_save(saving->snapshot, &run->life, true, path, size));
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
