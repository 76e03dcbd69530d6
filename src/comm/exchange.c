/* The exchange's two halves: sums of this rank's own leaves, then the sum over ranks.
 *
 * Own leaves are pushed on a stack of slots; a leaf's values are written straight into
 * the slot on top. As soon as both children of a node are there, right is added to left
 * in left's slot. What remains after the last leaf are the rank's complete subtrees, in
 * slots 0, 1, …; with one rank that is the root alone. The algorithm adds the ranks'
 * subtrees.
 *
 * An algorithm that keeps no order takes the rank's leaves as a tree of their own, so
 * that one slot remains. */
#include "comm/exchange.h"

#include "base/memory.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

enum {
    LINE = MEM_ALIGNMENT / (int)sizeof(float),
    BLOCK = 4096,           /* floats that chains of merges handle at a time */
    PARALLEL_FROM = 1 << 15 /* floats that are worth waking threads for */
};

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
    .help = "in the fixed order: any number of ranks gives the same bits"};

enum { N_ALGORITHMS = (int)(sizeof algorithms / sizeof algorithms[0]) };

struct exchange {
    convoy_world *world;
    const struct exchange_algorithm *algorithm;
    int first, count;   /* this rank's leaves */
    size_t n, stride;   /* floats of a slot used, and from slot to slot */
    int *merges;        /* [count] that follow each leaf */
    int n_slots;        /* the largest number of unfinished sums, and at least 1 */
    float *slots;       /* [n_slots, stride] */
    int n_done, n_sums; /* leaves taken in; slots in use */
    bool is_broken;     /* a reduce failed: MPI may still use the memory */
    void *plan;         /* the algorithm's; NULL for one rank */
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

static convoy_status plan_leaves(struct exchange *exchange, int n_leaves)
{
    convoy_status status = CONVOY_OK;
    int first = exchange->first, count = exchange->count;
    const bool ordered = exchange->algorithm->ordered;
    int origin = ordered ? 0 : first; /* of the tree */
    int end = ordered ? n_leaves : count;
    TRY(mem_alloc_array((size_t)count, sizeof *exchange->merges,
                        (void **)&exchange->merges));
    for (int i = 0; i < count; i++) {
        int leaf = first + i - origin;
        exchange->merges[i] = tree_completed(end, leaf + 1, first - origin, leaf);
    }
    exchange->n_slots = tree_depth(exchange->merges, count);
    if (exchange->world->size > 1 && exchange->n_slots <= exchange->algorithm->sum_slot)
        exchange->n_slots = exchange->algorithm->sum_slot + 1;
cleanup:
    return status;
}

static convoy_status allocate(struct exchange *exchange, int n_leaves,
                              const void *settings)
{
    convoy_status status = CONVOY_OK;
    size_t n = exchange->n;
    if (n > SIZE_MAX / sizeof(float) - LINE)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu floats for gradients", n));
    exchange->stride = mem_round_up((n ? n : 1) * sizeof(float)) / sizeof(float);
    TRY(plan_leaves(exchange, n_leaves));
    TRY(mem_alloc_array((size_t)exchange->n_slots, exchange->stride * sizeof(float),
                        (void **)&exchange->slots));
    const struct exchange_vectors vectors = {
        exchange->world, n_leaves, n, exchange->stride, exchange->slots, settings};
    if (exchange->world->size > 1)
        TRY(exchange->algorithm->init(&vectors, &exchange->plan));
cleanup:
    return status;
}

convoy_status exchange_create(convoy_world *world, int n_leaves, size_t n,
                              const struct exchange_algorithm *algorithm,
                              const void *settings, struct exchange **exchange)
{
    struct exchange *e = NULL;
    convoy_status status = CONVOY_OK;
    if (world->size > n_leaves)
        status =
            FAIL(CONVOY_ERROR_ARGUMENT,
                 "%d ranks for the %d microbatches of a batch: every rank needs one; "
                 "start fewer ranks or make microbatches smaller",
                 world->size, n_leaves);
    else
        status = mem_alloc(sizeof *e, (void **)&e);
    if (status == CONVOY_OK) {
        e->world = world;
        e->algorithm = algorithm;
        e->n = n;
        tree_range(n_leaves, world->rank, world->size, &e->first, &e->count);
        status = allocate(e, n_leaves, settings);
    }
    TRY(convoy_world_agree(world, status));
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
    exchange->algorithm->destroy(exchange->plan);
    mem_free(exchange->merges);
    mem_free(exchange->slots);
    mem_free(exchange);
}

int exchange_first(const struct exchange *exchange)
{
    return exchange->first;
}

int exchange_count(const struct exchange *exchange)
{
    return exchange->count;
}

static float *slot(const struct exchange *exchange, int k)
{
    return exchange->slots + (size_t)k * exchange->stride;
}

float *exchange_leaf(struct exchange *exchange)
{
    assert(exchange->n_done < exchange->count);
    return slot(exchange, exchange->n_sums);
}

/* Merges the last n_merges + 1 sums into one. A block goes through all merges while it
 * is in the cache. */
static void merge(const struct exchange *exchange, int n_merges)
{
    size_t n = exchange->n, n_blocks = (n + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) if (n > PARALLEL_FROM)
    for (size_t b = 0; b < n_blocks; b++) {
        size_t start = b * BLOCK, left = n - start;
        for (int m = 1; m <= n_merges; m++) {
            float *to = slot(exchange, exchange->n_sums - 1 - m) + start;
            tree_add(to, to, to + exchange->stride, left < BLOCK ? left : BLOCK);
        }
    }
}

void exchange_leaf_done(struct exchange *exchange)
{
    assert(exchange->n_done < exchange->count);
    int n_merges = exchange->merges[exchange->n_done];
    exchange->n_done++;
    exchange->n_sums++;
    if (n_merges > 0)
        merge(exchange, n_merges);
    exchange->n_sums -= n_merges;
}

convoy_status exchange_reduce(struct exchange *exchange, float **sum)
{
    convoy_status status = CONVOY_OK;
    assert(exchange->n_done == exchange->count);
    if (exchange->plan)
        TRY(exchange->algorithm->reduce(exchange->plan));
    exchange->n_done = exchange->n_sums = 0;
    *sum = slot(exchange, exchange->plan ? exchange->algorithm->sum_slot : 0);
cleanup:
    exchange->is_broken = status != CONVOY_OK;
    return status;
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
    TRY_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values, world->counts,
                           world->offsets, MPI_DOUBLE, world->comm));
cleanup:
    return status;
}
