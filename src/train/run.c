/* A training run from its first to its last step: a loop over a trainer, as any program
 * may write one, with a folder, metrics and reports. Everything that a step computes is
 * in step.c; this file only decides what happens when. */
#include "train/run.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "comm/world.h"
#include "train/run_dir.h"
#include "train/same_run.h"
#include "train/trace.h"
#include "train/trace_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void on_evaluating(void *context, uint64_t done, uint64_t total)
{
    const struct run *run = context;
    if (!run->options->progress)
        return;
    const convoy_train_report told = {
        .event = CONVOY_TRAIN_EVALUATING, .done = done, .total = total};
    run->options->progress(run->options->context, &told);
}

/* Lines that cannot be written wait for better times: that is told when it begins and
 * when it is over. */
static void keep_log(struct run *run, convoy_status status)
{
    const bool was_mute = run->is_mute;
    if (status != CONVOY_OK)
        status = run_life_tell(&run->life, status);
    if (status == CONVOY_ERROR_ARGUMENT) { /* the folder is another run's */
        status_save(status, &run->log);
        return;
    }
    run->is_mute = status != CONVOY_OK;
    if (run->is_mute && !was_mute)
        run_note(run, "%.2000s; training goes on and tries again",
                 convoy_status_text());
    else if (was_mute && !run->is_mute)
        run_note(run, "%s is written again, no line is missing", run->metrics.failed);
}

/* Why the run fails, whatever its weights: another run has its folder, or lines of its
 * log are missing. */
static convoy_status log_outcome(struct run *run)
{
    if (run->log.status != CONVOY_OK)
        return status_restore(&run->log);
    return run->speaks ? metrics_flush(&run->metrics) : CONVOY_OK;
}

/* Whether this rank may write a line: it is the one that does, and the folder is still
 * this run's. Else the run ends, but at the next step's border: keeps the reason until
 * then. */
static bool may_log(struct run *run)
{
    if (!run->speaks || run->log.status != CONVOY_OK)
        return false;
    const convoy_status status = run_life_check(&run->life);
    if (status != CONVOY_OK)
        status_save(status, &run->log);
    return status == CONVOY_OK;
}

static void log_step(struct run *run)
{
    const convoy_trainer *t = run->trainer;
    const bool is_line = t->step % (uint64_t)t->recipe->metrics.every_steps == 0;
    if (!run->speaks || (is_line && !may_log(run)))
        return;
    const convoy_status status = metrics_step(&run->metrics, t, &run->last);
    if (is_line)
        keep_log(run, status);
}

void run_log_save(struct run *run, uint64_t step, double seconds)
{
    const struct metric_save line = {step, seconds, run->saving.waited_s};
    if (may_log(run))
        keep_log(run, metrics_save(&run->metrics, &line));
}

/* timeline.json is written with every such line, so one that fails is not missed. */
static void keep_timeline(struct run *run, convoy_status status)
{
    if (status == CONVOY_ERROR_ARGUMENT) { /* the folder is another run's */
        status_save(status, &run->log);
        return;
    }
    if (status != CONVOY_OK && !run->lacks_timeline)
        run_note(run, "%.2000s; training goes on without it", convoy_status_text());
    run->lacks_timeline = status != CONVOY_OK;
}

/* Where the time of steps went since the last such line. Collective. */
static convoy_status log_ranks(struct run *run)
{
    convoy_status status = CONVOY_OK, written = CONVOY_OK;
    convoy_rank_seconds seconds;
    TRY(run_energy_sum(run));
    TRY(rank_spread_line(&run->spread, run->trainer, &seconds));
    if (may_log(run))
        keep_log(run, metrics_ranks(&run->metrics, run->trainer->step, &seconds));
    if (seconds.steps > 0)
        TRY(run_write_timeline(run, &written));
    if (run->speaks && run->log.status == CONVOY_OK)
        keep_timeline(run, written);
cleanup:
    return status;
}

/* Of the weights, then of their average: the figures are the summary's. Collective. */
static convoy_status evaluate(struct run *run)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = run->trainer;
    convoy_train_summary *s = &run->summary;
    void (*progress)(void *, uint64_t, uint64_t) = run->speaks ? on_evaluating : NULL;
    if (t->evaluator)
        TRY(convoy_trainer_evaluate(t, progress, run, &s->eval));
    if (t->evaluator && t->average)
        TRY(convoy_trainer_evaluate_ema(t, progress, run, &s->ema));
    s->has_eval = t->evaluator != NULL;
    s->has_ema = s->has_eval && t->average;
    run->eval_step = t->step;
cleanup:
    return status;
}

