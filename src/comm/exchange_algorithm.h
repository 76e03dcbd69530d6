/* How ranks' sums become the sum over all ranks: one file for each algorithm, which
 * ends in `const struct exchange_algorithm exchange_<name>`, and one line in
 * exchange_list.h. What a recipe may ask for, help and the tests come from that list.
 *
 * exchange.c adds up a rank's own leaves, algorithms do the rest. They see vectors, not
 * layers, and are not asked where one rank is alone.
 */
#ifndef COMM_EXCHANGE_ALGORITHM_H
#define COMM_EXCHANGE_ALGORITHM_H

#include <convoy/world.h>

#include "base/option.h"

#include <stdbool.h>
#include <stddef.h>

struct lanes;

/* What an algorithm works on. Slots are vectors [n], 64-byte aligned. The array of them
 * stays, which of them is the k-th changes from step to step. */
struct exchange_vectors {
    const convoy_world *world; /* 2 ranks and more */
    int n_leaves;              /* of all ranks */
    size_t n;                  /* floats of a vector */
    float *const *slots;       /* at least one for each subtree, and sum_slot + 1 */
    struct lanes *lanes;       /* to add with; NULL: the calling thread alone */
    const void *settings;      /* what the algorithm is told; NULL: nothing */
};

struct exchange_algorithm {
    struct option_owner about; /* name, help (what it costs), options */

    /* Whether the sum is the tree's, to the bit. Then slot k holds, before reduce, the
     * rank's k-th complete subtree (tree_cover). Else the rank's leaves are a tree of
     * their own, whose sum is in slot 0. */
    bool ordered;
    int sum_slot; /* where reduce leaves the sum; it may use all slots up to this */

    /* Allocates all that reduce needs. Local; *vectors may go, what it points at stays.
     * *plan is new; free with destroy. */
    convoy_status (*init)(const struct exchange_vectors *vectors, void **plan);

    /* Sums all ranks' slots. Allocates nothing. Collective. After a failure plan and
     * slots are of no more use. */
    convoy_status (*reduce)(void *plan);

    /* Takes NULL. Local. */
    void (*destroy)(void *plan);
};

/* The name for the first of the list. */
extern const struct option_owner exchange_auto;

#endif
