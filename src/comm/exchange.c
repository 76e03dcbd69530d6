/* The exchange's two halves: sums of this rank's own leaves (leaves.c), made by the
 * lanes, then the sum over ranks, which the algorithm makes of the complete subtrees
 * that the first half leaves; with one rank that is the root alone. An algorithm that
 * keeps no order takes the rank's leaves as a tree of their own, so that one subtree
 * remains.
 *
 * Between the two stands a queue of buckets: the lanes merge them, in order; the thread
 * in exchange_reduce posts what is merged, at most buckets.flights at a time, moves it
 * on, and tells the lanes, in order again, what has arrived. It alone talks to MPI. */
#include "comm/exchange.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "comm/node_memory.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define EXCHANGE(name) extern const struct exchange_algorithm exchange_##name;
#include "comm/exchange_list.h"
#undef EXCHANGE

static const struct exchange_algorithm *const algorithms[] = {
#define EXCHANGE(name) &exchange_##name,
#include "comm/exchange_list.h"
#undef EXCHANGE
};

const struct option_owner exchange_auto = {
    .name = "auto",
    .help = "in the fixed order: any number of ranks gives the same bits",
    .same = EXCHANGE_SAME_SUMS};

enum { N_ALGORITHMS = (int)(sizeof algorithms / sizeof algorithms[0]) };

struct exchange {
    convoy_world *world;
    const struct exchange_algorithm *algorithm;
    int first, count; /* this rank's leaves */
    int origin;       /* of the tree that leaves know */
    struct leaves *leaves;
    struct buckets buckets;
    bool is_broken;             /* a reduce failed: MPI may still use the memory */
    void *plan;                 /* the algorithm's; NULL for one rank */
    struct node_memory *shared; /* NULL: the slots are the rank's own */
    struct bucket_times *times; /* [buckets.count] of this step */
    double in_flight_s;         /* of this step */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    struct leaf_sum sum; /* from when a bucket has arrived */
    int n_arrived;
    bool is_cancelled;
};

int exchange_n_algorithms(void)
{
    return N_ALGORITHMS;
}

const struct exchange_algorithm *exchange_algorithm_at(int i)
{
    return algorithms[i];
}

const struct exchange_algorithm *exchange_find(const char *name)
{
    if (strcmp(name, exchange_auto.name) == 0)
        return algorithms[0];
    for (int i = 0; i < N_ALGORITHMS; i++)
        if (strcmp(algorithms[i]->about.name, name) == 0)
            return algorithms[i];
    return NULL;
}

/* Of a rank's leaves [first, first + count); an algorithm without the order takes them
 * as a tree of their own. */
static struct leaves_options leaves_of(const struct exchange_algorithm *algorithm,
                                       int n_leaves, int first, int count, int lanes)
{
    const bool ordered = algorithm->ordered, alone = count == n_leaves;
    return (struct leaves_options){
        .n_leaves = ordered ? n_leaves : count,
        .first = ordered ? first : 0,
        .count = count,
        .lanes = lanes,
        .least_slots = alone ? 1 : algorithm->sum_slot + 1,
        .halves = alone, /* then nothing is gained by buckets */
    };
}

int exchange_n_vectors(int n_leaves, int rank, int n_ranks, int lanes,
                       const struct exchange_algorithm *algorithm)
{
    int first, count;
    tree_range(n_leaves, rank, n_ranks, &first, &count);
    const struct leaves_options options =
        leaves_of(algorithm, n_leaves, first, count, lanes);
    return leaves_n_slots(&options);
}

static float *own_slots(const struct exchange *e)
{
    char *memory = node_memory_of(e->shared, e->world->node_rank);
    return (float *)(void *)(memory + EXCHANGE_BOARD_BYTES);
}

static convoy_status allocate(struct exchange *e, const struct exchange_options *o)
{
    convoy_status status = CONVOY_OK;
    struct leaves_options options =
        leaves_of(e->algorithm, o->n_leaves, e->first, e->count, o->lanes);
    options.n = o->n;
    options.buckets = options.halves ? NULL : &e->buckets;
    options.memory = e->shared ? own_slots(e) : NULL;
    e->origin = e->first - options.first;
    TRY(leaves_create(&options, &e->leaves));
    TRY(mem_alloc_array((size_t)e->buckets.count, sizeof *e->times,
                        (void **)&e->times));
    const struct exchange_vectors vectors = {e->world, o->n_leaves, &e->buckets,
                                             leaves_sums(e->leaves), e->shared};
    if (e->world->size > 1)
        TRY(e->algorithm->init(&vectors, &e->plan));
cleanup:
    return status;
}

