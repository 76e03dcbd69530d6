/* The threads of the lanes: parked on a condition, woken for a run, counted when done.
 *
 * A lane pins every thread of its team itself, from within a first parallel region,
 * after OpenMP has had its say: where OMP_PROC_BIND is set, libgomp binds the team of
 * each new thread from the first place on, which would put all lanes on one core. The
 * same region shows whether OpenMP gives the team that is asked for.
 *
 * Where oneDNN has little work, it uses a part of the team; libgomp then ends the other
 * threads, all but one, and starts new ones later. These are pinned as the lane is, but
 * by OMP_PROC_BIND where that is set, which therefore is refused. */
#include "base/lanes.h"

#include "base/cpus.h"
#include "base/memory.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct lane {
    struct lanes *lanes;
    int index;
    pthread_t thread;
    cpu_set_t place;
    struct failure failure; /* of the last run */
};

struct lanes {
    int n, threads, n_started;
    struct lane *lane; /* [n] */

    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    uint64_t run; /* counts runs */
    int n_running;
    bool quit;
    lanes_function *function;
    void *context;
};

/* Makes the team, and pins it. */
static convoy_status form_team(const struct lane *lane)
{
    const int wanted = lane->lanes->threads;
    int n = 0;
    omp_set_dynamic(0);
    omp_set_num_threads(wanted);
#pragma omp parallel reduction(+ : n)
    {
        pthread_setaffinity_np(pthread_self(), sizeof lane->place, &lane->place);
        n++;
    }
    if (n == wanted)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "OpenMP gives a team of %d thread%s where threads asks for %d: is "
                "OMP_THREAD_LIMIT or OMP_MAX_ACTIVE_LEVELS set?",
                n, n > 1 ? "s" : "", wanted);
}

/* One run of this lane: the first makes its team. */
static void work(struct lane *lane, bool is_first)
{
    const struct lanes *lanes = lane->lanes;
    const convoy_status status =
        is_first ? form_team(lane) : lanes->function(lanes->context, lane->index);
    lane->failure.status = status;
    if (status != CONVOY_OK)
        status_save(status, &lane->failure);
}

static void *live(void *argument)
{
    struct lane *lane = argument;
    struct lanes *lanes = lane->lanes;
    uint64_t run = 0;
    pthread_setaffinity_np(pthread_self(), sizeof lane->place, &lane->place);
    pthread_mutex_lock(&lanes->mutex);
    for (;;) {
        while (!lanes->quit && lanes->run == run)
            pthread_cond_wait(&lanes->work, &lanes->mutex);
        if (lanes->quit)
            break;
        run = lanes->run;
        pthread_mutex_unlock(&lanes->mutex);
        work(lane, run == 1);
        pthread_mutex_lock(&lanes->mutex);
        if (--lanes->n_running == 0)
            pthread_cond_signal(&lanes->done);
    }
    pthread_mutex_unlock(&lanes->mutex);
    return NULL;
}

static convoy_status start(struct lanes *lanes)
{
    for (; lanes->n_started < lanes->n; lanes->n_started++) {
        struct lane *lane = &lanes->lane[lanes->n_started];
        /* Signals are for the threads that the program made itself. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        const int error = pthread_create(&lane->thread, NULL, live, lane);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (error != 0)
            return FAIL(CONVOY_ERROR_LIBRARY,
                        "cannot start lane %d of %d: %s; use fewer lanes",
                        lanes->n_started + 1, lanes->n, strerror(error));
    }
    return CONVOY_OK;
}

/* One lane alone may be bound as the user wants it. */
static convoy_status check_binding(int n, int threads)
{
    if (n == 1 || threads <= 2 || !cpus_are_bound())
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set and would bind "
                "the %d threads of each lane to the same processors: unset it, lanes "
                "are bound without",
                threads);
}

convoy_status lanes_create(const struct lanes_options *options, struct lanes **lanes)
{
    convoy_status status = CONVOY_OK;
    struct lanes *made = NULL;
    const int n = options->n > 1 ? options->n : 1;
    TRY(check_binding(n, options->threads));
    TRY(mem_alloc(sizeof *made, (void **)&made));
    /* None of these fails with default attributes where there is memory for it. */
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->work, NULL);
    pthread_cond_init(&made->done, NULL);
    made->n = n;
    made->threads = options->threads > 1 ? options->threads : 1;
    TRY(mem_alloc_array((size_t)n, sizeof *made->lane, (void **)&made->lane));
    for (int i = 0; i < n; i++) {
        made->lane[i].lanes = made;
        made->lane[i].index = i;
        if (options->places)
            made->lane[i].place = options->places[i];
        else
            cpus_mask(&made->lane[i].place);
    }
    TRY(start(made));
    TRY(lanes_run(made, NULL, NULL));
    *lanes = made;
    made = NULL;
cleanup:
    lanes_destroy(made);
    return status;
}

