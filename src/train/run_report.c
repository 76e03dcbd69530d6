/* What a run says while it goes on. Values come from the trainer and the metrics; here
 * is only how they are put. */
#include "train/run.h"

#include "base/text.h"
#include "comm/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of damaged samples by name, and of steps that were left out. */
enum { MAX_SKIP_NOTES = 10, MAX_LEFT_OUT_NOTES = 10 };
/* Waiting for input that is worth a note: a share of an epoch's time, and seconds. */
static const double much_waiting = 0.05, least_waiting_s = 1;

void run_report(const struct run *run, enum convoy_train_event event, const char *text)
{
    const convoy_trainer *t = run->trainer;
    const convoy_train_summary *summary = &run->summary;
    const bool is_epoch = event == CONVOY_TRAIN_EPOCH;
    if (!run->speaks || !run->options->progress)
        return;
    const convoy_train_report early = {.event = event, .text = text};
    if (!t) {
        run->options->progress(run->options->context, &early);
        return;
    }
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
        .eval = is_epoch && summary->has_eval ? &summary->eval : NULL,
        .ema = is_epoch && summary->has_ema ? &summary->ema : NULL,
        .summary = event == CONVOY_TRAIN_ENDED ? summary : NULL,
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

void run_note(const struct run *run, const char *format, ...)
{
    char text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    run_report(run, CONVOY_TRAIN_NOTE, text);
}

void run_note_changes(const struct run *run)
{
    char text[STATUS_TEXT_SIZE];
    for (size_t at = 0; resume_note(&run->trainer->changes, &at, text, sizeof text);)
        run_note(run, "%s", text);
}

void run_note_launch(const struct run *run)
{
    char text[STATUS_TEXT_SIZE];
    for (int at = 0; launch_note(run->trainer, &at, text, sizeof text);)
        run_note(run, "%s", text);
}

void run_note_skipped(struct run *run)
{
    const convoy_trainer *t = run->trainer;
    if (run->last.n_skipped == 0)
        return;
    run->n_skipped += (uint64_t)run->last.n_skipped;
    if (run->n_skip_notes++ < MAX_SKIP_NOTES)
        run_note(
            run,
            "step %llu: left out %d damaged sample%s: record %llu of %s%s; 'convoy "
            "verify' says what is wrong",
            (unsigned long long)t->step, run->last.n_skipped,
            run->last.n_skipped > 1 ? "s" : "",
            (unsigned long long)run->last.first_skipped, t->recipe->data.train,
            run->last.n_skipped > 1 ? " and others" : "");
}

void run_note_left_out(struct run *run)
{
    if (!run->last.left_out)
        return;
    run->n_left_out++;
    if (run->n_left_out_notes++ < MAX_LEFT_OUT_NOTES)
        run_note(run, "%s", run->last.left_out);
}

void run_note_patience(struct run *run, double step_s, double between_s)
{
    char text[512];
    launch_patience_step(&run->patience, step_s, between_s);
    if (launch_patience_note(&run->patience, text, sizeof text))
        run_note(run, "%s", text);
}

void run_note_epoch(struct run *run, double seconds)
{
    const convoy_trainer *t = run->trainer;
    const int n = loader_threads(t->loader);
    if (run->n_skipped > 0)
        run_note(run, "%llu damaged samples were left out of this epoch",
                 (unsigned long long)run->n_skipped);
    if (run->waited_s > least_waiting_s && run->waited_s > much_waiting * seconds)
        run_note(run,
                 "loading: steps waited %.0f %% of the time for input with %d loader "
                 "thread%s; %s",
                 100 * run->waited_s / seconds, n, n > 1 ? "s" : "",
                 t->recipe->data.threads > 0 && n < t->cores.n
                     ? "data.threads in the recipe sets more, or auto"
                     : "each rank's cores are all at work: see 'convoy bench loader'");
    if (run->n_left_out > 0)
        run_note(run, "%llu steps of this epoch were left out: guard.on_nonfinite",
                 (unsigned long long)run->n_left_out);
    run->waited_s = 0;
    run->n_skipped = run->n_left_out = 0;
}

bool run_resumes_file(const struct run *run)
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
        (double)(m->weights + m->prepared + m->optimizer + m->averages) / unit,
        m->lanes, (double)m->activations / unit, m->n_gradients,
        (double)m->gradients / unit, (double)m->exchange / unit,
        (double)m->input / unit, (double)m->saving / unit);
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

void run_report_start(const struct run *run, const char *passed_over)
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
    if (run_resumes_file(run) && *t->recipe->init.weights)
        text_append(text, sizeof text,
                    "\ninit.weights is not read: the run goes on from %s",
                    checkpoint_path(run->resumed));
    if (*passed_over)
        text_append(text, sizeof text, "\n%s", passed_over);
    run_report(run, CONVOY_TRAIN_STARTED, text);
}
