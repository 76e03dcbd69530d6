/* What a few commands need of the ranks beside training. */
#ifndef COMM_GATHER_H
#define COMM_GATHER_H

#include "base/status.h"

#include <convoy/world.h>

#include <stddef.h>

/* Every rank's text on rank 0, which may be of any length: *texts [size] is new there,
 * one block, free with mem_free; NULL on the others. Collective; ranks agree. MEMORY,
 * LIBRARY. */
convoy_status gather_texts(convoy_world *world, const char *text, char ***texts);

/* The lowest rank of this rank's machine. Collective. LIBRARY. */
convoy_status gather_machine(const convoy_world *world, int *first);

/* Each of values [n] becomes the most, or the sum, of all ranks'. Ranks that come early
 * do not spin. Collective. LIBRARY. */
convoy_status gather_most(convoy_world *world, double *values, int n);
convoy_status gather_sums(convoy_world *world, double *values, int n);

/* How fast messages go around a ring of one rank a machine, all at the same time. */
struct ring_speed {
    double bytes_a_s; /* sent by this rank, and as much received; 0: it took no part */
    int to;           /* the rank that it sent to */
};

/* Sends messages of so many bytes, several times. Ranks that are not the first of their
 * machine, and all where there is one only, do nothing. Collective; ranks agree.
 * MEMORY, LIBRARY. */
convoy_status gather_ring_speed(convoy_world *world, size_t bytes,
                                struct ring_speed *speed);

#endif
