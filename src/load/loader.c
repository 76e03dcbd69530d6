/* A ring of microbatch slots between reader threads (loader_ring.c) and one consumer.
 *
 * A slot goes FREE -laid out-> FILLING -last row-> READY -next-> HELD -release-> FREE.
 *
 * Where more threads are allowed than it starts with, the loader takes one more
 * whenever the consumer had to wait for more than a hundredth of the time that it took
 * for some microbatches (the first ones, when the ring is empty, do not count). */
#include "load/loader.h"

#include "load/loader_options.h"
#include "load/loader_ring.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"

#include <signal.h>
#include <string.h>

enum { NO_SLOT = -1 };

/* One more thread where the consumer waits for a larger share of the time, over at
 * least so many microbatches. */
static const double wait_allowed = 0.01;
enum { MIN_WINDOW = 4 };

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

/* One more than is prefetched, for the microbatch that the net works on. */
static int n_slots_for(const struct loader_options *options)
{
    return loader_options_prefetch(options) + 1;
}

int loader_steps_ahead(const struct loader_options *options, int least)
{
    return (n_slots_for(options) + least - 1) / least + 1;
}

/* Whether the lender's slots are as many and as large. */
static bool can_borrow(const struct loader *loader)
{
    const struct loader *lender = loader->options.lender;
    return lender && lender->n_slots >= loader->n_slots &&
           lender->options.microbatch >= loader->options.microbatch &&
           lender->sample_size >= loader->sample_size;
}

static void borrow_slots(struct loader *loader)
{
    loader->borrows = true;
    for (int i = 0; i < loader->n_slots; i++) {
        const struct ring_slot *lent = &loader->options.lender->slots[i];
        loader->slots[i].images = lent->images;
        loader->slots[i].labels = lent->labels;
        loader->slots[i].records = lent->records;
    }
}

static convoy_status create_slots(struct loader *loader)
{
    convoy_status status = CONVOY_OK;
    size_t m = (size_t)loader->options.microbatch;
    const int n_slots = n_slots_for(&loader->options);
    TRY(mem_alloc_array((size_t)n_slots, sizeof *loader->slots,
                        (void **)&loader->slots));
    loader->n_slots = n_slots;
    if (can_borrow(loader)) {
        borrow_slots(loader);
        return CONVOY_OK;
    }
    for (int i = 0; i < n_slots; i++) {
        struct ring_slot *slot = &loader->slots[i];
        TRY(mem_alloc_array(m, loader->sample_size * sizeof *slot->images,
                            (void **)&slot->images));
        TRY(mem_alloc_array(m, sizeof *slot->labels, (void **)&slot->labels));
        TRY(mem_alloc_array(m, sizeof *slot->records, (void **)&slot->records));
    }
cleanup:
    return status;
}

static convoy_status start_worker(struct loader *loader, struct ring_worker *worker)
{
    worker->loader = loader;
    convoy_status status = sample_buffers_init(&worker->buffers);
    if (status != CONVOY_OK)
        return status;
    /* Signals are for the threads that the program made itself. */
    sigset_t all, before;
    cpu_set_t mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, loader_ring_work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        /* Else it would stay where OpenMP may have bound the thread that started it. */
        cpus_mask(&mask);
        pthread_setaffinity_np(worker->thread, sizeof mask, &mask);
        return CONVOY_OK;
    }
    sample_buffers_fini(&worker->buffers);
    return FAIL(CONVOY_ERROR_LIBRARY,
                "cannot start loader thread %d of %d: %s; use fewer threads",
                loader->n_workers + 1, loader->options.n_threads, strerror(error));
}

