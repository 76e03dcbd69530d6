/* The exchange's promise, for every algorithm of the list: the tree's bits on any
 * number of ranks, or sums that are near. */
#include "base/lanes.h"
#include "base/memory.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "mpi/leaves.h"
#include "mpi/ranks.h"

#include <glob.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* Allocations of all lanes are counted; number fail_at fails (counted from 1; 0: none).
 */
static atomic_int n_allocations;
static atomic_size_t n_bytes; /* of arrays */
static int fail_at;

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
convoy_status __real_mem_alloc(size_t bytes, void **out);
convoy_status __wrap_mem_alloc(size_t bytes, void **out);
convoy_status __real_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __real_mem_reserve(void **buffer, size_t *capacity, size_t bytes);
convoy_status __wrap_mem_reserve(void **buffer, size_t *capacity, size_t bytes);

static bool fails_now(void)
{
    return atomic_fetch_add(&n_allocations, 1) + 1 == fail_at;
}

convoy_status __wrap_mem_alloc(size_t bytes, void **out)
{
    if (fails_now())
        return FAIL(CONVOY_ERROR_MEMORY, "made to fail");
    return __real_mem_alloc(bytes, out);
}

convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out)
{
    if (fails_now())
        return FAIL(CONVOY_ERROR_MEMORY, "made to fail");
    atomic_fetch_add(&n_bytes, n * size);
    return __real_mem_alloc_array(n, size, out);
}

convoy_status __wrap_mem_reserve(void **buffer, size_t *capacity, size_t bytes)
{
    if (fails_now())
        return FAIL(CONVOY_ERROR_MEMORY, "made to fail");
    return __real_mem_reserve(buffer, capacity, bytes);
}

/* Pages are asked for when the file of the node has no name any more, which would stay
 * where a rank dies. */
static long first_pid; /* of the node; 0: not looked at */
static int n_reserved, n_named;

int __real_file_reserve(int fd, uint64_t offset, uint64_t n);
int __wrap_file_reserve(int fd, uint64_t offset, uint64_t n);
int __wrap_file_reserve(int fd, uint64_t offset, uint64_t n)
{
    char pattern[64];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/dev/shm/convoy-%ld-*", first_pid);
    n_reserved++;
    if (first_pid > 0 && glob(pattern, 0, NULL, &found) == 0) {
        n_named += (int)found.gl_pathc;
        globfree(&found);
    }
    return __real_file_reserve(fd, offset, n);
}
// NOLINTEND(readability-identifier-naming)

static int start(void **state)
{
    convoy_world *world = NULL;
    if (convoy_world_create(&world) != CONVOY_OK)
        return -1;
    *state = world;
    return 0;
}

