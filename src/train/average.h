/* The average of a training's weights and running statistics over past steps (the
 * recipe's section ema): evaluated beside the weights, saved with them, and never
 * trained on. */
#ifndef TRAIN_AVERAGE_H
#define TRAIN_AVERAGE_H

#include "train/trainer.h"
#include "weights/net_tensors.h"

struct average;

/* Whether the recipe wants one. Local. */
bool average_is_wanted(const convoy_recipe *recipe);

/* FORMAT: what the recipe says of it does not go together with packs and schedule,
 * which the trainer knows by then. Local. */
convoy_status average_check(const convoy_trainer *trainer);

/* The bytes that it takes: for memory plans. Local. */
uint64_t average_bytes(const convoy_trainer *trainer);

/* Makes trainer->average, where it is wanted: that of the net's initial weights is
 * these. Its room is there, not yet its values: average_begin. Local. Errors: MEMORY.
 */
convoy_status average_create(convoy_trainer *trainer);

/* Takes NULL. */
void average_destroy(struct average *average);

/* It becomes the weights and statistics as they are. Takes a trainer without. Local. */
void average_begin(convoy_trainer *trainer);

/* The same of frozen parameters alone, which no step takes in: after its values were
 * read from a checkpoint of a training that may have frozen others. Local. */
void average_begin_frozen(convoy_trainer *trainer);

/* After the step with the number trainer->step, counted from 0: takes the weights in,
 * if that is due. Returns the seconds that it took. Takes a trainer without. Local, on
 * all lanes; all ranks' averages are the same. */
double average_step(convoy_trainer *trainer);

/* Exchanges the average's values for the net's own, which must be done a second time
 * before the next step. The weights have to be prepared anew after both
 * (net_lanes_refresh, which evaluations and steps begin with). Local, on all lanes. */
void average_swap(convoy_trainer *trainer);

/* Its values. Local. */
struct net_arenas average_arenas(const struct average *average);

#endif
