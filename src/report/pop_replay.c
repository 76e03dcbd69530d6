/* Ranks take turns, each going on until it waits for something that has not happened;
 * when none of them can go on, they have ended or wait for ever. When an event ends is
 * a function of the ends of events before it, so the order of turns does not matter.
 *
 * What has happened is read from the lines: of each, events before `next` are over, and
 * know when they ended. */
#include "report/pop_replay.h"

#include "base/memory.h"

#include <stdbool.h>

struct replay {
    const struct pop_line *lines;
    int n_ranks;
    double factor;
    int *next; /* [n_ranks] events of a rank that are over */
};

static double now_of(const struct replay *r, int rank)
{
    return r->next[rank] > 0 ? r->lines[rank].events[r->next[rank] - 1].end_s : 0;
}

/* Of a rank's events before end, how many are of this kind, with this other. */
static int count(const struct pop_line *line, int end, enum pop_kind kind, int other)
{
    int n = 0;
    for (int i = 0; i < end; i++)
        n += line->events[i].kind == kind &&
             (kind == POP_MEET || line->events[i].other == other);
    return n;
}

/* When the k-th message from sender to rank has come; false: not sent yet. */
static bool find_message(const struct replay *r, int sender, int rank, int k,
                         double *at_s)
{
    const struct pop_line *line = &r->lines[sender];
    for (int i = 0; i < r->next[sender]; i++) {
        const struct pop_event *event = &line->events[i];
        if (event->kind != POP_SEND || event->other != rank || k-- > 0)
            continue;
        *at_s = event->end_s + event->seconds * r->factor;
        return true;
    }
    return false;
}

/* The k-th meeting of all ranks has its last rank at *at_s, which goes on *seconds
 * later; false: a rank is not there yet. */
static bool find_meeting(const struct replay *r, int k, double *at_s, double *seconds)
{
    *at_s = *seconds = 0;
    for (int rank = 0; rank < r->n_ranks; rank++) {
        const struct pop_line *line = &r->lines[rank];
        int i = 0;
        for (int left = k; i < line->n; i++)
            if (line->events[i].kind == POP_MEET && left-- == 0)
                break;
        if (i >= line->n || r->next[rank] < i)
            return false;
        const double came_s = i > 0 ? line->events[i - 1].end_s : 0;
        const double takes_s = line->events[i].seconds * r->factor;
        *at_s = came_s > *at_s ? came_s : *at_s;
        *seconds = takes_s > *seconds ? takes_s : *seconds;
    }
    return true;
}

/* The rank's next event; false: it waits. */
static bool play_event(const struct replay *r, int rank, double *useful_s)
{
    const struct pop_line *line = &r->lines[rank];
    const int i = r->next[rank];
    struct pop_event *event = &line->events[i];
    const double now = now_of(r, rank);
    double at_s = now, seconds = 0;
    switch (event->kind) {
    case POP_COMPUTE:
        seconds = event->seconds;
        *useful_s += seconds;
        break;
    case POP_SEND:
        break;
    case POP_RECEIVE:
        if (!find_message(r, event->other, rank,
                          count(line, i, POP_RECEIVE, event->other), &at_s))
            return false;
        break;
    case POP_MEET:
        if (!find_meeting(r, count(line, i, POP_MEET, 0), &at_s, &seconds))
            return false;
        break;
    }
    event->end_s = (at_s > now ? at_s : now) + seconds;
    r->next[rank]++;
    return true;
}

static convoy_status check(const struct pop_line *lines, int n_ranks)
{
    for (int rank = 0; rank < n_ranks; rank++)
        for (int i = 0; i < lines[rank].n; i++) {
            const struct pop_event *event = &lines[rank].events[i];
            const bool needs = event->kind == POP_SEND || event->kind == POP_RECEIVE;
            if (needs && (event->other < 0 || event->other >= n_ranks))
                return FAIL(CONVOY_ERROR_ARGUMENT, "rank %d, event %d: no rank %d",
                            rank, i, event->other);
        }
    return CONVOY_OK;
}

static convoy_status play(const struct replay *r, double *useful_s, double *total_s)
{
    bool goes_on = true;
    while (goes_on) {
        goes_on = false;
        for (int rank = 0; rank < r->n_ranks; rank++)
            while (r->next[rank] < r->lines[rank].n &&
                   play_event(r, rank, &useful_s[rank]))
                goes_on = true;
    }
    *total_s = 0;
    for (int rank = 0; rank < r->n_ranks; rank++) {
        if (r->next[rank] < r->lines[rank].n)
            return FAIL(CONVOY_ERROR_ARGUMENT, "rank %d, event %d: waits for ever",
                        rank, r->next[rank]);
        const double end_s = now_of(r, rank);
        *total_s = end_s > *total_s ? end_s : *total_s;
    }
    return CONVOY_OK;
}

convoy_status pop_replay(const struct pop_line *lines, int n_ranks, double factor,
                         double *useful_s, double *total_s)
{
    convoy_status status = CONVOY_OK;
    struct replay replay = {lines, n_ranks, factor, NULL};
    TRY(check(lines, n_ranks));
    TRY(mem_alloc_array((size_t)n_ranks, sizeof *replay.next, (void **)&replay.next));
    for (int rank = 0; rank < n_ranks; rank++)
        useful_s[rank] = 0;
    TRY(play(&replay, useful_s, total_s));
cleanup:
    mem_free(replay.next);
    return status;
}
