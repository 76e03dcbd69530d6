/* The metrics of a run: what its steps came to, gathered for the lines of
 * metrics.jsonl, which rank 0 writes. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include <convoy/train.h>

#include "metrics/metric.h"
#include "train/trainer.h"

#include <stdio.h>

struct metrics {
    FILE *file; /* NULL on other ranks */
    char path[4096];
    int every_steps, n_steps;
    /* Since the last line, of n_steps: sums, and lately images_per_s and input_wait. */
    struct metric_step sum;
    double since_s;
};

/* Opens folder/metrics.jsonl, going on at step: lines of later steps, which an
 * interrupted run left, are dropped. Root. */
convoy_status metrics_open(struct metrics *metrics, const char *folder, int every_steps,
                           uint64_t step);

/* Takes a step in; after each step that is a multiple of every_steps, a line with the
 * means since the last line or restart. Root. */
convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *trainer,
                           const convoy_step_result *result);

/* The most memory that this process has had, of the rank that had most. Collective.
 * Errors: LIBRARY. */
convoy_status metrics_peak_memory(convoy_trainer *trainer, uint64_t *bytes);

/* A line for the end of an epoch; eval may be NULL. Root. */
convoy_status metrics_epoch(struct metrics *metrics, const convoy_trainer *trainer,
                            double seconds, uint64_t peak_memory_bytes,
                            const convoy_eval_result *eval);

/* Starts the clock anew: the time since then counts for the next line. */
void metrics_restart(struct metrics *metrics);

void metrics_close(struct metrics *metrics);

#endif
