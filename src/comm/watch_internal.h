/* What the watch's files share. All but the atomics belongs to its thread, once that
 * runs. */
#ifndef COMM_WATCH_INTERNAL_H
#define COMM_WATCH_INTERNAL_H

#include "comm/watch_link.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

/* How a rank is lost; also in messages. */
enum watch_cause {
    WATCH_ENDED,   /* its process has, without a goodbye */
    WATCH_LOST,    /* no network to its host */
    WATCH_SILENT,  /* stopped */
    WATCH_STUCK,   /* alive, but it gets nowhere, and others wait for it */
    WATCH_ALL,     /* all wait for each other; the rank is one of those behind */
    WATCH_CUT_OFF, /* rank 0 and its deputy cannot be reached from here */
};

/* A rank as rank 0 and the deputy know it. */
struct watch_view {
    struct watch_message told; /* its last WATCH_BEAT */
    bool has_left;
    bool is_lost;
    bool has_answered; /* since it was last asked */
};

struct watch_loss {
    int rank;
    enum watch_cause cause;
    double seconds; /* of silence */
};

struct watch {
    struct watch_options options;
    struct watch_member *members; /* [size] */
    struct watch_view *views;     /* [size] on rank 0 and the deputy, else NULL */
    int deputy, hub;              /* hub: whom this rank tells; -1 on rank 0 */
    int here, elsewhere;          /* listeners; -1: none */
    int wake;                     /* an eventfd; -1: none yet */

    int n_links, capacity;
    struct watch_link *links; /* [capacity] */
    struct pollfd *polls;     /* [capacity + 3] */

    pthread_t thread;
    bool is_running;
    atomic_bool armed, leaving, stopping;
    atomic_int code;     /* of watch_fail; -1: none */
    atomic_int has_told; /* of leaving or failing, to the ranks above */
    atomic_uint timeout_ms;

    double turned_s, beat_s; /* when poll last returned; when beats were last sent */
    double pulse_s;          /* when this process last did something */
    double orphan_s; /* since when the end is expected from above; 0: it is not */
    struct watch_loss orphaned_by;
    double failed_s; /* since when a rank's failure is known; 0: none */
    int failed_code;
    bool is_ending;
};

/* Whom rank tells; -1: nobody. */
int watch_hub(const struct watch_member *members, int rank);

/* One wait for events, until until_s at most, and what comes of them. */
void watch_turn(struct watch *watch, double until_s);

/* A message to all links of the role. */
void watch_send(struct watch *watch, enum watch_role role,
                const struct watch_message *message);
void watch_send_up(struct watch *watch, const struct watch_message *message);
void watch_send_down(struct watch *watch, const struct watch_message *message);

/* What this process is doing, as a message of this kind. */
struct watch_message watch_own(const struct watch *watch, enum watch_kind kind);

/* Takes a beat into the view of its rank, if this one has views. */
void watch_remember(struct watch *watch, const struct watch_message *beat);

/* Whether this rank is the one that judges and speaks. */
bool watch_is_chief(const struct watch *watch);

/* Names the loss, tells all that can be reached, and ends the process. */
void watch_end(struct watch *watch, struct watch_loss loss) __attribute__((noreturn));

/* Ends the process as others have said, and passes it on. */
void watch_end_quietly(struct watch *watch, const struct watch_message *end)
    __attribute__((noreturn));

/* Of processes whose job has lost a rank so. */
int watch_exit_status(enum watch_cause cause);

/* The loss in words. */
void watch_describe(const struct watch *watch, struct watch_loss loss, char *text,
                    size_t size);

#endif
