/* A training run from its first to its last step: a loop over a trainer, as any program
 * may write one, with a folder, metrics and reports. Everything that a step computes is
 * in step.c; this file only decides what happens when. */
#include "train/trainer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "base/text.h"
#include "comm/world.h"
#include "train/launch_notes.h"
#include "train/metrics.h"
#include "train/run_dir.h"
#include "train/run_lock.h"
#include "train/same_run.h"
#include "train/rank_spread.h"
#include "train/state.h"
#include "train/trace.h"
#include "train/trace_file.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of damaged samples by name. */
enum { MAX_SKIP_NOTES = 10 };
/* Waiting for input that is worth a note: a share of an epoch's time, and seconds. */
static const double much_waiting = 0.05, least_waiting_s = 1;

struct run {
    convoy_world *world;
    const convoy_train_options *options;
    convoy_trainer *trainer;
    struct checkpoint *resumed; /* while setting up */
    struct metrics metrics;
    struct rank_spread spread;
    convoy_step_result last;
    struct failure log;  /* why metrics could not be written, until all are told */
    uint64_t saved_step; /* of the newest checkpoint; UINT64_MAX: none */
    struct metric_start start;
    convoy_train_summary summary; /* what of it is known */
    double started_s, epoch_started_s;
    double waited_s;    /* for the loader's threads, in this epoch */
    uint64_t n_skipped; /* damaged samples in this epoch */
    int n_skip_notes;
    struct launch_patience patience;
    bool speaks;          /* rank 0 */
    struct run_lock lock; /* its */
};

static void report(const struct run *run, enum convoy_train_event event,
                   const convoy_eval_result *eval, const char *text)
{
    const convoy_trainer *t = run->trainer;
    if (!run->speaks || !run->options->progress)
        return;
    const convoy_train_report told = {
        .event = event,
        .step = t->step,
        .total_steps = t->total_steps,
        .epoch = (int)(t->step / t->steps_per_epoch),
        .epochs = t->recipe->schedule.epochs,
        .loss = run->last.loss,
        .lr = run->last.lr,
        .images_per_s = run->metrics.sum.images_per_s,
        .input_wait = run->metrics.sum.input_wait,
        .loader_threads = loader_threads(t->loader),
        .eval = eval,
        .summary = event == CONVOY_TRAIN_ENDED ? &run->summary : NULL,
        .text = text,
    };
    run->options->progress(run->options->context, &told);
}

/* ", 1234 of them frozen" or nothing. */
static void frozen_text(const struct param_store *store, char *out, size_t size)
{
    int64_t n = 0;
    for (int i = 0; i < store->n_params; i++)
        n += store->params[i].frozen ? param_store_n_values(store, i) : 0;
    out[0] = '\0';
    if (n > 0)
        snprintf(out, size, ", %lld of them frozen", (long long)n);
}

