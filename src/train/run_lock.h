/* One run at a time in a folder: run.lock says who has it. */
#ifndef TRAIN_RUN_LOCK_H
#define TRAIN_RUN_LOCK_H

#include "base/status.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Start with {0}. */
struct run_lock {
    char path[4096];
    struct stat file; /* what this run made */
    bool is_held;
};

/* Takes the folder for this process, or fails, naming who has it. One that was left by
 * a run which is known to have ended is taken over: note then says so, else it is "".
 * Errors: ARGUMENT (another run has the folder), IO. Root. */
convoy_status run_lock_take(const char *folder, struct run_lock *lock,
                            char note[STATUS_TEXT_SIZE]);

/* Fails where another run has taken the folder over meanwhile: what this one would
 * write now could mix with that one's. Errors: ARGUMENT, else the lock cannot be read:
 * IO, MEMORY. Root. */
convoy_status run_lock_check(const struct run_lock *lock);

/* Gives the folder back, if it is held and has not been taken away. Root. */
void run_lock_release(struct run_lock *lock);

#endif
