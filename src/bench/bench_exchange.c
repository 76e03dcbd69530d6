/* How fast ranks sum vectors: each algorithm of the exchange beside what the MPI
 * library has.
 *
 * Every way sums the same numbers. The ways alternate, round by round, so that whatever
 * disturbs the network disturbs all of them. A round of a way counts from when all
 * ranks have met until the slowest has its sum; the first round warms up and says how
 * many are to follow. A way's time is its median round.
 *
 * A rank has one leaf, so that nothing is added before the exchange; sums are checked,
 * not timed. */
#include <convoy/bench.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench/exchange_figures.h"
#include "comm/allreduce.h"
#include "comm/exchange.h"
#include "comm/world.h"

#include <string.h>

enum { LEAST_BYTES = 4 << 10, MOST_BYTES = 512 << 20, MOST_BUCKET_BYTES = 1 << 30 };
enum { MAX_WAYS = 16, LEAST_ROUNDS = 3, MOST_ROUNDS = 200 };
static const double size_s = 3; /* to spend on a size, if LEAST_ROUNDS fit into it */

struct way {
    const char *name;
    const struct exchange_algorithm *algorithm; /* NULL: the library's */
    bool in_place;                              /* of these */
    struct exchange *exchange;                  /* of the size that is timed */
    bool is_out;                                /* from this size on: no shared room */
    double *seconds;                            /* [MOST_ROUNDS] */
};

struct visitor {
    void (*visit)(void *context, const convoy_bench_exchange_time *times, int n);
    void *context;
};

struct bench {
    convoy_world *world;
    struct way ways[MAX_WAYS];
    int n_ways, vectors; /* vectors of a size that all ways take together */
    size_t n, bucket_n;  /* floats of the size that is timed */
    float *values, *sum; /* [n] the library's */
};

static void add_way(struct bench *b, struct way way)
{
    if (b->n_ways < MAX_WAYS)
        b->ways[b->n_ways++] = way;
}

static convoy_status list_ways(struct bench *b)
{
    convoy_status status = CONVOY_OK;
    const int size = b->world->size;
    for (int i = 0; i < exchange_n_algorithms(); i++) {
        const struct exchange_algorithm *algorithm = exchange_algorithm_at(i);
        add_way(b, (struct way){.name = algorithm->about.name, .algorithm = algorithm});
        b->vectors += exchange_n_vectors(size, b->world->rank, size, 1, algorithm);
    }
    add_way(b, (struct way){.name = "MPI_Allreduce"});
    add_way(b, (struct way){.name = "MPI_Iallreduce", .in_place = true});
    b->vectors += 3; /* one that the library may want itself */
    for (int i = 0; i < b->n_ways; i++)
        TRY(mem_alloc_array(MOST_ROUNDS, sizeof(double), (void **)&b->ways[i].seconds));
cleanup:
    return status;
}

static void free_vectors(struct bench *b)
{
    for (int i = 0; i < b->n_ways; i++) {
        exchange_destroy(b->ways[i].exchange);
        b->ways[i].exchange = NULL;
    }
    mem_free(b->values);
    mem_free(b->sum);
    b->values = b->sum = NULL;
}

/* What ranks of a node share has a limit of its own, which only trying tells. */
static convoy_status make_exchange(struct bench *b, struct way *way,
                                   const struct exchange_options *options)
{
    const convoy_status status = exchange_create(b->world, options, &way->exchange);
    if (status == CONVOY_OK || !way->algorithm->shares || !convoy_status_agreed())
        return status;
    way->is_out = true;
    return CONVOY_OK;
}

static convoy_status make_vectors(struct bench *b)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < b->n_ways; i++) {
        const struct exchange_options options = {.n_leaves = b->world->size,
                                                 .n = b->n,
                                                 .lanes = 1,
                                                 .algorithm = b->ways[i].algorithm,
                                                 .bucket_n = b->bucket_n};
        if (options.algorithm && !b->ways[i].is_out)
            TRY(make_exchange(b, &b->ways[i], &options));
    }
    convoy_status own = mem_alloc_array(b->n, sizeof(float), (void **)&b->values);
    if (own == CONVOY_OK)
        own = mem_alloc_array(b->n, sizeof(float), (void **)&b->sum);
    TRY(convoy_world_agree(b->world, own));
cleanup:
    return status;
}