static convoy_status check(const convoy_world *world, const struct exchange_options *o)
{
    if (world->size > o->n_leaves)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%d ranks for the %d microbatches of a batch: every rank needs "
                    "one; start fewer ranks or make microbatches smaller",
                    world->size, o->n_leaves);
    if (o->n > SIZE_MAX / sizeof(float) / 2) /* arithmetic with it must not overflow */
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu floats for gradients",
                    o->n);
    return CONVOY_OK;
}

static size_t bucket_n(int size, const struct exchange_options *o)
{
    if (o->bucket_n > 0)
        return o->bucket_n;
    if (o->algorithm && o->algorithm->bucket_n > 0)
        return o->algorithm->bucket_n;
    return bucket_auto_n(size);
}

uint64_t exchange_n_bytes(const struct exchange_ranks *ranks,
                          const struct exchange_options *o)
{
    const struct exchange_algorithm *algorithm = o->algorithm;
    const struct buckets buckets =
        buckets_cut_last(o->n, o->n_last, bucket_n(ranks->size, o));
    if (!algorithm)
        algorithm = ranks->nodes < ranks->size ? &exchange_two_level : &exchange_direct;
    return ranks->size > 1 && algorithm->bytes ? algorithm->bytes(ranks, &buckets) : 0;
}

static convoy_status create(convoy_world *world, const struct exchange_options *o,
                            struct exchange **exchange)
{
    convoy_status status = CONVOY_OK;
    struct exchange *e = NULL;
    TRY(check(world, o));
    TRY(mem_alloc(sizeof *e, (void **)&e));
    *exchange = e;
    /* Neither fails with default attributes where there is memory for it. */
    pthread_mutex_init(&e->mutex, NULL);
    pthread_cond_init(&e->changed, NULL);
    e->world = world;
    e->buckets = buckets_cut_last(o->n, o->n_last, bucket_n(world->size, o));
    tree_range(o->n_leaves, world->rank, world->size, &e->first, &e->count);
cleanup:
    return status;
}

/* Of this rank's slots, with what comes before them. */
static size_t shared_bytes(const struct exchange *e, const struct exchange_options *o)
{
    struct leaves_options options =
        leaves_of(e->algorithm, o->n_leaves, e->first, e->count, o->lanes);
    options.n = o->n;
    return EXCHANGE_BOARD_BYTES + leaves_bytes(&options);
}

/* Two levels where a node has several ranks and room for what they share. Collective.
 */
static convoy_status choose(struct exchange *e, const struct exchange_options *o)
{
    convoy_status status = CONVOY_OK;
    convoy_world *world = e->world;
    e->algorithm = o->algorithm;
    if (e->algorithm)
        return CONVOY_OK;
    e->algorithm = &exchange_direct;
    if (world->size == world->nodes)
        return CONVOY_OK;
    const uint64_t left = node_memory_left();
    uint64_t bytes = shared_bytes(e, o);
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_UINT64_T, MPI_SUM,
                          world->node_comm));
    int fits = bytes <= left;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, &fits, 1, MPI_INT, MPI_LAND, world->comm));
    if (fits)
        e->algorithm = &exchange_two_level;
cleanup:
    return status;
}

/* Memory that was there may be gone by now, or may not be the same for all ranks of a
 * node: an algorithm that was chosen is then given up, on all ranks alike. Collective.
 */
static convoy_status share_slots(struct exchange *e, const struct exchange_options *o)
{
    if (!e->algorithm->shares || e->world->size == 1)
        return CONVOY_OK;
    const convoy_status status =
        node_memory_create(e->world, shared_bytes(e, o), &e->shared);
    if (status == CONVOY_OK || o->algorithm || !convoy_status_agreed())
        return status;
    e->algorithm = &exchange_direct;
    return CONVOY_OK;
}

