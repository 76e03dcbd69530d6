/* Ranks that were started differently are refused before their first step together:
 * convoy_world_same with the facts that decide what a run computes. */
#ifndef TRAIN_SAME_RUN_H
#define TRAIN_SAME_RUN_H

#include <convoy/pack.h>
#include <convoy/train.h>

/* The options of a run, before anything else is done together. Collective; ranks agree.
 * ARGUMENT, MEMORY. */
convoy_status same_run_options(convoy_world *world,
                               const convoy_train_options *options);

/* What a trainer is made of, before its first exchange: the recipe with all that was
 * resolved, the packs (val_pack may be NULL), the machine. Collective; ranks agree.
 * ARGUMENT, MEMORY. */
convoy_status same_run_trainer(convoy_world *world, const convoy_recipe *recipe,
                               const convoy_pack *train_pack,
                               const convoy_pack *val_pack);

#endif
