/* One run, one life: of all processes that were ever started for a run's folder, only
 * the newest changes anything there. run.lock says who that is; the folder life-N is
 * what its right to write hangs on. */
#ifndef TRAIN_RUN_LIFE_H
#define TRAIN_RUN_LIFE_H

#include "base/status.h"
#include "train/run_lock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUN_LIFE_PATH_SIZE = 4096 };

struct run_beat;

/* Start with {0}. Any number of threads may use one between run_life_begin and
 * run_life_end. */
struct run_life {
    int life;                        /* 1, 2, … */
    char folder[RUN_LIFE_PATH_SIZE]; /* the run's */
    char own[RUN_LIFE_PATH_SIZE];    /* folder/life-N */
    char lock[RUN_LIFE_PATH_SIZE];   /* folder/run.lock */
    struct stat folder_is, own_is;   /* what these are */
    struct run_lock self;
    struct run_beat *beat;
    atomic_bool is_lost; /* to a later life, as the beat has seen */
    int lock_fd;
    bool is_held;
    bool is_across; /* of run_life_look_across */
};

/* What to do while a holder is waited for; both may be NULL. */
struct run_life_wait {
    const volatile sig_atomic_t *stop; /* ends the waiting, with STOPPED */
    void (*say)(void *context, const char *text);
    void *context;
};

/* Takes the folder for this process, as its next life, or fails, naming who has it. Of
 * a holder that is known to have ended, or that gives no sign of life for
 * run_beat_silence_s, it is taken over: note then says so, else it is "". From then on
 * the earlier lives can change nothing in the folder. Errors: ARGUMENT (another run has
 * it), STOPPED, IO, MEMORY, LIBRARY. Root. */
convoy_status run_life_begin(const char *folder, const struct run_life_wait *wait,
                             struct run_life *life, char note[STATUS_TEXT_SIZE]);

/* Fails where a later life has taken the folder over: then nothing that this one still
 * writes can get there. Costs a look at one folder. Errors: ARGUMENT; OK also where the
 * folder cannot be looked at, which writing will show. Root. */
convoy_status run_life_check(const struct run_life *life);

/* Whether a later life was seen lately (some ten seconds ago at most), without looking:
 * run_life_check then fails. Costs nothing. Any rank. */
bool run_life_is_lost(const struct run_life *life);

/* Where what is to become path is to be written: a name that no other life has, whose
 * file is to be made with O_EXCL or by a library that replaces it. Errors: ARGUMENT
 * (too long). Local. */
convoy_status run_life_temporary(const struct run_life *life, const char *path,
                                 char *out, size_t size);

/* Tries whether files can be renamed from the life's folder to where path is: not from
 * one mount to another, or one project's quota to another, though the file system is
 * the same. Before other threads use life. path: a name that is free. Root. */
void run_life_look_across(struct run_life *life, const char *path);

/* Renames temporary, of run_life_temporary, to path. Errors: ARGUMENT (a later life has
 * the folder), IO. commit syncs the file before and path's folder afterwards. Root. */
convoy_status run_life_rename(const struct run_life *life, const char *temporary,
                              const char *path);
convoy_status run_life_commit(const struct run_life *life, const char *temporary,
                              const char *path);

/* As file_write_whole. Errors: those of run_life_commit. Root. */
convoy_status run_life_write(const struct run_life *life, const char *path,
                             const char *text, size_t n);

/* Removes the file; one that is not there is fine. Errors: those of run_life_rename.
 * Root. */
convoy_status run_life_remove(const struct run_life *life, const char *path);

/* What a failure to write comes from: the folder's loss where a later life has it, else
 * status, as it is. */
convoy_status run_life_tell(const struct run_life *life, convoy_status status);

/* Gives the folder back, if it is held and has not been taken over. Root. */
void run_life_end(struct run_life *life);

#endif
