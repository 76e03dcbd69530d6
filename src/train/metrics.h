/* metrics.jsonl: one JSON object a line, written by rank 0 (docs/run-directory.md). */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include <convoy/train.h>

#include "train/trainer.h"

#include <stdio.h>

struct metrics {
    FILE *file; /* NULL on other ranks */
    char path[4096];
    int every_steps;
    /* Since the last line: */
    int n_steps, n_skipped;
    double loss_sum, top1_sum, since_s;
    convoy_step_seconds seconds;
    double images_per_s, input_wait; /* lately; input_wait: the share of time waited */
};

/* Opens folder/metrics.jsonl, going on at step: lines of later steps, which an
 * interrupted run left, are dropped. */
convoy_status metrics_open(struct metrics *metrics, const char *folder, int every_steps,
                           uint64_t step);

/* Takes a step in; after each step that is a multiple of every_steps, a line with the
 * means since the last line or restart. */
convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *trainer,
                           const convoy_step_result *result);

/* A line for the end of an epoch; eval may be NULL. */
convoy_status metrics_epoch(struct metrics *metrics, const convoy_trainer *trainer,
                            double seconds, const convoy_eval_result *eval);

/* Starts the clock anew: the time since then counts for the next line. */
void metrics_restart(struct metrics *metrics);

void metrics_close(struct metrics *metrics);

#endif
