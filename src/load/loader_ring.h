/* The ring between reader threads and consumer: what loader.c and loader_ring.c share.
 */
#ifndef LOAD_LOADER_RING_H
#define LOAD_LOADER_RING_H

#include "load/loader.h"
#include "load/sample.h"
#include "load/sampler.h"

#include <pthread.h>
#include <stdatomic.h>

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD };

struct ring_slot {
    enum slot_state state; /* under the mutex */
    float *images;         /* [m, c, h, w] */
    int32_t *labels;       /* [m] */
    uint32_t *records;     /* [m], the first n_samples of them laid out */
    int n_samples;
    uint64_t epoch, step;
    int index;
    atomic_int n_done;    /* rows */
    atomic_int n_skipped; /* rows */
    /* Under the mutex: */
    bool fails;             /* some row's failure is not one to skip */
    int failed_row;         /* the first, of those if there are any; m: none */
    struct failure failure; /* of failed_row */
};

struct ring_worker {
    struct loader *loader;
    pthread_t thread;
    struct sample_buffers buffers;
};

struct loader {
    struct loader_options options;
    struct sample_rules rules;
    struct sampler *sampler; /* used by the thread that lays out */
    uint64_t n_records;
    uint64_t steps_per_epoch; /* evaluating: 1 */
    uint64_t n_sequence;      /* microbatches in a run; training: no end */
    size_t sample_size;       /* c·h·w */
    int n_slots;
    struct ring_slot *slots;
    bool borrows;  /* the memory of the slots is the lender's */
    int n_workers; /* started */
    int max_workers;
    struct ring_worker *workers;

    pthread_mutex_t mutex;
    pthread_cond_t work; /* what workers wait for */
    pthread_cond_t done; /* what the consumer waits for */
    bool quit;
    bool laying_out;                      /* some thread does */
    uint64_t run;                         /* counts loader_start */
    int n_running;                        /* workers not parked */
    uint64_t first_step;                  /* of the run */
    atomic_bool stop;                     /* written under the mutex, as n_laid_out */
    _Atomic uint64_t n_laid_out, n_drawn; /* microbatches; tickets */
    uint64_t fed;                         /* steps before this one can be read */

    /* The consumer's own. */
    uint64_t next; /* in sequence */
    double waited_s;
    uint64_t window_end; /* in sequence */
    double window_since_s, window_waited_s;
};

/* The slot of microbatch number `sequence` of the run. */
struct ring_slot *loader_ring_slot(struct loader *loader, uint64_t sequence);

/* What a reader thread does until the loader quits; argument: its struct ring_worker.
 */
void *loader_ring_work(void *argument);

#endif