convoy_status exchange_create(convoy_world *world,
                              const struct exchange_options *options,
                              struct exchange **exchange)
{
    convoy_status status = CONVOY_OK;
    struct exchange *e = NULL;
    TRY(convoy_world_agree(world, create(world, options, &e)));
    assert(e); /* since all have succeeded */
    TRY(choose(e, options));
    TRY(share_slots(e, options));
    TRY(convoy_world_agree(world, allocate(e, options)));
    *exchange = e;
    e = NULL;
cleanup:
    exchange_destroy(e);
    return status;
}

void exchange_destroy(struct exchange *exchange)
{
    if (!exchange || exchange->is_broken)
        return;
    if (exchange->plan)
        exchange->algorithm->destroy(exchange->plan);
    leaves_destroy(exchange->leaves);
    node_memory_destroy(exchange->shared);
    pthread_cond_destroy(&exchange->changed);
    pthread_mutex_destroy(&exchange->mutex);
    mem_free(exchange->times);
    mem_free(exchange);
}

const struct exchange_algorithm *exchange_algorithm_of(const struct exchange *exchange)
{
    return exchange->algorithm;
}

const struct buckets *exchange_buckets(const struct exchange *exchange)
{
    return &exchange->buckets;
}

int exchange_first(const struct exchange *exchange)
{
    return exchange->first;
}

int exchange_count(const struct exchange *exchange)
{
    return exchange->count;
}

float *exchange_leaf(struct exchange *exchange, int leaf, int lane)
{
    return leaves_take(exchange->leaves, leaf - exchange->origin, lane);
}

void exchange_leaf_final(struct exchange *exchange, int leaf, size_t from)
{
    leaves_final(exchange->leaves, leaf - exchange->origin, from);
}

void exchange_leaf_done(struct exchange *exchange, int leaf)
{
    leaves_done(exchange->leaves, leaf - exchange->origin);
}

void exchange_finish(struct exchange *exchange)
{
    leaves_finish(exchange->leaves);
}

void exchange_cancel(struct exchange *exchange)
{
    pthread_mutex_lock(&exchange->mutex);
    exchange->is_cancelled = true;
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->mutex);
    leaves_cancel(exchange->leaves);
}

bool exchange_wait(struct exchange *exchange, int n, struct leaf_sum *sum)
{
    pthread_mutex_lock(&exchange->mutex);
    while (exchange->n_arrived < n && !exchange->is_cancelled)
        pthread_cond_wait(&exchange->changed, &exchange->mutex);
    const bool is_there = exchange->n_arrived >= n && !exchange->is_cancelled;
    *sum = exchange->sum;
    pthread_mutex_unlock(&exchange->mutex);
    return is_there;
}

/* So many buckets are there, wherever the sum is. */
static void tell_arrived(struct exchange *e, int n)
{
    pthread_mutex_lock(&e->mutex);
    if (!e->plan)
        e->sum = leaves_total(e->leaves);
    else if (e->algorithm->sum)
        e->sum.left = e->algorithm->sum(e->plan);
    else
        e->sum.left = leaves_sums(e->leaves)[e->algorithm->sum_slot];
    e->n_arrived = n;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->mutex);
}

/* The buckets of a step on their way: [n_arrived, n_posted) are under way. */
struct queue {
    struct exchange *exchange;
    int n_ready, n_posted, n_arrived;
    bool waits; /* this rank's part is done */
    bool
        is_done[EXCHANGE_FLIGHTS]; /* of those under way: by bucket modulo their most */
};

static convoy_status post_merged(struct queue *q, int n_merged)
{
    convoy_status status = CONVOY_OK;
    struct exchange *e = q->exchange;
    while (q->n_posted < n_merged && q->n_posted - q->n_arrived < e->buckets.flights) {
        const int b = q->n_posted;
        e->times[b].posted_s = clock_now_s();
        TRY(e->algorithm->post(e->plan, b));
        q->is_done[b % EXCHANGE_FLIGHTS] = !e->algorithm->test;
        q->n_posted++;
    }
cleanup:
    return status;
}

/* Moves on what is under way; whether anything has arrived. */
static convoy_status test_posted(struct queue *q, bool *progress)
{
    convoy_status status = CONVOY_OK;
    struct exchange *e = q->exchange;
    const int before = q->n_arrived;
    for (int b = q->n_arrived; b < q->n_posted; b++)
        if (!q->is_done[b % EXCHANGE_FLIGHTS])
            TRY(e->algorithm->test(e->plan, b, &q->is_done[b % EXCHANGE_FLIGHTS]));
    while (q->n_arrived < q->n_posted && q->is_done[q->n_arrived % EXCHANGE_FLIGHTS])
        e->times[q->n_arrived++].arrived_s = clock_now_s();
    *progress = q->n_arrived > before;
    if (*progress) {
        pulse();
        tell_arrived(e, q->n_arrived);
    }
cleanup:
    return status;
}

