/* Each rank writes its own events as JSON, by the clock of rank 0, which only puts the
 * texts together: a process for each rank, in it a row for each lane, one for the
 * thread that calls, which talks to other ranks, and rows for the buckets under way at
 * a time. */
#include "train/trace_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/owner.h"
#include "comm/gather.h"
#include "metrics/metric.h"
#include "train/run_dir.h"
#include "train/trace.h"

#include <convoy/json.h>
#include <convoy/version.h>

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What ranks tell each other of their clocks. */
enum { CLOCK_BEFORE, CLOCK_ERROR, LOST_EVENTS, N_SHARED_CLOCK };

static const struct {
    const char *name, *category, *number;
} kinds[N_TRACE_KINDS] = {
    [TRACE_INPUT] = {"wait for input", "input", NULL},
    [TRACE_FORWARD] = {"forward", "compute", "microbatch"},
    [TRACE_BACKWARD] = {"backward", "compute", "microbatch"},
    [TRACE_SUMS] = {"own sums", "compute", NULL},
    [TRACE_EXPOSED] = {"wait for sum", "exposed", "bucket"},
    [TRACE_UPDATE] = {"update", "optimizer", "bucket"},
    [TRACE_STEP] = {"step", "step", NULL},
    [TRACE_FEED] = {"feed", "input", NULL},
    [TRACE_PREPARE] = {"prepare weights", "compute", NULL},
    [TRACE_SCORED] = {"wait for forward passes", "wait", NULL},
    [TRACE_SCORES] = {"scores", "exchange", NULL},
    [TRACE_EXCHANGE] = {"exchange", "exchange", NULL},
    [TRACE_BUFFERS] = {"running statistics", "compute", NULL},
    [TRACE_BUCKET] = {"bucket", "exchange", "bucket"},
};

/* What events of a rank are written with. */
struct writing {
    const convoy_trainer *trainer;
    const struct trace *trace;
    FILE *stream;
    int rank;
    double since_s; /* by rank 0's clock */
};

static double microseconds(const struct writing *w, double at_s)
{
    const struct trace *trace = w->trace;
    const double root_s = clocks_of_root(&trace->before, &trace->after, at_s);
    return round((root_s - w->since_s) * 1e9) / 1e3;
}

static void begin_event(const struct writing *w, convoy_json *json, const char *phase,
                        const char *name, int row)
{
    fputs(",\n", w->stream);
    *json = (convoy_json){.stream = w->stream, .style = CONVOY_JSON_COMPACT};
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "ph", phase);
    convoy_json_text(json, "name", name);
    convoy_json_integer(json, "pid", w->rank);
    convoy_json_integer(json, "tid", row);
}

static void end_event(convoy_json *json)
{
    convoy_json_end(json); /* args */
    convoy_json_end(json);
}

/* Names a row; rows are shown in the order of their numbers. */
static void write_row(const struct writing *w, int row, const char *name)
{
    convoy_json json;
    begin_event(w, &json, "M", "thread_name", row);
    convoy_json_begin_object(&json, "args");
    convoy_json_text(&json, "name", name);
    end_event(&json);
    begin_event(w, &json, "M", "thread_sort_index", row);
    convoy_json_begin_object(&json, "args");
    convoy_json_integer(&json, "sort_index", row);
    end_event(&json);
}

