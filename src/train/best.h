/* Which of a run's checkpoints did best on the validation data. */
#ifndef TRAIN_BEST_H
#define TRAIN_BEST_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* {0}: there is none yet. */
struct best {
    bool is_known;
    uint64_t step;
    double top1, loss;
};

/* Whether a state of these figures is better: by top-1, then by loss. One whose loss is
 * no number is not. */
bool best_is_below(const struct best *best, double top1, double loss);

/* These become the figures of *best, of this step, if they are better. */
void best_take(struct best *best, uint64_t step, double top1, double loss);

/* The best of the epochs that metrics.jsonl has in folder, of those that have a
 * checkpoint there; none where there is no such file. Root. Errors: IO, MEMORY. */
convoy_status best_read(const char *folder, struct best *best);

#endif
