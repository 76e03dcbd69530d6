/* The end of a job that has lost a rank.
 *
 * The chief, which is rank 0 or its deputy, asks all what they are doing, says what
 * happened, and sends the end down the tree; every process then leaves by _Exit, its
 * own threads may be anywhere. Launchers end a job when a process ends like that, and
 * where they do not, nothing is left to end: a rank kills those of its own host that
 * are still there in the end, such as one that is stopped.
 *
 * Where a host is lost, mpirun needs help. Its socket to the daemon there tells it of
 * the loss if keepalive is set so (oob_tcp_keepalive_time), but only as long as it has
 * sent nothing: once it has ended the other daemons because ranks have ended, it waits
 * minutes for this one. So all first give it time to see the loss. If it has not
 * by then, it ends with the ranks where it runs on the host of one; and so does a
 * daemon, which on the lost host would wait for mpirun. */
#include "comm/watch_internal.h"

#include "base/clock.h"
#include "comm/launcher.h"

#include <convoy/world.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* For all to say what they are doing: launchers may kill soon. */
static const double answer_s = 0.25;
/* Until those that need the lost rank have come to wait for it. */
static const double notice_s = 0.1;
/* For a process that was told to end. */
static const double leave_s = 1;
/* For mpirun to pass on what was said. */
static const double passing_on_s = 0.5;

enum {
    LAUNCHER_S = 12, /* from a host's loss: mpirun has seen it, if it does in time */
    ABORT_S = 3
};

static bool is_host_lost(enum watch_cause cause)
{
    return cause == WATCH_LOST || cause == WATCH_CUT_OFF;
}

int watch_exit_status(enum watch_cause cause)
{
    return is_host_lost(cause) || cause == WATCH_ENDED ? CONVOY_WORLD_LOST : 1;
}

static void wait_s(struct watch *w, double seconds)
{
    const double until_s = clock_now_s() + seconds;
    while (clock_now_s() < until_s)
        watch_turn(w, until_s);
}

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
    const struct watch_message message = {.kind = WATCH_ASK, .rank = w->options.rank},
                               own = watch_own(w, WATCH_BEAT);
    const double until_s = clock_now_s() + answer_s;
    for (int r = 0; r < w->options.size; r++)
        w->views[r].has_answered = false;
    watch_remember(w, &own);
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

/* Of those left on other hosts only the launcher can make an end. Asking for it may
 * never return: then the alarm ends this process. */
static void abort_those_left(struct watch *w, int code)
{
    if (!w->options.abort || !watch_is_chief(w) || !some_are_left(w))
        return;
    signal(SIGALRM, SIG_DFL);
    alarm(ABORT_S);
    w->options.abort(code);
}

/* Sends the end down and follows. Ranks that others tell need longer: theirs are first.
 */
static void leave(struct watch *w, const struct watch_message *end)
    __attribute__((noreturn));

static void leave(struct watch *w, const struct watch_message *end)
{
    w->is_ending = true;
    watch_send_down(w, end);
    wait_s(w, end->delay_s);
    const double until_s = clock_now_s() + (w->views ? 2 * leave_s : leave_s);
    while (some_are_left(w) && clock_now_s() < until_s)
        watch_turn(w, until_s);
    kill_those_left(w, end);
    if (is_host_lost(end->cause) &&
        w->members[w->options.rank].node_first == w->options.rank) {
        wait_s(w, passing_on_s);
        launcher_end();
    } else
        abort_those_left(w, (int)end->code);
    _Exit((int)end->code);
}

static uint8_t launcher_delay_s(const struct watch_loss *loss)
{
    return loss->seconds < LAUNCHER_S ? (uint8_t)(LAUNCHER_S - loss->seconds) : 1;
}

void watch_end(struct watch *w, struct watch_loss loss)
{
    char text[1024];
    const bool helps = is_host_lost(loss.cause) && launcher_is_there();
    const struct watch_message end = {.kind = WATCH_END,
                                      .rank = loss.rank,
                                      .cause = (uint8_t)loss.cause,
                                      .delay_s = helps ? launcher_delay_s(&loss) : 0,
                                      .code = watch_exit_status(loss.cause)};
    w->is_ending = true;
    /* mpirun, which sees a process end too, must not end this one before it speaks. */
    signal(SIGTERM, SIG_IGN);
    if (w->views) {
        ask(w);
        wait_s(w, notice_s);
        ask(w);
    }
    watch_describe(w, loss, text, sizeof text);
    w->options.say(w->options.context, text);
    leave(w, &end);
}

void watch_end_quietly(struct watch *w, const struct watch_message *end)
{
    leave(w, end);
}
