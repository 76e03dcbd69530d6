/* Sums of a rank's own leaves in the fixed tree (exchange.h), by several lanes at once.
 *
 * Leaves end in any order. A node's sum is made as soon as both children are there,
 * left plus right, so that neither the order nor the number of lanes shows in the bits.
 * All lanes without other work share the adding.
 *
 * A step, on every lane at the same time:
 *     while there are leaves, take the next one, j, as this lane's:
 *         float *values = leaves_take(l, j, lane);      fill values [n], from the end
 *         leaves_final(l, j, from);                     now and then, with buckets
 *         leaves_done(l, j);
 *     leaves_finish(l);
 * and then, on one thread: leaves_sums, leaves_restart. With buckets this thread need
 * not wait for leaves_finish: leaves_n_merged says how many are summed.
 *
 * A lane has one leaf at a time. Buffers are given out in the order of leaves. So, with
 * every leaf before j either done or with a lane that waits for nothing else, there is
 * always one for j in the end: the sums of the leaves before it fit.
 *
 * All functions are local. Those of a lane may add, with the OpenMP threads of their
 * caller. Nothing is allocated after leaves_create.
 */
#ifndef COMM_LEAVES_H
#define COMM_LEAVES_H

#include "base/status.h"
#include "comm/bucket.h"

#include <stdbool.h>
#include <stddef.h>

struct leaves;

struct leaves_options {
    int n_leaves;     /* of the tree */
    int first, count; /* own leaves: [first, first + count), at least one */
    size_t n;         /* floats of a leaf */
    int lanes;        /* that take leaves, at least 1 */
    int least_slots;  /* buffers to have at least */
    bool halves; /* where the own leaves are all of the tree, its last sum is not made:
                    leaves_total has both sides of it */
    float *memory; /* [leaves_bytes] on a line of the cache, zeroed, borrowed; NULL:
                      leaves have their own */
    const struct buckets *buckets; /* of n, copied: sums of the last leaves are made
                                      bucket by bucket; NULL: none. Not with halves */
};

/* The number of buffers [n] that leaves_create allocates: one for each lane, where
 * there are several, and as many as one lane alone needs, for the sums that wait for
 * others (the logarithm of count or so, at most twice that); but no more than one for
 * each leaf. */
int leaves_n_slots(const struct leaves_options *options);

/* Of these buffers together. */
size_t leaves_bytes(const struct leaves_options *options);

/* *leaves is new; free with leaves_destroy. Errors: MEMORY. */
convoy_status leaves_create(const struct leaves_options *options,
                            struct leaves **leaves);

/* Takes NULL. */
void leaves_destroy(struct leaves *leaves);

/* Buffer [n], 64-byte aligned, for the values of a leaf of lane's, contents undefined;
 * borrowed until leaves_done. Preferably one whose memory this lane was the first to
 * touch. Until there is one, it adds or sleeps. NULL after leaves_cancel. */
float *leaves_take(struct leaves *leaves, int leaf, int lane);

/* The leaf's values from element from on are there. May add, where no lane is idle. */
void leaves_final(struct leaves *leaves, int leaf, size_t from);

/* The leaf's values are there. Adds whatever is left to add by then. */
void leaves_done(struct leaves *leaves, int leaf);

/* Adds or sleeps until all own sums are made, or leaves_cancel. */
void leaves_finish(struct leaves *leaves);

/* Ends all waiting, until leaves_restart: a lane failed. */
void leaves_cancel(struct leaves *leaves);

/* How many buckets are summed: of these, leaves_sums' buffers have their values, while
 * lanes are still at the others. Any thread. */
int leaves_n_merged(struct leaves *leaves, bool *is_cancelled);

/* Sleeps until so many are, without buckets until all sums are made, or until
 * leaves_cancel. */
void leaves_wait(struct leaves *leaves, int n_merged);

/* All buffers, after leaves_finish: the k-th complete subtree of the own leaves
 * (tree_cover) is the k-th, those that are free stand behind. The array stays where it
 * is; its entries are borrowed until the next step's first leaves_take. */
float *const *leaves_sums(struct leaves *leaves);

/* A vector as a sum that is made where it is read, so that memory is not written for
 * it: left + right, or left alone where right is NULL. */
struct leaf_sum {
    float *left;
    const float *right;
};

/* Of leaves that have one complete subtree, or, of halves, two. As leaves_sums. */
struct leaf_sum leaves_total(struct leaves *leaves);

/* Elements [begin, end) of the sum, at the address that is returned: made in room
 * [end - begin], or, with room NULL, in left, to stay; or where they are already. */
const float *leaf_sum_values(const struct leaf_sum *sum, size_t begin, size_t end,
                             float *room);

/* What lanes have slept in leaves_take and leaves_finish since leaves_restart, all of
 * them together. No lane may be in these functions. */
double leaves_slept_s(const struct leaves *leaves);

/* All buffers are free and all leaves to come. No lane may be in these functions. */
void leaves_restart(struct leaves *leaves);

#endif