/* A lane has failed, or the caller has given up. */
static convoy_status refuse_cancelled(void)
{
    return FAIL(CONVOY_ERROR_LIBRARY, "the step was cancelled while it was exchanged");
}

static void begin_waiting(struct queue *q)
{
    if (q->waits)
        return;
    q->waits = true;
    pulse_enter_phase(PULSE_EXCHANGE);
    pulse_wait();
}

static convoy_status run_queue(struct exchange *e)
{
    convoy_status status = CONVOY_OK;
    struct queue q = {.exchange = e};
    int polls = 0;
    while (q.n_arrived < e->buckets.count) {
        bool is_cancelled, progress;
        const int n_merged = leaves_n_merged(e->leaves, &is_cancelled);
        if (is_cancelled)
            TRY(refuse_cancelled());
        if (n_merged == e->buckets.count)
            begin_waiting(&q);
        const double start = clock_now_s();
        while (q.n_ready < n_merged)
            e->times[q.n_ready++].ready_s = start;
        TRY(post_merged(&q, n_merged));
        const bool is_under_way = q.n_posted > q.n_arrived;
        TRY(test_posted(&q, &progress));
        if (!is_under_way)
            leaves_wait(e->leaves, q.n_posted + 1);
        else if (progress)
            polls = 0;
        else
            world_nap(&polls);
        if (is_under_way)
            e->in_flight_s += clock_now_s() - start;
    }
cleanup:
    if (q.waits)
        pulse_go_on();
    return status;
}

/* One rank alone: its sum is there when all leaves are. */
static convoy_status wait_alone(struct exchange *e)
{
    bool is_cancelled;
    leaves_wait(e->leaves, e->buckets.count);
    leaves_n_merged(e->leaves, &is_cancelled);
    if (is_cancelled)
        return refuse_cancelled();
    tell_arrived(e, e->buckets.count);
    return CONVOY_OK;
}

convoy_status exchange_reduce(struct exchange *exchange)
{
    const convoy_status status =
        exchange->plan ? run_queue(exchange) : wait_alone(exchange);
    exchange->is_broken = status != CONVOY_OK && exchange->plan;
    if (status != CONVOY_OK)
        exchange_cancel(exchange);
    return status;
}

double exchange_in_flight_s(const struct exchange *exchange)
{
    return exchange->in_flight_s;
}

const struct bucket_times *exchange_times(const struct exchange *exchange)
{
    return exchange->times;
}

double exchange_slept_s(const struct exchange *exchange)
{
    return leaves_slept_s(exchange->leaves);
}

void exchange_begin(struct exchange *exchange)
{
    if (exchange->plan && exchange->algorithm->begin)
        exchange->algorithm->begin(exchange->plan);
}

void exchange_restart(struct exchange *exchange)
{
    if (exchange->plan && exchange->algorithm->end)
        exchange->algorithm->end(exchange->plan);
    leaves_restart(exchange->leaves);
    exchange->n_arrived = 0;
    exchange->in_flight_s = 0;
    exchange->is_cancelled = false;
}

convoy_status exchange_share(convoy_world *world, double *values, int n_leaves,
                             int n_values)
{
    convoy_status status = CONVOY_OK;
    if (n_values > 0 && n_leaves > INT_MAX / n_values)
        TRY(convoy_world_agree(world, FAIL(CONVOY_ERROR_ARGUMENT,
                                           "%d values for each of %d microbatches are "
                                           "too many to share: at most %d "
                                           "in all",
                                           n_values, n_leaves, INT_MAX)));
    for (int rank = 0; rank < world->size; rank++) {
        int first, count;
        tree_range(n_leaves, rank, world->size, &first, &count);
        world->offsets[rank] = first * n_values;
        world->counts[rank] = count * n_values;
    }
    TRY(world_meet(world));
    TRY_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, world->counts,
                           world->offsets, MPI_DOUBLE, world->comm));
cleanup:
    return status;
}
