/* run.json: what runs now, and all lives of the run. */
#ifndef TRAIN_RUN_RECORD_H
#define TRAIN_RUN_RECORD_H

#include "base/status.h"
#include "train/run_life.h"
#include "train/trainer.h"

/* What the trainer does not know of a life that begins. Borrowed. */
struct run_birth {
    const char *hosts;        /* world_hosts */
    const char *resumed_from; /* path of what it goes on from; NULL: it begins anew */
};

/* Writes run.json of a life that begins, behind those that it tells of. An earlier
 * run.json that cannot be understood is told in note, else that is "", and its lives
 * are lost. Root. Errors: those of run_life_write. */
convoy_status run_record_begin(const convoy_trainer *trainer,
                               const struct run_life *life,
                               const struct run_birth *birth,
                               char note[STATUS_TEXT_SIZE]);

/* Adds how this life ended, after so many steps, to run.json; nothing where the newest
 * life there is another. how: one line. Root. Errors: those of run_life_write,
 * FORMAT. */
convoy_status run_record_end(const struct run_life *life, uint64_t step,
                             const char *how);

#endif