static void note(const struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(const struct run *run, const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report(run, CONVOY_TRAIN_NOTE, NULL, text);
}

/* Of how the ranks were started. */
static void note_launch(const struct run *run)
{
    char text[STATUS_TEXT_SIZE];
    for (int at = 0; launch_note(run->trainer, &at, text, sizeof text);)
        note(run, "%s", text);
}

/* Names what was left out of the step just taken. */
static void note_skipped(struct run *run)
{
    const convoy_trainer *t = run->trainer;
    if (run->last.n_skipped == 0)
        return;
    run->n_skipped += (uint64_t)run->last.n_skipped;
    if (run->n_skip_notes++ < MAX_SKIP_NOTES)
        note(run,
             "step %llu: left out %d damaged sample%s: record %llu of %s%s; 'convoy "
             "verify' says what is wrong",
             (unsigned long long)t->step, run->last.n_skipped,
             run->last.n_skipped > 1 ? "s" : "",
             (unsigned long long)run->last.first_skipped, t->recipe->data.train,
             run->last.n_skipped > 1 ? " and others" : "");
}

/* Whether steps and saves are short enough for a signal. */
static void note_patience(struct run *run, double step_s, double between_s)
{
    char text[512];
    launch_patience_step(&run->patience, step_s, between_s);
    if (launch_patience_note(&run->patience, text, sizeof text))
        note(run, "%s", text);
}

/* At the end of an epoch: what was left out of it, and whether loading held it up. */
static void note_epoch(struct run *run, double seconds)
{
    const convoy_trainer *t = run->trainer;
    const int n = loader_threads(t->loader);
    if (run->n_skipped > 0)
        note(run, "%llu damaged samples were left out of this epoch",
             (unsigned long long)run->n_skipped);
    if (run->waited_s > least_waiting_s && run->waited_s > much_waiting * seconds)
        note(run,
             "loading: steps waited %.0f %% of the time for input with %d loader "
             "thread%s; %s",
             100 * run->waited_s / seconds, n, n > 1 ? "s" : "",
             t->recipe->data.threads > 0 && n < t->cores.n
                 ? "data.threads in the recipe sets more, or auto"
                 : "each rank's cores are all at work: see 'convoy bench loader'");
    run->waited_s = 0;
    run->n_skipped = 0;
}

/* Whether the run goes on from a file that was named, whatever its recipe was. */
static bool resumes_file(const struct run *run)
{
    const char *resume = run->options->resume;
    return run->resumed && resume && strcmp(resume, "auto") != 0;
}

/* "memory: 1.23 GiB a rank: …"; MiB where it is little. */
static void append_memory(const convoy_memory *m, char *text, size_t size)
{
    const bool is_much = m->total >> 30 > 0;
    const double unit = is_much ? 1 << 30 : 1 << 20;
    text_append(
        text, size,
        "\nmemory: %.2f %s a rank: weights and state %.2f, activations %d x %.2f, "
        "gradients %d x %.2f, exchange %.2f, input %.2f, saving %.2f",
        (double)m->total / unit, is_much ? "GiB" : "MiB",
        (double)(m->weights + m->prepared + m->optimizer) / unit, m->lanes,
        (double)m->activations / unit, m->n_gradients, (double)m->gradients / unit,
        (double)m->exchange / unit, (double)m->input / unit, (double)m->saving / unit);
    if (m->left > 0)
        text_append(text, size, "; %.2f GiB are free", (double)m->left / (1 << 30));
}

/* How sums go over the ranks. */
static void append_exchange(const convoy_trainer *t, char *text, size_t size)
{
    const struct buckets *buckets = exchange_buckets(t->exchange);
    const double mib = (double)buckets->most * sizeof(float) / (1 << 20);
    if (convoy_world_size(t->world) > 1)
        text_append(text, size, "; exchange: %s, %d bucket%s of up to %.3g MiB",
                    exchange_algorithm_of(t->exchange)->about.name, buckets->count,
                    buckets->count > 1 ? "s" : "", mib);
}

static void report_start(const struct run *run, const char *passed_over)
{
    const convoy_trainer *t = run->trainer;
    char text[STATUS_TEXT_SIZE + 1024];
    char frozen[64];
    const int ranks = convoy_world_size(run->world);
    frozen_text(&t->net->store, frozen, sizeof frozen);
    snprintf(text, sizeof text,
             "%s, %lld parameters%s, %d rank%s, batch %d x %d, %llu steps an epoch",
             t->recipe->model.name, (long long)convoy_net_n_params(t->net), frozen,
             ranks, ranks > 1 ? "s" : "", t->n_microbatches,
             t->recipe->batch.microbatch, (unsigned long long)t->steps_per_epoch);
    if (t->step > 0)
        text_append(text, sizeof text, "; going on from step %llu",
                    (unsigned long long)t->step);
    else if (!run->resumed && *t->recipe->init.weights)
        text_append(text, sizeof text, "; starting from %.1000s",
                    t->recipe->init.weights);
    text_append(text, sizeof text, "\nrank 0: %s; processors: %s", t->choice.text,
                t->places);
    append_exchange(t, text, sizeof text);
    append_memory(&t->memory, text, sizeof text);
    if (resumes_file(run) && *t->recipe->init.weights)
        text_append(text, sizeof text,
                    "\ninit.weights is not read: the run goes on from %s",
                    checkpoint_path(run->resumed));
    if (*passed_over)
        text_append(text, sizeof text, "\n%s", passed_over);
    report(run, CONVOY_TRAIN_STARTED, NULL, text);
}

/* Saves a state in which what is no finite number, beside the good ones, and fails: a
 * run that went on would compute nothing. Collective. */
static convoy_status diverged(const struct run *run, const char *what)
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

/* Saves the current step unless it is saved already; keeps the newest few. Collective:
 * all ranks have the same weights. */
static convoy_status save(struct run *run)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    char *path = run->summary.checkpoint;
    const double since_s = clock_now_s();
    if (run->saved_step == t->step)
        return CONVOY_OK;
    if (!is_finite(&t->net->store))
        return diverged(run, "a weight");
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
    report(run, CONVOY_TRAIN_SAVED, NULL, path);
cleanup:
    return status;
}

