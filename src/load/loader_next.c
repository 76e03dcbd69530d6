/* The consumers' side of the ring: taking microbatches, giving them back, and more
 * threads where that makes them wait.
 *
 * Consumers take microbatches in sequence. While the next one is not ready all of them
 * wait for it, whatever lies behind it, so all meet the same failure. What a consumer
 * holds is out of the queue (loader_ring.h) and keeps nobody waiting. One signal wakes
 * one consumer; on its way out it wakes another if there is something for that one, too
 * (the next microbatch, the end, the failure that stays).
 *
 * Where more threads are allowed than it starts with, the loader takes one more
 * whenever consumers had to wait, on average, for more than a hundredth of the time
 * that some microbatches took (the first ones, when the ring is empty, do not count).
 */
#include "base/clock.h"
#include "load/loader_ring.h"

enum { NO_SLOT = -1 };

/* One more thread where consumers wait for a larger share of the time, over at least so
 * many microbatches. */
static const double wait_allowed = 0.01;
enum { MIN_WINDOW = 4 };

/* Whether loader_next need not wait: the next microbatch is ready, or none follows. */
static bool has_next(const struct loader *loader)
{
    return loader->next >= loader->n_sequence ||
           (loader->next < atomic_load(&loader->n_laid_out) &&
            loader_ring_slot(loader, loader->next)->state == SLOT_READY);
}

/* Whether a microbatch can come. Where all slots are held, somebody must be elsewhere
 * than in loader_next to release one. Called with the mutex held, as the next. */
static convoy_status check_asking(const struct loader *loader)
{
    if (loader->run == 0 || atomic_load(&loader->stop))
        return FAIL(CONVOY_ERROR_ARGUMENT, "the loader was not started");
    if (!has_next(loader) && loader->n_queued == loader->next &&
        loader->n_asking >= loader->options.consumers)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "all %d microbatches that fit the ring are held: release one first",
                    loader->n_slots);
    return CONVOY_OK;
}

static void wait_for_next(struct loader *loader)
{
    if (has_next(loader))
        return;
    const double since = clock_now_s();
    while (!has_next(loader))
        pthread_cond_wait(&loader->done, &loader->mutex);
    const double waited_s = clock_now_s() - since;
    loader->waited_s += waited_s;
    loader->waiting.waited_s += waited_s;
}

/* Waits for the next microbatch and holds its slot, or passes its failure on. *taken is
 * NULL after the last. */
static convoy_status take(struct loader *loader, struct ring_slot **taken)
{
    convoy_status status = CONVOY_OK;
    struct ring_slot *slot = NULL;
    pthread_mutex_lock(&loader->mutex);
    loader->n_asking++;
    TRY(check_asking(loader));
    wait_for_next(loader);
    if (loader->next < loader->n_sequence) {
        slot = loader_ring_slot(loader, loader->next);
        if (slot->fails)
            TRY(status_restore(&slot->failure));
        slot->state = SLOT_HELD;
        loader->next++;
    }
    *taken = slot;
cleanup:
    loader->n_asking--;
    if (has_next(loader))
        pthread_cond_signal(&loader->done);
    pthread_mutex_unlock(&loader->mutex);
    return status;
}

/* Whether the last window shows that threads are too few; begins another. Called with
 * the mutex held. */
static bool needs_worker(struct loader *loader)
{
    const uint64_t n_slots = (uint64_t)loader->n_slots;
    const struct ring_waiting last = loader->waiting;
    if (loader->growing || loader->n_workers >= loader->max_workers ||
        loader->next < last.end)
        return false;
    const double now_s = clock_now_s();
    const double waited_s = last.waited_s / loader->options.consumers;
    loader->waiting = (struct ring_waiting){
        .end = loader->next + (n_slots > MIN_WINDOW ? n_slots : MIN_WINDOW),
        .since_s = now_s};
    return loader->next > n_slots && waited_s > wait_allowed * (now_s - last.since_s);
}

/* One more thread where it is needed. Not getting it is no failure: there are others.
 */
static void watch_waiting(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    const bool grows = needs_worker(loader);
    loader->growing |= grows;
    pthread_mutex_unlock(&loader->mutex);
    if (!grows)
        return;
    const convoy_status status = loader_ring_add_worker(loader);
    pthread_mutex_lock(&loader->mutex);
    loader->growing = false;
    if (status != CONVOY_OK)
        loader->max_workers = loader->n_workers;
    pthread_mutex_unlock(&loader->mutex);
}

convoy_status loader_next(struct loader *loader, struct batch *batch)
{
    struct ring_slot *slot = NULL;
    const convoy_status status = take(loader, &slot);
    if (status != CONVOY_OK)
        return status;
    if (!slot) {
        *batch = (struct batch){.slot = NO_SLOT};
        return CONVOY_OK;
    }
    const int n_skipped = atomic_load(&slot->n_skipped);
    *batch =
        (struct batch){.images = slot->images,
                       .labels = slot->labels,
                       .partners = slot->partners,
                       .shares = slot->shares,
                       .records = slot->records,
                       .n_samples = slot->n_samples,
                       .n_skipped = n_skipped,
                       .first_skipped = n_skipped ? slot->records[slot->failed_row] : 0,
                       .step = slot->step,
                       .index = slot->index,
                       .slot = (int)(slot - loader->slots)};
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
        loader->queue[loader->n_queued++ % (uint64_t)loader->n_slots] = slot;
        pthread_cond_broadcast(&loader->work);
    }
    pthread_mutex_unlock(&loader->mutex);
}

double loader_waited_s(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    const double waited_s = loader->waited_s / loader->options.consumers;
    loader->waited_s = 0.0;
    pthread_mutex_unlock(&loader->mutex);
    return waited_s;
}

struct loader_read loader_read(const struct loader *loader)
{
    return (struct loader_read){
        .bytes = atomic_load_explicit(&loader->read_bytes, memory_order_relaxed),
        .seconds = 1e-9 * (double)atomic_load_explicit(&loader->read_ns,
                                                       memory_order_relaxed)};
}
