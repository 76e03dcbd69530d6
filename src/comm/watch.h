/* A watch over the ranks of a job, beside MPI: who has died, stopped or got stuck is
 * named by one of the others, and all end. It knows no MPI; world.c tells it who is
 * where, and carries addresses.
 *
 * Each rank has a thread that sleeps in poll() and tells once a second, over sockets,
 * what its process is doing (base/pulse.h): the ranks of a node to the first of them,
 * and these first ones to rank 0. All that tell rank 0 also tell its deputy, the first
 * rank of another node (rank 1 on a single node), which takes its place when rank 0 is
 * the one that is lost. So 1,024 ranks on 128 nodes are some 1,300 sockets, of which no
 * rank has more than 135.
 *
 * What is noticed, and when:
 *   a process that has ended: its socket closes without a goodbye      at once
 *   a host or network that is lost: TCP's data is not acknowledged     WATCH_LOST_S
 *   a process that is stopped: it is silent                            the time-out
 *   a process that gets nowhere, while others wait for it              the time-out
 *     at the start (PULSE_START)                                       twice that
 * What is quiet in no phase (PULSE_OUTSIDE) is nobody's affair.
 * A watch that was itself stopped for a while (a suspended job, a debugger) begins to
 * count anew.
 */
#ifndef COMM_WATCH_H
#define COMM_WATCH_H

#include "base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum { WATCH_HOST_SIZE = 64, WATCH_ADDRESSES = 12, WATCH_LOST_S = 8 };
#define WATCH_TIMEOUT_S 300.0 /* where nobody says otherwise */

/* A rank, as all know it. */
struct watch_member {
    char host[WATCH_HOST_SIZE];
    int32_t node_first; /* the lowest rank of its node */
};

/* What the job's ranks know and strangers do not. */
struct watch_key {
    uint64_t word[2];
};

/* Where a rank can be reached from other hosts. */
struct watch_place {
    int32_t n;
    struct sockaddr_in6 addresses[WATCH_ADDRESSES]; /* IPv4 as ::ffff:a.b.c.d */
};

struct watch_options {
    int rank, size;
    struct watch_key key;               /* the same on all ranks */
    const struct watch_member *members; /* [size], the same on all; copied */
    void (*say)(void *context, const char *text);
    void *context;
    void (*abort)(int code); /* ends what cannot be ended from here; may fail to return;
                                NULL: there is no way */
};

struct watch;

/* A key that nobody can guess. Local. */
void watch_new_key(struct watch_key *key);

/* rank 0's deputy. */
int watch_deputy(const struct watch_member *members, int size);

/* Begins to listen, where others are to connect. place, out: where, on rank 0 and its
 * deputy. *watch is new; free with watch_destroy. Local. Errors: MEMORY, UNSUPPORTED
 * (no socket). */
convoy_status watch_create(const struct watch_options *options,
                           struct watch_place *place, struct watch **watch);

/* Connects to the ranks that this one tells, some seconds at most, and starts the
 * thread; places: rank 0's and its deputy's. On all ranks at about the same time, also
 * after a failure elsewhere. Local. Errors: UNSUPPORTED (names rank, host and reason).
 */
convoy_status watch_connect(struct watch *watch, const struct watch_place places[2]);

/* From now on every loss counts, also one that was before this call: say tells it on
 * one rank, from the watch's thread, and all processes end (convoy_world_watch). */
void watch_arm(struct watch *watch);

/* How long a rank may be silent or get nowhere. Any thread. Takes NULL. */
void watch_set_timeout(struct watch *watch, double seconds);

/* Goodbye: this process's end is none that others must know of. The watch goes on
 * until watch_destroy. Takes NULL. */
void watch_leave(struct watch *watch);

/* As watch_leave, of a process that has told of its failure and ends the job: where the
 * others have not ended with it in a few seconds, they do with the status code. Returns
 * when that is told. Takes NULL. */
void watch_fail(struct watch *watch, int code);

/* Takes NULL, and one that was never connected. */
void watch_destroy(struct watch *watch);

#endif
