/* What reader threads do: lay a microbatch out, then fill its rows.
 *
 * The microbatches of a run are numbered in sequence from 0; each goes to whichever
 * slot was released first. Threads draw samples one at a time from a shared counter
 * (ticket u is row u mod m of microbatch u / m), so a single microbatch is prepared by
 * all of them. Before its first row is filled, a microbatch is laid out: which records,
 * how many. That happens in sequence, by one thread at a time and without the lock,
 * once a slot is free; threads with a ticket for a later microbatch wait for it, which
 * is the back-pressure. A failing row leaves its failure in the slot, for the consumers
 * to find in its turn. Threads live as long as the loader and are parked between runs.
 */
#include "load/loader_ring.h"

#include "base/bf16.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"

#include <signal.h>
#include <string.h>

struct ring_slot *loader_ring_slot(const struct loader *loader, uint64_t sequence)
{
    return loader->queue[sequence % (uint64_t)loader->n_slots];
}

/* What holds for samples of an epoch. */
static const struct sample_rules *rules_in(const struct loader *loader, uint64_t epoch)
{
    const struct loader_options *o = &loader->options;
    int i = o->crops ? o->n_crops - 1 : 0;
    while (i > 0 && o->crops[i].epoch > epoch)
        i--;
    return &loader->rules[i];
}

/* Says which records microbatch `sequence` of the run holds. */
static void lay_out(struct loader *loader, uint64_t sequence, struct ring_slot *slot)
{
    const struct loader_options *o = &loader->options;
    uint64_t m = (uint64_t)o->microbatch, count = (uint64_t)o->count;
    uint64_t step = loader->first_step + sequence / count;
    uint64_t index = (uint64_t)o->first + sequence % count;
    const struct sampler_step of = {
        .epoch = step / loader->steps_per_epoch,
        .step = step % loader->steps_per_epoch,
        .batch = (uint64_t)o->n_microbatches * m,
        .repeats = loader->repeats,
    };
    uint64_t first = index * m;
    uint64_t left = first < loader->n_records ? loader->n_records - first : 0;
    slot->step = step;
    slot->epoch = of.epoch;
    slot->rules = rules_in(loader, slot->epoch);
    slot->index = (int)index;
    slot->n_samples = (int)(o->evaluate && left < m ? left : m);
    slot->failed_row = o->microbatch;
    slot->fails = false;
    atomic_store(&slot->n_done, 0);
    atomic_store(&slot->n_skipped, 0);
    sampler_batch(loader->sampler, &of, first, slot->n_samples, slot->records);
}

/* Whether the records of microbatch `sequence` can be read. */
static bool is_fed(const struct loader *loader, uint64_t sequence)
{
    const struct record_reader *reader = loader->options.reader;
    return !reader || !reader->is_fed ||
           loader->first_step + sequence / (uint64_t)loader->options.count <
               loader->fed;
}

/* Lays out the next microbatch in sequence, which has a slot. Called with the mutex
 * held; gives it up meanwhile, as an epoch's order takes long. */
static void lay_out_next(struct loader *loader)
{
    uint64_t sequence = atomic_load(&loader->n_laid_out);
    struct ring_slot *slot = loader_ring_slot(loader, sequence);
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
        if (!loader->laying_out && is_fed(loader, n_laid_out) &&
            n_laid_out < loader->n_queued)
            lay_out_next(loader);
        else
            pthread_cond_wait(&loader->work, &loader->mutex);
    }
    bool go = !atomic_load(&loader->stop);
    pthread_mutex_unlock(&loader->mutex);
    return go;
}

/* Keeps the failure of the first row, whichever thread was first: no report depends on
 * luck. Where some rows are only skipped, those that are not come first. */
static void note_failure(struct loader *loader, struct ring_slot *slot, int row,
                         convoy_status status, bool skipped)
{
    const bool fails = !skipped;
    pthread_mutex_lock(&loader->mutex);
    if ((fails && !slot->fails) || (fails == slot->fails && row < slot->failed_row)) {
        slot->fails = fails;
        slot->failed_row = row;
        status_save(status, &slot->failure);
    }
    pthread_mutex_unlock(&loader->mutex);
}