/* So that the sum over all ranks is exact in any order: 1 + 2 + … + size. */
static void fill(const struct bench *b, float *values)
{
    for (size_t i = 0; i < b->n; i++)
        values[i] = (float)(b->world->rank + 1);
}

static convoy_status check(const struct bench *b, const struct way *way,
                           const float *sum)
{
    const int size = b->world->size;
    const float right = (float)((double)size * (size + 1) / 2);
    for (size_t i = 0; i < b->n; i++)
        if (sum[i] != right)
            return FAIL(CONVOY_ERROR_LIBRARY,
                        "%s of %d ranks: %g is element %zu of %zu, not %g", way->name,
                        size, (double)sum[i], i, b->n, (double)right);
    return CONVOY_OK;
}

static convoy_status time_exchange(struct bench *b, struct way *way, double *seconds)
{
    convoy_status status = CONVOY_OK;
    struct exchange *e = way->exchange;
    struct leaf_sum sum;
    const int leaf = exchange_first(e);
    exchange_begin(e);
    fill(b, exchange_leaf(e, leaf, 0));
    exchange_leaf_done(e, leaf);
    exchange_finish(e);
    TRY(allreduce_meet(b->world));
    const double start = clock_now_s();
    TRY(exchange_reduce(e));
    *seconds = clock_now_s() - start;
    exchange_wait(e, exchange_buckets(e)->count, &sum);
    TRY(convoy_world_agree(b->world, check(b, way, sum.left)));
    exchange_restart(e);
cleanup:
    return status;
}

static convoy_status time_library(struct bench *b, struct way *way, double *seconds)
{
    convoy_status status = CONVOY_OK;
    fill(b, b->values);
    TRY(allreduce_meet(b->world));
    const double start = clock_now_s();
    TRY(way->in_place ? allreduce_sum_in_place(b->world, b->values, b->n)
                      : allreduce_sum(b->world, b->values, b->sum, b->n));
    *seconds = clock_now_s() - start;
    TRY(convoy_world_agree(b->world,
                           check(b, way, way->in_place ? b->values : b->sum)));
cleanup:
    return status;
}

/* A round of all ways; *total: of the slowest ranks, the same on all. */
static convoy_status time_round(struct bench *b, int round, double *total)
{
    convoy_status status = CONVOY_OK;
    double seconds[MAX_WAYS] = {0};
    *total = 0;
    for (int i = 0; i < b->n_ways; i++)
        if (!b->ways[i].is_out)
            TRY(b->ways[i].algorithm ? time_exchange(b, &b->ways[i], &seconds[i])
                                     : time_library(b, &b->ways[i], &seconds[i]));
    TRY(allreduce_most(b->world, seconds, b->n_ways));
    for (int i = 0; i < b->n_ways; i++) {
        b->ways[i].seconds[round] = seconds[i];
        *total += seconds[i];
    }
cleanup:
    return status;
}

static convoy_bench_exchange_time time_of(const struct bench *b, const struct way *way,
                                          int rounds)
{
    convoy_bench_exchange_time time = {.way = way->name, .bytes = b->n * sizeof(float)};
    if (way->is_out)
        return time;
    time.rounds = rounds;
    time.seconds = figures_median(way->seconds, rounds);
    time.least_seconds = way->seconds[0];
    time.bus_bytes_per_s =
        figures_bus_bandwidth(time.bytes, b->world->size, time.seconds);
    return time;
}

static void tell(const struct bench *b, int rounds, const struct visitor *visitor)
{
    convoy_bench_exchange_time times[MAX_WAYS];
    for (int i = 0; i < b->n_ways; i++)
        times[i] = time_of(b, &b->ways[i], rounds);
    visitor->visit(visitor->context, times, b->n_ways);
}

/* Times all ways at b->n; rounds 0: as many as fit. */
static convoy_status time_size(struct bench *b, int rounds, int *n_rounds)
{
    convoy_status status = CONVOY_OK;
    double total;
    TRY(make_vectors(b));
    TRY(time_round(b, 0, &total));
    *n_rounds =
        rounds > 0 ? rounds : figures_rounds(total, size_s, LEAST_ROUNDS, MOST_ROUNDS);
    for (int round = 0; round < *n_rounds; round++)
        TRY(time_round(b, round, &total));
cleanup:
    if (status == CONVOY_OK || convoy_status_agreed())
        free_vectors(b); /* else MPI may still write there */
    return status;
}

/* What vectors of so many bytes take of the memory of the rank that they take most of.
 */
