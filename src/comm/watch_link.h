/* A connection of the watch: messages of a fixed size over a stream that never blocks,
 * a Unix socket within a host, TCP between hosts. */
#ifndef COMM_WATCH_LINK_H
#define COMM_WATCH_LINK_H

#include "comm/watch.h"

#include <stddef.h>
#include <sys/types.h>

enum watch_kind {
    WATCH_HELLO = 1, /* up: the key, and who calls */
    WATCH_WELCOME,   /* down: the answer, with the key */
    WATCH_BEAT,      /* up, passed on: what a rank is doing */
    WATCH_ALIVE,     /* down: the same of the one that is told */
    WATCH_ASK,       /* down, passed on: a beat now */
    WATCH_GONE,      /* up, passed on; and down: goodbye */
    WATCH_FAILED,    /* up, passed on: goodbye, and the job ends */
    WATCH_DEAD,      /* up, passed on: a rank is lost */
    WATCH_END,       /* down, passed on: all end */
};

/* In the machine's byte order: ranks of a job have one. */
struct watch_message {
    uint8_t kind, phase, waits;
    uint8_t cause, delay_s; /* of a loss; before the end */
    uint8_t unused[3];
    int32_t rank; /* whom it is about */
    union {
        struct {
            uint64_t step, quiet_ms;
        };
        struct watch_key key;
        int64_t code;
    };
};

enum watch_role {
    WATCH_GUEST, /* has not said who it is */
    WATCH_CHILD, /* tells this rank */
    WATCH_ASIDE, /* tells this rank as the deputy */
    WATCH_HUB,   /* is told by this rank */
    WATCH_SPARE, /* is told as the deputy */
};

enum { WATCH_QUEUE = 64 }; /* messages */

struct watch_link {
    int fd; /* -1: closed */
    int rank;
    pid_t pid; /* of the process at the other end, on this host; else 0 */
    enum watch_role role;
    bool has_left;   /* it has said goodbye */
    bool is_lost;    /* closed without it, or silent; by cause */
    bool is_counted; /* the loss has had its consequences */
    int cause;       /* enum watch_cause */
    double silence_s;
    double heard_s;
    size_t n_in, n_out; /* bytes */
    char in[sizeof(struct watch_message)];
    char out[WATCH_QUEUE * sizeof(struct watch_message)];
};

/* Within the host: new descriptors, or -1. Names are those of the network namespace. */
int link_listen_here(const struct watch_key *key, int rank);

/* For other hosts, at place: new, or -1. Only where this host has a network. */
int link_listen(struct watch_place *place);

/* The next that calls, if any: its descriptor and process; -1: none. */
int link_accept(int listener, pid_t *pid);

/* Calls rank to, within the host or at place (NULL: not elsewhere), and waits some
 * seconds for its welcome: a descriptor and the process; -1 and errno. */
int link_call(const struct watch_key *key, int from, int to,
              const struct watch_place *place, pid_t *pid);

void link_open(struct watch_link *link, int fd, pid_t pid, enum watch_role role,
               int rank);
void link_close(struct watch_link *link);

/* Leaves room for what matters more than a beat, where the other does not read. */
void link_send(struct watch_link *link, const struct watch_message *message);
void link_flush(struct watch_link *link);

/* Whether data that was sent has not come to the other host, again and again. */
bool link_is_cut(const struct watch_link *link);

/* 1: a message; 0: none yet; -1: the connection has ended, errno says how (0: the
 * other closed it). */
int link_receive(struct watch_link *link, struct watch_message *message);

#endif
