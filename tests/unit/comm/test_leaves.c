/* Whatever the lanes and the order in which leaves end, sums have the tree's bits, and
 * no lane waits for ever. */
#include "base/memory.h"
#include "comm/leaves.h"
#include "comm/tree.h"
#include "mpi/leaves.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

enum {
    MAX_LEAVES = 20,
    MAX_LANES = 5,
    SHORT_N = 5,
    LONG_N = 100003 /* several ranges for workers */
};

static const uint32_t seed = 1;

static struct leaves *create(const struct leaves_options *options)
{
    struct leaves *leaves = NULL;
    assert_int_equal(leaves_create(options, &leaves), CONVOY_OK);
    return leaves;
}

static void fill(float *values, int leaf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = leaf_value(seed, leaf, i);
}

/* The subtrees come first, from left to right, and every buffer once. */
static void check_sums(struct leaves *leaves, const struct leaves_options *o)
{
    struct tree_node nodes[TREE_MAX_NODES];
    const int n_nodes = tree_cover(o->n_leaves, o->first, o->count, nodes);
    const int n_slots = leaves_n_slots(o);
    float *const *slots = leaves_sums(leaves);
    assert_true(n_nodes <= n_slots);
    for (int k = 0; k < n_nodes; k++)
        for (size_t i = 0; i < o->n; i++)
            assert_true(
                same_bits(slots[k][i], leaf_sum(seed, nodes[k].lo, nodes[k].hi, i)));
    for (int k = 0; k < n_slots; k++) {
        assert_int_equal((uintptr_t)slots[k] % MEM_ALIGNMENT, 0);
        for (int other = 0; other < k; other++)
            assert_ptr_not_equal(slots[k], slots[other]);
    }
}

/* Takes leaves one after the other and ends them in random order, never more than lanes
 * of them at a time. */
static void run_shuffled(struct leaves *leaves, const struct leaves_options *o)
{
    int held[MAX_LANES], n_held = 0, n_taken = 0;
    while (n_taken < o->count || n_held > 0) {
        if (n_taken < o->count && n_held < o->lanes && (n_held == 0 || rand() % 2)) {
            const int leaf = o->first + n_taken++;
            held[n_held++] = leaf;
            fill(leaves_take(leaves, leaf, 0), leaf, o->n);
        } else {
            const int which = rand() % n_held;
            leaves_done(leaves, held[which]);
            held[which] = held[--n_held];
        }
    }
    leaves_finish(leaves);
}

static void check_shuffled(struct leaves_options options)
{
    options.least_slots = options.count; /* one thread must never wait */
    struct leaves *leaves = create(&options);
    for (int step = 0; step < 3; step++) {
        run_shuffled(leaves, &options);
        check_sums(leaves, &options);
        leaves_restart(leaves);
    }
    leaves_destroy(leaves);
}

/* Lanes as threads. */
struct step {
    const struct buckets *buckets; /* NULL: leaves are given whole */
    struct leaves *leaves;
    const struct leaves_options *options;
    bool is_stalled; /* lane 0 ends its first leaf after all others */
    atomic_int n_taken, n_ended;
    atomic_bool is_early; /* a lane finished before all leaves were there */
    atomic_bool is_wrong; /* a bucket was */
};

struct lane {
    struct step *step;
    int index;
    pthread_t thread;
};

static void delay(uint32_t random)
{
    if (random % 4 == 0)
        nanosleep(&(struct timespec){.tv_nsec = random / 4 % 50000}, NULL);
    else if (random % 4 == 1)
        sched_yield();
}

/* Bucket by bucket, what is not final yet being wrong. */
static void fill_by_buckets(const struct step *step, float *values, int leaf,
                            uint32_t random)
{
    for (size_t i = 0; i < step->options->n; i++)
        values[i] = -1;
    for (int b = 0; b < step->buckets->count; b++) {
        const struct extent span = buckets_extent(step->buckets, b);
        for (size_t i = span.begin; i < span.end; i++)
            values[i] = leaf_value(seed, leaf, i);
        leaves_final(step->leaves, leaf, span.begin);
        delay(random >> b % 16);
    }
}

