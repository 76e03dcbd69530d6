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
 * A step, first on all lanes of the rank at the same time (leaves.h has the rules),
 * then on one thread: while there are leaves, take the next one, j, as this lane's:
 *         float *g = exchange_leaf(e, j, lane);      fill g [n]
 *         exchange_leaf_done(e, j);
 *     exchange_finish(e);
 *
 *     exchange_reduce(e, &sum);             collective
 *
 * But for those of a lane, one thread at a time is in these functions, not always the
 * same one. Where MPI offers MPI_THREAD_MULTIPLE, exchange_reduce may run beside other
 * calls on the world: its messages have a communicator of their own. One exchange of a
 * world reduces at a time.
 */
#ifndef COMM_EXCHANGE_H
#define COMM_EXCHANGE_H

#include "base/lanes.h"
#include "comm/exchange_algorithm.h"
#include "comm/leaves.h"

int exchange_n_algorithms(void);
const struct exchange_algorithm *exchange_algorithm_at(int i); /* 0 <= i < their number;
                                                                  the first: the best */

/* The algorithm of this name, or the first for "auto"; NULL: there is none. */
const struct exchange_algorithm *exchange_find(const char *name);

struct exchange;

/* The vectors [n] that exchange_create allocates for a rank with so many lanes, beside
 * buckets for other ranks' values: for memory plans. Local. */
int exchange_n_vectors(int n_leaves, int rank, int n_ranks, int lanes,
                       const struct exchange_algorithm *algorithm);

/* Allocates all that steps need for leaves of n floats, with the algorithm and its
 * settings: leaves_n_slots vectors [n], and buckets for other ranks' values. lanes give
 * the leaves and, in exchange_reduce, add; NULL: the calling thread alone does, as lane
 * 0. Collective, with the same arguments on all ranks but for lanes; ranks agree on the
 * outcome. *exchange is new; free with exchange_destroy. world, lanes, algorithm and
 * settings are borrowed. Errors: ARGUMENT (more ranks than leaves), MEMORY. */
convoy_status exchange_create(convoy_world *world, int n_leaves, size_t n,
                              struct lanes *lanes,
                              const struct exchange_algorithm *algorithm,
                              const void *settings, struct exchange **exchange);

/* Takes NULL. Local. After a failed exchange_reduce it frees nothing: messages may
 * still be under way to that memory. */
void exchange_destroy(struct exchange *exchange);

/* This rank's leaves. Local. */
int exchange_first(const struct exchange *exchange);
int exchange_count(const struct exchange *exchange);

/* leaves_take, leaves_done, leaves_finish and leaves_cancel of this rank's leaves. Of
 * a cancelled step there is no sum: nothing but exchange_destroy may follow. Local. */
float *exchange_leaf(struct exchange *exchange, int leaf, int lane);
void exchange_leaf_done(struct exchange *exchange, int leaf);
void exchange_finish(struct exchange *exchange);
void exchange_cancel(struct exchange *exchange);

/* The sum over all leaves of all ranks, [n], borrowed until the next exchange_leaf; the
 * caller may write to it. Of one rank alone the tree's last sum is left to the reader.
 * All lanes must be back from exchange_finish. Starts the next step's leaves.
 * Collective. Errors: LIBRARY (MPI failed; other ranks may wait forever, so end the
 * job). */
convoy_status exchange_reduce(struct exchange *exchange, struct leaf_sum *sum);

/* Small values a leaf, bit for bit: in, values [n_leaves, n_values] with this rank's
 * leaves filled in; out, all leaves' on every rank. Collective. Any n_leaves, also more
 * or fewer than an exchange's: ranges are tree_range(n_leaves, …).
 * Errors: ARGUMENT (more than INT_MAX values), LIBRARY (as exchange_reduce). */
convoy_status exchange_share(convoy_world *world, double *values, int n_leaves,
                             int n_values);

#endif