void lanes_destroy(struct lanes *lanes)
{
    if (!lanes)
        return;
    pthread_mutex_lock(&lanes->mutex);
    lanes->quit = true;
    pthread_cond_broadcast(&lanes->work);
    pthread_mutex_unlock(&lanes->mutex);
    for (int i = 0; i < lanes->n_started; i++)
        pthread_join(lanes->lane[i].thread, NULL);
    pthread_cond_destroy(&lanes->done);
    pthread_cond_destroy(&lanes->work);
    pthread_mutex_destroy(&lanes->mutex);
    mem_free(lanes->lane);
    mem_free(lanes);
}

int lanes_n(const struct lanes *lanes)
{
    return lanes->n;
}

int lanes_threads(const struct lanes *lanes)
{
    return lanes->threads;
}

void lanes_start(struct lanes *lanes, lanes_function *function, void *context)
{
    pthread_mutex_lock(&lanes->mutex);
    lanes->function = function;
    lanes->context = context;
    lanes->n_running = lanes->n;
    lanes->run++;
    pthread_cond_broadcast(&lanes->work);
    pthread_mutex_unlock(&lanes->mutex);
}

convoy_status lanes_wait(struct lanes *lanes)
{
    pthread_mutex_lock(&lanes->mutex);
    while (lanes->n_running > 0)
        pthread_cond_wait(&lanes->done, &lanes->mutex);
    pthread_mutex_unlock(&lanes->mutex);
    for (int i = 0; i < lanes->n; i++)
        if (lanes->lane[i].failure.status != CONVOY_OK)
            return status_restore(&lanes->lane[i].failure);
    return CONVOY_OK;
}

convoy_status lanes_run(struct lanes *lanes, lanes_function *function, void *context)
{
    lanes_start(lanes, function, context);
    return lanes_wait(lanes);
}

void lanes_team(const struct lanes *lanes, int lane, lanes_worker_function *function,
                void *context)
{
    if (lanes->threads == 1)
        function(context, lane);
    else
#pragma omp parallel
        function(context, lane * lanes->threads + omp_get_thread_num());
}

int lanes_workers(const struct lanes *lanes)
{
    return lanes ? lanes->n * lanes->threads : 1;
}

/* A loop that workers share: each takes the next range. */
struct loop {
    const struct lanes *lanes;
    size_t n, grain;
    lanes_range_function *function;
    void *context;
    _Atomic size_t next; /* range */
};

static void take_ranges(void *context, int worker)
{
    struct loop *loop = context;
    for (;;) {
        const size_t begin = atomic_fetch_add(&loop->next, 1) * loop->grain;
        if (begin >= loop->n)
            return;
        const size_t left = loop->n - begin;
        loop->function(loop->context, worker, begin,
                       begin + (left < loop->grain ? left : loop->grain));
    }
}

static convoy_status take_part(void *context, int lane)
{
    struct loop *loop = context;
    lanes_team(loop->lanes, lane, take_ranges, loop);
    return CONVOY_OK;
}

void lanes_for(struct lanes *lanes, size_t n, size_t grain,
               lanes_range_function *function, void *context)
{
    struct loop loop = {.lanes = lanes,
                        .n = n,
                        .grain = grain,
                        .function = function,
                        .context = context};
    if (lanes && n > grain)
        lanes_run(lanes, take_part, &loop);
    else
        take_ranges(&loop, 0);
}