/* Whoever exchanges: takes each bucket when it is summed. */
static void *take_buckets(void *argument)
{
    struct step *step = argument;
    const struct leaves_options *o = step->options;
    struct tree_node nodes[TREE_MAX_NODES];
    const int n_nodes = tree_cover(o->n_leaves, o->first, o->count, nodes);
    bool is_cancelled;
    for (int b = 0; b < step->buckets->count; b++) {
        const struct extent span = buckets_extent(step->buckets, b);
        leaves_wait(step->leaves, b + 1);
        step->is_wrong = step->is_wrong ||
                         leaves_n_merged(step->leaves, &is_cancelled) <= b ||
                         is_cancelled;
        for (int k = 0; k < n_nodes; k++)
            for (size_t i = span.begin; i < span.end; i++)
                if (!same_bits(leaves_sums(step->leaves)[k][i],
                               leaf_sum(seed, nodes[k].lo, nodes[k].hi, i)))
                    step->is_wrong = true;
    }
    return NULL;
}

static void *run_lane(void *argument)
{
    const struct lane *lane = argument;
    struct step *step = lane->step;
    const struct leaves_options *o = step->options;
    uint32_t random = (uint32_t)lane->index;
    for (;;) {
        const int taken = atomic_fetch_add(&step->n_taken, 1);
        if (taken >= o->count)
            break;
        const int leaf = o->first + taken;
        random = random * 1664525 + 1013904223;
        const bool is_stalled = step->is_stalled && lane->index == 0;
        if (is_stalled) /* the others go to sleep: it is not their turn */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        float *values = leaves_take(step->leaves, leaf, lane->index);
        if (step->buckets)
            fill_by_buckets(step, values, leaf, random);
        else
            fill(values, leaf, o->n);
        delay(random >> 8);
        while (is_stalled && step->n_ended < o->count - 1)
            sched_yield();
        atomic_fetch_add(&step->n_ended, 1);
        leaves_done(step->leaves, leaf);
    }
    leaves_finish(step->leaves);
    if (step->n_ended < o->count)
        step->is_early = true;
    return NULL;
}

static void run_lanes(struct leaves *leaves, const struct leaves_options *o,
                      bool is_stalled)
{
    struct step step = {.buckets = o->buckets,
                        .leaves = leaves,
                        .options = o,
                        .is_stalled = is_stalled};
    struct lane lanes[MAX_LANES];
    pthread_t taker;
    if (o->buckets)
        assert_int_equal(pthread_create(&taker, NULL, take_buckets, &step), 0);
    for (int i = 0; i < o->lanes; i++) {
        lanes[i] = (struct lane){.step = &step, .index = i};
        assert_int_equal(pthread_create(&lanes[i].thread, NULL, run_lane, &lanes[i]),
                         0);
    }
    for (int i = 0; i < o->lanes; i++)
        assert_int_equal(pthread_join(lanes[i].thread, NULL), 0);
    if (o->buckets)
        assert_int_equal(pthread_join(taker, NULL), 0);
    assert_false(step.is_early);
    assert_false(step.is_wrong);
}

static void check_threads(struct leaves_options options)
{
    struct leaves *leaves = create(&options);
    for (int step = 0; step < 2; step++) {
        run_lanes(leaves, &options, false);
        check_sums(leaves, &options);
        leaves_restart(leaves);
    }
    leaves_destroy(leaves);
}

/* Calls check for ranges of leaves of trees of all sizes, and numbers of lanes. */
static void for_many(size_t n, int stride, void (*check)(struct leaves_options options))
{
    for (int n_leaves = 1; n_leaves <= MAX_LEAVES; n_leaves += stride)
        for (int first = 0; first < n_leaves; first += 1 + first / 2)
            for (int end = n_leaves; end > first; end -= 1 + (n_leaves - first) / 3)
                for (int lanes = 1; lanes <= MAX_LANES; lanes++)
                    check((struct leaves_options){.n_leaves = n_leaves,
                                                  .first = first,
                                                  .count = end - first,
                                                  .n = n,
                                                  .lanes = lanes});
}

