/* The end of a job that has lost a rank.
 *
 * The chief, which is rank 0 or its deputy, asks all what they are doing, says what
 * happened, and sends the end down the tree; every process then leaves by _Exit, its
 * own threads may be anywhere. Launchers end a job when a process ends like that, and
 * where they do not, nothing is left to end: a rank kills those of its own host that
 * are still there in the end, such as one that is stopped. */
#include "comm/watch_internal.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Launchers of Open MPI, whose processes are ancestors of a rank's. */
static const char *const launchers[] = {"orted",   "prted",   "mpirun",
                                        "mpiexec", "orterun", "prterun"};
static const double answer_s =
    0.25;                        /* for what all are doing; launchers may kill soon */
static const double leave_s = 1; /* for a process that was told to end */

enum { END_CODE = 1 };

static bool have_answered(const struct watch *w)
{
    for (int r = 0; r < w->options.size; r++) {
        const struct watch_view *view = &w->views[r];
        if (r != w->options.rank && !view->has_answered && !view->has_left &&
            !view->is_lost)
            return false;
    }
    return true;
}

static void ask(struct watch *w)
{
    const struct watch_message message = {.kind = WATCH_ASK, .rank = w->options.rank};
    const double until_s = clock_now_s() + answer_s;
    for (int r = 0; r < w->options.size; r++)
        w->views[r].has_answered = false;
    watch_send_down(w, &message);
    while (!have_answered(w) && clock_now_s() < until_s)
        watch_turn(w, until_s);
}

/* Whose end is this rank's affair. */
static bool is_below(const struct watch *w, const struct watch_link *link)
{
    return link->role == WATCH_CHILD ||
           (link->role == WATCH_ASIDE && watch_is_chief(w));
}

static bool some_are_left(const struct watch *w)
{
    for (int i = 0; i < w->n_links; i++)
        if (is_below(w, &w->links[i]) && w->links[i].fd >= 0 && !w->links[i].has_left)
            return true;
    return false;
}

/* A connection that is open keeps a process's number from being another's. */
static void kill_those_left(const struct watch *w, const struct watch_message *end)
{
    for (int i = 0; i < w->n_links; i++) {
        const struct watch_link *link = &w->links[i];
        if (link->fd >= 0 && link->pid > 0 && !link->has_left &&
            (is_below(w, link) ||
             (link->rank == end->rank && end->cause == WATCH_SILENT)))
            kill(link->pid, SIGKILL);
    }
}

/* A process's name and parent; false: it cannot be known. */
static bool read_process(long pid, char name[32], long *parent)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const int n = fscanf(file, "%*d (%31[^)]) %*c %ld", name, parent);
    fclose(file);
    return n == 2;
}

static bool is_launcher(const char *name)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (strcmp(name, launchers[i]) == 0)
            return true;
    return false;
}

/* mpirun waits minutes for the daemon of a host that is lost, and such a daemon for
 * mpirun, when all ranks have long ended: where one of the two is on this host, it ends
 * with its ranks. First it has time to pass on what was said, and to end by itself. */
static void end_launcher(void)
{
    char name[32];
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    long pid = getppid(), parent = 0;
    for (int i = 0; i < 8 && pid > 1 && read_process(pid, name, &parent); i++) {
        if (is_launcher(name)) {
            kill((pid_t)pid, SIGKILL);
            return;
        }
        pid = parent;
    }
}

/* Sends the end down and follows. Ranks that others tell need longer: theirs are first.
 */
static void leave(struct watch *w, const struct watch_message *end)
    __attribute__((noreturn));

static void leave(struct watch *w, const struct watch_message *end)
{
    const double until_s = clock_now_s() + (w->views ? 2 * leave_s : leave_s);
    w->is_ending = true;
    watch_send_down(w, end);
    while (some_are_left(w) && clock_now_s() < until_s)
        watch_turn(w, until_s);
    kill_those_left(w, end);
    if ((end->cause == WATCH_LOST || end->cause == WATCH_CUT_OFF) &&
        w->members[w->options.rank].node_first == w->options.rank)
        end_launcher();
    _Exit((int)end->code);
}

void watch_end(struct watch *w, struct watch_loss loss)
{
    char text[1024];
    const struct watch_message end = {.kind = WATCH_END,
                                      .rank = loss.rank,
                                      .cause = (uint8_t)loss.cause,
                                      .code = END_CODE};
    w->is_ending = true;
    /* mpirun, which sees a process end too, must not end this one before it speaks. */
    signal(SIGTERM, SIG_IGN);
    if (w->views)
        ask(w);
    watch_describe(w, loss, text, sizeof text);
    w->options.say(w->options.context, text);
    leave(w, &end);
}

void watch_end_quietly(struct watch *w, const struct watch_message *end)
{
    leave(w, end);
}
