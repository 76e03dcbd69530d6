/* The exchange across ranks, bucket by bucket. */
#include "base/memory.h"
#include "comm/bucket.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "mpi/leaves.h"
#include "mpi/ranks.h"

#include <string.h>

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

/* Fills the slots with this rank's subtrees; returns how many there are. */
static int fill_slots(const convoy_world *world, uint32_t seed,
                      const struct bucket_layout *layout, float *slots)
{
    struct tree_node nodes[TREE_MAX_NODES];
    int first, count;
    tree_range(layout->n_leaves, world->rank, world->size, &first, &count);
    int n_nodes = tree_cover(layout->n_leaves, first, count, nodes);
    for (int k = 0; k < n_nodes; k++)
        for (size_t i = 0; i < layout->n; i++)
            slots[(size_t)k * layout->stride + i] =
                leaf_sum(seed, nodes[k].lo, nodes[k].hi, i);
    return n_nodes;
}

static bool sum_is_right(uint32_t seed, const struct bucket_layout *layout,
                         const float *sum)
{
    bool ok = true;
    for (size_t i = 0; i < layout->n; i++)
        ok = ok && same_bits(sum[i], leaf_sum(seed, 0, layout->n_leaves, i));
    return ok;
}

/* Two sums, one after the other, with one plan. */
static bool sums_are_right(const convoy_world *world,
                           const struct bucket_layout *layout)
{
    float *slots = NULL, *kept = NULL;
    struct bucket_plan *plan = NULL;
    size_t bytes = TREE_MAX_NODES * layout->stride * sizeof(float);
    bool ok = mem_alloc(bytes, (void **)&slots) == CONVOY_OK &&
              mem_alloc(bytes, (void **)&kept) == CONVOY_OK &&
              bucket_plan_create(world, layout, slots, &plan) == CONVOY_OK;
    ok = on_all_ranks(world, ok) && slots && kept;
    for (uint32_t seed = 1; ok && seed <= 2; seed++) {
        int n_slots = fill_slots(world, seed, layout, slots);
        size_t others = (size_t)(n_slots - 1) * layout->stride * sizeof(float);
        memcpy(kept, slots, bytes);
        ok = bucket_sum(plan) == CONVOY_OK && sum_is_right(seed, layout, slots) &&
             !memcmp(slots + layout->stride, kept + layout->stride, others);
        ok = on_all_ranks(world, ok);
    }
    bucket_plan_destroy(plan);
    mem_free(slots);
    mem_free(kept);
    return ok;
}

static void the_sum_does_not_depend_on_the_bucket(void **state)
{
    static const size_t buckets[] = {16, 48, 160, 1008, 1 << 20};
    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++) {
        struct bucket_layout layout = {N_LEAVES, 1000, 1008, buckets[i]};
        assert_true(sums_are_right(*state, &layout));
    }
}

static void vectors_of_any_length_are_summed(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 33, 63, 112, 113};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bucket_layout layout = {N_LEAVES, lengths[i], 128, 64};
        assert_true(sums_are_right(*state, &layout));
    }
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
        cmocka_unit_test(default_buckets_give_every_rank_whole_lines),
        cmocka_unit_test(destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
