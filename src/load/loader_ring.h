/* The ring between reader threads and consumers: what loader.c, loader_ring.c and
 * loader_next.c share. */
#ifndef LOAD_LOADER_RING_H
#define LOAD_LOADER_RING_H

#include "load/loader.h"
#include "load/mixing.h"
#include "load/sample.h"
#include "load/sampler.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD };

struct ring_slot {
    enum slot_state state; /* under the mutex */
    void *images;          /* [m, c, h, w] of the rules' shape; room for the largest */
    const struct sample_rules *rules; /* of its epoch */
    int32_t *labels;                  /* [m] */
    int32_t *partners;                /* [m], and … */
    float *shares;                    /* [m], where samples are mixed; else NULL */
    uint32_t *records;                /* [m], the first n_samples of them laid out */
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
    float *sample; /* [sample_size] before it is rounded to bf16; NULL: it is not, or
                      late */
};

/* What consumers waited over some microbatches, to tell whether threads are too few. */
struct ring_waiting {
    uint64_t end; /* of these microbatches, in sequence */
    double since_s;
    double waited_s; /* all consumers together */
};

struct loader {
    struct loader_options options; /* consumers at least 1 */
    struct sample_rules *rules;    /* [options.n_crops, or 1] */
    struct sampler *sampler;       /* used by the thread that lays out */
    uint64_t n_records;
    uint64_t steps_per_epoch; /* evaluating: 1 */
    int repeats;              /* at least 1; evaluating: 1 */
    uint64_t n_sequence;      /* microbatches in a run; training: no end */
    size_t sample_size;       /* c·h·w of the largest */
    bool mixes;               /* mixup, cutmix */
    bool rounds_late;    /* to bf16, once a microbatch is mixed: till then it is f32 */
    size_t sample_bytes; /* of the largest, while a row is filled */
    int n_slots;
    struct ring_slot *slots;
    bool borrows; /* the memory of the slots is the lender's */
    struct loader_places places;
    atomic_int n_workers; /* started */
    int max_workers;
    struct ring_worker *workers;

    pthread_mutex_t mutex;
    pthread_cond_t work; /* what workers wait for */
    pthread_cond_t done; /* what consumers wait for */
    bool quit;
    bool laying_out;                      /* some thread does */
    uint64_t run;                         /* counts loader_start */
    int n_running;                        /* workers not parked */
    uint64_t first_step;                  /* of the run */
    atomic_bool stop;                     /* written under the mutex, as n_laid_out */
    _Atomic uint64_t read_bytes, read_ns; /* loader_read */
    _Atomic uint64_t n_laid_out, n_drawn; /* microbatches; tickets */
    uint64_t fed;                         /* steps before this one can be read */

    /* Under the mutex, as all that follows. Circular: at s mod n_slots is the slot of
     * microbatch s, for those from `next` to below n_laid_out; from there to below
     * n_queued are the free slots, in the order of their release. Slots that are held
     * are not in it. */
    struct ring_slot **queue; /* [n_slots] */
    uint64_t n_queued;
    uint64_t next; /* microbatch to take */
    int n_asking;  /* consumers within loader_next */
    bool growing;  /* one of them adds a worker */
    double waited_s;
    struct ring_waiting waiting;
};

/* The slot of microbatch number `sequence` of the run, which is laid out and not taken,
 * or is the next to be laid out and has a slot. */
struct ring_slot *loader_ring_slot(const struct loader *loader, uint64_t sequence);

/* Starts one more reader thread, of max_workers; during a run it takes part at once.
 * By one thread at a time. Errors: LIBRARY (no more threads), MEMORY. */
convoy_status loader_ring_add_worker(struct loader *loader);

/* What a thread that has ended had. */
void loader_ring_free_worker(struct ring_worker *worker);

#endif
