/* What bench exchange needs of MPI: the library's own sums, to compare with, and a
 * common clock face. All on the exchange's communicator. */
#ifndef COMM_ALLREDUCE_H
#define COMM_ALLREDUCE_H

#include "base/status.h"

#include <convoy/world.h>

#include <stddef.h>

/* sum [n] = the sum of all ranks' values [n], as the library likes to make it.
 * Collective. Errors: LIBRARY. */
convoy_status allreduce_sum(convoy_world *world, const float *values, float *sum,
                            size_t n);

/* The same by the non-blocking call, in place. Collective. Errors: LIBRARY. */
convoy_status allreduce_sum_in_place(convoy_world *world, float *values, size_t n);

/* Each of values [n] becomes the largest of all ranks'. Collective. Errors: LIBRARY. */
convoy_status allreduce_most(convoy_world *world, double *values, int n);

/* All ranks leave at about the same time: they spin. Collective. Errors: LIBRARY. */
convoy_status allreduce_meet(convoy_world *world);

/* "Open MPI's algorithm 4 (coll_tuned_allreduce_algorithm)" where one is set, else "the
 * library's choice". Local. */
void allreduce_setting(char *text, size_t size);

#endif
