/* How many lanes a trainer has, by cores, microbatches and memory. */
#ifndef TRAIN_TRAINER_LANES_H
#define TRAIN_TRAINER_LANES_H

#include "train/trainer.h"

/* Takes this rank's cores and chooses and starts the lanes of a planned trainer.
 * Collective; ranks agree on the outcome. Errors: ARGUMENT (memory does not hold even
 * one lane, or not as many as the recipe names; the text has the numbers), those of
 * lanes_create. */
convoy_status trainer_lanes(convoy_trainer *trainer);

#endif
