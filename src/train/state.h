/* A trainer's parameters, running statistics and optimizer slots, from checkpoints. */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include "checkpoint/checkpoint.h"
#include "train/trainer.h"

/* What a checkpoint says of trainer and its step: all but the recipe, the names of
 * classes and the versions of libraries. Texts are borrowed of trainer. Local. */
void state_facts(const convoy_trainer *trainer, struct checkpoint_facts *facts);

/* Fills parameters, statistics, their average, slots and step from the checkpoint.
 * FORMAT: it does not hold what this net has (the text names the tensor), or slots of
 * another optimizer, which leaves the trainer as it was. is_changed:
 * the recipe is another, which may freeze other layers: those that learn now and did
 * not start with slots of 0. Collective over those who share the checkpoint, who agree
 * on the outcome.
 */
convoy_status state_load(convoy_trainer *trainer, const struct checkpoint *checkpoint,
                         bool is_changed);

#endif
