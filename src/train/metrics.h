/* The metrics of a run: what its steps came to, gathered for the lines of
 * metrics.jsonl, which rank 0 writes, and for TensorBoard. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include <convoy/train.h>

#include "metrics/metric.h"
#include "train/log_file.h"
#include "train/run_life.h"
#include "train/tensorboard.h"
#include "train/trainer.h"

enum { METRICS_MAX_TIMES = 4096 };

struct metrics {
    struct log_file log; /* metrics.jsonl; none on other ranks */
    struct tensorboard board;
    const char *failed; /* the path of the newest file that could not be written */
    int every_steps, n_steps;
    /* Since the last line, of n_steps: sums, and lately images_per_s and input_wait. */
    struct metric_step sum;
    double since_s;

    /* The steady steps of this life: the time of each, or, of a long one, of every
     * second, fourth, … */
    double times[METRICS_MAX_TIMES];
    int n_times;
    uint64_t n_steady, every_time;
    double step_since_s;
    int n_unsteady; /* steps to come that are not */
};

/* What the job is, for the line of its start. Collective. Errors: LIBRARY. */
convoy_status metrics_describe(convoy_trainer *trainer, struct metric_start *start);

/* Opens metrics.jsonl of the life's run, going on at start->step: lines of later steps,
 * which an interrupted run left, are dropped. Writes the line of the start. The same of
 * TensorBoard's files, where the recipe wants one. Root. */
convoy_status metrics_open(struct metrics *metrics, const struct run_life *life,
                           const struct recipe_metrics *what,
                           const struct metric_start *start);

/* The clock of the first step starts now. Root. */
void metrics_begin(struct metrics *metrics);

/* Takes a step in; after each step that is a multiple of every_steps, a line with the
 * means since the last line or restart. Root. */
convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *trainer,
                           const convoy_step_result *result);

/* The most memory that this process has had, of the rank that had most. Collective.
 * Errors: LIBRARY. */
convoy_status metrics_peak_memory(convoy_trainer *trainer, uint64_t *bytes);

/* A line for the end of an epoch, which has all but the figures of eval, and of ema,
 * the averaged weights' evaluation; both may be NULL. Root. */
convoy_status metrics_epoch(struct metrics *metrics, const struct metric_epoch *epoch,
                            const convoy_eval_result *eval,
                            const convoy_eval_result *ema);

/* Pictures of the first layer's kernels, for TensorBoard: between steps. Root. Errors:
 * IO, MEMORY, LIBRARY. */
convoy_status metrics_kernels(struct metrics *metrics, const convoy_trainer *trainer);

/* A line of where the time of steps went on all ranks, if there were any. Root. */
convoy_status metrics_ranks(struct metrics *metrics, uint64_t step,
                            const convoy_rank_seconds *seconds);

/* Writes what could not be written so far: a line that fails is not lost, but written
 * before the next one. Root. Errors: IO, MEMORY. */
convoy_status metrics_flush(struct metrics *metrics);

/* A line of a checkpoint that was written. Root. */
convoy_status metrics_save(struct metrics *metrics, const struct metric_save *line);

/* Starts the clock anew after an epoch's end: the time since then counts for the next
 * line. */
void metrics_restart(struct metrics *metrics);

/* What was done since the last step, for so long, is no part of the next one. */
void metrics_leave_out(struct metrics *metrics, double seconds);

/* Median time of the steady steps of this life; not a number: there were none. Reorders
 * times. */
double metrics_step_s(struct metrics *metrics);

void metrics_close(struct metrics *metrics);

#endif