static int stop(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

/* A step's exchange, and what its lanes share; lanes NULL: the test's thread gives all
 * leaves before the exchange begins. */
struct job {
    convoy_world *world;
    const struct exchange_algorithm *algorithm;
    struct lanes *lanes;
    int n_leaves;
    size_t n, bucket_n;
    struct exchange *exchange;
    uint32_t seed;
    atomic_int n_given;
    atomic_bool is_wrong;
};

static convoy_status create(struct job *job)
{
    const struct exchange_options options = {.n_leaves = job->n_leaves,
                                             .n = job->n,
                                             .lanes =
                                                 job->lanes ? lanes_n(job->lanes) : 1,
                                             .algorithm = job->algorithm,
                                             .bucket_n = job->bucket_n};
    return exchange_create(job->world, &options, &job->exchange);
}

/* A leaf is final bucket by bucket, with values in between that are not. */
static void fill(struct job *job, int leaf, int lane)
{
    const struct buckets *buckets = exchange_buckets(job->exchange);
    float *values = exchange_leaf(job->exchange, leaf, lane);
    for (size_t i = 0; i < job->n; i++)
        values[i] = -1;
    for (int b = 0; b < buckets->count; b++) {
        const struct extent span = buckets_extent(buckets, b);
        for (size_t i = span.begin; i < span.end; i++)
            values[i] = leaf_value(job->seed, leaf, i);
        exchange_leaf_final(job->exchange, leaf, span.begin + 1);
        exchange_leaf_final(job->exchange, leaf, span.begin);
    }
    exchange_leaf_done(job->exchange, leaf);
}

/* lanes_function */
static convoy_status give(void *context, int lane)
{
    struct job *job = context;
    for (;;) {
        const int given = atomic_fetch_add(&job->n_given, 1);
        if (given >= exchange_count(job->exchange))
            break;
        fill(job, exchange_first(job->exchange) + given, lane);
    }
    exchange_finish(job->exchange);
    return CONVOY_OK;
}

/* Each bucket has its sum when it is told to have arrived. */
static void check_arrived(struct job *job)
{
    const struct buckets *buckets = exchange_buckets(job->exchange);
    for (int b = 0; b < buckets->count; b++) {
        const struct extent span = buckets_extent(buckets, b);
        struct leaf_sum sum;
        if (!exchange_wait(job->exchange, b + 1, &sum))
            job->is_wrong = true;
        for (size_t i = span.begin; i < span.end && !job->is_wrong; i++) {
            float room;
            const float *value = leaf_sum_values(&sum, i, i + 1, &room);
            if (!same_bits(*value, leaf_sum(job->seed, 0, job->n_leaves, i)))
                job->is_wrong = true;
        }
    }
}

/* lanes_function */
static convoy_status give_and_check(void *context, int lane)
{
    struct job *job = context;
    give(job, lane);
    if (lane == 0 && job->algorithm->ordered)
        check_arrived(job);
    return CONVOY_OK;
}

/* A step; the whole sum, in memory of the exchange. */
static bool reduce(struct job *job, uint32_t seed, float **sum)
{
    struct leaf_sum halves;
    exchange_begin(job->exchange);
    job->seed = seed;
    job->n_given = 0;
    job->is_wrong = false;
    if (job->lanes)
        lanes_start(job->lanes, give_and_check, job);
    else
        give(job, 0);
    const bool ok = exchange_reduce(job->exchange) == CONVOY_OK;
    if (job->lanes)
        lanes_wait(job->lanes);
    if (!ok || job->is_wrong || !exchange_wait(job->exchange, 1, &halves))
        return false;
    leaf_sum_values(&halves, 0, job->n, NULL);
    *sum = halves.left;
    return true;
}

static bool sum_is_right(uint32_t seed, int n_leaves, size_t n, const float *sum)
{
    bool ok = (uintptr_t)sum % MEM_ALIGNMENT == 0;
    for (size_t i = 0; i < n; i++)
        ok = ok && same_bits(sum[i], leaf_sum(seed, 0, n_leaves, i));
    return ok;
}

/* Some steps in a row with one exchange, whose sums are spoilt in between. */
static bool steps_are_right(struct job *job)
{
    bool ok = on_all_ranks(job->world, create(job) == CONVOY_OK);
    for (uint32_t seed = 1; ok && seed <= 2; seed++) {
        float *sum = NULL;
        ok = reduce(job, seed, &sum) && sum_is_right(seed, job->n_leaves, job->n, sum);
        ok = on_all_ranks(job->world, ok);
        if (ok && job->world->node_rank == 0) /* it may be shared */
            memset(sum, 0xff, job->n * sizeof *sum);
        exchange_restart(job->exchange);
    }
    exchange_destroy(job->exchange);
    return ok;
}

/* The same with every algorithm that promises the order, and buckets of all sorts. */
static bool ordered_steps_are_right(convoy_world *world, int n_leaves, size_t n,
                                    struct lanes *lanes)
{
    const size_t buckets[] = {0, n / 2, n / 7};
    bool ok = true;
    for (int i = 0; i < exchange_n_algorithms(); i++)
        for (size_t k = 0; k < sizeof buckets / sizeof *buckets; k++) {
            struct job job = {.world = world,
                              .algorithm = exchange_algorithm_at(i),
                              .lanes = lanes,
                              .n_leaves = n_leaves,
                              .n = n,
                              .bucket_n = buckets[k]};
            if (job.algorithm->ordered)
                ok = steps_are_right(&job) && ok;
        }
    return ok;
}

/* New lanes on every rank. */
static struct lanes *start_lanes(const convoy_world *world, int n, int threads)
{
    const struct lanes_options options = {.n = n, .threads = threads};
    struct lanes *lanes = NULL;
    const convoy_status status = lanes_create(&options, &lanes);
    assert_true(on_all_ranks(world, status == CONVOY_OK));
    return lanes;
}

static void the_sum_has_the_trees_bits_on_every_rank(void **state)
{
    static const struct {
        int n_leaves;
        size_t n;
    } table[] = {
        {7, 1}, {7, 1000}, {8, 3}, {12, 1000}, {13, 1000}, {32, 1000}, {13, 30003},
    };
    for (int n_lanes = 0; n_lanes <= 3; n_lanes += n_lanes + 1) { /* 0, 1, 3 */
        struct lanes *lanes = n_lanes ? start_lanes(*state, n_lanes, 1) : NULL;
        bool ok = true;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
            ok =
                ordered_steps_are_right(*state, table[i].n_leaves, table[i].n, lanes) &&
                ok;
        lanes_destroy(lanes);
        assert_true(ok);
    }
}

static int n_threads; /* of a lane, where it has several */

/* Long enough for threads in every rank's segment. */
static void threads_do_not_change_the_sum(void **state)
{
    for (int n_lanes = 1; n_lanes <= 3; n_lanes += 2) {
        struct lanes *lanes = start_lanes(*state, n_lanes, n_threads);
        bool ok = ordered_steps_are_right(*state, 7, 140001, lanes);
        lanes_destroy(lanes);
        assert_true(ok);
    }
}

static void another_order_would_have_other_bits(void **state)
{
    convoy_world *world = *state;
    int n_different = 0;
    for (size_t i = 0; i < 1000; i++) {
        float running = 0.0F;
        for (int j = 0; j < 13; j++)
            running += leaf_value(1, j, i);
        n_different += running != leaf_sum(1, 0, 13, i);
    }
    assert_true(on_all_ranks(world, n_different > 100));
}

/* The sum of absolute values bounds what rounding in any order can do. */
static bool is_near(int n_leaves, size_t n, const float *sum)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        double exact = 0.0, size = 0.0;
        for (int j = 0; j < n_leaves; j++) {
            exact += (double)leaf_value(1, j, i);
            size += fabs((double)leaf_value(1, j, i));
        }
        ok = ok && fabs((double)sum[i] - exact) <= size * n_leaves * 0x1p-24;
    }
    return ok;
}