static convoy_status memory_needed(struct bench *b, uint64_t bytes, double *needed)
{
    const convoy_world *world = b->world;
    const struct exchange_ranks ranks = {.n_leaves = world->size,
                                         .rank = world->rank,
                                         .size = world->size,
                                         .nodes = world->nodes,
                                         .node_firsts = world->node_firsts};
    *needed = (double)b->vectors * (double)bytes;
    for (int i = 0; i < b->n_ways; i++) {
        const struct exchange_options options = {.n = bytes / sizeof(float),
                                                 .algorithm = b->ways[i].algorithm,
                                                 .bucket_n = b->bucket_n};
        if (options.algorithm && !b->ways[i].is_out)
            *needed += (double)exchange_n_bytes(&ranks, &options);
    }
    return allreduce_most(b->world, needed, 1);
}

/* Bytes that every rank can still take, the same on all; 0: unknown. */
static convoy_status memory_left(struct bench *b, double *bytes)
{
    convoy_status status = CONVOY_OK;
    uint64_t own;
    TRY(world_memory_left(b->world, &own));
    double fewest = -(double)own;
    TRY(allreduce_most(b->world, &fewest, 1));
    *bytes = -fewest;
cleanup:
    return status;
}

static convoy_status run(struct bench *b, const convoy_bench_exchange_options *o,
                         const struct visitor *visitor,
                         convoy_bench_exchange_result *result)
{
    convoy_status status = CONVOY_OK;
    const uint64_t least = o->least_bytes ? o->least_bytes : LEAST_BYTES;
    const uint64_t most = o->most_bytes ? o->most_bytes : MOST_BYTES;
    double left, needed;
    TRY(memory_left(b, &left));
    for (uint64_t bytes = least; bytes > 0; bytes = figures_next_size(bytes, most)) {
        int rounds = 0;
        TRY(memory_needed(b, bytes, &needed));
        if (left > 0 && needed > left) {
            result->left_out_bytes = bytes;
            break;
        }
        b->n = bytes / sizeof(float);
        TRY(time_size(b, o->rounds, &rounds));
        tell(b, rounds, visitor);
    }
cleanup:
    return status;
}

static convoy_status check_options(const convoy_world *world,
                                   const convoy_bench_exchange_options *o)
{
    const uint64_t least = o->least_bytes ? o->least_bytes : LEAST_BYTES;
    const uint64_t most = o->most_bytes ? o->most_bytes : MOST_BYTES;
    if (world->size < 2)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "one rank alone exchanges nothing: start the bench as a training, "
                    "with mpirun -np 2 or more, or with srun");
    if (least < sizeof(float) || least > most)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "no vectors are from %.15g KiB to %.15g KiB%s long: the first is a "
                    "float or longer, the last no shorter than the first",
                    (double)least / 1024, (double)most / 1024,
                    o->most_bytes ? ""
                                  : " (the last length, unless --to says another)");
    if (o->bucket_bytes > MOST_BUCKET_BYTES)
        return FAIL(CONVOY_ERROR_ARGUMENT, "buckets of %llu bytes: at most %llu",
                    (unsigned long long)o->bucket_bytes,
                    (unsigned long long)MOST_BUCKET_BYTES);
    if (o->rounds < 0 || o->rounds > MOST_ROUNDS)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%d rounds: at most %d", o->rounds,
                    MOST_ROUNDS);
    return CONVOY_OK;
}

convoy_status convoy_bench_exchange(
    convoy_world *world, const convoy_bench_exchange_options *options,
    void (*visit)(void *context, const convoy_bench_exchange_time *times, int n),
    void *context, convoy_bench_exchange_result *result)
{
    convoy_status status = CONVOY_OK;
    struct bench b = {.world = world,
                      .bucket_n = options->bucket_bytes / sizeof(float)};
    convoy_bench_exchange_result r = {.ranks = world->size, .nodes = world->nodes};
    convoy_status own = check_options(world, options);
    if (own == CONVOY_OK)
        own = list_ways(&b);
    TRY(convoy_world_agree(world, own));
    world_mpi_version(r.mpi, sizeof r.mpi);
    allreduce_setting(r.allreduce, sizeof r.allreduce);
    TRY(run(&b, options, &(struct visitor){visit, context}, &r));
    *result = r;
cleanup:
    for (int i = 0; i < b.n_ways; i++)
        mem_free(b.ways[i].seconds);
    return status;
}
