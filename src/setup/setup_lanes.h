/* How many lanes a rank has: a choice by cores, microbatches and memory, of which no
 * result depends. Local, all of it. */
#ifndef SETUP_SETUP_LANES_H
#define SETUP_SETUP_LANES_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct lane_facts {
    int wanted;       /* the recipe's lanes; 0: auto */
    int threads;      /* of a lane, at least 1 */
    int cores;        /* of this rank, at least 1 */
    int sharers;      /* ranks that share its cores, none of which has a whole one */
    int shared_cores; /* these cores, where there are sharers; else 0 both */
    int microbatches; /* of a step on this rank, at least 1 */

    /* For advice: samples of a microbatch, of a step on all ranks, and the ranks.
     * microbatch 0: there is nothing to advise. */
    int microbatch, batch, ranks;

    /* What the rank needs with so many lanes; grows with them. NULL: nothing. */
    uint64_t (*bytes)(const void *context, int lanes);
    const void *context;
    uint64_t left_bytes; /* that the rank may take; 0: unknown */
};

struct lane_choice {
    int lanes;      /* at least 1 */
    char text[320]; /* one line: lanes, cores, and why not more */
};

/* Auto: as many as cores have room for all their threads, as there are microbatches,
 * and as memory holds; one at least. The recipe's number may be more than cores have
 * room for, but no more than there are microbatches.
 * Errors: ARGUMENT (memory does not hold them; for auto, not even one). */
convoy_status setup_lanes(const struct lane_facts *facts, struct lane_choice *choice);

/* What the environment asks for and does not get, in text, one line: OMP_NUM_THREADS
 * that is neither the threads of a lane nor of all. "": nothing. */
void setup_note_environment(int lanes, int threads, char *text, size_t size);

#endif