/* What comes after the last step of an epoch. Collective. */
static convoy_status end_epoch(struct run *run)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    const convoy_train_summary *s = &run->summary;
    const int every = t->recipe->checkpoint.every_epochs;
    const double ended_s = clock_now_s();
    struct metric_epoch line = {.step = t->step,
                                .epoch = t->step / t->steps_per_epoch,
                                .seconds = ended_s - run->epoch_started_s};
    TRY(evaluate(run));
    line.val_seconds = clock_now_s() - ended_s;
    TRY(metrics_peak_memory(run->trainer, &line.peak_memory_bytes));
    TRY(log_ranks(run));
    run_energy_take(run, &line.energy_j, &line.energy_nodes);
    if (may_log(run))
        keep_log(run, metrics_epoch(&run->metrics, &line, s->has_eval ? &s->eval : NULL,
                                    s->has_ema ? &s->ema : NULL));
    if (may_log(run))
        keep_log(run, metrics_kernels(&run->metrics, t));
    run_report(run, CONVOY_TRAIN_EPOCH, NULL);
    run_note_epoch(run, line.seconds);
    if (s->has_eval && !isfinite(s->eval.loss))
        TRY(run_diverged(run, "the validation loss"));
    if (t->step == t->total_steps || (every > 0 && line.epoch % (uint64_t)every == 0))
        TRY(run_save(run));
    metrics_restart(&run->metrics);
    rank_spread_restart(&run->spread);
    run->epoch_started_s = clock_now_s();
cleanup:
    return status;
}

static bool asked_to_stop(const struct run *run)
{
    return run->options->stop && *run->options->stop;
}

/* As long as a step for each batch of it, until it was measured: passing forward takes
 * a third of that. */
static double guess_epoch_end(const convoy_trainer *t, double step_s)
{
    if (!t->val_pack)
        return 0;
    const double n_batches = ceil((double)convoy_pack_describe(t->val_pack)->n_records /
                                  t->recipe->batch.size);
    const int n_passes = t->norm ? norm_n_batches(t->recipe, t->steps_per_epoch) : 0;
    return step_s * (n_batches + n_passes) * (t->average ? 2 : 1);
}

/* Whether the time is up, but for the step to come: rank 0 alone decides. */
static bool is_out_of_time(struct run *run, uint64_t end)
{
    const convoy_trainer *t = run->trainer;
    const struct launch_patience *p = &run->patience;
    const struct time_needs needs = {
        .step_s = p->step_s,
        .epoch_end_s =
            run->epoch_end_s > 0 ? run->epoch_end_s : guess_epoch_end(t, p->step_s),
        .save_s = p->save_s,
    };
    if (run->speaks && t->step + 1 < end && !run->is_time_up)
        run->is_time_up = time_limit_is_up(&run->limit, &needs, t->step,
                                           t->steps_per_epoch, clock_now_s());
    return run->is_time_up;
}

void run_leave_out(struct run *run, double since_s)
{
    const double seconds = clock_now_s() - since_s;
    metrics_leave_out(&run->metrics, seconds);
    rank_spread_leave_out(&run->spread, seconds);
    run->epoch_started_s += seconds;
}

/* Before a step: the first that is traced needs the ranks' clocks. Collective. */
static convoy_status begin_trace(struct run *run)
{
    const double since_s = clock_now_s();
    const convoy_status status = trace_file_before_step(run->trainer);
    run_leave_out(run, since_s);
    return status;
}

/* After the last step of a trace, or at the run's end. Where rank 0 cannot write it,
 * the run goes on, which is worth more. Collective. */
static convoy_status write_trace(struct run *run, bool is_end)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    const double since_s = clock_now_s();
    bool is_written;
    TRY(trace_file_after_step(run->trainer, run->options->trace, is_end, &is_written));
    if (!is_written)
        return CONVOY_OK;
    run_leave_out(run, since_s);
    if (t->trace->failure.status != CONVOY_OK)
        run_note(run, "%s; training goes on without a trace", t->trace->failure.text);
    else
        run_note(run, "trace of steps %llu to %llu: %s",
                 (unsigned long long)t->trace->first,
                 (unsigned long long)t->trace->last, run->options->trace->file);
cleanup:
    return status;
}

static convoy_status trace_outcome(const struct run *run)
{
    const struct trace *trace = run->trainer->trace;
    return !trace || trace->failure.status == CONVOY_OK
               ? CONVOY_OK
               : status_restore(&trace->failure);
}

static const char *stopped_how(const struct run *run)
{
    return !run->is_time_up      ? "stopped by a signal"
           : !run->limit.is_jobs ? "stopped in time for --max-minutes"
                                 : "stopped in time for the end of the job";
}

/* Every rank knows; one has the text. */
static convoy_status stopped(const struct run *run)
{
    convoy_status_clear();
    if (!run->speaks)
        return CONVOY_STOPPED;
    return FAIL(CONVOY_STOPPED, "%s after saving step %llu", stopped_how(run),
                (unsigned long long)run->trainer->step);
}

