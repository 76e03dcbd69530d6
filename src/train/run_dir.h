/* The run directory: recipe.yaml, run.json, checkpoints/ (docs/run-directory.md). */
#ifndef TRAIN_RUN_DIR_H
#define TRAIN_RUN_DIR_H

#include "checkpoint/checkpoint.h"
#include "train/run_life.h"
#include "train/snapshot.h"
#include "train/trainer.h"

/* Makes the folder and checkpoints/ in it and checks that files can be written there.
 * Root. */
convoy_status run_dir_prepare(const char *folder);

/* Whether path is a name in the folder that the run writes to itself, or one in
 * checkpoints/ or tensorboard/. False where its folder is not there. Local. */
bool run_dir_owns(const char *folder, const char *path);

/* Path of checkpoints/. */
convoy_status run_dir_checkpoints(const char *folder, char *path, size_t size);

/* Writes the snapshot's state. path: the file's. diverged: the state is one that nobody
 * should go on from; it gets a name that is passed over, in place of an earlier such
 * one. Errors: MEMORY, those of run_life_commit. Root; on any thread, if no other uses
 * HDF5. */
convoy_status run_dir_save(const struct snapshot *snapshot, const struct run_life *life,
                           bool diverged, char *path, size_t size);

/* After a save failed: whether the file system would take the snapshot now. HDF5 keeps
 * memory of each file that it could not write to its end, so a full disk is not tried
 * with it again and again. Errors: ARGUMENT, IO (no room); OK also where that cannot be
 * told. Root. */
convoy_status run_dir_try_room(const struct snapshot *snapshot,
                               const struct run_life *life);

/* Which checkpoints stay. */
struct run_dir_keep {
    int newest;    /* so many */
    bool has_best; /* and this one */
    uint64_t best; /* step */
};

/* Learns how files come to checkpoints/, before the first does. Errors: ARGUMENT. Root.
 */
convoy_status run_dir_look_across(struct run_life *life);

/* latest.h5 and, unless best is NULL, best.h5 become links to the checkpoints of these
 * steps. Root. Errors: IO, those of run_life_rename. */
convoy_status run_dir_link(const struct run_life *life, uint64_t newest,
                           const uint64_t *best);

/* After saving step: latest.h5 becomes a link to it, best.h5 to the best, and
 * checkpoints that are not to be kept go. Root. Errors: MEMORY, those of
 * run_life_commit; the checkpoint is none the worse. */
convoy_status run_dir_tidy(const struct run_life *life, uint64_t step,
                           const struct run_dir_keep *keep);

/* What a run is to go on from: rank 0 reads it, every rank has it. Collective; ranks
 * agree on the outcome. resume: NULL, "auto", "never" or a file. *checkpoint: NULL to
 * start anew. note: on rank 0, which checkpoints were passed over, "" for none. Errors:
 * those of checkpoint_newest and checkpoint_load; FORMAT (there are checkpoints, and
 * none is good), ARGUMENT (the folder holds later ones, or any and resume is never). */
convoy_status run_dir_resume(convoy_world *world, const char *folder,
                             const char *resume, char note[STATUS_TEXT_SIZE],
                             struct checkpoint **checkpoint);

/* Writes recipe.yaml. Errors: those of run_life_write too. Root. */
convoy_status run_dir_write_recipe(const convoy_recipe *recipe,
                                   const struct run_life *life);

#endif
