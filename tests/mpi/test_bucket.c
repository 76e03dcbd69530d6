/* The exchange across ranks, bucket by bucket. */
#include "base/lanes.h"
#include "base/memory.h"
#include "comm/bucket.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "mpi/leaves.h"
#include "mpi/ranks.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { N_LEAVES = 13 };

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

static int own_nodes(const convoy_world *world, struct tree_node *nodes)
{
    int first, count;
    tree_range(N_LEAVES, world->rank, world->size, &first, &count);
    return tree_cover(N_LEAVES, first, count, nodes);
}

/* Fills the slots with this rank's subtrees. */
static void fill_slots(const convoy_world *world, uint32_t seed, size_t n,
                       float *const *slots)
{
    struct tree_node nodes[TREE_MAX_NODES];
    const int n_nodes = own_nodes(world, nodes);
    for (int k = 0; k < n_nodes; k++)
        for (size_t i = 0; i < n; i++)
            slots[k][i] = leaf_sum(seed, nodes[k].lo, nodes[k].hi, i);
}

static bool is_sum(uint32_t seed, struct tree_node node, size_t n, const float *sum)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = ok && same_bits(sum[i], leaf_sum(seed, node.lo, node.hi, i));
    return ok;
}

/* The sum is in slot 0, the other subtrees are as they were. */
static bool slots_are_right(const convoy_world *world, uint32_t seed, size_t n,
                            float *const *slots)
{
    struct tree_node nodes[TREE_MAX_NODES];
    const int n_nodes = own_nodes(world, nodes);
    bool ok = is_sum(seed, (struct tree_node){0, N_LEAVES}, n, slots[0]);
    for (int k = 1; k < n_nodes; k++)
        ok = ok && is_sum(seed, nodes[k], n, slots[k]);
    return ok;
}

/* Two sums, one after the other, with one plan: slots have changed places meanwhile. */
static bool sums_are_right(const convoy_world *world, size_t n, size_t bucket_n,
                           struct lanes *lanes)
{
    float *memory = NULL, *slots[N_LEAVES];
    struct bucket_plan *plan = NULL;
    const size_t stride = mem_round_up_floats(n > 0 ? n : 1);
    const struct exchange_vectors vectors = {
        .world = world, .n_leaves = N_LEAVES, .n = n, .slots = slots, .lanes = lanes};
    bool ok = mem_alloc_array(N_LEAVES, stride * sizeof(float), (void **)&memory) ==
                  CONVOY_OK &&
              bucket_plan_create(&vectors, bucket_n, &plan) == CONVOY_OK;
    ok = on_all_ranks(world, ok) && memory;
    for (uint32_t seed = 1; ok && seed <= 2; seed++) {
        for (size_t k = 0; k < N_LEAVES; k++)
            slots[k] = memory + (k + seed) % N_LEAVES * stride;
        fill_slots(world, seed, n, slots);
        ok = bucket_sum(plan) == CONVOY_OK && slots_are_right(world, seed, n, slots);
        ok = on_all_ranks(world, ok);
    }
    bucket_plan_destroy(plan);
    mem_free(memory);
    return ok;
}

static void the_sum_does_not_depend_on_the_bucket(void **state)
{
    static const size_t buckets[] = {16, 48, 160, 1008, 1 << 20};
    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++)
        assert_true(sums_are_right(*state, 1000, buckets[i], NULL));
}

static void vectors_of_any_length_are_summed(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 33, 63, 112, 113};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_true(sums_are_right(*state, lengths[i], 64, NULL));
}

/* Long enough for several workers in every rank's segment. */
static void lanes_do_not_change_the_sum(void **state)
{
    convoy_world *world = *state;
    const struct lanes_options options = {.n = 2, .threads = 2};
    struct lanes *lanes = NULL;
    bool ok = lanes_create(&options, &lanes) == CONVOY_OK;
    assert_true(on_all_ranks(world, ok));
    ok = sums_are_right(world, 140001, 1 << 20, lanes);
    lanes_destroy(lanes);
    assert_true(ok);
}

static void default_buckets_give_every_rank_whole_lines(void **state)
{
    (void)state;
    for (int size = 1; size < 10000; size += 1 + size / 3) {
        size_t n = bucket_default_n(size);
        assert_int_equal(n % 16, 0);
        assert_true(n / (size_t)size >= 16);
        assert_true(n / (size_t)size <= INT32_MAX / sizeof(float));
    }
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    bucket_plan_destroy(NULL);
    exchange_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_does_not_depend_on_the_bucket),
        cmocka_unit_test(vectors_of_any_length_are_summed),
        cmocka_unit_test(lanes_do_not_change_the_sum),
        cmocka_unit_test(default_buckets_give_every_rank_whole_lines),
        cmocka_unit_test(destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
