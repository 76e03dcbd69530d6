/* The watch from outside: who connects to whom, and the thread's life. Ranks connect
 * from the top down: a rank answers only once it is connected itself, so nobody is
 * welcome in a part of the tree that hangs in the air. */
#include "comm/watch.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "comm/watch_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { GUESTS = 16, STACK_BYTES = 256 << 10 };
static const double told_s = 3; /* at most, for what is left to say */

void watch_new_key(struct watch_key *key)
{
    if (getrandom(key, sizeof *key, 0) == (ssize_t)sizeof *key)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    key->word[0] = hash_64(&now, sizeof now);
    key->word[1] = key->word[0] ^ (uint64_t)getpid();
}

int watch_deputy(const struct watch_member *members, int size)
{
    for (int rank = 1; rank < size; rank++)
        if (members[rank].node_first == rank)
            return rank;
    return size > 1 ? 1 : 0;
}

int watch_hub(const struct watch_member *members, int rank)
{
    const int first = members[rank].node_first;
    return rank == 0 ? -1 : first == rank ? 0 : first;
}

/* The ranks that tell this one, also as the deputy, and those whom it tells. */
static int count_links(const struct watch *w)
{
    const struct watch_options *o = &w->options;
    int n = 2;
    for (int rank = 1; rank < o->size; rank++) {
        const int hub = watch_hub(w->members, rank);
        n += hub == o->rank || (o->rank == w->deputy && hub == 0);
    }
    return n;
}

static bool has_children(const struct watch *w)
{
    return count_links(w) > 2;
}

static bool is_at_top(const struct watch *w)
{
    return w->options.rank == 0 || w->options.rank == w->deputy;
}

static convoy_status allocate(struct watch *w)
{
    convoy_status status = CONVOY_OK;
    const size_t size = (size_t)w->options.size;
    TRY(mem_alloc_array(size, sizeof *w->members, (void **)&w->members));
    memcpy(w->members, w->options.members, size * sizeof *w->members);
    w->options.members = w->members;
    w->deputy = watch_deputy(w->members, w->options.size);
    w->hub = watch_hub(w->members, w->options.rank);
    w->capacity = count_links(w) + GUESTS;
    TRY(mem_alloc_array((size_t)w->capacity, sizeof *w->links, (void **)&w->links));
    TRY(mem_alloc_array((size_t)w->capacity + 3, sizeof *w->polls, (void **)&w->polls));
    if (is_at_top(w))
        TRY(mem_alloc_array(size, sizeof *w->views, (void **)&w->views));
cleanup:
    return status;
}

static convoy_status listen_for(struct watch *w, struct watch_place *place)
{
    convoy_status status = CONVOY_OK;
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (has_children(w))
        w->here = link_listen_here(&w->options.key, w->options.rank);
    if (is_at_top(w))
        w->elsewhere = link_listen(place);
    if (w->wake < 0 || (has_children(w) && w->here < 0) ||
        (is_at_top(w) && w->elsewhere < 0))
        TRY(FAIL(CONVOY_ERROR_UNSUPPORTED, "rank %d (%s) cannot open a socket: %s",
                 w->options.rank, w->members[w->options.rank].host, strerror(errno)));
cleanup:
    return status;
}

convoy_status watch_create(const struct watch_options *options,
                           struct watch_place *place, struct watch **watch)
{
    convoy_status status = CONVOY_OK;
    struct watch *w = NULL;
    place->n = 0;
    TRY(mem_alloc(sizeof *w, (void **)&w));
    w->options = *options;
    w->here = w->elsewhere = w->wake = -1;
    atomic_init(&w->code, -1);
    atomic_init(&w->timeout_ms, (unsigned)(1000 * WATCH_TIMEOUT_S));
    TRY(allocate(w));
    TRY(listen_for(w, place));
    *watch = w;
    w = NULL;
cleanup:
    watch_destroy(w);
    return status;
}

static convoy_status call(struct watch *w, int to, enum watch_role role,
                          const struct watch_place *place)
{
    const struct watch_member *members = w->members;
    pid_t pid = 0;
    const int fd = link_call(&w->options.key, w->options.rank, to, place, &pid);
    if (fd < 0)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "rank %d (%s) does not reach rank %d (%s): %s", w->options.rank,
                    members[w->options.rank].host, to, members[to].host,
                    strerror(errno));
    link_open(&w->links[w->n_links++], fd, pid, role, to);
    return CONVOY_OK;
}

static convoy_status call_up(struct watch *w, const struct watch_place places[2])
{
    convoy_status status = CONVOY_OK;
    if (w->hub < 0)
        return CONVOY_OK;
    TRY(call(w, w->hub, WATCH_HUB, w->hub == 0 ? &places[0] : NULL));
    if (w->hub == 0 && w->options.rank != w->deputy)
        TRY(call(w, w->deputy, WATCH_SPARE, &places[1]));
cleanup:
    return status;
}

static void *live(void *context)
{
    struct watch *w = context;
    while (!atomic_load(&w->stopping))
        watch_turn(w, w->beat_s + 1);
    return NULL;
}

static convoy_status start_thread(struct watch *w)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&w->thread, &attributes, live, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    w->is_running = error == 0;
    if (error != 0)
        return FAIL(CONVOY_ERROR_UNSUPPORTED, "rank %d (%s) cannot start a thread: %s",
                    w->options.rank, w->members[w->options.rank].host, strerror(error));
    return CONVOY_OK;
}

convoy_status watch_connect(struct watch *watch, const struct watch_place places[2])
{
    convoy_status status = CONVOY_OK;
    TRY(call_up(watch, places));
    watch->turned_s = watch->pulse_s = clock_now_s();
    TRY(start_thread(watch));
cleanup:
    return status;
}

static void wake(const struct watch *w)
{
    const uint64_t one = 1;
    if (write(w->wake, &one, sizeof one) < 0)
        return; /* it is awake */
}

void watch_arm(struct watch *watch)
{
    atomic_store(&watch->armed, true);
    wake(watch);
}

void watch_set_timeout(struct watch *watch, double seconds)
{
    if (watch)
        atomic_store(&watch->timeout_ms,
                     seconds < 4e6 ? (unsigned)(1000 * seconds) : UINT32_MAX);
}

void watch_leave(struct watch *watch)
{
    if (!watch || !watch->is_running)
        return;
    atomic_store(&watch->leaving, true);
    wake(watch);
}

/* Until the thread has said goodbye, or can say nothing. */
static void wait_until_told(struct watch *w)
{
    const double until_s = clock_now_s() + told_s;
    while (!atomic_load(&w->has_told) && clock_now_s() < until_s)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void watch_fail(struct watch *watch, int code)
{
    if (!watch || !watch->is_running)
        return;
    atomic_store(&watch->code, code);
    watch_leave(watch);
    wait_until_told(watch);
}

void watch_destroy(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->is_running) {
        watch_leave(watch);
        wait_until_told(watch);
        atomic_store(&watch->stopping, true);
        wake(watch);
        pthread_join(watch->thread, NULL);
    }
    for (int i = 0; i < watch->n_links; i++)
        link_close(&watch->links[i]);
    const int fds[] = {watch->here, watch->elsewhere, watch->wake};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    mem_free(watch->members);
    mem_free(watch->links);
    mem_free(watch->polls);
    mem_free(watch->views);
    mem_free(watch);
}
