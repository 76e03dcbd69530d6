/* The sign of life of a run: who has a folder renews the time of its lock. */
#ifndef TRAIN_RUN_BEAT_H
#define TRAIN_RUN_BEAT_H

#include "base/status.h"

/* After so many seconds without a renewal a lock's holder is taken for over:
 * CONVOY_LOCK_SILENCE, or 90. */
double run_beat_silence_s(void);

struct run_beat;

/* Renews the time of the open file some nine times within run_beat_silence_s, from a
 * thread of its own, until run_beat_stop, and calls look there after each. fd and
 * context are borrowed until then. *beat is new. Errors: MEMORY, LIBRARY. */
convoy_status run_beat_start(int fd, void (*look)(void *context), void *context,
                             struct run_beat **beat);

/* Takes NULL. */
void run_beat_stop(struct run_beat *beat);

#endif
