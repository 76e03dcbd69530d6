/* A trainer's state at one moment, in the layout of files: taken between two steps, it
 * is written while training goes on. */
#ifndef TRAIN_SNAPSHOT_H
#define TRAIN_SNAPSHOT_H

#include "train/trainer.h"

struct snapshot;

/* Room for a state of trainer, which must outlive it: as much as convoy_memory.saving
 * says, of which no page is touched before the first snapshot_take. *snapshot is new;
 * free with snapshot_destroy. Asks HDF5 for its version. Local. Errors: MEMORY. */
convoy_status snapshot_create(const convoy_trainer *trainer,
                              struct snapshot **snapshot);

/* Takes NULL. */
void snapshot_destroy(struct snapshot *snapshot);

/* Copies weights, running statistics, their average, slots and step, on all lanes,
 * between steps; makes no call of HDF5. On error it holds no state. Local. Errors:
 * MEMORY, LIBRARY. */
convoy_status snapshot_take(struct snapshot *snapshot, const convoy_trainer *trainer);

/* Whether it holds the state after this step. */
bool snapshot_is_of(const struct snapshot *snapshot, uint64_t step);

/* The step of the state that it holds. */
uint64_t snapshot_step(const struct snapshot *snapshot);

/* Of all its values: a file has a little more. */
uint64_t snapshot_bytes(const struct snapshot *snapshot);

/* Writes what it holds to path, as checkpoint_write_to: a temporary name. On any
 * thread, if no other uses HDF5; the trainer may train. Local. Errors: IO, MEMORY. */
convoy_status snapshot_write(const struct snapshot *snapshot, const char *path);

/* The hash of its weights, as convoy_weights_hash has it of that file. Local. Errors:
 * MEMORY. */
convoy_status snapshot_hash(const struct snapshot *snapshot, char hex[33]);

/* Takes and writes at once. Local. Errors: IO, MEMORY, LIBRARY. */
convoy_status snapshot_save(const convoy_trainer *trainer, const char *path);

#endif
