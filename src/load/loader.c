/* A ring of microbatch slots between reader threads and one consumer.
 *
 * The microbatches of a run are numbered in sequence from 0; number s goes to slot
 * s mod n_slots. Threads draw samples one at a time from a shared counter (ticket u is
 * row u mod m of microbatch u / m), so a single microbatch is prepared by all of them.
 * Before its first row is filled, a microbatch is laid out: which records, how many.
 * That happens in sequence, by one thread at a time and without the lock, once the slot
 * is free; threads with a ticket for a later microbatch wait for it, which is the
 * back-pressure. A slot goes FREE -laid out-> FILLING -last row-> READY -next-> HELD
 * -release-> FREE. A failing row leaves its failure in the slot, for the consumer to
 * find in its turn. Threads live as long as the loader and are parked between runs. */
#include "load/loader.h"

#include "load/loader_options.h"
#include "load/sample.h"
#include "load/sampler.h"
#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum { NO_SLOT = -1 };

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_HELD };

struct slot {
    enum slot_state state; /* under the mutex */
    float *images;         /* [m, c, h, w] */
    int32_t *labels;       /* [m] */
    uint32_t *records;     /* [m], the first n_samples of them laid out */
    int n_samples;
    uint64_t epoch, step;
    int index;
    atomic_int n_done;      /* rows */
    int failed_row;         /* the first; m: none; under the mutex */
    struct failure failure; /* of failed_row; under the mutex */
};

struct worker {
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
    struct slot *slots;
    int n_workers; /* started */
    struct worker *workers;

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

    /* The consumer's own. */
    uint64_t next; /* in sequence */
    double waited_s;
};

uint64_t loader_steps_per_epoch(uint64_t n_records, int microbatch, int n_microbatches)
{
    if (microbatch <= 0 || n_microbatches <= 0)
        return 0;
    return n_records / ((uint64_t)microbatch * (uint64_t)n_microbatches);
}

static convoy_status check_n_records(uint64_t n_records)
{
    if (n_records > UINT32_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%llu records, at most %llu can be ordered",
                    (unsigned long long)n_records, (unsigned long long)UINT32_MAX);
    return CONVOY_OK;
}

convoy_status loader_order(uint64_t n_records, uint64_t seed, uint64_t epoch,
                           uint32_t **order)
{
    convoy_status status = CONVOY_OK;
    uint32_t *made = NULL;
    TRY(check_n_records(n_records));
    TRY(mem_alloc_array(n_records, sizeof *made, (void **)&made));
    sampler_order((uint32_t)n_records, seed, epoch, made);
    *order = made;
cleanup:
    return status;
}

static struct slot *slot_of(struct loader *loader, uint64_t sequence)
{
    return &loader->slots[sequence % (uint64_t)loader->n_slots];
}

/* Says which records microbatch `sequence` of the run holds. */
static void lay_out(struct loader *loader, uint64_t sequence, struct slot *slot)
{
    const struct loader_options *o = &loader->options;
    uint64_t m = (uint64_t)o->microbatch, count = (uint64_t)o->count;
    uint64_t step = loader->first_step + sequence / count;
    uint64_t index = (uint64_t)o->first + sequence % count;
    uint64_t in_epoch = step % loader->steps_per_epoch;
    uint64_t position = (in_epoch * (uint64_t)o->n_microbatches + index) * m;
    uint64_t left = position < loader->n_records ? loader->n_records - position : 0;
    slot->step = step;
    slot->epoch = step / loader->steps_per_epoch;
    slot->index = (int)index;
    slot->n_samples = (int)(left < m ? left : m);
    slot->failed_row = o->microbatch;
    atomic_store(&slot->n_done, 0);
    sampler_records(loader->sampler, slot->epoch, position, slot->n_samples,
                    slot->records);
}

/* Lays out the next microbatch in sequence, whose slot is free. Called with the mutex
 * held; gives it up meanwhile, as an epoch's order takes long. */
static void lay_out_next(struct loader *loader)
{
    uint64_t sequence = atomic_load(&loader->n_laid_out);
    struct slot *slot = slot_of(loader, sequence);
    loader->laying_out = true;
    pthread_mutex_unlock(&loader->mutex);
    lay_out(loader, sequence, slot);
    pthread_mutex_lock(&loader->mutex);
    loader->laying_out = false;
    slot->state = SLOT_FILLING;
    atomic_store(&loader->n_laid_out, sequence + 1);
    pthread_cond_broadcast(&loader->work);
}

/* Waits until microbatch `sequence` is laid out, or does it; false to stop. */
static bool wait_for_layout(struct loader *loader, uint64_t sequence)
{
    if (atomic_load(&loader->stop))
        return false;
    if (sequence < atomic_load(&loader->n_laid_out))
        return true;
    pthread_mutex_lock(&loader->mutex);
    while (!atomic_load(&loader->stop)) {
        uint64_t n_laid_out = atomic_load(&loader->n_laid_out);
        if (sequence < n_laid_out)
            break;
        if (!loader->laying_out && slot_of(loader, n_laid_out)->state == SLOT_FREE)
            lay_out_next(loader);
        else
            pthread_cond_wait(&loader->work, &loader->mutex);
    }
    bool go = !atomic_load(&loader->stop);
    pthread_mutex_unlock(&loader->mutex);
    return go;
}

