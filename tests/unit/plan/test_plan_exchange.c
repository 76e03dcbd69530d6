/* The played exchange against what can be worked out by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "plan/plan_exchange.h"

#include <math.h>

static const double never = 1e18;

static struct plan_ranks ranks_of(enum plan_algorithm algorithm, int nodes,
                                  int node_ranks, int n_leaves)
{
    return (struct plan_ranks){algorithm, nodes, node_ranks, n_leaves, 4};
}

static void assert_near(double is, double expected)
{
    assert_true(isfinite(is));
    if (fabs(is - expected) > 1e-6 * expected)
        fail_msg("%.9g, not %.9g", is, expected);
}

static void one_rank_has_its_sums_at_once(void **state)
{
    (void)state;
    const struct plan_network w = {1, 1, 1, 1};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 1, 1, 8);
    const struct plan_bucket b[] = {{1e6, 2}, {1e6, 3}};
    assert_near(plan_exchange_s(&w, &r, b, 2, 1), 3);
    assert_near(plan_exchange_s(&w, &r, b, 2, 4), 4);
}

/* Two nodes send each other half of the bucket, twice: o + L + half / W + o each time,
 * and two halves are added up between. */
static void two_nodes_swap_halves_twice(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0.01, 0.003, 2e6};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 2, 1, 2);
    const struct plan_bucket b[] = {{1e6, 5}};
    assert_near(plan_exchange_s(&w, &r, b, 1, 0),
                5 + 2 * (0.003 + 0.01 + 0.5 + 0.003) + 0.5);
}

/* Of 8 nodes each sends 7/8 of all bytes twice, whatever the number of buckets. */
static void bandwidth_bounds_many_buckets(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0, 0, never};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 8, 1, 8);
    struct plan_bucket b[10];
    for (int i = 0; i < 10; i++)
        b[i] = (struct plan_bucket){1e6, 0};
    assert_near(plan_exchange_s(&w, &r, b, 10, 0), 10 * 2 * 7.0 / 8);
}

/* Where the thread limits, each of 2 x 7 messages costs it o twice. */
static void overhead_bounds_short_messages(void **state)
{
    (void)state;
    const struct plan_network w = {never, 0, 1e-3, never};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 8, 1, 8);
    const struct plan_bucket b[] = {{1, 0}, {1, 0}, {1, 0}};
    assert_near(plan_exchange_s(&w, &r, b, 3, 0), 3 * 2 * 7 * 2e-3);
}

/* Three steps are under way at a time: 6 of a stage take two latencies. */
static void latency_bounds_one_bucket(void **state)
{
    (void)state;
    const struct plan_network w = {never, 1e-3, 0, never};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 7, 1, 7);
    const struct plan_bucket b[] = {{1, 0}};
    assert_near(plan_exchange_s(&w, &r, b, 1, 0), 2 * 2 * 1e-3);
}

/* 8 leaves on 3 nodes are ranges of 3, 3 and 2: [0, 3) is [0, 2) and [2, 3), [3, 6) is
 * [3, 4) and [4, 6), [6, 8) is one. So a node scatters two pieces, and five are added
 * up. */
static void pieces_are_those_of_the_tree(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0, 0, 1e6};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 3, 1, 8);
    const struct plan_bucket b[] = {{1e6, 0}};
    assert_near(plan_exchange_s(&w, &r, b, 1, 0), 2 * 2.0 / 3 + 5.0 / 3 + 1 * 2.0 / 3);
}

/* Two ranks of a node add up a half of the bucket each, of both; then they swap halves
 * of that with the other node, over one link: all of the bucket in all. */
static void two_levels_share_memory_and_the_link(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0, 0, 1e6};
    const struct plan_ranks r = ranks_of(PLAN_TWO_LEVEL, 2, 2, 4);
    const struct plan_bucket b[] = {{1e6, 0}};
    assert_near(plan_exchange_s(&w, &r, b, 1, 0), 2 * 0.5 + 0.5 + 0.5 + 0.5);
}

static void within_a_node_nothing_is_sent(void **state)
{
    (void)state;
    const struct plan_network w = {1, 1, 1, 1e6};
    const struct plan_ranks r = ranks_of(PLAN_TWO_LEVEL, 1, 4, 8);
    const struct plan_bucket b[] = {{1e6, 0}, {1e6, 10}};
    assert_near(plan_exchange_s(&w, &r, b, 2, 0), 11);
}

/* Of very many steps some stand for all: the bounds stay. */
static void many_nodes_keep_the_bounds(void **state)
{
    (void)state;
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 1000, 1, 1000);
    const struct plan_bucket b[] = {{1e6, 0}, {1e6, 0}};
    const struct plan_network wire = {1e6, 0, 0, never};
    assert_near(plan_exchange_s(&wire, &r, b, 2, 0), 2 * 2 * 0.999);
    const struct plan_network thread = {never, 0, 1e-3, never};
    assert_near(plan_exchange_s(&thread, &r, b, 2, 0), 2 * 2 * 999 * 2e-3);
}

/* A bucket is sent when it is ready, and when scores are told. */
static void buckets_wait_until_they_are_ready(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0, 0, never};
    const struct plan_ranks r = ranks_of(PLAN_DIRECT, 2, 1, 2);
    const struct plan_bucket b[] = {{1e6, 1}, {1e6, 10}};
    assert_near(plan_exchange_s(&w, &r, b, 2, 0), 11);
    assert_near(plan_exchange_s(&w, &r, b, 2, 20), 22);
}

/* 4 ranks: of a ring 6 messages, of halving and doubling 4. */
static void the_librarys_sum_goes_by_its_formulas(void **state)
{
    (void)state;
    const struct plan_network w = {1e6, 0.5, 0.25, never};
    const struct plan_ranks r = ranks_of(PLAN_NATIVE, 4, 1, 4);
    const struct plan_bucket b[] = {{1e6, 0}};
    assert_near(plan_exchange_s(&w, &r, b, 1, 0), 4 * 1.0 + 2 * 3.0 / 4);
    assert_near(plan_scores_s(&(struct plan_network){never, 0.5, 0.25, 1}, &r),
                (2 + 3) * 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rank_has_its_sums_at_once),
        cmocka_unit_test(two_nodes_swap_halves_twice),
        cmocka_unit_test(bandwidth_bounds_many_buckets),
        cmocka_unit_test(overhead_bounds_short_messages),
        cmocka_unit_test(latency_bounds_one_bucket),
        cmocka_unit_test(pieces_are_those_of_the_tree),
        cmocka_unit_test(two_levels_share_memory_and_the_link),
        cmocka_unit_test(within_a_node_nothing_is_sent),
        cmocka_unit_test(many_nodes_keep_the_bounds),
        cmocka_unit_test(buckets_wait_until_they_are_ready),
        cmocka_unit_test(the_librarys_sum_goes_by_its_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
