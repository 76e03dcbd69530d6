/* What happens when in a few steps, on some ranks: noted by step.c, written as one file
 * at the end of the last of these steps (trace_file.c).
 *
 * Each track belongs to one thread, which notes without locks in memory that is there
 * before the first step. Without a trace, or in another step, a note costs a branch. */
#ifndef TRAIN_TRACE_H
#define TRAIN_TRACE_H

#include <convoy/train.h>

#include "base/clock.h"
#include "comm/clocks.h"
#include "comm/exchange.h"

#include <stdbool.h>
#include <stddef.h>

enum trace_kind {
    TRACE_INPUT,    /* a lane waits for a microbatch */
    TRACE_FORWARD,  /* number: the microbatch */
    TRACE_BACKWARD, /* likewise; adding up its gradients is in it */
    TRACE_SUMS,     /* adds up own sums, or waits for other lanes that do */
    TRACE_EXPOSED,  /* a lane waits for a bucket's sum; number: the bucket */
    TRACE_UPDATE,   /* likewise, its weights */
    TRACE_STEP,     /* on the calling thread; in it: */
    TRACE_FEED,     /* samples on their way between ranks */
    TRACE_PREPARE,  /* weights in the layouts that primitives want */
    TRACE_SCORED,   /* waits for the last forward pass of its lanes */
    TRACE_SCORES,   /* ranks tell each other scores */
    TRACE_EXCHANGE, /* moves buckets on, until all lanes have ended */
    TRACE_BUFFERS,  /* running statistics */
    TRACE_BUCKET,   /* a bucket on its way; number: which */
    N_TRACE_KINDS
};

struct trace_event {
    double begin_s, end_s; /* clock_now_s */
    uint64_t step;
    int32_t kind, number;
};

struct trace_track {
    struct trace_event *events; /* [n] of room for capacity */
    size_t n, capacity;
    uint64_t n_lost; /* for which there was no room */
    int waited_for;  /* the last bucket, in this step */
    char apart[28];  /* tracks of threads are on cache lines of their own */
};
_Static_assert(sizeof(struct trace_track) == 64, "one cache line");

/* What is chosen is the same on all ranks, and all have a struct trace. */
struct trace {
    uint64_t first, last; /* steps, counted from 1 */
    bool is_chosen;       /* this rank */
    bool is_on;           /* in this step, on this rank */
    uint64_t step;
    int n_lanes;
    struct trace_track *tracks; /* [n_lanes + 2]: lanes, the thread that calls, buckets;
                                   NULL on ranks that are not chosen */
    bool has_begun, is_written;
    struct clock_offset before, after;
    struct failure failure; /* of writing, on rank 0 */
};

/* The tracks behind the lanes'. */
enum { TRACE_CALLER, TRACE_BUCKETS, N_TRACE_EXTRA };

struct convoy_trainer;

/* *trace: new, of the options' ranks and of the steps [first, last]; free with
 * trace_free. Local. Errors: MEMORY. */
convoy_status trace_create(const struct convoy_trainer *trainer,
                           const convoy_trace_options *options, uint64_t first,
                           uint64_t last, struct trace **trace);

/* Takes NULL. */
void trace_free(struct trace *trace);

/* Around each step, on the thread that calls; trace may be NULL. Local. */
void trace_step_begin(struct trace *trace, uint64_t step);
void trace_step_end(struct trace *trace, const struct exchange *exchange);

void trace_note(struct trace *trace, int track, enum trace_kind kind, int number,
                double begin_s, double end_s);

/* Now, if this step is traced, else 0. */
static inline double trace_now(const struct trace *trace)
{
    return trace && trace->is_on ? clock_now_s() : 0;
}

/* What was done from *at until now, which *at then is. */
static inline void trace_mark(struct trace *trace, int track, enum trace_kind kind,
                              int number, double *at)
{
    if (*at > 0) {
        const double now = clock_now_s();
        trace_note(trace, track, kind, number, *at, now);
        *at = now;
    }
}

/* As trace_mark, on the track of the thread that calls. */
static inline void trace_mark_caller(struct trace *trace, enum trace_kind kind,
                                     double *at)
{
    if (*at > 0)
        trace_mark(trace, trace->n_lanes + TRACE_CALLER, kind, -1, at);
}

#endif
