/* Training and evaluating: what `convoy train` and `convoy eval` do. */
#ifndef CONVOY_TRAIN_H
#define CONVOY_TRAIN_H

#include <convoy/recipe.h>
#include <convoy/world.h>

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The figures of an evaluation over every sample of a pack. */
typedef struct convoy_eval_result {
    uint64_t n_samples;
    double loss;       /* mean cross-entropy, without label smoothing */
    double top1, top5; /* shares, 0 to 1 */
} convoy_eval_result;

/* A figure over the ranks of a job. */
typedef struct convoy_over_ranks {
    double mean, least, most;
} convoy_over_ranks;

/* Where the time of a step goes on each rank (convoy/trainer.h, convoy_step_seconds):
 * seconds, in the mean over steady steps. */
typedef struct convoy_rank_seconds {
    uint64_t steps; /* how many those are; 0: there were none, nor anything else here */
    convoy_over_ranks compute, exchange, hidden, input, optimizer;
    convoy_over_ranks busy; /* compute, optimizer and waiting for the rank's own loader:
                               what it does not wait for others in */
    convoy_over_ranks working; /* of a lane, in the mean over those of a rank */
    double step;               /* from end to end; the mean over ranks */
    double ideal; /* the most that a rank is busy in a step, in the mean over steps: a
                     step on a network without latency and of endless bandwidth */
    double hidden_share;    /* hidden / (hidden + exchange), 0 to 1 */
    int slowest;            /* the rank that is busy for longest: others wait for it */
    char slowest_host[256]; /* its machine's name */
} convoy_rank_seconds;

/* What a run comes to at its end, also at one by a signal. Times and speed are of this
 * life: of what was done since convoy_train_run began, which may have gone on from an
 * earlier one. */
typedef struct convoy_train_summary {
    int nodes, ranks;
    int lanes, cores;      /* of all ranks */
    int threads;           /* of a lane */
    int batch, microbatch; /* samples */
    uint64_t steps_here;   /* steps of this life */
    double seconds;        /* since its first step began, with evaluating and saving */
    double step_s;         /* median of its steady steps; not a number: there were
                              none */
    double images_per_s;   /* batch / step_s */
    convoy_rank_seconds of_ranks;
    double loss;                /* of its last step; not a number: there was none */
    bool has_eval;              /* an epoch ended in it, and there is validation data */
    convoy_eval_result eval;    /* the newest */
    bool has_ema;               /* has_eval, and the weights are averaged */
    convoy_eval_result ema;     /* the newest of the average */
    uint64_t peak_memory_bytes; /* of the rank that had most */
    char checkpoint[4096];      /* the newest one's path; in it is the last step */
    char hash[33];              /* convoy_weights_hash of it */
} convoy_train_summary;

enum convoy_train_event {
    CONVOY_TRAIN_STARTED, /* step: the first to come, after a resume not 0 */
    CONVOY_TRAIN_STEP,
    CONVOY_TRAIN_EVALUATING, /* done, total: microbatches of this rank */
    CONVOY_TRAIN_EPOCH, /* an epoch ended; eval is set if there is validation data */
    CONVOY_TRAIN_SAVED, /* text: the path of a checkpoint, perhaps of an earlier step,
                           that is now whole */
    CONVOY_TRAIN_NOTE,  /* text: one line that a person should see; before STARTED there
                           is nothing but that */
    CONVOY_TRAIN_ENDED  /* saved, and about to return OK or STOPPED; summary is set */
};

/* What the callback of a training run is told, on rank 0. */
typedef struct convoy_train_report {
    enum convoy_train_event event;
    uint64_t step, total_steps; /* steps done, and steps of the whole training */
    int epoch, epochs;          /* epochs done (the current one is epoch + 1) */
    double loss, lr;            /* of the last step */
    double images_per_s;        /* over all ranks, lately */
    double input_wait;          /* share of the time spent waiting for input, lately */
    int loader_threads;         /* of rank 0, now */
    uint64_t done, total;
    const convoy_eval_result *eval;      /* NULL: none */
    const convoy_eval_result *ema;       /* of the averaged weights; NULL: none */
    const convoy_train_summary *summary; /* NULL: none */
    const char *text; /* STARTED: lines: the model and the job; rank 0's
                         lanes; its memory; what else there is to say */
} convoy_train_report;

typedef struct convoy_range {
    uint64_t first, last; /* both included */
} convoy_range;

/* Of how many ranks there is a trace where none are named: of the first ones. */
enum { CONVOY_TRACE_RANKS = 16 };

/* A trace of a few steps on some ranks, as one file of Chrome's Trace Event Format
 * (docs/scaling.md). It is written after the last of these steps, or when the run
 * ends before that. */