static void sums_are_near(convoy_world *world,
                          const struct exchange_algorithm *algorithm, int n_lanes)
{
    struct job job = {.world = world,
                      .algorithm = algorithm,
                      .lanes = start_lanes(world, n_lanes, 1),
                      .n_leaves = 12,
                      .n = 1003,
                      .bucket_n = 400};
    assert_true(on_all_ranks(world, create(&job) == CONVOY_OK));
    for (int step = 0; step < 2; step++) {
        float *sum = NULL;
        bool ok = reduce(&job, 1, &sum) && is_near(job.n_leaves, job.n, sum);
        assert_true(on_all_ranks(world, ok));
        exchange_restart(job.exchange);
    }
    exchange_destroy(job.exchange);
    lanes_destroy(job.lanes);
}

static void every_algorithms_sum_is_near(void **state)
{
    for (int i = 0; i < exchange_n_algorithms(); i++)
        for (int n_lanes = 1; n_lanes <= 3; n_lanes += 2)
            sums_are_near(*state, exchange_algorithm_at(i), n_lanes);
}

/* Left open, it is two levels where a node has several ranks. */
static void an_algorithm_is_chosen_by_nodes(void **state)
{
    convoy_world *world = *state;
    struct job job = {.world = world, .n_leaves = 12, .n = 100};
    const char *expected = world->size > world->nodes ? "two-level" : "direct";
    bool ok = create(&job) == CONVOY_OK;
    ok = ok && !strcmp(exchange_algorithm_of(job.exchange)->about.name, expected);
    ok = ok && exchange_buckets(job.exchange)->count == 1;
    exchange_destroy(job.exchange);
    assert_true(on_all_ranks(world, ok));
}

static void algorithms_are_found_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < exchange_n_algorithms(); i++) {
        const struct exchange_algorithm *algorithm = exchange_algorithm_at(i);
        assert_ptr_equal(exchange_find(algorithm->about.name), algorithm);
        assert_true(*algorithm->about.help);
    }
    assert_ptr_equal(exchange_find("auto"), exchange_algorithm_at(0));
    assert_true(exchange_find("auto")->ordered);
    assert_null(exchange_find("tree"));
}

