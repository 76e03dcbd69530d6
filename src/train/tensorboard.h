/* The run as TensorBoard reads it: its metrics as scalars, and the kernels of its first
 * layer as pictures (metrics.tensorboard). */
#ifndef TRAIN_TENSORBOARD_H
#define TRAIN_TENSORBOARD_H

#include "metrics/event.h"
#include "train/log_file.h"
#include "train/trainer.h"

/* Start with {0}, which is a run without. */
struct tensorboard {
    struct log_file log; /* this life's file */
    bool has_earlier;    /* earlier lives have left something that counts */
};

/* Drops from the files of earlier lives in the run's folder tensorboard/, if there are
 * any, what is of steps after start's, which this life does again; they are new files
 * then, so that a life that was cut off adds nothing to them. wanted: begins a file of
 * this life. Root. Errors: IO, MEMORY, those of run_life_commit. */
convoy_status tensorboard_open(struct tensorboard *board, const struct run_life *life,
                               bool wanted, uint64_t step);

/* Adds what a line of metrics says, a struct of that kind. Nothing is written before
 * log_file_flush; this and the next do nothing without a file. Root. Errors: MEMORY. */
convoy_status tensorboard_line(struct tensorboard *board, enum metric_kind kind,
                               const void *values);

/* Adds the kernels as they are now, of nets that have some: between steps. Those of
 * step 0 only once in all lives. Root. Errors: MEMORY, LIBRARY. */
convoy_status tensorboard_kernels(struct tensorboard *board,
                                  const convoy_trainer *trainer);

#endif
