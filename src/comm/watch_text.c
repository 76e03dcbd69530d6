/* A loss in words: who, on which host, in which step and phase, and who waits. */
#include "comm/watch_internal.h"

#include "base/pulse.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* "rank 3", "ranks 0-2, 4": those that are, of so many; returns how many. */
static int append_ranks(char *text, size_t size, int n_ranks,
                        bool (*is)(const struct watch *, int, int),
                        const struct watch *w, int about)
{
    int n = 0;
    for (int r = 0; r < n_ranks; r++)
        n += is(w, r, about);
    text_append(text, size, n == 1 ? "rank " : "ranks ");
    const char *comma = "";
    for (int first = 0, last; first < n_ranks; first = last + 1) {
        for (last = first; last < n_ranks && is(w, last, about);)
            last++;
        if (last - first == 1)
            text_append(text, size, "%s%d", comma, first);
        else if (last > first)
            text_append(text, size, "%s%d-%d", comma, first, last - 1);
        if (last > first)
            comma = ", ";
    }
    return n;
}

static bool on_its_node(const struct watch *w, int rank, int about)
{
    return w->members[rank].node_first == w->members[about].node_first;
}

static bool waits_for_it(const struct watch *w, int rank, int about)
{
    const struct watch_view *view = &w->views[rank];
    return rank != about && view->told.waits && !view->has_left && !view->is_lost;
}

static void append_who(const struct watch *w, struct watch_loss loss, char *text,
                       size_t size)
{
    const char *host = w->members[loss.rank].host;
    const double seconds = loss.seconds;
    switch (loss.cause) {
    case WATCH_ENDED:
        text_append(
            text, size,
            "rank %d on %s ended without a word (killed, out of memory or crashed)",
            loss.rank, host);
        break;
    case WATCH_LOST:
        text_append(text, size, "%s with ", host);
        append_ranks(text, size, w->options.size, on_its_node, w, loss.rank);
        text_append(text, size, " is lost (no answer of its network in %g s)", seconds);
        break;
    case WATCH_SILENT:
        text_append(text, size, "rank %d on %s is stopped (silent for %g s)", loss.rank,
                    host, seconds);
        break;
    case WATCH_STUCK:
        text_append(text, size, "rank %d on %s is stuck (nothing done in %g s)",
                    loss.rank, host, seconds);
        break;
    case WATCH_ALL:
        text_append(text, size, "all ranks wait for each other (%g s), rank %d on %s",
                    seconds, loss.rank, host);
        break;
    case WATCH_CUT_OFF:
        text_append(text, size,
                    "rank %d on %s is cut off from rank 0 on %s (no answer of "
                    "the network in %g s)",
                    w->options.rank, w->members[w->options.rank].host, host, seconds);
        break;
    }
}

static void append_where(const struct watch_message *at, char *text, size_t size)
{
    const unsigned long long step = at->step;
    switch (at->phase) {
    case PULSE_OUTSIDE: /* nothing that all know the place in */
        break;
    case PULSE_START:
        text_append(text, size, " at the start");
        break;
    case PULSE_STEP:
        text_append(text, size, " in step %llu", step);
        break;
    case PULSE_EXCHANGE: /* of a training, whose steps count from 1, or a bench */
        if (step > 0)
            text_append(text, size, " in step %llu (exchange)", step);
        else
            text_append(text, size, " in bench exchange");
        break;
    case PULSE_EVALUATION:
        text_append(text, size, " in an evaluation");
        break;
    case PULSE_SAVE:
        text_append(text, size, " while step %llu was saved", step);
        break;
    default:
        text_append(text, size, " at the end");
    }
}

void watch_describe(const struct watch *w, struct watch_loss loss, char *text,
                    size_t size)
{
    struct watch_message at = watch_own(w, WATCH_BEAT);
    text[0] = '\0';
    append_who(w, loss, text, size);
    if (w->views && w->views[loss.rank].told.kind != 0 && loss.cause != WATCH_CUT_OFF) {
        const struct watch_message *told = &w->views[loss.rank].told;
        /* What it told last may be a second old, and steps short: it is in this one's.
         */
        const bool tells = loss.cause == WATCH_STUCK || loss.cause == WATCH_ALL;
        at.phase = told->phase != PULSE_OUTSIDE ? told->phase : at.phase;
        at.step = told->step > at.step || tells ? told->step : at.step;
    }
    append_where(&at, text, size);
    const size_t before = strlen(text);
    text_append(text, size, "; ");
    const int n =
        w->views ? append_ranks(text, size, w->options.size, waits_for_it, w, loss.rank)
                 : 0;
    if (n > 0)
        text_append(text, size, n == 1 ? " waits for it" : " wait for it");
    else
        text[before] = '\0';
    text_append(text, size, "; the job ends");
}
