/* The tree's arithmetic against a list of all its nodes. */
#include "comm/tree.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum { MAX_LEAVES = 64 };

/* All nodes below and with [lo, hi), children before parents, left before right. */
static int list_nodes(int lo, int hi, struct tree_node *nodes)
{
    int n = 0;
    if (hi - lo > 1) {
        int middle = tree_split(lo, hi);
        n = list_nodes(lo, middle, nodes);
        n += list_nodes(middle, hi, nodes + n);
    }
    nodes[n] = (struct tree_node){lo, hi};
    return n + 1;
}

static bool contains(struct tree_node outer, struct tree_node inner)
{
    return outer.lo <= inner.lo && inner.hi <= outer.hi;
}

/* The nodes within range that lie in no larger one within range. */
static int naive_cover(const struct tree_node *all, int n_all, struct tree_node range,
                       struct tree_node *cover)
{
    int n = 0;
    for (int i = 0; i < n_all; i++) {
        bool is_largest = contains(range, all[i]);
        for (int k = i + 1; k < n_all; k++)
            is_largest =
                is_largest && !(contains(range, all[k]) && contains(all[k], all[i]));
        if (is_largest)
            cover[n++] = all[i];
    }
    return n;
}

static void cover_is_the_largest_nodes_within_the_range(void **state)
{
    (void)state;
    struct tree_node all[2 * MAX_LEAVES], expected[MAX_LEAVES], got[TREE_MAX_NODES];
    for (int n = 1; n <= 40; n++) {
        int n_all = list_nodes(0, n, all);
        for (int first = 0; first < n; first++) {
            for (int count = 1; first + count <= n; count++) {
                struct tree_node range = {first, first + count};
                int n_expected = naive_cover(all, n_all, range, expected);
                assert_int_equal(tree_cover(n, first, count, got), n_expected);
                assert_memory_equal(got, expected,
                                    (size_t)n_expected * sizeof *expected);
            }
        }
    }
}

static void cover_of_all_leaves_is_the_root(void **state)
{
    (void)state;
    struct tree_node nodes[TREE_MAX_NODES];
    assert_int_equal(tree_cover(INT32_MAX, 0, INT32_MAX, nodes), 1);
    assert_int_equal(nodes[0].hi, INT32_MAX);
    assert_true(tree_cover(INT32_MAX, 1, INT32_MAX - 2, nodes) <= TREE_MAX_NODES);
}

static int naive_completed(const struct tree_node *all, int n_all, int hi, int from,
                           int below)
{
    int n = 0;
    for (int i = 0; i < n_all; i++)
        n += all[i].hi == hi && from <= all[i].lo && all[i].lo < below;
    return n;
}

static void completed_counts_the_nodes_that_end_there(void **state)
{
    (void)state;
    struct tree_node all[2 * MAX_LEAVES];
    for (int n = 1; n <= 24; n++) {
        int n_all = list_nodes(0, n, all);
        for (int hi = 1; hi <= n; hi++)
            for (int from = 0; from < hi; from++)
                for (int below = from; below <= hi; below++)
                    assert_int_equal(tree_completed(n, hi, from, below),
                                     naive_completed(all, n_all, hi, from, below));
    }
}

static float naive_sum(const float *values, int lo, int hi)
{
    if (hi - lo == 1)
        return values[lo];
    int left = 1 << 20;
    while (left >= hi - lo)
        left /= 2;
    return naive_sum(values, lo, lo + left) + naive_sum(values, lo + left, hi);
}

/* Merges of the leaves [first, first + count) as they come. */
static void plan(int n, int first, int count, int *merges)
{
    for (int i = 0; i < count; i++)
        merges[i] = tree_completed(n, first + i + 1, first, first + i);
}

static void merging_what_is_complete_gives_the_trees_sums(void **state)
{
    (void)state;
    float values[MAX_LEAVES], stack[MAX_LEAVES];
    struct tree_node nodes[TREE_MAX_NODES];
    int merges[MAX_LEAVES];
    for (int i = 0; i < MAX_LEAVES; i++)
        values[i] = ldexpf(sinf((float)(i + 1)), (i * 37) % 60 - 30);
    for (int n = 1; n <= MAX_LEAVES; n++) {
        for (int first = 0; first < n; first++) {
            int depth = 0,
                count = n - first - first / 2 > 0 ? n - first - first / 2 : 1;
            plan(n, first, count, merges);
            for (int i = 0; i < count; i++) {
                stack[depth++] = values[first + i];
                for (int m = merges[i]; m > 0; m--, depth--)
                    tree_add(&stack[depth - 2], &stack[depth - 2], &stack[depth - 1],
                             1);
            }
            assert_int_equal(depth, tree_cover(n, first, count, nodes));
            for (int k = 0; k < depth; k++) {
                float expected = naive_sum(values, nodes[k].lo, nodes[k].hi);
                /* A node's inner shape depends on its size alone. */
                assert_memory_equal(&stack[k], &expected, sizeof expected);
            }
        }
    }
}

static int floor_log2(int n)
{
    int log = 0;
    while (n > 1) {
        n /= 2;
        log++;
    }
    return log;
}

static void slots_grow_with_the_logarithm_of_the_leaves(void **state)
{
    (void)state;
    static int merges[1 << 12];
    for (int n = 1; n <= 1 << 12; n += 1 + n / 8) {
        plan(n, 0, n, merges);
        assert_true(tree_depth(merges, n) <= floor_log2(n) + 1);
        for (int size = 2; size <= n && size <= 9; size++) {
            for (int rank = 0; rank < size; rank++) {
                int first, count;
                tree_range(n, rank, size, &first, &count);
                plan(n, first, count, merges);
                assert_true(tree_depth(merges, count) <= 2 * floor_log2(n) + 1);
            }
        }
    }
}

static void a_power_of_two_of_leaves_takes_its_logarithm_and_one_slots(void **state)
{
    (void)state;
    int merges[MAX_LEAVES];
    for (int log = 0; 1 << log <= MAX_LEAVES; log++) {
        plan(1 << log, 0, 1 << log, merges);
        assert_int_equal(tree_depth(merges, 1 << log), log + 1);
    }
}

static void adding_may_write_over_an_operand(void **state)
{
    (void)state;
    float left[100], right[100], sum[100];
    for (int i = 0; i < 100; i++) {
        left[i] = (float)i + 0.5F;
        right[i] = 1.0F / (float)(i + 1);
    }
    tree_add(sum, left, right, 100);
    for (int i = 0; i < 100; i++)
        assert_true(sum[i] == left[i] + right[i]);
    tree_add(right, left, right, 100);
    assert_memory_equal(right, sum, sizeof sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cover_is_the_largest_nodes_within_the_range),
        cmocka_unit_test(cover_of_all_leaves_is_the_root),
        cmocka_unit_test(completed_counts_the_nodes_that_end_there),
        cmocka_unit_test(merging_what_is_complete_gives_the_trees_sums),
        cmocka_unit_test(slots_grow_with_the_logarithm_of_the_leaves),
        cmocka_unit_test(a_power_of_two_of_leaves_takes_its_logarithm_and_one_slots),
        cmocka_unit_test(adding_may_write_over_an_operand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
