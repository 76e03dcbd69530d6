/* A training's sizes of images, and its net for each. */
#ifndef TRAIN_RESOLUTIONS_H
#define TRAIN_RESOLUTIONS_H

#include "train/trainer.h"

/* Finds the sizes of the recipe's data.crop, whose largest the trainer's shape has, and
 * whether the packs' records can have these and that of evaluations. Local. FORMAT:
 * they cannot; the text names data.crop or data.val_crop. */
convoy_status resolutions_find(convoy_trainer *trainer);

/* Plans the trainer's net for each size, and for evaluations. Local. Errors: FORMAT
 * (the net cannot have a size; the text names the key and the layer), those of
 * net_plan. */
convoy_status resolutions_plan(convoy_trainer *trainer);

/* Makes the nets of the plans, all on one memory for activations; then the turn is that
 * of the trainer's step. Local. Errors: those of net_lanes_create. */
convoy_status resolutions_create(convoy_trainer *trainer);

/* Before passes of a training step, counted from 0: the trainer's net_lanes are those
 * of the size of its epoch. They need net_lanes_refresh. Local. */
void resolutions_turn(convoy_trainer *trainer, uint64_t step);

/* Channels, height and width of the samples of the trainer's step. Local. */
const int *resolutions_shape(const convoy_trainer *trainer);

/* The net_lanes that lend their memory to all others. Local; after resolutions_create.
 */
const struct net_lanes *resolutions_lender(const convoy_trainer *trainer);

/* Bytes of activations of a lane, and of weights in other layouts; the evaluator's
 * included. Local; after resolutions_plan, before resolutions_create. */
uint64_t resolutions_arena_bytes(const convoy_trainer *trainer);
uint64_t resolutions_prepared_bytes(const convoy_trainer *trainer);

void resolutions_free(convoy_trainer *trainer);

#endif
