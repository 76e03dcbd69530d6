/* Lanes: threads that compute side by side, each with a team of OpenMP threads of its
 * own.
 *
 * OpenMP keeps its settings by thread, and oneDNN cuts its sums by the number of OpenMP
 * threads. So each lane is a POSIX thread that sets this number for itself: neither the
 * environment nor the thread that calls these functions decides anything.
 *
 * Between runs lanes sleep. But for lanes_team, one thread at a time may be in these
 * functions.
 */
#ifndef BASE_LANES_H
#define BASE_LANES_H

#include "base/status.h"

#include <sched.h>
#include <stddef.h>

struct lanes;

struct lanes_options {
    int n;       /* lanes, at least 1 */
    int threads; /* of a lane's team, at least 1 */
    /* [n] the processors of each lane, with its team; NULL: those of cpus_mask */
    const cpu_set_t *places;
};

/* Starts them. *lanes is new; free with lanes_destroy. Errors: ARGUMENT (OpenMP does
 * not give a team of so many threads, by OMP_THREAD_LIMIT perhaps, or its binding would
 * undo that of lanes, by OMP_PROC_BIND), LIBRARY (no more
 * threads), MEMORY. */
convoy_status lanes_create(const struct lanes_options *options, struct lanes **lanes);

/* Takes NULL. */
void lanes_destroy(struct lanes *lanes);

int lanes_n(const struct lanes *lanes);
int lanes_threads(const struct lanes *lanes);

/* Calls function(context, lane) on every lane, 0 <= lane < n, all at the same time, and
 * returns when all are done: the failure of the first lane that failed. */
typedef convoy_status lanes_function(void *context, int lane);
convoy_status lanes_run(struct lanes *lanes, lanes_function *function, void *context);

/* lanes_run in two parts, with something else for the calling thread to do between
 * them. The first returns at once; the second has to follow before any other run. */
void lanes_start(struct lanes *lanes, lanes_function *function, void *context);
convoy_status lanes_wait(struct lanes *lanes);

/* On a lane, within a run: calls function(context, worker) on each thread of its team,
 * workers counted as by lanes_for. */
typedef void lanes_worker_function(void *context, int worker);
void lanes_team(const struct lanes *lanes, int lane, lanes_worker_function *function,
                void *context);

/* Threads of all teams together: the workers of lanes_for. */
int lanes_workers(const struct lanes *lanes);

/* Calls function(context, worker, begin, end) for the ranges [k · grain, (k + 1) ·
 * grain) that together are [0, n), the last one shorter, each on whichever worker is
 * free; 0 <= worker < lanes_workers. Little work is done by the calling thread, as
 * worker 0. lanes NULL: by that alone. Allocates nothing. */
typedef void lanes_range_function(void *context, int worker, size_t begin, size_t end);
void lanes_for(struct lanes *lanes, size_t n, size_t grain,
               lanes_range_function *function, void *context);

#endif