static void shared_values_arrive_with_their_bits(void **state)
{
    convoy_world *world = *state;
    enum { N_VALUES = 3, MAX_LEAVES = 33 };
    static const uint64_t odd[] = {
        0x8000000000000000, /* -0 */
        0x7ff8000000000123, /* NaN with a payload */
        0xfff0000000000000, /* -infinity */
        0x0000000000000001, /* the smallest denormal */
        0x3ff5555555555555,
    };
    for (int n_leaves = 0; n_leaves <= MAX_LEAVES; n_leaves += 1 + n_leaves / 2) {
        double expected[MAX_LEAVES * N_VALUES], values[MAX_LEAVES * N_VALUES];
        int first, count;
        for (int i = 0; i < n_leaves * N_VALUES; i++)
            memcpy(&expected[i], &odd[i % 5], sizeof *odd);
        memset(values, 0x55, sizeof values);
        tree_range(n_leaves, world->rank, world->size, &first, &count);
        size_t offset = (size_t)first * N_VALUES, n_own = (size_t)count * N_VALUES;
        memcpy(values + offset, expected + offset, n_own * sizeof *values);
        bool ok = exchange_share(world, values, n_leaves, N_VALUES) == CONVOY_OK;
        size_t bytes = (size_t)n_leaves * N_VALUES * sizeof *values;
        assert_true(on_all_ranks(world, ok && !memcmp(values, expected, bytes)));
    }
}

/* What all ranks see alike is told by the first one only, and agreed. */
static bool speaks_first(const convoy_world *world, convoy_status status)
{
    return convoy_status_agreed() &&
           status ==
               (world->rank == 0 ? CONVOY_ERROR_ARGUMENT : CONVOY_ERROR_ELSEWHERE);
}

static void too_many_values_to_share_are_refused(void **state)
{
    convoy_world *world = *state;
    double value = 0.0;
    convoy_status status = exchange_share(world, &value, 1 << 20, 1 << 11);
    assert_true(on_all_ranks(world, speaks_first(world, status)));
}

static void more_ranks_than_leaves_are_refused_on_every_rank(void **state)
{
    convoy_world *world = *state;
    struct job job = {.world = world,
                      .algorithm = exchange_find("auto"),
                      .n_leaves = world->size - 1,
                      .n = 10};
    const convoy_status status = create(&job);
    bool ok = !job.exchange && speaks_first(world, status) &&
              (world->rank > 0 || strstr(convoy_status_text(), "microbatches"));
    assert_true(on_all_ranks(world, ok));
}

static void fail_every_allocation(convoy_world *world,
                                  const struct exchange_algorithm *algorithm)
{
    int unlucky = world->size / 2;
    for (int failing = 1; failing < 100; failing++) {
        struct job job = {
            .world = world, .algorithm = algorithm, .n_leaves = 13, .n = 100};
        n_allocations = 0;
        fail_at = world->rank == unlucky ? failing : 0;
        const convoy_status status = create(&job);
        fail_at = 0;
        bool is_done = status == CONVOY_OK; /* no allocation has this number */
        exchange_destroy(job.exchange);
        if (on_all_ranks(world, is_done)) {
            assert_true(failing > 3);
            return;
        }
        convoy_status expected =
            world->rank == unlucky ? CONVOY_ERROR_MEMORY : CONVOY_ERROR_ELSEWHERE;
        assert_true(on_all_ranks(world, status == expected));
    }
    fail();
}

static void a_rank_out_of_memory_speaks_alone(void **state)
{
    for (int i = 0; i < exchange_n_algorithms(); i++)
        fail_every_allocation(*state, exchange_algorithm_at(i));
}

static void a_vector_beyond_the_address_space_is_refused(void **state)
{
    convoy_world *world = *state;
    struct job job = {.world = world,
                      .algorithm = exchange_find("auto"),
                      .n_leaves = 13,
                      .n = SIZE_MAX};
    const convoy_status status = create(&job);
    convoy_status expected =
        world->rank == 0 ? CONVOY_ERROR_MEMORY : CONVOY_ERROR_ELSEWHERE;
    assert_true(on_all_ranks(world, status == expected && !job.exchange));
}

static void steps_allocate_nothing(void **state)
{
    convoy_world *world = *state;
    for (int i = 0; i < exchange_n_algorithms(); i++) {
        struct job job = {.world = world,
                          .algorithm = exchange_algorithm_at(i),
                          .lanes = start_lanes(world, 3, 1),
                          .n_leaves = 13,
                          .n = 5000,
                          .bucket_n = 1000};
        float *sum = NULL;
        double values[13] = {0};
        const convoy_status status = create(&job);
        assert_true(on_all_ranks(world, status == CONVOY_OK && n_allocations > 0));
        n_allocations = 0;
        bool ok =
            reduce(&job, 1, &sum) && exchange_share(world, values, 13, 1) == CONVOY_OK;
        ok = ok && n_allocations == 0;
        exchange_destroy(job.exchange);
        lanes_destroy(job.lanes);
        assert_true(on_all_ranks(world, ok));
    }
}

