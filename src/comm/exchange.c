/* The exchange's two halves: sums of this rank's own leaves (leaves.c), then the sum
 * over ranks, which the algorithm makes of the complete subtrees that the first half
 * leaves; with one rank that is the root alone. An algorithm that keeps no order takes
 * the rank's leaves as a tree of their own, so that one subtree remains. */
#include "comm/exchange.h"

#include "base/memory.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <limits.h>
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
    .help = "in the fixed order: any number of ranks gives the same bits"};

enum { N_ALGORITHMS = (int)(sizeof algorithms / sizeof algorithms[0]) };

struct exchange {
    convoy_world *world;
    const struct exchange_algorithm *algorithm;
    int first, count; /* this rank's leaves */
    int origin;       /* of the tree that leaves know */
    struct leaves *leaves;
    bool is_broken; /* a reduce failed: MPI may still use the memory */
    void *plan;     /* the algorithm's; NULL for one rank */
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
        .halves = alone,
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

static convoy_status allocate(struct exchange *e, int n_leaves, size_t n,
                              struct lanes *lanes, const void *settings)
{
    convoy_status status = CONVOY_OK;
    struct leaves_options options = leaves_of(e->algorithm, n_leaves, e->first,
                                              e->count, lanes ? lanes_n(lanes) : 1);
    options.n = n;
    e->origin = e->first - options.first;
    TRY(leaves_create(&options, &e->leaves));
    const struct exchange_vectors vectors = {
        e->world, n_leaves, n, leaves_sums(e->leaves), lanes, settings};
    if (e->world->size > 1)
        TRY(e->algorithm->init(&vectors, &e->plan));
cleanup:
    return status;
}

convoy_status exchange_create(convoy_world *world, int n_leaves, size_t n,
                              struct lanes *lanes,
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
        tree_range(n_leaves, world->rank, world->size, &e->first, &e->count);
        status = allocate(e, n_leaves, n, lanes, settings);
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
    leaves_destroy(exchange->leaves);
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

float *exchange_leaf(struct exchange *exchange, int leaf, int lane)
{
    return leaves_take(exchange->leaves, leaf - exchange->origin, lane);
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
    leaves_cancel(exchange->leaves);
}

convoy_status exchange_reduce(struct exchange *exchange, struct leaf_sum *sum)
{
    convoy_status status = CONVOY_OK;
    if (exchange->plan) {
        float *const *slots = leaves_sums(exchange->leaves);
        TRY(exchange->algorithm->reduce(exchange->plan));
        *sum = (struct leaf_sum){slots[exchange->algorithm->sum_slot], NULL};
    } else {
        *sum = leaves_total(exchange->leaves);
    }
    leaves_restart(exchange->leaves);
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