static void on_evaluating(void *context, uint64_t done, uint64_t total)
{
    const struct run *run = context;
    if (!run->options->progress)
        return;
    const convoy_train_report told = {
        .event = CONVOY_TRAIN_EVALUATING, .done = done, .total = total};
    run->options->progress(run->options->context, &told);
}

/* A log that cannot be written ends the run, but only after saving at the next step's
 * border: keeps the reason until then. */
static void keep_log(struct run *run, convoy_status status)
{
    if (status != CONVOY_OK)
        status_save(status, &run->log);
}

static convoy_status log_outcome(const struct run *run)
{
    return run->log.status == CONVOY_OK ? CONVOY_OK : status_restore(&run->log);
}

/* Whether this rank may write a line: it is the one that does, and the folder is still
 * this run's. */
static bool may_log(struct run *run)
{
    if (!run->speaks || run->log.status != CONVOY_OK)
        return false;
    keep_log(run, run_lock_check(&run->lock));
    return run->log.status == CONVOY_OK;
}

static void log_step(struct run *run)
{
    const convoy_trainer *t = run->trainer;
    const uint64_t every = (uint64_t)t->recipe->metrics.every_steps;
    if (run->speaks && (t->step % every != 0 || may_log(run)))
        keep_log(run, metrics_step(&run->metrics, t, &run->last));
}

/* Where the time of steps went since the last such line. Collective. */
static convoy_status log_ranks(struct run *run)
{
    convoy_status status = CONVOY_OK;
    convoy_rank_seconds seconds;
    TRY(rank_spread_line(&run->spread, run->trainer, &seconds));
    if (may_log(run))
        keep_log(run, metrics_ranks(&run->metrics, run->trainer->step, &seconds));
cleanup:
    return status;
}

/* What comes after the last step of an epoch. Collective. */
static convoy_status end_epoch(struct run *run)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = run->trainer;
    const uint64_t epoch = t->step / t->steps_per_epoch;
    const int every = t->recipe->checkpoint.every_epochs;
    const double seconds = clock_now_s() - run->epoch_started_s;
    uint64_t peak_bytes = 0;
    convoy_eval_result eval = {0};
    if (t->evaluator)
        TRY(convoy_trainer_evaluate(run->trainer, run->speaks ? on_evaluating : NULL,
                                    run, &eval));
    TRY(metrics_peak_memory(run->trainer, &peak_bytes));
    TRY(log_ranks(run));
    if (may_log(run))
        keep_log(run, metrics_epoch(&run->metrics, t, seconds, peak_bytes,
                                    t->evaluator ? &eval : NULL));
    report(run, CONVOY_TRAIN_EPOCH, t->evaluator ? &eval : NULL, NULL);
    run->summary.has_eval = t->evaluator != NULL;
    run->summary.eval = eval;
    note_epoch(run, seconds);
    if (!isfinite(eval.loss))
        TRY(diverged(run, "the validation loss"));
    if (t->step == t->total_steps || (every > 0 && epoch % (uint64_t)every == 0))
        TRY(save(run));
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

/* What was done since then is no part of any step, nor of the epoch. */
static void leave_out(struct run *run, double since_s)
{
    const double seconds = clock_now_s() - since_s;
    metrics_leave_out(&run->metrics, seconds);
    run->epoch_started_s += seconds;
}