static void note_failure(struct loader *loader, struct slot *slot, int row,
                         convoy_status status)
{
    pthread_mutex_lock(&loader->mutex);
    /* The first row's, whichever thread was first: no report depends on luck. */
    if (row < slot->failed_row) {
        slot->failed_row = row;
        status_save(status, &slot->failure);
    }
    pthread_mutex_unlock(&loader->mutex);
}

static void fill_row(struct worker *worker, struct slot *slot, int row)
{
    struct loader *loader = worker->loader;
    float *images = slot->images + (size_t)row * loader->sample_size;
    if (row < slot->n_samples) {
        convoy_status status =
            sample_make(&loader->rules, &worker->buffers, slot->epoch,
                        slot->records[row], images, &slot->labels[row]);
        if (status != CONVOY_OK)
            note_failure(loader, slot, row, status);
    } else {
        memset(images, 0, loader->sample_size * sizeof *images);
        slot->labels[row] = -1;
    }
    if (atomic_fetch_add(&slot->n_done, 1) + 1 < loader->options.microbatch)
        return;
    pthread_mutex_lock(&loader->mutex);
    slot->state = SLOT_READY;
    pthread_cond_signal(&loader->done);
    pthread_mutex_unlock(&loader->mutex);
}

/* Fills rows until the run ends or is stopped. */
static void fill_rows(struct worker *worker)
{
    struct loader *loader = worker->loader;
    uint64_t m = (uint64_t)loader->options.microbatch;
    for (;;) {
        uint64_t ticket = atomic_fetch_add(&loader->n_drawn, 1);
        uint64_t sequence = ticket / m;
        if (sequence >= loader->n_sequence || !wait_for_layout(loader, sequence))
            return;
        fill_row(worker, slot_of(loader, sequence), (int)(ticket % m));
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    uint64_t run = 0;
    pthread_mutex_lock(&loader->mutex);
    for (;;) {
        while (!loader->quit && loader->run == run)
            pthread_cond_wait(&loader->work, &loader->mutex);
        if (loader->quit)
            break;
        run = loader->run;
        pthread_mutex_unlock(&loader->mutex);
        fill_rows(worker);
        pthread_mutex_lock(&loader->mutex);
        if (--loader->n_running == 0)
            pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

static convoy_status create_slots(struct loader *loader)
{
    convoy_status status = CONVOY_OK;
    size_t m = (size_t)loader->options.microbatch;
    /* One more than is prefetched, for the microbatch that the net works on. */
    int n_slots = loader_options_prefetch(&loader->options) + 1;
    TRY(mem_alloc_array((size_t)n_slots, sizeof *loader->slots,
                        (void **)&loader->slots));
    loader->n_slots = n_slots;
    for (int i = 0; i < n_slots; i++) {
        struct slot *slot = &loader->slots[i];
        TRY(mem_alloc_array(m, loader->sample_size * sizeof *slot->images,
                            (void **)&slot->images));
        TRY(mem_alloc_array(m, sizeof *slot->labels, (void **)&slot->labels));
        TRY(mem_alloc_array(m, sizeof *slot->records, (void **)&slot->records));
    }
cleanup:
    return status;
}

static convoy_status start_worker(struct loader *loader, struct worker *worker)
{
    worker->loader = loader;
    convoy_status status = sample_buffers_init(&worker->buffers);
    if (status != CONVOY_OK)
        return status;
    /* Signals are for the threads that the program made itself. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return CONVOY_OK;
    sample_buffers_fini(&worker->buffers);
    return FAIL(CONVOY_ERROR_LIBRARY,
                "cannot start loader thread %d of %d: %s; use fewer threads",
                loader->n_workers + 1, loader->options.n_threads, strerror(error));
}

static convoy_status start_workers(struct loader *loader)
{
    int n = loader->options.n_threads;
    convoy_status status =
        mem_alloc_array((size_t)n, sizeof *loader->workers, (void **)&loader->workers);
    while (status == CONVOY_OK && loader->n_workers < n) {
        status = start_worker(loader, &loader->workers[loader->n_workers]);
        if (status == CONVOY_OK)
            loader->n_workers++;
    }
    return status;
}

static void join_workers(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->quit = true;
    atomic_store(&loader->stop, true);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->n_workers; i++) {
        pthread_join(loader->workers[i].thread, NULL);
        sample_buffers_fini(&loader->workers[i].buffers);
    }
}

void loader_destroy(struct loader *loader)
{
    if (!loader)
        return;
    join_workers(loader);
    for (int i = 0; i < loader->n_slots; i++) {
        mem_free(loader->slots[i].images);
        mem_free(loader->slots[i].labels);
        mem_free(loader->slots[i].records);
    }
    mem_free(loader->slots);
    mem_free(loader->workers);
    sampler_destroy(loader->sampler);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->mutex);
    mem_free(loader);
}

/* A loader without slots and threads. */
static convoy_status create_idle(const convoy_pack *pack,
                                 const struct loader_options *o, struct loader **loader)
{
    struct loader *made = NULL;
    convoy_status status = mem_alloc(sizeof *made, (void **)&made);
    if (status != CONVOY_OK)
        return status;
    /* Neither fails with default attributes where there is memory for the object. */
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->done, NULL);
    const int *shape = o->shape;
    made->options = *o;
    made->n_records = convoy_pack_describe(pack)->n_records;
    made->steps_per_epoch =
        o->evaluate
            ? 1
            : loader_steps_per_epoch(made->n_records, o->microbatch, o->n_microbatches);
    made->n_sequence = o->evaluate ? (uint64_t)o->count : UINT64_MAX;
    made->sample_size = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    *loader = made;
    return CONVOY_OK;
}

convoy_status loader_create(const convoy_pack *pack,
                            const struct loader_options *options,
                            struct loader **loader)
{
    convoy_status status = CONVOY_OK;
    struct loader *made = NULL;
    TRY(loader_options_check(pack, options));
    TRY(check_n_records(convoy_pack_describe(pack)->n_records));
    TRY(create_idle(pack, options, &made));
    TRY(sample_rules_init(pack, options, &made->rules));
    TRY(sampler_create((uint32_t)made->n_records, options->seed,
                       options->shuffle && !options->evaluate, &made->sampler));
    TRY(create_slots(made));
    TRY(start_workers(made));
    *loader = made;
    made = NULL;
cleanup:
    loader_destroy(made);
    return status;
}

convoy_status loader_start(struct loader *loader, uint64_t step)
{
    if (loader->options.evaluate && step != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "an evaluation starts at its first record, not at step %llu",
                    (unsigned long long)step);
    pthread_mutex_lock(&loader->mutex);
    atomic_store(&loader->stop, true);
    pthread_cond_broadcast(&loader->work);
    while (loader->n_running > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    for (int i = 0; i < loader->n_slots; i++)
        loader->slots[i].state = SLOT_FREE;
    loader->first_step = step;
    loader->next = 0;
    loader->n_running = loader->n_workers;
    loader->run++;
    atomic_store(&loader->n_laid_out, 0);
    atomic_store(&loader->n_drawn, 0);
    atomic_store(&loader->stop, false);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    return CONVOY_OK;
}

/* Waits until the slot is ready; called with the mutex held. */
static void wait_until_ready(struct loader *loader, const struct slot *slot)
{
    if (slot->state == SLOT_READY)
        return;
    double since = clock_now_s();
    while (slot->state != SLOT_READY)
        pthread_cond_wait(&loader->done, &loader->mutex);
    loader->waited_s += clock_now_s() - since;
}

/* Waits for the slot and holds it, or passes its failure on. */
static convoy_status take(struct loader *loader, struct slot *slot)
{
    convoy_status status = CONVOY_OK;
    pthread_mutex_lock(&loader->mutex);
    if (slot->state == SLOT_HELD)
        TRY(FAIL(
            CONVOY_ERROR_ARGUMENT,
            "the microbatch taken %d before this one is still held: release it first",
            loader->n_slots));
    wait_until_ready(loader, slot);
    if (slot->failed_row < loader->options.microbatch)
        TRY(status_restore(&slot->failure));
    slot->state = SLOT_HELD;
cleanup:
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

convoy_status loader_next(struct loader *loader, struct batch *batch)
{
    if (loader->run == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "the loader was not started");
    if (loader->next >= loader->n_sequence) {
        *batch = (struct batch){.slot = NO_SLOT};
        return CONVOY_OK;
    }
    struct slot *slot = slot_of(loader, loader->next);
    convoy_status status = take(loader, slot);
    if (status != CONVOY_OK)
        return status;
    loader->next++;
    *batch = (struct batch){slot->images, slot->labels, slot->n_samples,
                            slot->step,   slot->index,  (int)(slot - loader->slots)};
    return CONVOY_OK;
}

void loader_release(struct loader *loader, const struct batch *batch)
{
    if (batch->slot == NO_SLOT)
        return;
    struct slot *slot = &loader->slots[batch->slot];
    pthread_mutex_lock(&loader->mutex);
    if (slot->state == SLOT_HELD) {
        slot->state = SLOT_FREE;
        pthread_cond_broadcast(&loader->work);
    }
    pthread_mutex_unlock(&loader->mutex);
}

double loader_waited_s(struct loader *loader)
{
    double waited_s = loader->waited_s;
    loader->waited_s = 0.0;
    return waited_s;
}
