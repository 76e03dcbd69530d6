/* A thread that only touches a file: it does so while steps, saves or evaluations take
 * however long. The file is renewed by its descriptor and to the file server's own
 * time: a process that goes on after a successor has put another lock there touches
 * nothing but its own, which has gone. */
#include "train/run_beat.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const double usual_silence_s = 90, most_silence_s = 86400;
enum { BEATS = 9 };

struct run_beat {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t end;
    bool is_ending;
    int fd;
    void (*look)(void *context);
    void *context;
    double every_s;
};

double run_beat_silence_s(void)
{
    const char *text = getenv("CONVOY_LOCK_SILENCE");
    const double own_s = text ? strtod(text, NULL) : 0;
    return own_s > 0 && own_s <= most_silence_s ? own_s : usual_silence_s;
}

static void *live(void *context)
{
    struct run_beat *beat = context;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    pthread_mutex_lock(&beat->mutex);
    while (!beat->is_ending) {
        const double at_s = (double)next.tv_nsec * 1e-9 + beat->every_s;
        next.tv_sec += (time_t)floor(at_s);
        next.tv_nsec = (long)((at_s - floor(at_s)) * 1e9);
        int error = 0;
        while (!beat->is_ending && error != ETIMEDOUT)
            error = pthread_cond_timedwait(&beat->end, &beat->mutex, &next);
        if (beat->is_ending)
            break;
        pthread_mutex_unlock(&beat->mutex);
        futimens(beat->fd, NULL); /* where it fails, the next one may not */
        beat->look(beat->context);
        clock_gettime(CLOCK_MONOTONIC, &next);
        pthread_mutex_lock(&beat->mutex);
    }
    pthread_mutex_unlock(&beat->mutex);
    return NULL;
}

static void destroy(struct run_beat *beat)
{
    pthread_cond_destroy(&beat->end);
    pthread_mutex_destroy(&beat->mutex);
    mem_free(beat);
}

convoy_status run_beat_start(int fd, void (*look)(void *context), void *context,
                             struct run_beat **out)
{
    convoy_status status = CONVOY_OK;
    struct run_beat *beat = NULL;
    sigset_t all, before;
    pthread_condattr_t attributes;
    TRY(mem_alloc(sizeof *beat, (void **)&beat));
    memset(beat, 0, sizeof *beat);
    beat->fd = fd;
    beat->look = look;
    beat->context = context;
    beat->every_s = run_beat_silence_s() / BEATS;
    pthread_mutex_init(&beat->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&beat->end, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are for the threads that the program made itself. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&beat->thread, NULL, live, beat);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        destroy(beat);
        TRY(FAIL(CONVOY_ERROR_LIBRARY, "cannot start the thread that renews a lock: %s",
                 strerror(error)));
    }
    *out = beat;
cleanup:
    return status;
}

void run_beat_stop(struct run_beat *beat)
{
    if (!beat)
        return;
    pthread_mutex_lock(&beat->mutex);
    beat->is_ending = true;
    pthread_cond_signal(&beat->end);
    pthread_mutex_unlock(&beat->mutex);
    pthread_join(beat->thread, NULL);
    destroy(beat);
}
