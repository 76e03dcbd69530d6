/* The ordered sum among the members of a communicator by direct messages:
 * reduce-scatter, then allgather. A span of the vector is cut into one segment a
 * member. Every member collects all members' pieces (complete subtrees) of its own
 * segment, adds them along the tree, and sends the sum of its segment to all. Each so
 * sends and receives about (pieces + 1) * n floats, whatever the number of members.
 *
 * Members are ranks, or nodes in whose name a rank exchanges its part. */
#ifndef COMM_DIRECT_H
#define COMM_DIRECT_H

#include "base/status.h"
#include "comm/bucket.h"

#include <mpi.h>
#include <stdbool.h>

enum { DIRECT_FLIGHTS = 8 }; /* spans under way at a time, at most */

struct direct_options {
    MPI_Comm comm; /* of the members: borrowed */
    int n_leaves;  /* of the tree */
    /* [members + 1] leaves [firsts[i], firsts[i + 1]) are member i's, all together
     * [0, n_leaves); copied */
    const int *firsts;
    size_t most; /* floats of a span */
    int flights; /* spans under way at a time; 0: DIRECT_FLIGHTS */
};

struct direct;

/* Allocates all that sums need. Local. *direct is new; free with direct_destroy. */
convoy_status direct_create(const struct direct_options *options,
                            struct direct **direct);

/* What direct_create allocates for values of other members, in bytes: they have
 * n_received pieces; most and flights as in the options. Local. */
size_t direct_bytes(int n_received, int members, size_t most, int flights);

/* Takes NULL. Local. */
void direct_destroy(struct direct *direct);

/* How many pieces the leaves of this member are: its complete subtrees. Local. */
int direct_n_own(const struct direct *direct);

/* Starts the sum of a span: in, slots[k] holds at the span's floats the k-th of this
 * member's complete subtrees (tree_cover), borrowed until the sum is done; out,
 * slots[0] holds the sum there. flight: 0 <= flight < flights, none that is
 * under way; the same on all members, as span. Waits for nobody. Errors: LIBRARY. */
convoy_status direct_post(struct direct *direct, int flight, struct extent span,
                          float *const *slots);

/* Moves it on; *done once the sum is there. Waits for nobody. Errors: LIBRARY: slots
 * and direct are then of no more use. */
convoy_status direct_test(struct direct *direct, int flight, bool *done);

#endif