static void leaves_that_end_in_any_order_give_the_trees_sums(void **state)
{
    (void)state;
    srand(1);
    for_many(SHORT_N, 1, check_shuffled);
    check_shuffled((struct leaves_options){.n_leaves = 13, .count = 13, .lanes = 4});
}

static void lanes_give_the_trees_sums(void **state)
{
    (void)state;
    for_many(SHORT_N, 2, check_threads);
    for (int lanes = 1; lanes <= MAX_LANES; lanes++)
        check_threads((struct leaves_options){
            .n_leaves = 20, .first = 3, .count = 17, .n = LONG_N, .lanes = lanes});
}

static void check_buckets(struct leaves_options options)
{
    const size_t most[] = {16, SIZE_MAX};
    for (int i = 0; i < 2; i++) {
        const struct buckets buckets = buckets_cut(options.n, most[i]);
        options.buckets = &buckets;
        check_threads(options);
    }
}

static void buckets_are_summed_while_lanes_are_at_the_next(void **state)
{
    (void)state;
    for_many(100, 6, check_buckets);
    const struct buckets buckets = buckets_cut(LONG_N, 40000);
    for (int lanes = 1; lanes <= MAX_LANES; lanes++)
        check_threads((struct leaves_options){.n_leaves = 20,
                                              .first = 3,
                                              .count = 17,
                                              .n = LONG_N,
                                              .lanes = lanes,
                                              .buckets = &buckets});
}

static void nobody_waits_for_a_lane_that_is_late(void **state)
{
    (void)state;
    const struct leaves_options options = {
        .n_leaves = 12, .count = 12, .n = SHORT_N, .lanes = 4};
    struct leaves *leaves = create(&options);
    for (int step = 0; step < 100; step++) {
        run_lanes(leaves, &options, true);
        check_sums(leaves, &options);
        leaves_restart(leaves);
    }
    leaves_destroy(leaves);
}

static void buffers_are_one_a_lane_and_the_sums_that_wait(void **state)
{
    (void)state;
    int merges[MAX_LEAVES];
    for (int n = 1; n <= MAX_LEAVES; n++)
        for (int first = 0; first < n; first++) {
            struct leaves_options o = {.n_leaves = n, .first = first, .lanes = 1};
            o.count = n - first;
            for (int i = 0; i < o.count; i++)
                merges[i] = tree_completed(n, first + i + 1, first, first + i);
            const int depth = tree_depth(merges, o.count);
            assert_int_equal(leaves_n_slots(&o), depth);
            for (o.lanes = 2; o.lanes < 30; o.lanes++) {
                const int wanted = o.lanes + depth;
                assert_int_equal(leaves_n_slots(&o),
                                 wanted < o.count ? wanted : o.count);
            }
            o.least_slots = 31;
            assert_int_equal(leaves_n_slots(&o), 31);
        }
}

static void a_lane_gets_the_buffer_that_it_touched_first(void **state)
{
    (void)state;
    const struct leaves_options options = {
        .n_leaves = 3, .count = 3, .n = SHORT_N, .lanes = 2};
    struct leaves *leaves = create(&options);
    const float *of_lane_0 = leaves_take(leaves, 0, 0);
    const float *of_lane_1 = leaves_take(leaves, 1, 1);
    leaves_restart(leaves);
    assert_ptr_equal(leaves_take(leaves, 0, 1), of_lane_1);
    const float *untouched = leaves_take(leaves, 1, 1);
    assert_ptr_not_equal(untouched, of_lane_0);
    assert_ptr_equal(leaves_take(leaves, 2, 1), of_lane_0);
    leaves_destroy(leaves);
}

static void *take_second(void *leaves)
{
    return leaves_take(leaves, 1, 1);
}

static void *finish(void *leaves)
{
    leaves_finish(leaves);
    return NULL;
}