static convoy_status read_pack(struct ring_worker *worker, uint64_t record,
                               struct pack_record *read)
{
    struct loader *loader = worker->loader;
    struct sample_buffers *b = &worker->buffers;
    const double since_s = clock_now_s();
    const convoy_status status =
        pack_read(loader->rules->pack, record, &b->record, &b->capacity, read);
    const uint64_t ns = (uint64_t)(1e9 * (clock_now_s() - since_s));
    atomic_fetch_add_explicit(&loader->read_ns, ns, memory_order_relaxed);
    if (status == CONVOY_OK)
        atomic_fetch_add_explicit(&loader->read_bytes, (uint64_t)read->n_bytes,
                                  memory_order_relaxed);
    return status;
}

static convoy_status read_record(struct ring_worker *worker,
                                 const struct ring_slot *slot, int row,
                                 struct pack_record *read)
{
    const struct loader *loader = worker->loader;
    const struct loader_options *o = &loader->options;
    struct sample_buffers *b = &worker->buffers;
    const uint64_t record = slot->records[row];
    if (!o->reader)
        return read_pack(worker, record, read);
    return o->reader->read(o->reader->context, slot->step,
                           (slot->index - o->first) * o->microbatch + row, record,
                           &b->record, &b->capacity, read);
}

static size_t bytes_of_sample(const struct loader *loader, const struct ring_slot *slot)
{
    return sample_values(slot->rules) * (loader->options.bf16 && !loader->rounds_late
                                             ? sizeof(uint16_t)
                                             : sizeof(float));
}

static void *sample_at(const struct loader *loader, const struct ring_slot *slot,
                       int row)
{
    return (char *)slot->images + (size_t)row * bytes_of_sample(loader, slot);
}

static void leave_empty(const struct loader *loader, struct ring_slot *slot, int row)
{
    memset(sample_at(loader, slot, row), 0, bytes_of_sample(loader, slot));
    slot->labels[row] = -1;
}

/* Which sample of the epoch a row is. */
static uint64_t sample_of(const struct loader *loader, const struct ring_slot *slot,
                          int row)
{
    const struct loader_options *o = &loader->options;
    const int64_t m = o->microbatch, position = slot->index * m + row;
    const int64_t different = o->n_microbatches * m / loader->repeats;
    return augment_sample(slot->records[row], (int)(position / different));
}

static void make_row(struct ring_worker *worker, struct ring_slot *slot, int row)
{
    struct loader *loader = worker->loader;
    struct pack_record read;
    void *at = sample_at(loader, slot, row);
    pulse();
    convoy_status status = read_record(worker, slot, row, &read);
    if (status == CONVOY_OK)
        status = sample_make_of(slot->rules, &worker->buffers, slot->epoch,
                                sample_of(loader, slot, row), &read,
                                worker->sample ? worker->sample : at);
    if (status == CONVOY_OK) {
        if (worker->sample)
            bf16_from_floats(at, worker->sample, sample_values(slot->rules));
        slot->labels[row] = read.label;
        return;
    }
    const bool skipped = loader->options.skip_bad && status == CONVOY_ERROR_FORMAT;
    note_failure(loader, slot, row, status, skipped);
    if (!skipped)
        return;
    leave_empty(loader, slot, row);
    atomic_fetch_add(&slot->n_skipped, 1);
}

/* In place: values are written where others have been read. */
static void round_rows(const struct loader *loader, const struct ring_slot *slot)
{
    enum { SPAN = 1024 };
    const size_t n = (size_t)loader->options.microbatch * sample_values(slot->rules);
    const float *from = slot->images;
    uint16_t *to = slot->images, rounded[SPAN];
    for (size_t at = 0; at < n; at += SPAN) {
        const size_t length = n - at < SPAN ? n - at : SPAN;
        bf16_from_floats(rounded, from + at, length);
        memcpy(to + at, rounded, length * sizeof *rounded);
    }
}

