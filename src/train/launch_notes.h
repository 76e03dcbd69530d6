/* What a run says at its start of how it was started and what it was given: things that
 * a person should change. */
#ifndef TRAIN_LAUNCH_NOTES_H
#define TRAIN_LAUNCH_NOTES_H

#include "train/trainer.h"

/* One of several notes, a line, on the placement of the job's worst rank, on threads
 * that load where others compute, on images that are all smaller than the crop, and on
 * what the environment asks for and does not get. *at: which to look for, 0 at first.
 * false: there are no more. Local. */
bool launch_note(const convoy_trainer *trainer, int *at, char *text, size_t size);

/* Whether a run would end in time after a signal: Slurm sends SIGTERM at the time limit
 * and at scancel, and kills KillWait seconds later. A signal is seen between steps: so
 * the longest way from one to the next counts, an epoch's end may be on it, then a step
 * and a save. */
struct launch_patience {
    double limit_s;                   /* 0: no batch system kills */
    double step_s, between_s, save_s; /* the longest so far */
    int n_steps;                      /* seen */
    bool is_told;
};

/* By the environment: SLURM_JOB_ID, and CONVOY_KILL_WAIT, Slurm's KillWait in seconds
 * where it is not the default of 30. save_bytes: what a checkpoint
 * holds, by which a save's time is guessed until one is measured. */
void launch_patience_init(struct launch_patience *patience, uint64_t save_bytes);

/* A step took step_s, and between_s until the next can begin; the first ones, which
 * warm up, do not count. */
void launch_patience_step(struct launch_patience *patience, double step_s,
                          double between_s);

/* A note where the time does not suffice, once; false: nothing to say. */
bool launch_patience_note(struct launch_patience *patience, char *text, size_t size);

#endif
