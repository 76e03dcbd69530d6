/* Who has a run's folder: the text of its run.lock, and what can be known of the
 * process that it names. */
#ifndef TRAIN_RUN_LOCK_H
#define TRAIN_RUN_LOCK_H

#include "base/owner.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum {
    RUN_LOCK_VALUE_SIZE = 96,
    RUN_LOCK_TEXT_SIZE = 1024,
    RUN_LOCK_NAME_SIZE = 4 * RUN_LOCK_VALUE_SIZE
};

/* A life of a run: a process on a host, in a batch job or none. */
struct run_lock {
    char host[OWNER_HOST_SIZE], space[OWNER_HOST_SIZE];
    long process;
    uint64_t born;
    char since[RUN_LOCK_VALUE_SIZE];
    char job[RUN_LOCK_VALUE_SIZE]; /* "": not in one */
    long restarts;                 /* of the job */
    int life;                      /* 1, 2, …; 0: of a version that did not count */
};

/* This process, as that life. */
void run_lock_self(int life, struct run_lock *self);

/* The text of a lock; returns its length. */
size_t run_lock_print(const struct run_lock *lock, char out[RUN_LOCK_TEXT_SIZE]);

/* Reads the lock at path; *exists is false where there is none. One whose text is none
 * of a lock is waited for, a moment, and then is {0}. file: what was read. */
convoy_status run_lock_read(const char *path, struct run_lock *lock, struct stat *file,
                            bool *exists);

/* Whether both are the same process. */
bool run_lock_is_same(const struct run_lock *a, const struct run_lock *b);

/* Whether the holder is known to have ended, as self sees it. */
bool run_lock_is_over(const struct run_lock *holder, const struct run_lock *self);

/* Whether the holder is known to run: a process of this host, and not stopped. */
bool run_lock_is_at_work(const struct run_lock *holder, const struct run_lock *self);

/* "process 17 on node3, job 4711, since 2025-01-31T12:00:00Z" */
void run_lock_name(const struct run_lock *holder, char out[RUN_LOCK_NAME_SIZE]);

#endif
