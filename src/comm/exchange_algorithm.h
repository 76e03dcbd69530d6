/* How ranks' sums become the sum over all ranks: one file for each algorithm, which
 * ends in `const struct exchange_algorithm exchange_<name>`, and one line in
 * exchange_list.h. What a recipe may ask for, help and the tests come from that list.
 *
 * exchange.c adds up a rank's own leaves, algorithms do the rest, bucket by bucket.
 * They see vectors, not layers, and are not asked where one rank is alone.
 */
#ifndef COMM_EXCHANGE_ALGORITHM_H
#define COMM_EXCHANGE_ALGORITHM_H

#include <convoy/world.h>

#include "base/option.h"
#include "comm/bucket.h"

#include <stdbool.h>
#include <stddef.h>

struct node_memory;

/* Buckets under way at a time, at most: buckets->flights are. And what comes before the
 * slots in memory that ranks of a node share, for what they tell each other. */
enum { EXCHANGE_FLIGHTS = BUCKET_FLIGHTS, EXCHANGE_BOARD_BYTES = 1024 };

/* What an algorithm works on. Slots are vectors [n], 64-byte aligned. The array of them
 * stays, which of them is the k-th changes from step to step. */
struct exchange_vectors {
    const convoy_world *world;     /* 2 ranks and more */
    int n_leaves;                  /* of all ranks */
    const struct buckets *buckets; /* of a vector; the same on all ranks */
    float *const *slots;           /* at least one for each subtree, and sum_slot + 1 */
    const struct node_memory *shared; /* NULL, unless the algorithm shares */
};

/* Ranks that are to exchange, for plans. */
struct exchange_ranks {
    int n_leaves; /* of all */
    int rank, size, nodes;
    const int *node_firsts; /* [nodes + 1] as convoy_world has them; NULL: nodes have a
                               rank each */
};

struct exchange_algorithm {
    struct option_owner about; /* name, help (what it costs), options */

    /* Whether the sum is the tree's, to the bit. Then slot k holds, before post, the
     * rank's k-th complete subtree (tree_cover). Else the rank's leaves are a tree of
     * their own, whose sum is in slot 0. */
    bool ordered;
    bool shares;  /* slots lie in memory that the ranks of a node share, at
                     EXCHANGE_BOARD_BYTES of the rank's part */
    int sum_slot; /* where the sum is in the end, unless sum says another place; all
                     slots up to this may be used */

    size_t
        bucket_n; /* floats of a bucket that serve it, unless told; 0: bucket_auto_n */

    /* Allocates all that sums need. Local; *vectors may go, what it points at stays.
     * *plan is new; free with destroy. */
    convoy_status (*init)(const struct exchange_vectors *vectors, void **plan);

    /* Bytes that init allocates for other ranks' values, 2 ranks and more. NULL: none.
     * Local. */
    size_t (*bytes)(const struct exchange_ranks *ranks, const struct buckets *buckets);

    /* Waits, before a step, until other ranks have read what this one will write to.
     * NULL: nothing to wait for. */
    void (*begin)(void *plan);

    /* Starts summing a bucket of all ranks' slots, in which this bucket's floats are
     * this rank's sums. Buckets are posted in order, 0, 1, …, at most buckets->flights
     * at a time, on one thread. Allocates nothing. */
    convoy_status (*post)(void *plan, int bucket);

    /* Moves a posted bucket on; *done once its sum is there. NULL: it is, after post.
     * Waits for nobody. After a failure, of post too, plan and slots are of no more
     * use. */
    convoy_status (*test)(void *plan, int bucket, bool *done);

    /* Where the sum is, [n], once a bucket is done; borrowed until end. NULL: in
     * slots[sum_slot]. */
    float *(*sum)(void *plan);

    /* The step's sum has been read. NULL: nothing to tell. */
    void (*end)(void *plan);

    /* Takes NULL. Local. */
    void (*destroy)(void *plan);
};

/* What sums in the tree's order are, as option_owner's same. */
#define EXCHANGE_SAME_SUMS "sums in the fixed order"

/* The name for whichever exchange_create chooses. */
extern const struct option_owner exchange_auto;

#endif