/* What memory plans count is what is allocated, but for small things. */
static void memory_is_planned(void **state)
{
    convoy_world *world = *state;
    enum { LEAVES = 13, N = 200000, BUCKET_N = 20000 };
    const struct exchange_ranks ranks = {.n_leaves = LEAVES,
                                         .rank = world->rank,
                                         .size = world->size,
                                         .nodes = world->nodes,
                                         .node_firsts = world->node_firsts};
    for (int i = 0; i < exchange_n_algorithms(); i++) {
        const struct exchange_algorithm *algorithm = exchange_algorithm_at(i);
        const struct exchange_options options = {.n_leaves = LEAVES,
                                                 .n = N,
                                                 .lanes = 1,
                                                 .algorithm = algorithm,
                                                 .bucket_n = BUCKET_N};
        const int slots =
            exchange_n_vectors(LEAVES, world->rank, world->size, 1, algorithm);
        size_t planned = exchange_n_bytes(&ranks, &options);
        if (!algorithm->shares || world->size == 1)
            planned += (size_t)slots * N * sizeof(float);
        struct exchange *e = NULL;
        n_bytes = 0;
        const convoy_status status = exchange_create(world, &options, &e);
        const size_t taken = n_bytes;
        exchange_destroy(e);
        if (taken < planned || taken > planned + (64 << 10))
            fprintf(stderr, "%s: %zu bytes, planned %zu\n", algorithm->about.name,
                    taken, planned);
        assert_true(on_all_ranks(world, status == CONVOY_OK && planned <= taken &&
                                            taken <= planned + (64 << 10)));
    }
}

static void shared_memory_has_no_name_that_could_stay(void **state)
{
    convoy_world *world = *state;
    struct job job = {.world = world,
                      .algorithm = exchange_find("two-level"),
                      .n_leaves = 13,
                      .n = 5000};
    first_pid = (long)getpid();
    MPI_Bcast(&first_pid, 1, MPI_LONG, 0, world->node_comm);
    n_reserved = n_named = 0;
    const convoy_status status = create(&job);
    exchange_destroy(job.exchange);
    first_pid = 0;
    assert_true(on_all_ranks(world, status == CONVOY_OK && n_named == 0 &&
                                        n_reserved == (world->size > 1)));
}

/* A lane that fails cancels: nobody on this rank waits any more. One rank alone, for
 * the others' ranks would wait for it. */
static void a_cancelled_step_ends_all_waiting(void **state)
{
    convoy_world *world = *state;
    struct job job = {.world = world,
                      .algorithm = exchange_find("auto"),
                      .n_leaves = 13,
                      .n = 1000,
                      .bucket_n = 100};
    struct leaf_sum sum;
    assert_true(on_all_ranks(world, create(&job) == CONVOY_OK));
    exchange_cancel(job.exchange);
    bool ok = !exchange_wait(job.exchange, 1, &sum);
    ok = ok && exchange_reduce(job.exchange) == CONVOY_ERROR_LIBRARY;
    ok = ok && !exchange_leaf(job.exchange, exchange_first(job.exchange), 0);
    exchange_finish(job.exchange);
    exchange_destroy(job.exchange);
    assert_true(on_all_ranks(world, ok));
}

/* test_exchange [one-thread]: no lane has a team of several OpenMP threads. */
int main(int argc, char **argv)
{
    (void)argv;
    n_threads = argc > 1 ? 1 : 2;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_has_the_trees_bits_on_every_rank),
        cmocka_unit_test(threads_do_not_change_the_sum),
        cmocka_unit_test(another_order_would_have_other_bits),
        cmocka_unit_test(every_algorithms_sum_is_near),
        cmocka_unit_test(an_algorithm_is_chosen_by_nodes),
        cmocka_unit_test(algorithms_are_found_by_name),
        cmocka_unit_test(shared_values_arrive_with_their_bits),
        cmocka_unit_test(too_many_values_to_share_are_refused),
        cmocka_unit_test(more_ranks_than_leaves_are_refused_on_every_rank),
        cmocka_unit_test(a_rank_out_of_memory_speaks_alone),
        cmocka_unit_test(a_vector_beyond_the_address_space_is_refused),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(memory_is_planned),
        cmocka_unit_test(shared_memory_has_no_name_that_could_stay),
        cmocka_unit_test(a_cancelled_step_ends_all_waiting),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