static const char *ended_how(const struct run *run)
{
    const convoy_trainer *t = run->trainer;
    if (run->last.stop)
        return stopped_how(run);
    return t->step == t->total_steps ? "done" : "--stop-after-steps";
}

/* What rank 0 alone knows of the end. */
static convoy_status summarise(struct run *run)
{
    convoy_train_summary *s = &run->summary;
    const struct metric_start *start = &run->start;
    s->nodes = (int)start->nodes;
    s->ranks = (int)start->ranks;
    s->lanes = (int)start->lanes;
    s->cores = (int)start->cores;
    s->threads = (int)start->threads;
    s->batch = (int)start->batch;
    s->microbatch = (int)start->microbatch;
    s->steps_here = run->trainer->step - start->step;
    s->seconds = clock_now_s() - run->started_s;
    s->step_s = metrics_step_s(&run->metrics);
    s->images_per_s = s->batch / s->step_s;
    s->loss = s->steps_here > 0 ? run->last.loss : (double)NAN;
    return run_save_hash(run, s->hash);
}

/* Saves the last step and tells what the run came to. Collective. */
static convoy_status finish(struct run *run)
{
    convoy_status status = CONVOY_OK;
    TRY(run_save_last(run));
    TRY(log_ranks(run));
    TRY(convoy_world_agree(run->world, log_outcome(run)));
    TRY(write_trace(run, true));
    TRY(rank_spread_life(&run->spread, run->trainer, &run->summary.of_ranks));
    TRY(metrics_peak_memory(run->trainer, &run->summary.peak_memory_bytes));
    if (run->speaks)
        status = summarise(run);
    if (run->speaks && status == CONVOY_OK)
        status = run_tell_end(run, ended_how(run));
    TRY(convoy_world_agree(run->world, status));
    run_report(run, CONVOY_TRAIN_ENDED, NULL);
    /* Of a run that is well but for that; one that is to go on says so in its status.
     */
    if (!run->last.stop)
        TRY(convoy_world_agree(run->world, trace_outcome(run)));
cleanup:
    return status;
}

/* The step to end with. */
static uint64_t last_step(const struct run *run)
{
    const uint64_t *stop_after = run->options->stop_after_steps,
                   total_steps = run->trainer->total_steps;
    return stop_after && *stop_after < total_steps ? *stop_after : total_steps;
}

/* Where nothing is written for long, what the lock's thread has seen ends the run. */
static void look_for_successor(struct run *run)
{
    if (run_life_is_lost(&run->life) && run->log.status == CONVOY_OK)
        keep_log(run, run_life_check(&run->life));
}

/* Where the guard does not let a step be taken, the state before it is saved, as a good
 * one. */
static convoy_status take_step(struct run *run, bool stop)
{
    struct failure failure;
    const convoy_trainer *t = run->trainer;
    const convoy_status status = convoy_trainer_step(run->trainer, stop, &run->last);
    if (status == CONVOY_OK || !t->guard.is_stopped)
        return status;
    status_save(status, &failure);
    if (run_save_last(run) == CONVOY_OK)
        run_note(run, "the state after step %llu is saved: %s",
                 (unsigned long long)t->step, run->summary.checkpoint);
    else
        run_note(run, "the state after step %llu is not saved: %s",
                 (unsigned long long)t->step, convoy_status_text());
    return status_restore(&failure);
}

static convoy_status steps(struct run *run)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = run->trainer;
    const uint64_t end = last_step(run);
    if (t->step == 0 && may_log(run)) /* what learning begins with */
        keep_log(run, metrics_kernels(&run->metrics, t));
    run->started_s = run->epoch_started_s = clock_now_s();
    metrics_begin(&run->metrics);
    run_energy_begin(run);
    while (t->step < end) {
        look_for_successor(run);
        const bool stop = asked_to_stop(run) || run->log.status != CONVOY_OK ||
                          is_out_of_time(run, end);
        TRY(begin_trace(run));
        const double began_s = clock_now_s();
        TRY(take_step(run, stop));
        const double step_s = clock_now_s() - began_s;
        run->waited_s += run->last.seconds.waited;
        TRY(rank_spread_step(&run->spread, t, &run->last.seconds));
        run_note_skipped(run);
        run_note_left_out(run);
        log_step(run);
        run_report(run, CONVOY_TRAIN_STEP, NULL);
        TRY(write_trace(run, false));
        const double ended_s = clock_now_s();
        if (t->step % t->steps_per_epoch == 0) {
            TRY(end_epoch(run));
            run->epoch_end_s = fmax(run->epoch_end_s, clock_now_s() - ended_s);
        }
        run_save_step(run);
        run_energy_step(run);
        if (run->last.stop) {
            TRY(finish(run));
            return stopped(run);
        }
        run_note_patience(run, step_s, clock_now_s() - began_s);
    }
    TRY(finish(run));