static void write_names(const struct writing *w)
{
    const struct trace *trace = w->trace;
    const int caller = trace->n_lanes + TRACE_CALLER;
    char host[OWNER_HOST_SIZE], name[OWNER_HOST_SIZE + 32];
    convoy_json json;
    owner_host(host);
    snprintf(name, sizeof name, "rank %d on %s", w->rank, host);
    begin_event(w, &json, "M", "process_name", caller);
    convoy_json_begin_object(&json, "args");
    convoy_json_text(&json, "name", name);
    end_event(&json);
    snprintf(name, sizeof name, "clock within %.1f us of rank 0's",
             1e6 * fmax(trace->before.error_s, trace->after.error_s));
    begin_event(w, &json, "M", "process_labels", caller);
    convoy_json_begin_object(&json, "args");
    convoy_json_text(&json, "labels", name);
    end_event(&json);
    begin_event(w, &json, "M", "process_sort_index", caller);
    convoy_json_begin_object(&json, "args");
    convoy_json_integer(&json, "sort_index", w->rank);
    end_event(&json);
    for (int lane = 0; lane < trace->n_lanes; lane++) {
        snprintf(name, sizeof name, "lane %d", lane);
        write_row(w, lane, name);
    }
    write_row(w, caller, "exchange");
    for (int i = 0; i < EXCHANGE_FLIGHTS; i++) {
        snprintf(name, sizeof name, "under way %d", i);
        write_row(w, caller + 1 + i, name);
    }
}

/* Of buckets under way no two have the same row: they arrive in order. */
static void write_event(const struct writing *w, int row,
                        const struct trace_event *event)
{
    const bool is_bucket = event->kind == TRACE_BUCKET;
    const double ts = microseconds(w, event->begin_s);
    char name[64];
    convoy_json json;
    snprintf(name, sizeof name, "%s", kinds[event->kind].name);
    if (is_bucket)
        snprintf(name, sizeof name, "bucket %d", event->number);
    begin_event(w, &json, "X", name,
                is_bucket ? row + event->number % EXCHANGE_FLIGHTS : row);
    convoy_json_text(&json, "cat", kinds[event->kind].category);
    convoy_json_number(&json, "ts", ts);
    convoy_json_number(&json, "dur",
                       round((microseconds(w, event->end_s) - ts) * 1e3) / 1e3);
    convoy_json_begin_object(&json, "args");
    convoy_json_count(&json, "step", event->step);
    if (kinds[event->kind].number)
        convoy_json_integer(&json, kinds[event->kind].number, event->number);
    if (is_bucket) {
        const struct extent span =
            buckets_extent(exchange_buckets(w->trainer->exchange), event->number);
        convoy_json_count(&json, "bytes", (span.end - span.begin) * sizeof(float));
    }
    end_event(&json);
}

/* *text: this rank's events, each behind a comma and a new line; "" of one that is not
 * chosen; free with free. */
static convoy_status write_rank(const struct writing *writing, char **text)
{
    struct writing w = *writing;
    size_t n = 0;
    w.stream = open_memstream(text, &n);
    if (!w.stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of a trace");
    if (w.trace->is_chosen) {
        write_names(&w);
        for (int i = 0; i < w.trace->n_lanes + N_TRACE_EXTRA; i++)
            for (size_t k = 0; k < w.trace->tracks[i].n; k++)
                write_event(&w, i, &w.trace->tracks[i].events[k]);
    }
    if (fclose(w.stream) != 0)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of a trace");
    if (n > INT_MAX)
        return FAIL(CONVOY_ERROR_MEMORY,
                    "a trace of %zu MiB a rank is too long: choose fewer steps",
                    n >> 20);
    return CONVOY_OK;
}

static uint64_t n_lost(const struct trace *trace)
{
    uint64_t n = 0;
    for (int i = 0; i < trace->n_lanes + N_TRACE_EXTRA && trace->is_chosen; i++)
        n += trace->tracks[i].n_lost;
    return n;
}

/* clocks: [size, N_SHARED_CLOCK]. */
static void write_head(const struct writing *w, const double *clocks)
{
    const int size = convoy_world_size(w->trainer->world);
    convoy_json json = {.stream = w->stream, .style = CONVOY_JSON_COMPACT};
    double error_s = 0, lost = 0;
    for (int rank = 0; rank < size; rank++, clocks += N_SHARED_CLOCK) {
        error_s = fmax(error_s, clocks[CLOCK_ERROR]);
        lost += clocks[LOST_EVENTS];
    }
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "displayTimeUnit", "ms");
    convoy_json_begin_object(&json, "otherData");
    convoy_json_text(&json, "convoy", CONVOY_VERSION);
    convoy_json_text(&json, "model", w->trainer->recipe->model.name);
    convoy_json_integer(&json, "ranks", size);
    convoy_json_text(&json, "exchange",
                     exchange_algorithm_of(w->trainer->exchange)->about.name);
    convoy_json_count(&json, "first_step", w->trace->first);
    convoy_json_count(&json, "last_step", w->trace->last);
    convoy_json_text(&json, "clock", "of rank 0");
    convoy_json_number(&json, "clock_error_us", round(error_s * 1e9) / 1e3);
    convoy_json_count(&json, "lost_events", (uint64_t)lost);
    convoy_json_end(&json);
    fputs(",\"traceEvents\":[", w->stream);
}