typedef struct convoy_trace_options {
    const char *file;   /* is replaced; rank 0 writes it */
    convoy_range steps; /* counted from 1; {0}: the first three steady ones. Steps
                           that were taken before the run goes on are left out; if
                           that is all of them, no file is written */
    const convoy_range *ranks; /* [n_ranks], borrowed */
    int n_ranks;               /* 0: the first CONVOY_TRACE_RANKS */
} convoy_trace_options;

typedef struct convoy_train_options {
    const char *out;    /* the run directory; made if missing */
    const char *resume; /* NULL or "auto": from the newest good checkpoint in out, if
                           any; "never"; else a checkpoint file */
    bool resume_anyway; /* goes on, too, where what has changed since gives other
                           weights */
    const uint64_t *stop_after_steps; /* save and end once so many steps are done (0:
                                         the initial weights); NULL: never */
    double max_s; /* the same as by stop, when otherwise saving would not be done so
                     many seconds after the call; 0: no limit. The end of a Slurm job,
                     where it is told (SLURM_JOB_END_TIME), is one, too. Rank 0's
                     counts */
    bool oversubscribe; /* ranks and threads may share cores: takes the launch as it is,
                           slow, with a note. Rank 0's counts. A process that no
                           launcher started is never refused */
    const volatile sig_atomic_t *stop; /* when it becomes non-zero on any rank: save,
                                          then return CONVOY_STOPPED; may be NULL */
    const convoy_trace_options *trace; /* the same on all ranks but for the file; NULL:
                                          none. Where it cannot be written at the start
                                          nothing begins; later the run goes on, and
                                          fails at its end with IO */
    /* May be NULL. Between reports a thread of the library's may be writing a
     * checkpoint: of what opens packs or weights, progress may call something at
     * CONVOY_TRAIN_SAVED and CONVOY_TRAIN_ENDED only. */
    void (*progress)(void *context, const convoy_train_report *report);
    void *context;
} convoy_train_options;

/* Trains as the recipe says and writes the run directory (docs/run-directory.md).
 * Collective. The recipe is resolved in place: what it left to be found out (classes,
 * crop, threads) is filled in.
 * On failure every rank returns an error; the one with something to say is not
 * CONVOY_ERROR_ELSEWHERE. Of CONVOY_STOPPED rank 0 has the text. */
convoy_status convoy_train_run(convoy_world *world, convoy_recipe *recipe,
                               const convoy_train_options *options);

/* Whether folder looks like a run directory. Local. */
bool convoy_run_recognise(const char *folder);

/* Writes what a run directory tells of its run: its lives, what changed between them,
 * its checkpoints, each read to its last byte, and which of them the run would go on
 * from; for people, or as a JSON object. Local; opens HDF5 files. What is damaged is
 * told and no error. Errors: IO, MEMORY. */
convoy_status convoy_run_describe(const char *folder, bool json, FILE *stream);

typedef struct convoy_eval_options {
    bool ema;    /* with the averaged weights that the checkpoint has beside its own */
    int lanes;   /* microbatches at a time on each rank; 0: as its cores allow */
    int threads; /* OpenMP threads of a lane; 0: the checkpoint's */
    int microbatch;         /* 0: the checkpoint's */
    const char *precision;  /* "f32" or "bf16"; NULL: the checkpoint's recipe's */
    const char *batch_norm; /* "running" or "recompute" (eval.batch_norm); NULL: the
                               checkpoint's recipe's */
    int crop; /* height and width of what the net sees; 0: the checkpoint's recipe's */
    int resize; /* of image files the shorter side before the crop; 0: likewise */
    bool flip;  /* the mean of each image's and its mirror image's logits; false: as the
                   recipe has it */
    /* on rank 0, on a thread of the library's, one call at a time; may be NULL */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_eval_options;

/* Evaluates the checkpoint weights on the pack data, each sample exactly once, with the
 * preprocessing of its recipe. Collective. options may be NULL. *result is the same on
 * every rank, whatever their number and that of lanes. Errors: IO, FORMAT (no
 * checkpoint, no pack, or damaged; no averaged weights), ARGUMENT (a pack with more
 * classes or other channels than the net's, or in which a name that the net knows
 * stands for another class), UNSUPPORTED (bf16 on a processor without), MEMORY,
 * LIBRARY; ELSEWHERE on the ranks that others report for. */
convoy_status convoy_eval_run(convoy_world *world, const char *weights,
                              const char *data, const convoy_eval_options *options,
                              convoy_eval_result *result);

#ifdef __cplusplus
}
#endif
#endif
