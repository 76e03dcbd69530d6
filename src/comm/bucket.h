/* The part of the ordered exchange that crosses ranks: the vector is summed bucket by
 * bucket, a range of it at a time, which bounds the memory for other ranks' values.
 *
 * Slots are vectors [n], stride floats apart, the first of them 64-byte aligned. Slot k
 * holds the rank's k-th complete subtree (tree_cover); slot 0 also becomes the sum. */
#ifndef COMM_BUCKET_H
#define COMM_BUCKET_H

#include <convoy/world.h>

#include <stddef.h>

struct bucket_plan;

struct bucket_layout {
    int n_leaves;    /* of all ranks */
    size_t n;        /* floats of the vector */
    size_t stride;   /* floats from slot to slot, a multiple of 16 */
    size_t bucket_n; /* floats of a bucket, a multiple of 16; the sum does not depend on
                        it */
};

/* As many floats as bound the memory and still keep messages long. */
size_t bucket_default_n(int size);

/* Allocates all that sums need. Local; world and slots are borrowed. *plan is new; free
 * with bucket_plan_destroy. */
convoy_status bucket_plan_create(const convoy_world *world,
                                 const struct bucket_layout *layout, float *slots,
                                 struct bucket_plan **plan);

/* Takes NULL. Local. */
void bucket_plan_destroy(struct bucket_plan *plan);

/* Sums all ranks' slots in the tree's order into slot 0; the other slots stay as they
 * are. Collective. After a failure slots and plan are of no more use. */
convoy_status bucket_sum(struct bucket_plan *plan);

#endif