/* Before a step: the first that is traced needs the ranks' clocks. Collective. */
static convoy_status begin_trace(struct run *run)
{
    const double since_s = clock_now_s();
    const convoy_status status = trace_file_before_step(run->trainer);
    leave_out(run, since_s);
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
    leave_out(run, since_s);
    if (t->trace->failure.status != CONVOY_OK)
        note(run, "%s; training goes on without a trace", t->trace->failure.text);
    else
        note(run, "trace of steps %llu to %llu: %s",
             (unsigned long long)t->trace->first, (unsigned long long)t->trace->last,
             run->options->trace->file);
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

/* Every rank knows; one has the text. */
static convoy_status stopped(const struct run *run)
{
    convoy_status_clear();
    if (!run->speaks)
        return CONVOY_STOPPED;
    return FAIL(CONVOY_STOPPED, "stopped by a signal after saving step %llu",
                (unsigned long long)run->trainer->step);
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
    return state_hash(run->trainer, s->hash);
}

/* Saves the last step and tells what the run came to. Collective. */
static convoy_status finish(struct run *run)
{
    convoy_status status = CONVOY_OK;
    TRY(save(run));
    TRY(log_ranks(run));
    TRY(convoy_world_agree(run->world, log_outcome(run)));
    TRY(write_trace(run, true));
    TRY(rank_spread_life(&run->spread, run->trainer, &run->summary.of_ranks));
    TRY(metrics_peak_memory(run->trainer, &run->summary.peak_memory_bytes));
    if (run->speaks)
        status = summarise(run);
    TRY(convoy_world_agree(run->world, status));
    report(run, CONVOY_TRAIN_ENDED, NULL, NULL);
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

static convoy_status steps(struct run *run)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = run->trainer;
    const uint64_t end = last_step(run);
    run->started_s = run->epoch_started_s = clock_now_s();
    metrics_begin(&run->metrics);
    while (t->step < end) {
        const bool stop = asked_to_stop(run) || run->log.status != CONVOY_OK;
        TRY(begin_trace(run));
        const double began_s = clock_now_s();
        TRY(convoy_trainer_step(t, stop, &run->last));
        const double step_s = clock_now_s() - began_s;
        run->waited_s += run->last.seconds.waited;
        rank_spread_step(&run->spread, &run->last.seconds);
        note_skipped(run);
        log_step(run);
        report(run, CONVOY_TRAIN_STEP, NULL, NULL);
        TRY(write_trace(run, false));
        if (t->step % t->steps_per_epoch == 0)
            TRY(end_epoch(run));
        if (run->last.stop) {
            TRY(finish(run));
            return stopped(run);
        }
        note_patience(run, step_s, clock_now_s() - began_s);
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
        TRY(trainer_go_on(run->trainer, resumed, resumes_file(run)));
        run->saved_step = run->trainer->step;
        snprintf(run->summary.checkpoint, sizeof run->summary.checkpoint, "%s",
                 checkpoint_path(resumed));
    }
cleanup:
    return status;
}

static convoy_status set_up(struct run *run, convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    char passed_over[STATUS_TEXT_SIZE], taken_over[STATUS_TEXT_SIZE] = "";
    char *hosts = NULL;
    const char *out = run->options->out;
    if (run->speaks)
        status = run_dir_prepare(out);
    if (run->speaks && status == CONVOY_OK)
        status = run_lock_take(out, &run->lock, taken_over);
    if (status == CONVOY_OK && run->options->trace)
        status = trace_file_check(run->world, run->options->trace, out);
    TRY(convoy_world_agree(run->world, status));
    TRY(run_dir_resume(run->world, out, run->options->resume, passed_over,
                       &run->resumed));
    TRY(create_trainer(run, recipe));
    TRY(trace_file_begin(run->trainer, run->options->trace, last_step(run)));
    TRY(rank_spread_begin(&run->spread, run->world));
    TRY(world_hosts(run->world, &hosts));
    TRY(metrics_describe(run->trainer, &run->start));
    if (run->speaks) {
        status = run_dir_describe(run->trainer, out, hosts);
        if (status == CONVOY_OK)
            status = metrics_open(&run->metrics, out, recipe->metrics.every_steps,
                                  &run->start);
    }
    TRY(convoy_world_agree(run->world, status));
    report_start(run, passed_over);
    if (*taken_over)
        note(run, "%s", taken_over);
    note_launch(run);
    if (run->options->trace && !run->trainer->trace)
        note(run, "no step that is to be traced is still to come: %s is left as it is",
             run->options->trace->file);
    launch_patience_init(&run->patience, run->trainer->memory.saving);
    checkpoint_close(run->resumed); /* with all its values */
    run->resumed = NULL;
cleanup:
    mem_free(hosts);
    return status;
}

convoy_status convoy_train_run(convoy_world *world, convoy_recipe *recipe,
                               const convoy_train_options *options)
{
    convoy_status status = CONVOY_OK;
    struct run run = {.world = world,
                      .options = options,
                      .saved_step = UINT64_MAX,
                      .speaks = convoy_world_rank(world) == 0};
    TRY(same_run_options(world, options));
    world_set_timeout(world, recipe->exchange.timeout); /* of the set-up too */
    pulse_enter(PULSE_START, 0);
    TRY(set_up(&run, recipe));
    TRY(steps(&run));
cleanup:
    metrics_close(&run.metrics);
    rank_spread_end(&run.spread);
    checkpoint_close(run.resumed);
    convoy_trainer_destroy(run.trainer);
    run_lock_release(&run.lock);
    return status;
}
