/* How the seconds of steps are spread over the ranks: each adds up its own, and at the
 * end of an epoch or a life they are compared. No step waits for that. */
#ifndef TRAIN_RANK_SPREAD_H
#define TRAIN_RANK_SPREAD_H

#include <convoy/train.h>

#include "train/trainer.h"

enum spread_part {
    SPREAD_COMPUTE,
    SPREAD_EXCHANGE,
    SPREAD_HIDDEN,
    SPREAD_INPUT,
    SPREAD_OPTIMIZER,
    SPREAD_BUSY,
    SPREAD_WORKING,
    SPREAD_STEP, /* from the end of the step before */
    N_SPREAD_PARTS
};
_Static_assert((int)N_SPREAD_PARTS <= (int)N_OF_RANKS, "room for what ranks share");

/* Sums over steady steps of this rank. */
struct spread_sums {
    double parts[N_SPREAD_PARTS];
    uint64_t steps; /* the same on all ranks, as is ideal: */
    double ideal;   /* of each step what its busiest rank was busy; of all steps when
                       ranks have compared them */
};

/* Steps of which ranks keep how long they were busy until they compare that. */
enum { SPREAD_KEPT = 4096 };

/* Room for what ranks add up: so much of each bucket, and so much more. */
enum { SPREAD_BUCKET = 3, SPREAD_MORE = 8 };

/* Start with {0} and rank_spread_begin. */
struct rank_spread {
    struct spread_sums line, life; /* since the last line; since the start */
    int n_unsteady;                /* steps to come that are not steady */
    double since_s; /* end of the last step, later by what was left out since then */
    double *busy;   /* [n_busy] of room for SPREAD_KEPT */
    int n_busy;
    struct bucket_seconds *buckets; /* [n_buckets] sums over the life's steady steps */
    int n_buckets;
    double *room; /* [SPREAD_BUCKET * n_buckets + SPREAD_MORE] */
    char **hosts; /* [size] of all ranks; NULL but on rank 0 */
};

/* The hosts' names, for rank_spread_line and rank_spread_life, and memory. Collective;
 * ranks agree. Errors: MEMORY, LIBRARY. */
convoy_status rank_spread_begin(struct rank_spread *spread,
                                const convoy_trainer *trainer);

/* The next step follows an epoch's end. Local. */
void rank_spread_restart(struct rank_spread *spread);

/* What was done since the last step, for so long, is no part of the next one. Local. */
void rank_spread_leave_out(struct rank_spread *spread, double seconds);

/* One step more. Local, but collective at every SPREAD_KEPT-th. Errors: LIBRARY. */
convoy_status rank_spread_step(struct rank_spread *spread,
                               const convoy_trainer *trainer,
                               const convoy_step_seconds *seconds);

/* Of the steps since the last rank_spread_line, or of all since rank_spread_begin.
 * *seconds: on rank 0. Collective. Errors: LIBRARY. */
convoy_status rank_spread_line(struct rank_spread *spread, convoy_trainer *trainer,
                               convoy_rank_seconds *seconds);
convoy_status rank_spread_life(struct rank_spread *spread, convoy_trainer *trainer,
                               convoy_rank_seconds *seconds);

void rank_spread_end(struct rank_spread *spread);

#endif