static void cancelling_ends_all_waiting(void **state)
{
    (void)state;
    const struct leaves_options options = {
        .n_leaves = 8, .count = 8, .n = SHORT_N, .lanes = 3};
    struct leaves *leaves = create(&options);
    pthread_t taker, finisher;
    void *taken = leaves;
    assert_int_equal(pthread_create(&taker, NULL, take_second, leaves), 0);
    assert_int_equal(pthread_create(&finisher, NULL, finish, leaves), 0);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    leaves_cancel(leaves);
    assert_int_equal(pthread_join(taker, &taken), 0);
    assert_int_equal(pthread_join(finisher, NULL), 0);
    assert_null(taken);
    assert_null(leaves_take(leaves, 0, 0));
    leaves_destroy(leaves);
}

static void after_a_cancelled_step_all_begins_anew(void **state)
{
    (void)state;
    const struct leaves_options options = {
        .n_leaves = 8, .count = 8, .n = SHORT_N, .lanes = 3, .least_slots = 8};
    struct leaves *leaves = create(&options);
    for (int ended = 0; ended < 8; ended++) {
        for (int leaf = 0; leaf <= ended; leaf++)
            fill(leaves_take(leaves, leaf, 0), 0, options.n);
        leaves_done(leaves, ended);
        leaves_cancel(leaves);
        leaves_restart(leaves);
        run_shuffled(leaves, &options);
        check_sums(leaves, &options);
        leaves_restart(leaves);
    }
    leaves_destroy(leaves);
}

/* The last sum is left to the reader, who makes it in room of his own or in place; it
 * is the tree's all the same. */
static void the_last_sum_can_be_left_to_the_reader(void **state)
{
    float room[SHORT_N];
    (void)state;
    for (int n = 1; n <= MAX_LEAVES; n++) {
        struct leaves_options options = {.n_leaves = n,
                                         .count = n,
                                         .n = SHORT_N,
                                         .lanes = 1,
                                         .least_slots = n,
                                         .halves = true};
        struct leaves *leaves = create(&options);
        run_shuffled(leaves, &options);
        const struct leaf_sum sum = leaves_total(leaves);
        assert_int_equal(sum.right != NULL, n > 1);
        for (size_t i = 0; i < SHORT_N; i++) {
            const float *value = leaf_sum_values(&sum, i, i + 1, room);
            assert_true(same_bits(*value, leaf_sum(seed, 0, n, i)));
        }
        leaf_sum_values(&sum, 1, SHORT_N - 1, NULL);
        for (size_t i = 1; i < SHORT_N - 1; i++)
            assert_true(same_bits(sum.left[i], leaf_sum(seed, 0, n, i)));
        leaves_destroy(leaves);
    }
}

/* Own leaves that are not the whole tree have their sums as ever. */
static void parts_of_a_tree_are_never_halved(void **state)
{
    struct leaves_options options = {.n_leaves = 8,
                                     .first = 4,
                                     .count = 4,
                                     .n = SHORT_N,
                                     .lanes = 1,
                                     .least_slots = 4,
                                     .halves = true};
    (void)state;
    struct leaves *leaves = create(&options);
    run_shuffled(leaves, &options);
    check_sums(leaves, &options);
    leaves_destroy(leaves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_that_end_in_any_order_give_the_trees_sums),
        cmocka_unit_test(lanes_give_the_trees_sums),
        cmocka_unit_test(buckets_are_summed_while_lanes_are_at_the_next),
        cmocka_unit_test(nobody_waits_for_a_lane_that_is_late),
        cmocka_unit_test(buffers_are_one_a_lane_and_the_sums_that_wait),
        cmocka_unit_test(a_lane_gets_the_buffer_that_it_touched_first),
        cmocka_unit_test(cancelling_ends_all_waiting),
        cmocka_unit_test(after_a_cancelled_step_all_begins_anew),
        cmocka_unit_test(the_last_sum_can_be_left_to_the_reader),
        cmocka_unit_test(parts_of_a_tree_are_never_halved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
