/* A ring of microbatch slots between reader threads (loader_ring.c) and consumers
 * (loader_next.c): what it is made of, and the starting and stopping of its runs.
 *
 * A slot goes FREE -laid out-> FILLING -last row-> READY -next-> HELD -release-> FREE.
 */
#include "load/loader.h"

#include "load/loader_options.h"
#include "load/loader_ring.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"

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

/* What is prefetched, and a microbatch that each consumer works on. */
static int n_slots_for(const struct loader_options *options)
{
    return loader_options_prefetch(options) + loader_options_consumers(options);
}

static bool mixes(const struct loader_options *o)
{
    return !o->evaluate && mixing_is_on(&o->augment);
}

/* Samples are mixed before they are rounded. */
static size_t bytes_of_value(const struct loader_options *o)
{
    return o->bf16 && !mixes(o) ? sizeof(uint16_t) : sizeof(float);
}

uint64_t loader_bytes(const struct loader_options *o)
{
    const uint64_t values =
        (uint64_t)o->shape[0] * (uint64_t)o->shape[1] * (uint64_t)o->shape[2];
    const struct ring_slot *slot = NULL;
    const uint64_t a_sample =
        values * bytes_of_value(o) + sizeof *slot->labels + sizeof *slot->records +
        (mixes(o) ? sizeof *slot->partners + sizeof *slot->shares : 0);
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(a_sample, (uint64_t)o->microbatch, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)n_slots_for(o), &bytes))
        return UINT64_MAX;
    if (o->bf16 && !mixes(o))
        bytes +=
            values * sizeof(float) *
            (uint64_t)(o->max_threads > o->n_threads ? o->max_threads : o->n_threads);
    return bytes;
}

int loader_steps_ahead(const struct loader_options *options, int least)
{
    return (n_slots_for(options) + least - 1) / least + 1;
}

/* Whether the lender's slots are as many and as large. */
static bool can_borrow(const struct loader *loader)
{
    const struct loader *lender = loader->options.lender;
    return lender && !loader->mixes && lender->n_slots >= loader->n_slots &&
           lender->options.microbatch >= loader->options.microbatch &&
           lender->sample_bytes >= loader->sample_bytes;
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
    TRY(mem_alloc_array((size_t)n_slots, sizeof(struct ring_slot *),
                        (void **)&loader->queue));
    if (can_borrow(loader)) {
        borrow_slots(loader);
        return CONVOY_OK;
    }
    for (int i = 0; i < n_slots; i++) {
        struct ring_slot *slot = &loader->slots[i];
        TRY(mem_alloc_array(m, loader->sample_bytes, &slot->images));
        TRY(mem_alloc_array(m, sizeof *slot->labels, (void **)&slot->labels));
        TRY(mem_alloc_array(m, sizeof *slot->records, (void **)&slot->records));
        if (!loader->mixes)
            continue;
        TRY(mem_alloc_array(m, sizeof *slot->partners, (void **)&slot->partners));
        TRY(mem_alloc_array(m, sizeof *slot->shares, (void **)&slot->shares));
    }
cleanup:
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
        status = loader_ring_add_worker(loader);
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
        loader_ring_free_worker(&loader->workers[i]);
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
        mem_free(loader->slots[i].partners);
        mem_free(loader->slots[i].shares);
        mem_free(loader->slots[i].records);
    }
    mem_free(loader->queue);
    mem_free(loader->slots);
    mem_free(loader->rules);
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
    if (o->places)
        made->places = *o->places;
    else
        cpus_mask(&made->places.others);
    made->options = *o;
    made->options.consumers = loader_options_consumers(o);
    made->n_records = convoy_pack_describe(pack)->n_records;
    made->steps_per_epoch =
        o->evaluate
            ? 1
            : loader_steps_per_epoch(made->n_records, o->microbatch, o->n_microbatches);
    made->n_sequence = o->evaluate ? (uint64_t)o->count : UINT64_MAX;
    made->sample_size = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    made->sample_bytes = made->sample_size * bytes_of_value(o);
    made->repeats = sampler_repeats(o->evaluate ? 1 : o->augment.repeats);
    made->mixes = mixes(o);
    made->rounds_late = made->mixes && o->bf16;
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
    TRY(mem_alloc_array(options->crops ? (size_t)options->n_crops : 1,
                        sizeof *made->rules, (void **)&made->rules));
    TRY(sample_rules_of_all(pack, options, made->rules));
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

void loader_stop(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    atomic_store(&loader->stop, true);
    pthread_cond_broadcast(&loader->work);
    while (loader->n_running > 0)
        pthread_cond_wait(&loader->done, &loader->mutex);
    for (int i = 0; i < loader->n_slots; i++) {
        loader->slots[i].state = SLOT_FREE;
        loader->queue[i] = &loader->slots[i];
    }
    loader->n_queued = (uint64_t)loader->n_slots;
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
    loader->waiting = (struct ring_waiting){.end = (uint64_t)loader->n_slots,
                                            .since_s = clock_now_s()};
    loader->n_running = loader->n_workers;
    loader->run++;
    atomic_store(&loader->n_laid_out, 0);
    atomic_store(&loader->n_drawn, 0);
    atomic_store(&loader->stop, false);
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->mutex);
    return CONVOY_OK;
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
