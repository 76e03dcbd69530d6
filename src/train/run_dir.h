/* The run directory: recipe.yaml, run.json, checkpoints/ (docs/run-directory.md). */
#ifndef TRAIN_RUN_DIR_H
#define TRAIN_RUN_DIR_H

#include "checkpoint/checkpoint.h"
#include "train/trainer.h"

/* Makes the folder and checkpoints/ in it and checks that files can be written there.
 * Root. */
convoy_status run_dir_prepare(const char *folder);

/* Path of checkpoints/ or, with a step, of that step's file. */
convoy_status run_dir_checkpoints(const char *folder, char *path, size_t size);
convoy_status run_dir_checkpoint(const char *folder, uint64_t step, char *path,
                                 size_t size);

/* What a run is to go on from: opens it on every rank. Collective; ranks agree on the
 * outcome. resume: NULL, "auto", "never" or a file. *checkpoint: NULL to start anew.
 * note: which damaged checkpoints were passed over, "" for none. */
convoy_status run_dir_resume(convoy_world *world, const char *folder,
                             const char *resume, char note[STATUS_TEXT_SIZE],
                             struct checkpoint **checkpoint);

/* Refuses to go on where recipe or packs differ from the checkpoint's in a way that
 * would change what is computed. Local. */
convoy_status run_dir_check_same(const convoy_trainer *trainer,
                                 const struct checkpoint *checkpoint);

/* Writes recipe.yaml and run.json. hosts: world_hosts. Root. */
convoy_status run_dir_describe(const convoy_trainer *trainer, const char *folder,
                               const char *hosts);

#endif
