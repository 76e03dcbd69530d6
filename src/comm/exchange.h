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
 * A step:
 *     for each leaf j of this rank, in order:
 *         float *g = exchange_leaf(e);      fill g [n]
 *         exchange_leaf_done(e);
 *     exchange_reduce(e, &sum);             collective
 *
 * One thread at a time uses an exchange, not always the same one. Where MPI offers
 * MPI_THREAD_MULTIPLE, exchange_reduce may run beside other calls on the world: its
 * messages have a communicator of their own. One exchange of a world reduces at a time.
 */
#ifndef COMM_EXCHANGE_H
#define COMM_EXCHANGE_H

#include "comm/exchange_algorithm.h"

int exchange_n_algorithms(void);
const struct exchange_algorithm *exchange_algorithm_at(int i); /* 0 <= i < their number;
                                                                  the first: the best */

/* The algorithm of this name, or the first for "auto"; NULL: there is none. */
const struct exchange_algorithm *exchange_find(const char *name);

struct exchange;

/* Allocates all that steps need for leaves of n floats, with the algorithm
 * and its settings: as many vectors [n] as this
 * rank ever has unfinished sums (the logarithm of n_leaves or so, at most twice that),
 * and buckets for other ranks' values. Collective, with the same arguments on all
 * ranks, which agree on the outcome. *exchange is new; free with exchange_destroy.
 * world, algorithm and settings are borrowed. Sums over ranks use the OpenMP threads
 * that the caller has now. Errors: ARGUMENT (more ranks than leaves), MEMORY. */
convoy_status exchange_create(convoy_world *world, int n_leaves, size_t n,
                              const struct exchange_algorithm *algorithm,
                              const void *settings, struct exchange **exchange);

/* Takes NULL. Local. After a failed exchange_reduce it frees nothing: messages may
 * still be under way to that memory. */
void exchange_destroy(struct exchange *exchange);

/* This rank's leaves. Local. */
int exchange_first(const struct exchange *exchange);
int exchange_count(const struct exchange *exchange);

/* Buffer [n], 64-byte aligned, for the next leaf's values, contents undefined; borrowed
 * until exchange_leaf_done. At most exchange_count times a step. Local. */
float *exchange_leaf(struct exchange *exchange);

/* Takes the leaf in: merges the subtrees that it completes. Local, OpenMP inside; the
 * sum's order does not depend on threads. */
void exchange_leaf_done(struct exchange *exchange);

/* The sum over all leaves of all ranks, [n], borrowed until the next exchange_leaf; the
 * caller may write to it. All of this rank's leaves must be done. Starts the next
 * step's leaves from this rank's first. Collective. Errors: LIBRARY (MPI failed; other
 * ranks may wait forever, so end the job). */
convoy_status exchange_reduce(struct exchange *exchange, float **sum);

/* Small values a leaf, bit for bit: in, values [n_leaves, n_values] with this rank's
 * leaves filled in; out, all leaves' on every rank. Collective. Any n_leaves, also more
 * or fewer than an exchange's: ranges are tree_range(n_leaves, …).
 * Errors: ARGUMENT (more than INT_MAX values), LIBRARY (as exchange_reduce). */
convoy_status exchange_share(convoy_world *world, double *values, int n_leaves,
                             int n_values);

#endif