static convoy_status add_worker(struct loader *loader)
{
    /* One that is added during a run takes part in it at once. */
    pthread_mutex_lock(&loader->mutex);
    const bool joins = loader->run > 0;
    loader->n_running += joins;
    pthread_mutex_unlock(&loader->mutex);
    convoy_status status = start_worker(loader, &loader->workers[loader->n_workers]);
    if (status == CONVOY_OK) {
        loader->n_workers++;
        return CONVOY_OK;
    }
    pthread_mutex_lock(&loader->mutex);
    loader->n_running -= joins;
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

static convoy_status start_workers(struct loader *loader)
{
    const int n = loader->options.n_threads, max = loader->options.max_threads;
    loader->max_workers = max > n ? max : n;
    convoy_status status =
        mem_alloc_array((size_t)loader->max_workers, sizeof *loader->workers,
                        (void **)&loader->workers);
    while (status == CONVOY_OK && loader->n_workers < n)
        status = add_worker(loader);
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
    for (int i = 0; i < loader->n_slots && !loader->borrows; i++) {
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

static void start_window(struct loader *loader, uint64_t length)
{
    loader->window_end = loader->next + length;
    loader->window_since_s = clock_now_s();
    loader->window_waited_s = 0;
}

void loader_stop(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    atomic_store(&loader->stop, true);
    pthread_cond_broadcast(&loader->work);
    while (loader->n_running > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    for (int i = 0; i < loader->n_slots; i++)
        loader->slots[i].state = SLOT_FREE;
    pthread_mutex_unlock(&loader->mutex);
}

convoy_status loader_start(struct loader *loader, uint64_t step)
{
    if (loader->options.evaluate && step != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "an evaluation starts at its first record, not at step %llu",
                    (unsigned long long)step);
    if (loader->borrows)
        loader_stop(loader->options.lender);
    loader_stop(loader);
    pthread_mutex_lock(&loader->mutex);
    loader->first_step = loader->fed = step;
    loader->next = 0;
    start_window(loader, (uint64_t)loader->n_slots);
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
static void wait_until_ready(struct loader *loader, const struct ring_slot *slot)
{
    if (slot->state == SLOT_READY)
        return;
    double since = clock_now_s();
    while (slot->state != SLOT_READY)
        pthread_cond_wait(&loader->done, &loader->mutex);
    double waited_s = clock_now_s() - since;
    loader->waited_s += waited_s;
    loader->window_waited_s += waited_s;
}

/* One more thread where the last window shows that it is needed. Not getting it is no
 * failure: there are others. */
static void watch_waiting(struct loader *loader)
{
    const uint64_t n_slots = (uint64_t)loader->n_slots;
    if (loader->n_workers >= loader->max_workers || loader->next < loader->window_end)
        return;
    const double elapsed_s = clock_now_s() - loader->window_since_s;
    if (loader->next > n_slots && loader->window_waited_s > wait_allowed * elapsed_s &&
        add_worker(loader) != CONVOY_OK)
        loader->max_workers = loader->n_workers;
    start_window(loader, n_slots > MIN_WINDOW ? n_slots : MIN_WINDOW);
}

/* Waits for the slot and holds it, or passes its failure on. */
static convoy_status take(struct loader *loader, struct ring_slot *slot)
{
    convoy_status status = CONVOY_OK;
    pthread_mutex_lock(&loader->mutex);
    if (slot->state == SLOT_HELD)
        TRY(FAIL(
            CONVOY_ERROR_ARGUMENT,
            "the microbatch taken %d before this one is still held: release it first",
            loader->n_slots));
    wait_until_ready(loader, slot);
    if (slot->fails)
        TRY(status_restore(&slot->failure));
    slot->state = SLOT_HELD;
cleanup:
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

convoy_status loader_next(struct loader *loader, struct batch *batch)
{
    if (loader->run == 0 || atomic_load(&loader->stop))
        return FAIL(CONVOY_ERROR_ARGUMENT, "the loader was not started");
    if (loader->next >= loader->n_sequence) {
        *batch = (struct batch){.slot = NO_SLOT};
        return CONVOY_OK;
    }
    struct ring_slot *slot = loader_ring_slot(loader, loader->next);
    convoy_status status = take(loader, slot);
    if (status != CONVOY_OK)
        return status;
    loader->next++;
    const int n_skipped = atomic_load(&slot->n_skipped);
    *batch = (struct batch){slot->images,
                            slot->labels,
                            slot->n_samples,
                            n_skipped,
                            n_skipped ? slot->records[slot->failed_row] : 0,
                            slot->step,
                            slot->index,
                            (int)(slot - loader->slots)};
    watch_waiting(loader);
    return CONVOY_OK;
}

void loader_release(struct loader *loader, const struct batch *batch)
{
    if (batch->slot == NO_SLOT)
        return;
    struct ring_slot *slot = &loader->slots[batch->slot];
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

void loader_feed(struct loader *loader, uint64_t before)
{
    pthread_mutex_lock(&loader->mutex);
    loader->fed = before;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
}

int loader_threads(const struct loader *loader)
{
    return loader->n_workers;
}
