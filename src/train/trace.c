/* The notes of threads. Notes of one kind and number that follow each other, as pieces
 * of a bucket do, become one; so the most that a step can have is known, and there is
 * room for that of all steps, up to MAX_EVENTS a track. */
#include "train/trace.h"

#include "base/memory.h"
#include "train/trainer.h"

#include <assert.h>

enum { MAX_EVENTS = 1 << 18, EVENTS_OF_CALLER = N_TRACE_KINDS };

static bool holds(const convoy_range *ranges, int n, uint64_t value)
{
    for (int i = 0; i < n; i++)
        if (ranges[i].first <= value && value <= ranges[i].last)
            return true;
    return false;
}

static bool is_chosen(const convoy_trace_options *options, int rank)
{
    if (options->n_ranks == 0)
        return rank < CONVOY_TRACE_RANKS;
    return holds(options->ranks, options->n_ranks, (uint64_t)rank);
}

/* Of all steps. */
static convoy_status create_track(struct trace *trace, int track, size_t of_a_step)
{
    struct trace_track *made = &trace->tracks[track];
    const uint64_t n_steps = trace->last - trace->first + 1;
    made->capacity =
        n_steps > MAX_EVENTS / of_a_step ? MAX_EVENTS : (size_t)n_steps * of_a_step;
    return mem_alloc_array(made->capacity, sizeof *made->events,
                           (void **)&made->events);
}

static convoy_status create_tracks(const convoy_trainer *t, struct trace *trace)
{
    convoy_status status = CONVOY_OK;
    const size_t buckets = (size_t)exchange_buckets(t->exchange)->count,
                 leaves = (size_t)exchange_count(t->exchange),
                 passes = (size_t)update_n_passes(t->update);
    TRY(mem_alloc_array((size_t)trace->n_lanes + N_TRACE_EXTRA, sizeof *trace->tracks,
                        (void **)&trace->tracks));
    for (int lane = 0; lane < trace->n_lanes; lane++)
        TRY(create_track(trace, lane, 3 * leaves + (1 + passes) * buckets + 2));
    TRY(create_track(trace, trace->n_lanes + TRACE_CALLER, EVENTS_OF_CALLER));
    TRY(create_track(trace, trace->n_lanes + TRACE_BUCKETS, buckets));
cleanup:
    return status;
}

convoy_status trace_create(const convoy_trainer *trainer,
                           const convoy_trace_options *options, uint64_t first,
                           uint64_t last, struct trace **trace)
{
    convoy_status status = CONVOY_OK;
    struct trace *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->first = first;
    made->last = last;
    made->n_lanes = lanes_n(trainer->lanes);
    made->is_chosen = is_chosen(options, convoy_world_rank(trainer->world));
    if (made->is_chosen)
        TRY(create_tracks(trainer, made));
    *trace = made;
    made = NULL;
cleanup:
    trace_free(made);
    return status;
}

void trace_free(struct trace *trace)
{
    if (trace && trace->tracks)
        for (int i = 0; i < trace->n_lanes + N_TRACE_EXTRA; i++)
            mem_free(trace->tracks[i].events);
    if (trace)
        mem_free(trace->tracks);
    mem_free(trace);
}

void trace_step_begin(struct trace *trace, uint64_t step)
{
    if (!trace)
        return;
    trace->step = step;
    trace->is_on = trace->is_chosen && trace->first <= step && step <= trace->last;
    if (trace->is_on)
        for (int i = 0; i < trace->n_lanes; i++)
            trace->tracks[i].waited_for = -1;
}

void trace_note(struct trace *trace, int track, enum trace_kind kind, int number,
                double begin_s, double end_s)
{
    struct trace_track *to = &trace->tracks[track];
    struct trace_event *last = to->n > 0 ? &to->events[to->n - 1] : NULL;
    assert(to->events);
    /* Of a bucket that is there already nobody waits for the other pieces. */
    if (kind == TRACE_EXPOSED && to->waited_for == number)
        return;
    if (kind == TRACE_EXPOSED)
        to->waited_for = number;
    if (last && last->step == trace->step && last->kind == (int32_t)kind &&
        last->number == number) {
        last->end_s = end_s;
    } else if (to->n < to->capacity) {
        to->events[to->n++] =
            (struct trace_event){begin_s, end_s, trace->step, (int32_t)kind, number};
    } else {
        to->n_lost++;
    }
}

void trace_step_end(struct trace *trace, const struct exchange *exchange)
{
    const struct bucket_times *times = exchange_times(exchange);
    if (!trace || !trace->is_on)
        return;
    trace->is_on = false;
    for (int b = 0; b < exchange_buckets(exchange)->count; b++)
        if (times[b].arrived_s > 0) /* with one rank alone nothing travels */
            trace_note(trace, trace->n_lanes + TRACE_BUCKETS, TRACE_BUCKET, b,
                       times[b].posted_s, times[b].arrived_s);
}
