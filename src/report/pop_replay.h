/* A timeline of what ranks compute and send, played again with other times of messages:
 * with none, its end is the T_ideal of pop.h. This is what the training's own ideal_s
 * ("ranks" in metrics.jsonl) is checked by. Local, all of it. */
#ifndef REPORT_POP_REPLAY_H
#define REPORT_POP_REPLAY_H

#include "base/status.h"

enum pop_kind {
    POP_COMPUTE, /* seconds of it */
    POP_SEND,    /* to other, which has it seconds later; the sender goes on at once */
    POP_RECEIVE, /* waits for the next message of other, in the order they are sent */
    POP_MEET     /* waits for all ranks; goes on seconds after the last has come */
};

struct pop_event {
    enum pop_kind kind;
    double seconds; /* of POP_RECEIVE: not read. Of POP_MEET: the most of a rank's */
    int other;
    double end_s; /* out: when it was over */
};

struct pop_line {
    struct pop_event *events; /* [n] of a rank, in order */
    int n;
};

/* Plays the lines of n_ranks ranks, which all begin at 0, with the seconds of messages
 * (of POP_SEND and POP_MEET) times factor. *total_s: when the last rank ends.
 * useful_s: [n_ranks], what each has computed. Errors: ARGUMENT (other is no rank; some
 * wait for ever: a message that nobody sends, a meeting where a rank has ended). */
convoy_status pop_replay(const struct pop_line *lines, int n_ranks, double factor,
                         double *useful_s, double *total_s);

#endif
