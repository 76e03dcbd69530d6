/* The thread of rank 0 that writes snapshots to the run folder while training goes on.
 * Whoever starts it takes the snapshots and hears of outcomes, on one thread; between
 * saver_write and the outcome the snapshot is the saver's, and so is HDF5 (h5/h5.h).
 * Root, all of it. */
#ifndef TRAIN_SAVER_H
#define TRAIN_SAVER_H

#include "train/run_dir.h"
#include "train/run_life.h"
#include "train/snapshot.h"

struct saver;

struct saver_options {
    const struct run_life *life; /* in whose folder; borrowed */
};

/* What a save came to. */
struct saver_outcome {
    uint64_t step;
    double seconds;     /* of writing */
    char path[4096];    /* the checkpoint's, if it is whole */
    bool is_taken_over; /* the folder is another run's now */
    struct failure failure;
    struct failure untidy; /* it is whole, but links, or the removal of old ones, not */
};

/* Starts the thread, which waits. *saver is new; stop with saver_stop. Errors: MEMORY,
 * LIBRARY (no more threads). */
convoy_status saver_start(const struct saver_options *options, struct saver **saver);

/* Writes the snapshot's state, which is not to be taken anew before the outcome is
 * heard; keep: what then stays. Only after the outcome of the one before. */
void saver_write(struct saver *saver, const struct snapshot *snapshot,
                 const struct run_dir_keep *keep);

/* Whether a save has ended of which nobody has heard: *outcome is it. Waits for the one
 * under way only with waits. */
bool saver_hear(struct saver *saver, bool waits, struct saver_outcome *outcome);

/* Lets a save under way end, then ends the thread. Takes NULL. */
void saver_stop(struct saver *saver);

#endif
