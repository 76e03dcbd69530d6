/* A training run while it goes on: what run.c and the other run_*.c share; nobody
 * else includes it. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "base/energy.h"
#include "checkpoint/checkpoint.h"
#include "train/best.h"
#include "train/launch_notes.h"
#include "train/metrics.h"
#include "train/rank_spread.h"
#include "train/run_life.h"
#include "train/saver.h"
#include "train/time_limit.h"
#include "train/trainer.h"

/* How saves go, on rank 0. */
struct run_saving {
    struct snapshot *snapshot;
    struct saver *saver;
    uint64_t whole_step;    /* of the newest whole checkpoint; UINT64_MAX: none */
    uint64_t begun_step;    /* of the newest save that was begun; likewise */
    double begun_s;         /* when that was (clock_now_s); else the run's start */
    double waited_s;        /* what training waited for it */
    struct best best;       /* of the whole ones */
    struct best candidate;  /* what is being saved, if it is better */
    struct failure failure; /* of the newest that has ended */
    bool untidy_is_told;
};

/* What the nodes' processors have taken in this life (run_energy.c). */
struct run_energy {
    struct energy own; /* of this node, on its first rank */
    double begun_s;
    double joules, seconds; /* of all nodes that tell it, when ranks last summed it: */
    uint64_t nodes;         /* how many those are */
    double told_joules;     /* of earlier epochs; and of so many nodes: */
    uint64_t told_nodes;
};

struct run {
    convoy_world *world;
    const convoy_train_options *options;
    convoy_trainer *trainer;
    struct checkpoint *resumed; /* while setting up */
    struct metrics metrics;
    struct rank_spread spread;
    convoy_step_result last;
    struct failure log;  /* why the run has to end, until all are told */
    bool is_mute;        /* the newest line of metrics could not be written */
    bool lacks_timeline; /* likewise, timeline.json */
    struct run_energy energy;
    struct run_saving saving;
    struct metric_start start;
    convoy_train_summary summary; /* what of it is known */
    uint64_t eval_step;           /* of its evaluation, if there is any */
    double started_s, epoch_started_s;
    double waited_s;    /* for the loader's threads, in this epoch */
    uint64_t n_skipped; /* damaged samples in this epoch */
    int n_skip_notes;
    uint64_t n_left_out; /* steps of this epoch (guard.h) */
    int n_left_out_notes;
    struct launch_patience patience;
    bool is_told;         /* run.json tells of this life */
    bool speaks;          /* rank 0 */
    struct run_life life; /* its, and the next three */
    struct time_limit limit;
    double epoch_end_s; /* the longest time after an epoch's last step; 0: none yet */
    bool is_time_up;
};

/* Tells the caller's progress function, on the rank that speaks; nothing on others. */
void run_report(const struct run *run, enum convoy_train_event event, const char *text);
void run_note(const struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the run is, at its start. passed_over: checkpoints that were, or "". */
void run_report_start(const struct run *run, const char *passed_over);
/* With what the run goes on that has changed. */
void run_note_changes(const struct run *run);
/* Of how the ranks were started. */
void run_note_launch(const struct run *run);
/* A line of a save that took seconds. Root. */
void run_log_save(struct run *run, uint64_t step, double seconds);
/* Names what was left out of the step just taken. */
void run_note_skipped(struct run *run);
/* Says why the step just taken changed nothing, if so. */
void run_note_left_out(struct run *run);
/* Whether steps and saves are short enough for a signal. */
void run_note_patience(struct run *run, double step_s, double between_s);
/* At the end of an epoch, which took so long: what was left out of it, and whether
 * loading held it up. */
void run_note_epoch(struct run *run, double seconds);

/* Writes recipe.yaml and run.json, which tells of this life from then on. note: of what
 * could not be read of earlier ones, or "". Root. */
convoy_status run_tell_begin(struct run *run, const char *hosts,
                             char note[STATUS_TEXT_SIZE]);
/* Tells run.json that and how this life ends well, once all is saved. Errors: MEMORY.
 * Root. */
convoy_status run_tell_end(struct run *run, const char *how);
/* The same of a failure, which stays the last; nothing where an end was told. */
void run_tell_failure(struct run *run, convoy_status status);

/* Writes timeline.json, if there were steady steps. *written, on rank 0: whether that
 * succeeded, which the run does not depend on (errors: those of run_life_write).
 * Collective. Errors: LIBRARY. */
convoy_status run_write_timeline(struct run *run, convoy_status *written);

/* Begins to count energy. After a step: reads it, if that is due. Local. */
void run_energy_begin(struct run *run);
void run_energy_step(struct run *run);
/* Sets energy's joules, seconds and nodes. Collective. Errors: LIBRARY. */
convoy_status run_energy_sum(struct run *run);
/* Since it was last called, of so many nodes; 0: it is not known. Root. */
void run_energy_take(struct run *run, double *joules, uint64_t *nodes);
void run_energy_end(struct run *run);

/* Whether the run goes on from a file that was named, whatever its recipe was. */
bool run_resumes_file(const struct run *run);

/* What was done since then is no part of any step, nor of the epoch. */
void run_leave_out(struct run *run, double since_s);

/* Makes what saving needs, and takes what is saved already, before the first step; ends
 * it. Root. */
convoy_status run_save_start(struct run *run);
void run_save_stop(struct run *run);

/* Begins to save the current step, unless that is begun already, and goes on: a save
 * that fails is told and tried again with the next. All ranks have the same weights.
 * Collective; ranks agree that they are finite, or it is run_diverged. */
convoy_status run_save(struct run *run);

/* After a step, and the end of its epoch: hears of a save that has ended, and begins
 * one that is due by steps or minutes. Does something on rank 0 only. */
void run_save_step(struct run *run);

/* Saves the current step, unless it is, before the run ends: fails where that does.
 * Collective; ranks agree on the outcome. */
convoy_status run_save_last(struct run *run);

/* The hash of the weights that run_save_last saved. Root. */
convoy_status run_save_hash(struct run *run, char hex[33]);

/* Saves a state in which what is no finite number, beside the good ones, and fails: a
 * run that went on would compute nothing. Collective. */
convoy_status run_diverged(struct run *run, const char *what);

#endif
