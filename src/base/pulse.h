/* What this process is doing, and whether it gets on: for whoever watches it from
 * another thread. Of the process, not of an object: the work is anybody's, and what is
 * watched is the whole. Any number of threads at once; no call costs more than an
 * instruction or two on memory that rarely changes. */
#ifndef BASE_PULSE_H
#define BASE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

enum pulse_phase {
    PULSE_OUTSIDE, /* of what is not watched for getting on: who works may be quiet */
    PULSE_START,   /* set-up */
    PULSE_STEP,
    PULSE_EXCHANGE,
    PULSE_EVALUATION,
    PULSE_SAVE,
    PULSE_END,
    PULSE_N_PHASES,
};

/* Something has been done: an operation of a net, a record read, a block written. */
void pulse(void);

/* A phase begins, in or after this step; that is a pulse too. */
void pulse_enter(enum pulse_phase phase, uint64_t step);

/* The same phase, in the step that was last told. */
void pulse_enter_phase(enum pulse_phase phase);

/* Around a call that may wait for other processes. */
void pulse_wait(void);
void pulse_go_on(void);

struct pulse {
    enum pulse_phase phase;
    uint64_t step;
    bool waits;  /* a thread waits for other processes */
    bool beaten; /* something has been done since the last pulse_read */
};

void pulse_read(struct pulse *pulse);

#endif
