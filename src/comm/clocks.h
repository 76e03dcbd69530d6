/* How the clocks of ranks differ: each machine counts from a start of its own. */
#ifndef COMM_CLOCKS_H
#define COMM_CLOCKS_H

#include "base/status.h"

#include <convoy/world.h>

#include <stdbool.h>

/* This rank's clock_now_s, less rank 0's at the same moment. */
struct clock_offset {
    double offset_s;
    double error_s; /* it is wrong by at most so much */
    double at_s;    /* when it was so, by this rank's clock */
};

/* Of each rank that takes part; rank 0's own is 0. Collective, without allocating.
 * LIBRARY. */
convoy_status clocks_compare(convoy_world *world, bool takes_part,
                             struct clock_offset *offset);

/* What the clock of rank 0 said when this rank's said now_s, between two comparisons.
 * Local. */
double clocks_of_root(const struct clock_offset *before,
                      const struct clock_offset *after, double now_s);

#endif