/* Root. */
static convoy_status write_file(const struct writing *writing, char *const *texts,
                                const double *clocks, const char *path)
{
    convoy_status status = CONVOY_OK;
    struct writing w = *writing;
    char *text = NULL;
    size_t n = 0;
    const char *comma = "";
    w.stream = open_memstream(&text, &n);
    if (!w.stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of a trace");
    write_head(&w, clocks);
    for (int rank = 0; rank < convoy_world_size(w.trainer->world); rank++)
        if (*texts[rank]) {
            fprintf(w.stream, "%s%s", comma, texts[rank] + 1);
            comma = ",";
        }
    fputs("\n]}\n", w.stream);
    if (fclose(w.stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the text of a trace"));
    TRY(file_write_whole(path, text, n));
cleanup:
    free(text);
    return status;
}

static convoy_status write_trace(const convoy_trainer *t, const char *path)
{
    convoy_status status = CONVOY_OK;
    struct trace *trace = t->trace;
    struct writing w = {.trainer = t, .trace = trace};
    double *own;
    char *text = NULL, **texts = NULL;
    w.rank = convoy_world_rank(t->world);
    TRY(clocks_compare(t->world, trace->is_chosen, &trace->after));
    own = t->of_ranks + (size_t)w.rank * N_SHARED_CLOCK;
    own[CLOCK_BEFORE] = trace->before.at_s;
    own[CLOCK_ERROR] = fmax(trace->before.error_s, trace->after.error_s);
    own[LOST_EVENTS] = (double)n_lost(trace);
    TRY(exchange_share(t->world, t->of_ranks, convoy_world_size(t->world),
                       N_SHARED_CLOCK));
    w.since_s = t->of_ranks[CLOCK_BEFORE];
    status = convoy_world_agree(t->world, write_rank(&w, &text));
    if (status == CONVOY_OK)
        status = gather_texts(t->world, text, &texts);
    if (status != CONVOY_OK && convoy_status_agreed()) {
        status_save(status, &trace->failure);
        status = CONVOY_OK;
    }
    TRY(status);
    if (texts)
        status_save(write_file(&w, texts, t->of_ranks, path), &trace->failure);
cleanup:
    free(text);
    mem_free(texts);
    return status;
}

convoy_status trace_file_before_step(convoy_trainer *t)
{
    struct trace *trace = t->trace;
    if (!trace || t->step + 1 != trace->first)
        return CONVOY_OK;
    trace->has_begun = true;
    return clocks_compare(t->world, trace->is_chosen, &trace->before);
}

convoy_status trace_file_after_step(convoy_trainer *t,
                                    const convoy_trace_options *options, bool is_end,
                                    bool *is_written)
{
    convoy_status status = CONVOY_OK;
    struct trace *trace = t->trace;
    *is_written = false;
    if (!trace || !trace->has_begun || trace->is_written ||
        (t->step < trace->last && !is_end))
        return CONVOY_OK;
    if (t->step < trace->last)
        trace->last = t->step;
    trace->is_written = true;
    TRY(write_trace(t, options->file));
    *is_written = true;
cleanup:
    return status;
}

/* That what is there already may be replaced: a trace is written beside it and then
 * renamed, so /dev/stdout, a link too, would be no more. Root. */
static convoy_status check_kind(const char *path, const char *folder)
{
    struct stat info;
    if (!*path)
        return FAIL(CONVOY_ERROR_ARGUMENT, "--trace: the name of the file is empty");
    if (run_dir_owns(folder, path))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "--trace: %s is a file of the run itself; name another", path);
    if (lstat(path, &info) != 0) /* nothing yet, or it is found out by writing */
        return CONVOY_OK;
    if (S_ISDIR(info.st_mode))
        return FAIL(CONVOY_ERROR_IO, "%s: is a folder: a trace is a file", path);
    if (!S_ISREG(info.st_mode))
        return FAIL(CONVOY_ERROR_IO,
                    "%s: is %s: a trace replaces what it is written to, which is to be "
                    "a file, or nothing yet",
                    path,
                    S_ISLNK(info.st_mode) ? "a link" : "a pipe, socket or device");
    return CONVOY_OK;
}

/* That a file can be made there, without touching one that is. Root. */
static convoy_status check_file(const char *path, const char *folder)
{
    convoy_status status = CONVOY_OK;
    char temporary[4096];
    int fd = -1;
    TRY(check_kind(path, folder));
    TRY(file_make_temporary(path, temporary, sizeof temporary, &fd));
    close(fd);
    unlink(temporary);
cleanup:
    return status;
}

convoy_status trace_file_check(const convoy_world *world,
                               const convoy_trace_options *options, const char *folder)
{
    const int size = convoy_world_size(world);
    const convoy_range *steps = &options->steps;
    if (steps->last > 0 && (steps->first == 0 || steps->first > steps->last))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "--trace-steps: steps %" PRIu64 " to %" PRIu64
                    " cannot be traced: the "
                    "first is 1",
                    steps->first, steps->last);
    for (int i = 0; i < options->n_ranks; i++)
        if (options->ranks[i].last >= (uint64_t)size)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "--trace-ranks: rank %" PRIu64 " is to be traced, but the last "
                        "of %d is rank %d",
                        options->ranks[i].last, size, size - 1);
    return convoy_world_rank(world) == 0 ? check_file(options->file, folder)
                                         : CONVOY_OK;
}

