/* What a run directory tells of its run: its lives and its checkpoints. */
#ifndef TRAIN_RUN_STORY_H
#define TRAIN_RUN_STORY_H

#include "base/status.h"
#include "json/json_value.h"
#include "train/run_lock.h"

#include <stdbool.h>
#include <stdint.h>

enum { RUN_STORY_NAME_SIZE = 48, RUN_STORY_WHY_SIZE = 1024 };

/* A checkpoint, whole or not. */
struct run_story_file {
    char name[RUN_STORY_NAME_SIZE]; /* in checkpoints/ */
    uint64_t step, bytes;
    bool is_diverged; /* by its name */
    bool is_good;     /* whole, and of finite numbers */
    bool is_latest, is_best;
    char why[RUN_STORY_WHY_SIZE]; /* it is not good; else "" */
};

struct run_story {
    struct json_value *run;           /* run.json; NULL: it cannot be read */
    char run_why[RUN_STORY_WHY_SIZE]; /* why that is so */
    char holder[RUN_LOCK_NAME_SIZE];  /* who has the folder by run.lock; "": nobody */
    bool is_held, is_at_work; /* as far as can be known from here: it has not ended; it
                                 runs */
    struct run_story_file *files;      /* [n_files], the highest steps first */
    size_t n_files, capacity;          /* capacity: bytes */
    bool is_moving;                    /* files went while they were read */
    const struct run_story_file *next; /* what --resume auto takes; NULL: none */
    char why_none[RUN_STORY_WHY_SIZE]; /* where none is though there are files */
    char model[128];                   /* of next; "": not known */
    uint64_t steps_per_epoch;          /* of next */
};

/* Reads run.json and every checkpoint, to its last byte. *info: to be freed with
 * run_story_free, on error, too. Local. Errors: MEMORY, IO (of the folder). What is
 * damaged is no error. */
convoy_status run_story_read(const char *folder, struct run_story *info);

/* Takes {0}. */
void run_story_free(struct run_story *info);

#endif
