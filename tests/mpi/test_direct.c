/* The sum among ranks by direct messages, span by span. */
#include "base/memory.h"
#include "comm/direct.h"
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

static convoy_status create(const convoy_world *world, size_t most,
                            struct direct **direct)
{
    int firsts[N_LEAVES + 1] = {0}, count;
    for (int rank = 0; rank < world->size; rank++) {
        tree_range(N_LEAVES, rank, world->size, &firsts[rank], &count);
        firsts[rank + 1] = firsts[rank] + count;
    }
    const struct direct_options options = {world->exchange_comm, N_LEAVES, firsts, most,
                                           0};
    return direct_create(&options, direct);
}

/* All spans of a vector, as many at a time as there may be, the later ones of them
 * first asked for. */
static bool sum_all(struct direct *direct, size_t n, size_t most, float *const *slots)
{
    const struct buckets buckets = buckets_cut(n, most);
    for (int first = 0; first < buckets.count; first += DIRECT_FLIGHTS) {
        const int left = buckets.count - first;
        const int flights = left < DIRECT_FLIGHTS ? left : DIRECT_FLIGHTS;
        bool all = false;
        for (int i = 0; i < flights; i++)
            if (direct_post(direct, i, buckets_extent(&buckets, first + i), slots) !=
                CONVOY_OK)
                return false;
        while (!all) {
            all = true;
            for (int i = flights - 1; i >= 0; i--) {
                bool done;
                if (direct_test(direct, i, &done) != CONVOY_OK)
                    return false;
                all = all && done;
            }
        }
    }
    return true;
}

/* Two sums, one after the other, with one plan: slots have changed places meanwhile. */
static bool sums_are_right(const convoy_world *world, size_t n, size_t most)
{
    float *memory = NULL, *slots[N_LEAVES];
    struct direct *direct = NULL;
    const size_t stride = mem_round_up_floats(n > 0 ? n : 1);
    bool ok = mem_alloc_array(N_LEAVES, stride * sizeof(float), (void **)&memory) ==
                  CONVOY_OK &&
              create(world, most, &direct) == CONVOY_OK;
    ok = on_all_ranks(world, ok) && memory;
    for (uint32_t seed = 1; ok && seed <= 2; seed++) {
        for (size_t k = 0; k < N_LEAVES; k++)
            slots[k] = memory + (k + seed) % N_LEAVES * stride;
        fill_slots(world, seed, n, slots);
        ok = sum_all(direct, n, most, slots) && slots_are_right(world, seed, n, slots);
        ok = on_all_ranks(world, ok);
    }
    direct_destroy(direct);
    mem_free(memory);
    return ok;
}

static void the_sum_does_not_depend_on_the_spans(void **state)
{
    static const size_t most[] = {16, 48, 160, 1008, 1 << 20};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++)
        assert_true(sums_are_right(*state, 1000, most[i]));
}

static void vectors_of_any_length_are_summed(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 31, 33, 63, 112, 113, 140001};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        assert_true(sums_are_right(*state, lengths[i], lengths[i] < 1000 ? 64 : 30000));
}

static void own_pieces_are_the_trees(void **state)
{
    const convoy_world *world = *state;
    struct tree_node nodes[TREE_MAX_NODES];
    struct direct *direct = NULL;
    bool ok = create(world, 16, &direct) == CONVOY_OK;
    ok = ok && direct_n_own(direct) == own_nodes(world, nodes);
    direct_destroy(direct);
    assert_true(on_all_ranks(world, ok));
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    direct_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_does_not_depend_on_the_spans),
        cmocka_unit_test(vectors_of_any_length_are_summed),
        cmocka_unit_test(own_pieces_are_the_trees),
        cmocka_unit_test(destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