cleanup:
    return status;
}

/* The bits depend on T, so where the recipe leaves it open it is the checkpoint's.
 * init.weights is what a run begins with: one that goes on needs no such file. */
static convoy_status create_trainer(struct run *run, convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    const struct checkpoint *resumed = run->resumed;
    const convoy_trainer_options options = {
        .goes_on = resumed != NULL, .oversubscribe = run->options->oversubscribe};
    if (resumed && recipe->threads == 0)
        recipe->threads = checkpoint_describe(resumed)->threads;
    TRY(convoy_trainer_create(run->world, recipe, &options, &run->trainer));
    if (resumed) {
        TRY(trainer_go_on(run->trainer, resumed,
                          run->options->resume_anyway || run_resumes_file(run)));
        snprintf(run->summary.checkpoint, sizeof run->summary.checkpoint, "%s",
                 checkpoint_path(resumed));
    }
cleanup:
    return status;
}

static void say_waiting(void *context, const char *text)
{
    run_note(context, "%s", text);
}

static convoy_status begin_life(struct run *run, char note[STATUS_TEXT_SIZE])
{
    const struct run_life_wait wait = {
        .stop = run->options->stop, .say = say_waiting, .context = run};
    return run_life_begin(run->options->out, &wait, &run->life, note);
}

static convoy_status set_up(struct run *run, convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    char passed_over[STATUS_TEXT_SIZE], taken_over[STATUS_TEXT_SIZE] = "";
    char lost[STATUS_TEXT_SIZE] = "";
    char *hosts = NULL;
    const char *out = run->options->out;
    if (run->speaks)
        status = run_dir_prepare(out);
    if (run->speaks && status == CONVOY_OK)
        status = begin_life(run, taken_over);
    if (status == CONVOY_OK && run->options->trace)
        status = trace_file_check(run->world, run->options->trace, out);
    TRY(convoy_world_agree(run->world, status));
    TRY(run_dir_resume(run->world, out, run->options->resume, passed_over,
                       &run->resumed));
    TRY(create_trainer(run, recipe));
    TRY(trace_file_begin(run->trainer, run->options->trace, last_step(run)));
    TRY(rank_spread_begin(&run->spread, run->trainer));
    TRY(world_hosts(run->world, &hosts));
    TRY(metrics_describe(run->trainer, &run->start));
    if (run->speaks) {
        status = run_tell_begin(run, hosts, lost);
        if (status == CONVOY_OK)
            status =
                metrics_open(&run->metrics, &run->life, &recipe->metrics, &run->start);
        if (status == CONVOY_OK)
            status = run_save_start(run);
    }
    TRY(convoy_world_agree(run->world, status));
    run_report_start(run, passed_over);
    if (*taken_over)
        run_note(run, "%s", taken_over);
    if (*lost)
        run_note(run, "%s", lost);
    run_note_changes(run);
    run_note_launch(run);
    if (run->options->trace && !run->trainer->trace)
        run_note(run,
                 "no step that is to be traced is still to come: %s is left as it is",
                 run->options->trace->file);
    if (run->speaks && run->limit.is_past)
        run_note(run, "SLURM_JOB_END_TIME is over already: it is not heeded");
    launch_patience_init(&run->patience, run->trainer->memory.saving);
    const bool is_named = run_resumes_file(run);
    checkpoint_close(run->resumed); /* with all its values */
    run->resumed = NULL;
    /* From elsewhere: else the folder would begin anew after a kill before the first
     * save. */
    if (is_named)
        TRY(run_save(run));
cleanup:
    mem_free(hosts);
    return status;
}

convoy_status convoy_train_run(convoy_world *world, convoy_recipe *recipe,
                               const convoy_train_options *options)
{
    convoy_status status = CONVOY_OK;
    struct run run = {
        .world = world, .options = options, .speaks = convoy_world_rank(world) == 0};
    TRY(same_run_options(world, options));
    world_set_timeout(world, recipe->exchange.timeout); /* of the set-up too */
    pulse_enter(PULSE_START, 0);
    time_limit_begin(options->max_s, clock_now_s(), &run.limit);
    TRY(set_up(&run, recipe));
    TRY(steps(&run));
cleanup:
    run_save_stop(&run);
    run_tell_failure(&run, status);
    metrics_close(&run.metrics);
    rank_spread_end(&run.spread);
    run_energy_end(&run);
    checkpoint_close(run.resumed);
    convoy_trainer_destroy(run.trainer);
    run_life_end(&run.life);
    return status;
}
