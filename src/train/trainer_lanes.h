/* How many lanes a trainer has, by cores, microbatches and memory. */
#ifndef TRAIN_TRAINER_LANES_H
#define TRAIN_TRAINER_LANES_H

#include "train/trainer.h"

/* Takes this rank's cores and chooses and starts the lanes of a planned trainer.
 * Collective; ranks agree on the outcome. oversubscribe: as convoy_trainer_options has
 * it. Errors: ARGUMENT (ranks or threads without cores of their own; memory does not
 * hold even one lane, or not as many as the recipe names; the text has the numbers),
 * those of lanes_create. */
convoy_status trainer_lanes(convoy_trainer *trainer, bool oversubscribe);

/* For which rank a training is foreseen: the first of so many. */
struct foresight {
    int ranks;
    const struct cores *cores; /* that it has */
    uint64_t left_bytes;       /* that it may take; 0: as many as it likes */
};

/* convoy_trainer_foresee's work. *least, may be NULL: bytes for the recipe's lanes, or
 * for one where their number is left open. Local. */
convoy_status trainer_foresee(convoy_recipe *recipe, const struct foresight *foresight,
                              convoy_trainer_info *info, uint64_t *least, char *text,
                              size_t text_size);

#endif