/* By the thread that has filled the last row. */
static void mix_rows(const struct loader *loader, const struct ring_slot *slot)
{
    const struct loader_options *o = &loader->options;
    const int *shape = slot->rules->shape;
    const struct mixing_rows rows = {.n = o->microbatch,
                                     .channels = shape[0],
                                     .height = shape[1],
                                     .width = shape[2],
                                     .values = slot->images,
                                     .labels = slot->labels,
                                     .partners = slot->partners,
                                     .shares = slot->shares};
    const uint64_t in_epoch = slot->step % loader->steps_per_epoch;
    const struct mixing mixing =
        mixing_draw(&o->augment, o->seed, slot->epoch,
                    in_epoch * (uint64_t)o->n_microbatches + (uint64_t)slot->index,
                    shape[1], shape[2]);
    mixing_apply(&mixing, &rows);
    if (loader->rounds_late)
        round_rows(loader, slot);
}

static void fill_row(struct ring_worker *worker, struct ring_slot *slot, int row)
{
    struct loader *loader = worker->loader;
    if (row < slot->n_samples)
        make_row(worker, slot, row);
    else
        leave_empty(loader, slot, row);
    if (atomic_fetch_add(&slot->n_done, 1) + 1 < loader->options.microbatch)
        return;
    if (loader->mixes && !slot->fails)
        mix_rows(loader, slot);
    pthread_mutex_lock(&loader->mutex);
    slot->state = SLOT_READY;
    pthread_cond_signal(&loader->done);
    pthread_mutex_unlock(&loader->mutex);
}

/* Fills rows until the run ends or is stopped. */
static void fill_rows(struct ring_worker *worker)
{
    struct loader *loader = worker->loader;
    uint64_t m = (uint64_t)loader->options.microbatch;
    for (;;) {
        uint64_t ticket = atomic_fetch_add(&loader->n_drawn, 1);
        uint64_t sequence = ticket / m;
        if (sequence >= loader->n_sequence || !wait_for_layout(loader, sequence))
            return;
        fill_row(worker, loader_ring_slot(loader, sequence), (int)(ticket % m));
    }
}

/* What a reader thread does until the loader quits. */
static void *work(void *argument)
{
    struct ring_worker *worker = argument;
    struct loader *loader = worker->loader;
    uint64_t run = 0;
    /* The thread that started this one may be bound, by OpenMP or as a consumer. */
    const struct loader_places *places = &loader->places;
    const cpu_set_t *place =
        worker - loader->workers < places->n ? &places->first : &places->others;
    pthread_setaffinity_np(pthread_self(), sizeof *place, place);
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

void loader_ring_free_worker(struct ring_worker *worker)
{
    sample_buffers_fini(&worker->buffers);
    mem_free(worker->sample);
    worker->sample = NULL;
}

static convoy_status start_worker(struct loader *loader, struct ring_worker *worker)
{
    convoy_status status = CONVOY_OK;
    worker->loader = loader;
    if (loader->options.bf16 && !loader->rounds_late)
        status = mem_alloc_array(loader->sample_size, sizeof *worker->sample,
                                 (void **)&worker->sample);
    if (status == CONVOY_OK)
        status = sample_buffers_init(&worker->buffers);
    if (status != CONVOY_OK) {
        mem_free(worker->sample);
        worker->sample = NULL;
        return status;
    }
    /* Signals are for the threads that the program made itself. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        return CONVOY_OK;
    loader_ring_free_worker(worker);
    return FAIL(CONVOY_ERROR_LIBRARY,
                "cannot start loader thread %d of %d: %s; use fewer threads",
                loader->n_workers + 1, loader->options.n_threads, strerror(error));
}

convoy_status loader_ring_add_worker(struct loader *loader)
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