/* The first steps that are steady, or, where there are none, the last ones. */
static convoy_range default_steps(uint64_t done, uint64_t end)
{
    enum { N_STEPS = 3 };
    const uint64_t most = done + METRIC_STARTING_STEPS + N_STEPS;
    const uint64_t last = most < end ? most : end;
    return (convoy_range){last - done > N_STEPS ? last - N_STEPS + 1 : done + 1, last};
}

convoy_status trace_file_begin(convoy_trainer *t, const convoy_trace_options *options,
                               uint64_t end)
{
    convoy_status status = CONVOY_OK;
    convoy_range steps;
    if (!options)
        return CONVOY_OK;
    steps = options->steps;
    if (steps.first > end)
        status = FAIL(CONVOY_ERROR_ARGUMENT,
                      "--trace-steps: step %" PRIu64 " is to be traced, but the run "
                      "ends with step %" PRIu64,
                      steps.first, end);
    TRY(convoy_world_agree(t->world, status));
    if (end <= t->step)
        return CONVOY_OK;
    if (steps.last == 0)
        steps = default_steps(t->step, end);
    if (steps.first <= t->step)
        steps.first = t->step + 1;
    if (steps.last > end)
        steps.last = end;
    if (steps.first > steps.last)
        return CONVOY_OK;
    TRY(convoy_world_agree(
        t->world, trace_create(t, options, steps.first, steps.last, &t->trace)));
cleanup:
    return status;
}
