/* Checkpoints as the ranks of a job use them: rank 0 reads, and reads once. */
#ifndef WEIGHTS_WEIGHTS_CHECKPOINT_H
#define WEIGHTS_WEIGHTS_CHECKPOINT_H

#include "checkpoint/checkpoint.h"

#include <convoy/recipe.h>
#include <convoy/world.h>

/* Opens the checkpoint at path on rank 0 and gives it to all ranks (see
 * checkpoint_share). *checkpoint is new; free with checkpoint_close. Collective; world
 * NULL: this process alone. Errors, agreed on: those of checkpoint_load, MPI's. */
convoy_status weights_checkpoint_open(convoy_world *world, const char *path,
                                      struct checkpoint **checkpoint);

/* Gives all ranks what rank 0 has chosen (NULL: none), if its status is OK. Collective.
 * On error rank 0's *checkpoint is still its own to close. */
convoy_status weights_checkpoint_give(convoy_world *world, convoy_status status,
                                      struct checkpoint **checkpoint);

/* The recipe in it. *recipe is new; free with convoy_recipe_destroy. Local. Errors:
 * FORMAT (it has a key that this convoy does not know, from a newer one: the text names
 * both). */
convoy_status weights_checkpoint_recipe(const struct checkpoint *checkpoint,
                                        convoy_recipe **recipe);

#endif
