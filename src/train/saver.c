/* One thread, one save at a time. It has the rank's processors to choose from, not the
 * caller's one, and takes no signals: those are the caller's. */
#include "train/saver.h"

#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* IDLE → HANDED (by the caller) → ENDED (by the thread) → IDLE (the caller has heard)
 */
enum saver_state { IDLE, HANDED, ENDED };

struct saver {
    struct saver_options options;
    const struct snapshot *snapshot;
    struct run_dir_keep keep;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum saver_state state;
    bool ends;
    struct saver_outcome outcome;
};

/* is_again: the save before failed. */
static void write_snapshot(struct saver *saver, bool is_again)
{
    convoy_status status = CONVOY_OK;
    const struct run_life *life = saver->options.life;
    struct saver_outcome *outcome = &saver->outcome;
    if (is_again)
        status = run_dir_try_room(saver->snapshot, life);
    if (status == CONVOY_OK)
        status = run_dir_save(saver->snapshot, life, false, outcome->path,
                              sizeof outcome->path);
    if (status != CONVOY_OK) {
        status_save(status, &outcome->failure);
        outcome->is_taken_over = run_life_check(life) != CONVOY_OK;
        return;
    }
    status = run_dir_tidy(life, outcome->step, &saver->keep);
    if (status != CONVOY_OK)
        status_save(status, &outcome->untidy);
}

static void save(struct saver *saver)
{
    struct saver_outcome *outcome = &saver->outcome;
    const double since_s = clock_now_s();
    const bool is_again = outcome->failure.status != CONVOY_OK;
    memset(outcome, 0, sizeof *outcome);
    outcome->step = snapshot_step(saver->snapshot);
    write_snapshot(saver, is_again);
    outcome->seconds = clock_now_s() - since_s;
}

static void *live(void *context)
{
    struct saver *saver = context;
    cpu_set_t places;
    cpus_mask(&places);
    pthread_setaffinity_np(pthread_self(), sizeof places, &places);
    pthread_setname_np(pthread_self(), "convoy-save");
    pthread_mutex_lock(&saver->mutex);
    while (!saver->ends || saver->state == HANDED) {
        if (saver->state != HANDED) {
            pthread_cond_wait(&saver->changed, &saver->mutex);
            continue;
        }
        pthread_mutex_unlock(&saver->mutex);
        save(saver);
        pthread_mutex_lock(&saver->mutex);
        saver->state = ENDED;
        pthread_cond_broadcast(&saver->changed);
    }
    pthread_mutex_unlock(&saver->mutex);
    return NULL;
}

convoy_status saver_start(const struct saver_options *options, struct saver **out)
{
    convoy_status status = CONVOY_OK;
    struct saver *saver = NULL;
    sigset_t all, before;
    TRY(mem_alloc(sizeof *saver, (void **)&saver));
    saver->options = *options;
    pthread_mutex_init(&saver->mutex, NULL);
    pthread_cond_init(&saver->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&saver->thread, NULL, live, saver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        pthread_cond_destroy(&saver->changed);
        pthread_mutex_destroy(&saver->mutex);
        TRY(FAIL(CONVOY_ERROR_LIBRARY,
                 "cannot start the thread that writes checkpoints: %s; is the number "
                 "of threads limited (ulimit -u)?",
                 strerror(error)));
    }
    *out = saver;
    saver = NULL;
cleanup:
    mem_free(saver);
    return status;
}

void saver_write(struct saver *saver, const struct snapshot *snapshot,
                 const struct run_dir_keep *keep)
{
    pthread_mutex_lock(&saver->mutex);
    saver->snapshot = snapshot;
    saver->keep = *keep;
    saver->state = HANDED;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->mutex);
}

bool saver_hear(struct saver *saver, bool waits, struct saver_outcome *outcome)
{
    pthread_mutex_lock(&saver->mutex);
    while (waits && saver->state == HANDED)
        pthread_cond_wait(&saver->changed, &saver->mutex);
    const bool has_ended = saver->state == ENDED;
    if (has_ended) {
        *outcome = saver->outcome;
        saver->state = IDLE;
    }
    pthread_mutex_unlock(&saver->mutex);
    return has_ended;
}

void saver_stop(struct saver *saver)
{
    if (!saver)
        return;
    pthread_mutex_lock(&saver->mutex);
    saver->ends = true;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->mutex);
    pthread_join(saver->thread, NULL);
    pthread_cond_destroy(&saver->changed);
    pthread_mutex_destroy(&saver->mutex);
    mem_free(saver);
}
