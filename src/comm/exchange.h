/* The ordered exchange: sums of gradients over all microbatches of a step in one fixed
 * binary tree, whatever the number of ranks.
 *
 * Leaves are the M microbatches. A node over leaves [lo, hi) with hi - lo > 1 splits at
 * lo + the largest power of two below hi - lo, and its value is left + right in f32. A
 * rank owns a contiguous range of leaves and sums the complete subtrees within it; the
 * exchange combines the rest in the tree's order, by one of the ordered algorithms of
 * exchange_list.h. Every rank ends with the same bits, and they are the bits that one
 * rank alone would get. (Where two NaNs meet, which of
 * them stays is the processor's choice.)
 *
 * A step, after exchange_begin(e), on all lanes of the rank at the same time (leaves.h
 * has the rules): while
 * there are leaves, take the next one, j, as this lane's:
 *         float *g = exchange_leaf(e, j, lane);      fill g [n], from its end
 *         exchange_leaf_final(e, j, from);           now and then
 *         exchange_leaf_done(e, j);
 *     exchange_finish(e);
 *     exchange_wait(e, n, &sum);                     for n = 1, 2, …: use of the
 * buckets and beside them, on one thread that is no lane's, exchange_reduce(e);
 * collective and when all have ended, exchange_restart(e).
 *
 * The vector is exchanged in buckets (bucket.h), from its end on: the first ones travel
 * while lanes still compute the last ones.
 *
 * Collective functions are for one thread at a time (convoy/world.h). One exchange of a
 * world reduces at a time.
 */
#ifndef COMM_EXCHANGE_H
#define COMM_EXCHANGE_H

#include "comm/exchange_algorithm.h"
#include "comm/leaves.h"

#include <stdint.h>

int exchange_n_algorithms(void);
const struct exchange_algorithm *exchange_algorithm_at(int i); /* 0 <= i < their number;
                                                                  the first: the best */

/* The algorithm of this name; NULL: there is none. For "auto" the first: it stands for
 * all of which one is chosen, which need as many vectors as it does. */
const struct exchange_algorithm *exchange_find(const char *name);

struct exchange;

/* The vectors [n] that exchange_create allocates for a rank with so many lanes, beside
 * buckets for other ranks' values: for memory plans. Local. */
int exchange_n_vectors(int n_leaves, int rank, int n_ranks, int lanes,
                       const struct exchange_algorithm *algorithm);

struct exchange_options {
    int n_leaves;  /* of all ranks */
    size_t n;      /* floats of a leaf */
    size_t n_last; /* of these, at the end: they are still read while the others become
                      final, and are not before exchange_leaf_done. n - n_last: a
                      multiple of 16 */
    int lanes;     /* of this rank, at least 1 */
    const struct exchange_algorithm *algorithm; /* borrowed; NULL: two-level where a
                                                   node has several ranks and room for
                                                   what they share, else direct */
    size_t bucket_n; /* floats of a bucket, rounded up to 16; 0: the algorithm's, else
                        bucket_auto_n. No sum depends on it */
};

/* The bytes that exchange_create then allocates for other ranks' values: for memory
 * plans, which do not know whether there is room for what a node's ranks share and take
 * it as there. n_leaves and lanes of the options do not count. Local. */
uint64_t exchange_n_bytes(const struct exchange_ranks *ranks,
                          const struct exchange_options *options);

/* Allocates all that steps need: leaves_n_slots vectors [n], and buffers for other
 * ranks' values, of a few buckets. Collective, with the same options on all ranks but
 * for lanes; ranks agree on the outcome. *exchange is new; free with exchange_destroy.
 * world is borrowed. Errors: ARGUMENT (more ranks than leaves), MEMORY,
 * those of node_memory_create. */
convoy_status exchange_create(convoy_world *world,
                              const struct exchange_options *options,
                              struct exchange **exchange);

/* Takes NULL. Local. After a failed exchange_reduce it frees nothing: messages may
 * still be under way to that memory. */
void exchange_destroy(struct exchange *exchange);

/* This rank's leaves. Local. */
int exchange_first(const struct exchange *exchange);
int exchange_count(const struct exchange *exchange);

/* The one that was told or chosen: the same on all ranks. Local. */
const struct exchange_algorithm *exchange_algorithm_of(const struct exchange *exchange);

/* How leaves are cut; one bucket's range is buckets_extent. Borrowed. Local. */
const struct buckets *exchange_buckets(const struct exchange *exchange);

/* Before the first leaf of a step: waits until other ranks of the node have read the
 * last one's sum, where it is this rank's memory. By the thread that exchanges. All of
 * them must come to their exchange_restart, or be ended. */
void exchange_begin(struct exchange *exchange);

/* leaves_take, leaves_final, leaves_done and leaves_finish of this rank's leaves.
 * Local. */
float *exchange_leaf(struct exchange *exchange, int leaf, int lane);
void exchange_leaf_final(struct exchange *exchange, int leaf, size_t from);
void exchange_leaf_done(struct exchange *exchange, int leaf);
void exchange_finish(struct exchange *exchange);

/* Ends all waiting of this rank's threads in these functions: a lane failed, or the
 * step is not to be taken. Of a cancelled step there is no sum. Any thread. Local. */
void exchange_cancel(struct exchange *exchange);

/* Sleeps until the first n buckets of the sum over all leaves of all ranks are there;
 * false: cancelled before. sum: [n], valid where they are, borrowed until
 * exchange_restart. Of one rank alone the tree's last sum is left to the reader. Any
 * thread. Local. */
bool exchange_wait(struct exchange *exchange, int n, struct leaf_sum *sum);

/* Makes the sum over all leaves of all ranks, while lanes are at work or after them: to
 * be called by one thread, which is no lane's, and returns when all buckets are there.
 * Collective. Errors: LIBRARY (MPI failed, or a lane cancelled; other ranks may wait
 * forever, so end the job). */
convoy_status exchange_reduce(struct exchange *exchange);

/* Of the last exchange_reduce: when the thread that exchanges saw a bucket's own sums,
 * posted it and had the sum of all ranks (clock_now_s), [buckets], and how long any of
 * them was under way. Valid until exchange_restart and the next exchange_reduce. With
 * one rank alone nothing travels: 0. Local. */
struct bucket_times {
    double ready_s, posted_s, arrived_s;
};
const struct bucket_times *exchange_times(const struct exchange *exchange);
double exchange_in_flight_s(const struct exchange *exchange);

/* What lanes slept in exchange_leaf and exchange_finish in this step, all of them
 * together. No lane may be in these functions. Local. */
double exchange_slept_s(const struct exchange *exchange);

/* Everything is ready for the next step's leaves. No thread may be in these functions,
 * nor use a sum. Local. */
void exchange_restart(struct exchange *exchange);

/* Small values a leaf, bit for bit: in, values [n_leaves, n_values] with this rank's
 * leaves filled in; out, all leaves' on every rank. Collective. Any n_leaves, also more
 * or fewer than an exchange's: ranges are tree_range(n_leaves, …).
 * Errors: ARGUMENT (more than INT_MAX values), LIBRARY (as exchange_reduce). */
convoy_status exchange_share(convoy_world *world, double *values, int n_leaves,
                             int n_values);

#endif
