/* For tests on several ranks. A CMocka assertion leaves by longjmp: a rank that left
 * alone would be out of step with the others, so all ranks learn of a failure before it
 * counts.
 */
#ifndef TESTS_RANKS_H
#define TESTS_RANKS_H

#include "comm/world.h"

#include <stdbool.h>

/* Whether ok holds on every rank. Collective. */
static inline bool on_all_ranks(const convoy_world *world, bool ok)
{
    int mine = ok, all = 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_LAND, world->comm);
    return all;
}

#endif
