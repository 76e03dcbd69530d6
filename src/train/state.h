/* A trainer's parameters, running statistics and optimizer slots, to and from
 * checkpoints. */
#ifndef TRAIN_STATE_H
#define TRAIN_STATE_H

#include "checkpoint/checkpoint.h"
#include "train/trainer.h"

/* Writes the trainer's state to path. Local. */
convoy_status state_save(const convoy_trainer *trainer, const char *path);

/* The hash of the weights, as convoy_weights_hash has it of the file that state_save
 * writes. Local. Errors: MEMORY. */
convoy_status state_hash(const convoy_trainer *trainer, char hex[33]);

/* Fills parameters, statistics, slots and step from the checkpoint. FORMAT: it does not
 * hold what this net has (the text names the tensor). is_changed: the recipe is
 * another, which may freeze other layers: those that learn now and did not start with
 * slots of 0. Collective over those who share the checkpoint, who agree on the outcome.
 */
convoy_status state_load(convoy_trainer *trainer, const struct checkpoint *checkpoint,
                         bool is_changed);

#endif
