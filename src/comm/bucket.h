/* The part of the ordered exchange that crosses ranks: the vector is summed bucket by
 * bucket, a range of it at a time, which bounds the memory for other ranks' values.
 * Slot k holds the rank's k-th complete subtree (tree_cover); slot 0 also becomes the
 * sum. */
#ifndef COMM_BUCKET_H
#define COMM_BUCKET_H

#include "comm/exchange_algorithm.h"

struct bucket_plan;

/* As many floats as bound the memory and still keep messages long. */
size_t bucket_default_n(int size);

/* Allocates all that sums need, with buckets of bucket_n floats, a multiple of 16 on
 * which the sum does not depend. Local; *vectors may go, what it points at is borrowed.
 * *plan is new; free with bucket_plan_destroy. */
convoy_status bucket_plan_create(const struct exchange_vectors *vectors,
                                 size_t bucket_n, struct bucket_plan **plan);

/* Takes NULL. Local. */
void bucket_plan_destroy(struct bucket_plan *plan);

/* Sums all ranks' slots in the tree's order into slot 0; the other slots stay as they
 * are. Collective. After a failure slots and plan are of no more use. */
convoy_status bucket_sum(struct bucket_plan *plan);

#endif
