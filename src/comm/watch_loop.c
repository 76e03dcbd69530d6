/* The watch's thread: messages, and what their absence means.
 *
 * A loss goes up to rank 0, which names it and sends the end down. Where rank 0 itself
 * is lost its deputy does that. A rank that knows of a loss and hears of no end, since
 * those above are lost too, ends after grace_s; it speaks itself only if no other can:
 * the ranks of a node leave that to their first. */
#include "comm/watch_internal.h"

#include "base/clock.h"
#include "base/pulse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const double jump_s = 3;  /* between two turns: this watch was stopped itself */
static const double grace_s = 3; /* for an end that others bring about */
static const double guest_s = 10;
static const double unheard_s = 5; /* who does not beat is sent no beats */

struct watch_message watch_own(const struct watch *w, enum watch_kind kind)
{
    struct pulse now;
    pulse_read(&now);
    if (now.beaten) /* its time is kept by beat; here it is about to be */
        pulse();
    return (struct watch_message){.kind = (uint8_t)kind,
                                  .rank = w->options.rank,
                                  .phase = (uint8_t)now.phase,
                                  .waits = now.waits,
                                  .step = now.step,
                                  .quiet_ms =
                                      (uint64_t)(1000 * (clock_now_s() - w->pulse_s))};
}

void watch_send(struct watch *w, enum watch_role role,
                const struct watch_message *message)
{
    const bool is_beat = message->kind == WATCH_BEAT || message->kind == WATCH_ALIVE;
    const double now = clock_now_s();
    for (int i = 0; i < w->n_links; i++)
        if (w->links[i].role == role &&
            !(is_beat && now - w->links[i].heard_s > unheard_s))
            link_send(&w->links[i], message);
}

void watch_send_up(struct watch *w, const struct watch_message *message)
{
    watch_send(w, WATCH_HUB, message);
    watch_send(w, WATCH_SPARE, message);
}

void watch_send_down(struct watch *w, const struct watch_message *message)
{
    watch_send(w, WATCH_CHILD, message);
    watch_send(w, WATCH_ASIDE, message);
}

bool watch_is_chief(const struct watch *w)
{
    if (w->options.rank != w->deputy)
        return w->options.rank == 0;
    for (int i = 0; i < w->n_links; i++)
        if (w->links[i].role == WATCH_HUB && w->links[i].rank == 0)
            return w->links[i].is_lost || w->links[i].has_left;
    return true;
}

void watch_remember(struct watch *w, const struct watch_message *beat)
{
    if (!w->views || beat->rank < 0 || beat->rank >= w->options.size)
        return;
    struct watch_view *view = &w->views[beat->rank];
    view->told = *beat;
    view->has_answered = true;
}

/* A rank that leaves speaks no more for those of its node either. */
static void forget(struct watch *w, int rank)
{
    for (int r = 0; w->views && r < w->options.size; r++)
        if (r == rank || w->members[r].node_first == rank)
            w->views[r].has_left = true;
}

static void report(struct watch *w, struct watch_loss loss)
{
    const struct watch_message message = {.kind = WATCH_DEAD,
                                          .rank = loss.rank,
                                          .cause = (uint8_t)loss.cause,
                                          .quiet_ms = (uint64_t)(1000 * loss.seconds)};
    if (w->is_ending)
        return;
    for (int r = 0; w->views && r < w->options.size; r++)
        if (r == loss.rank ||
            (loss.cause == WATCH_LOST && w->members[r].node_first == loss.rank))
            w->views[r].is_lost = true;
    if (watch_is_chief(w))
        watch_end(w, loss);
    watch_send_up(w, &message);
    if (w->orphan_s == 0) {
        w->orphan_s = clock_now_s();
        w->orphaned_by = loss;
    }
}

static bool is_rank(const struct watch *w, int rank)
{
    return rank >= 0 && rank < w->options.size;
}

/* Who calls has its place in the tree by its rank; a second call takes the first's. */
static bool welcome(struct watch *w, struct watch_link *link,
                    const struct watch_message *hello)
{
    const struct watch_options *o = &w->options;
    const int rank = hello->rank;
    if (hello->kind != WATCH_HELLO || !is_rank(w, rank) || rank == o->rank ||
        memcmp(&hello->key, &o->key, sizeof o->key) != 0)
        return false;
    const int hub = watch_hub(w->members, rank);
    if (hub != o->rank && !(hub == 0 && o->rank == w->deputy))
        return false;
    for (int i = 0; i < w->n_links; i++)
        if (w->links[i].rank == rank && &w->links[i] != link)
            link_close(&w->links[i]);
    link->rank = rank;
    link->role = hub == o->rank ? WATCH_CHILD : WATCH_ASIDE;
    const struct watch_message answer = {
        .kind = WATCH_WELCOME, .rank = o->rank, .key = o->key};
    link_send(link, &answer);
    return true;
}

static void take_failure(struct watch *w, const struct watch_message *message)
{
    if (w->failed_s > 0)
        return;
    w->failed_s = clock_now_s();
    w->failed_code = (int)message->code;
}

/* From below: to be passed on. */
static void take_up(struct watch *w, struct watch_link *link,
                    const struct watch_message *message)
{
    if (!is_rank(w, message->rank))
        return;
    if (link->role == WATCH_CHILD && message->kind != WATCH_DEAD)
        watch_send_up(w, message);
    switch (message->kind) {
    case WATCH_BEAT:
        watch_remember(w, message);
        break;
    case WATCH_FAILED:
        take_failure(w, message);
        link->has_left = link->has_left || link->rank == message->rank;
        forget(w, message->rank);
        break;
    case WATCH_GONE:
        link->has_left = link->has_left || link->rank == message->rank;
        forget(w, message->rank);
        break;
    case WATCH_DEAD:
        report(w, (struct watch_loss){message->rank, message->cause,
                                      (double)message->quiet_ms / 1000});
        break;
    default:
        break;
    }
}

/* From above. */
static void take_down(struct watch *w, struct watch_link *link,
                      const struct watch_message *message)
{
    struct watch_message answer;
    switch (message->kind) {
    case WATCH_ALIVE:
        watch_remember(w, message);
        break;
    case WATCH_FAILED:
        take_failure(w, message);
        link->has_left = true;
        forget(w, message->rank);
        break;
    case WATCH_GONE:
        link->has_left = true;
        forget(w, message->rank);
        break;
    case WATCH_ASK:
        watch_send(w, WATCH_CHILD, message);
        answer = watch_own(w, WATCH_BEAT);
        watch_send_up(w, &answer);
        break;
    case WATCH_END:
        if (!w->is_ending)
            watch_end_quietly(w, message);
        break;
    default:
        break;
    }
}

static void take(struct watch *w, struct watch_link *link,
                 const struct watch_message *message)
{
    link->heard_s = clock_now_s();
    if (link->role == WATCH_GUEST) {
        if (!welcome(w, link, message))
            link_close(link);
    } else if (link->role == WATCH_HUB || link->role == WATCH_SPARE) {
        take_down(w, link, message);
    } else {
        take_up(w, link, message);
    }
}

static void listen_to(struct watch *w, struct watch_link *link)
{
    struct watch_message message;
    int n = 0;
    while (link->fd >= 0 && (n = link_receive(link, &message)) > 0)
        take(w, link, &message);
    if (link->fd < 0 || n == 0)
        return;
    link->cause = errno == ETIMEDOUT || errno == EHOSTUNREACH || errno == ENETUNREACH ||
                          errno == ENETDOWN || errno == EHOSTDOWN
                      ? WATCH_LOST
                      : WATCH_ENDED;
    link->silence_s = WATCH_LOST_S;
    link->is_lost = link->role != WATCH_GUEST && !link->has_left;
    link_close(link);
}

static void accept_guests(struct watch *w, int listener)
{
    pid_t pid = 0;
    while (w->n_links < w->capacity) {
        const int fd = link_accept(listener, &pid);
        if (fd < 0)
            return;
        link_open(&w->links[w->n_links++], fd, pid, WATCH_GUEST, -1);
    }
}

/* Links that are closed and of no more consequence make room. */
static void tidy(struct watch *w)
{
    int n = 0;
    const double now = clock_now_s();
    for (int i = 0; i < w->n_links; i++) {
        struct watch_link *link = &w->links[i];
        if (link->role == WATCH_GUEST && now - link->heard_s > guest_s)
            link_close(link);
        const bool is_above = link->role == WATCH_HUB || link->role == WATCH_SPARE;
        if (link->fd < 0 && !is_above && (!link->is_lost || link->is_counted))
            continue;
        if (n != i)
            w->links[n] = *link;
        n++;
    }
    w->n_links = n;
}

/* The end is expected from above, and may not come. */
static void wait_for_end(struct watch *w)
{
    const double now = clock_now_s();
    const bool leaves_it = w->orphaned_by.rank != 0 && w->orphaned_by.rank == w->hub;
    const struct watch_message end = {.kind = WATCH_END,
                                      .rank = w->orphaned_by.rank,
                                      .cause = (uint8_t)w->orphaned_by.cause,
                                      .code = watch_exit_status(w->orphaned_by.cause)};
    if (w->orphan_s == 0 || now - w->orphan_s < grace_s)
        return;
    if (leaves_it)
        watch_end_quietly(w, &end);
    watch_end(w, w->orphaned_by);
}

static void count_loss(struct watch *w, struct watch_link *link)
{
    struct watch_loss loss = {link->rank, (enum watch_cause)link->cause,
                              link->silence_s};
    const bool is_chief = watch_is_chief(w);
    link->is_counted = true;
    if (link->role == WATCH_CHILD || (link->role == WATCH_HUB && is_chief)) {
        report(w, loss);
    } else if (link->role == WATCH_HUB && w->orphan_s == 0) {
        if (loss.rank == 0 && loss.cause == WATCH_LOST)
            loss.cause = WATCH_CUT_OFF;
        w->orphan_s = clock_now_s();
        w->orphaned_by = loss;
    }
}

static void count_losses(struct watch *w)
{
    const double now = clock_now_s(), timeout_s = atomic_load(&w->timeout_ms) / 1000.0;
    if (w->failed_s > 0) /* a rank has said why it ends the job: that is all */
        return;
    for (int i = 0; i < w->n_links; i++) {
        struct watch_link *link = &w->links[i];
        const bool beats = link->role == WATCH_CHILD || link->role == WATCH_HUB;
        if (beats && link->fd >= 0 && !link->has_left && !link->is_lost &&
            now - link->heard_s > timeout_s) {
            link->is_lost = true;
            link->cause = link_is_cut(link) ? WATCH_LOST : WATCH_SILENT;
            link->silence_s = timeout_s;
        }
        if (link->is_lost && !link->is_counted)
            count_loss(w, link);
    }
}

/* How many times longer than later a rank may be quiet at the start, where it opens
 * files, reserves memory and makes kernels. */
static const double start_patience = 2;

/* How long the rank may do nothing. */
static double patience_s(const struct watch *w, int rank)
{
    const double timeout_s = atomic_load(&w->timeout_ms) / 1000.0;
    return w->views[rank].told.phase == PULSE_START ? start_patience * timeout_s
                                                    : timeout_s;
}

/* Whether it has done nothing for longer, where that is anybody's affair. Of one that
 * says nothing at all it is count_losses'. */
static bool is_quiet(const struct watch *w, int rank)
{
    const struct watch_view *view = &w->views[rank];
    const int phase = view->told.phase;
    if (view->has_left || phase == PULSE_OUTSIDE || phase >= PULSE_END)
        return false;
    return (double)view->told.quiet_ms / 1000 > patience_s(w, rank);
}

/* Step by step and, in a step, before the exchange: so far is a rank. */
static uint64_t progress(const struct watch_message *told)
{
    return told->step * PULSE_N_PHASES + told->phase;
}

/* Of ranks that get nowhere: one that waits for nobody while somebody waits; or, where
 * all wait, the one that has come least far. */
static void judge(struct watch *w)
{
    int n_here = 0, n_waiting = 0, n_quiet = 0, stuck = -1, last = -1;
    for (int r = 0; r < w->options.size; r++) {
        const struct watch_message *told = &w->views[r].told;
        const bool quiet = is_quiet(w, r);
        if (w->views[r].has_left)
            continue;
        n_here++;
        n_waiting += told->waits;
        n_quiet += quiet;
        if (quiet && !told->waits && stuck < 0)
            stuck = r;
        if (last < 0 || progress(told) < progress(&w->views[last].told))
            last = r;
    }
    if (stuck >= 0 && n_waiting > 0)
        report(w, (struct watch_loss){stuck, WATCH_STUCK, patience_s(w, stuck)});
    else if (n_quiet == n_here && n_waiting > 0)
        report(w, (struct watch_loss){last, WATCH_ALL, patience_s(w, last)});
}

static void beat(struct watch *w)
{
    struct pulse now;
    pulse_read(&now);
    w->beat_s = clock_now_s();
    if (now.beaten)
        w->pulse_s = w->beat_s;
    const struct watch_message up = watch_own(w, WATCH_BEAT),
                               down = watch_own(w, WATCH_ALIVE);
    watch_remember(w, &up);
    watch_send_up(w, &up);
    watch_send_down(w, &down);
    if (w->is_ending || !atomic_load(&w->armed))
        return;
    if (w->views && watch_is_chief(w))
        judge(w);
    const struct watch_message end = {
        .kind = WATCH_END, .rank = -1, .code = w->failed_code};
    /* Not only the chief: a rank between it and this one may be gone. */
    const double wait_s = watch_is_chief(w) ? grace_s : 2 * grace_s;
    if (w->failed_s > 0 && w->beat_s - w->failed_s > wait_s)
        watch_end_quietly(w, &end);
}

/* Nobody's silence counts while this process was stopped itself. */
static void count_anew(struct watch *w, double now)
{
    w->pulse_s = now;
    w->orphan_s = w->orphan_s > 0 ? now : 0;
    w->failed_s = w->failed_s > 0 ? now : 0;
    for (int i = 0; i < w->n_links; i++)
        w->links[i].heard_s = now;
    for (int r = 0; w->views && r < w->options.size; r++) {
        w->views[r].told.quiet_ms = 0;
    }
}

static void say_goodbye(struct watch *w)
{
    const int code = atomic_load(&w->code);
    const struct watch_message message = {.kind = code < 0 ? WATCH_GONE : WATCH_FAILED,
                                          .rank = w->options.rank,
                                          .code = code};
    if (!atomic_load(&w->leaving) || atomic_load(&w->has_told))
        return;
    pulse_enter_phase(PULSE_END);
    if (code >= 0)
        take_failure(w, &message);
    watch_send_up(w, &message);
    watch_send_down(w, &message);
    atomic_store(&w->has_told, true);
}

static void wait_for_events(struct watch *w, double until_s)
{
    const bool is_full = w->n_links == w->capacity;
    const int fds[] = {w->wake, is_full ? -1 : w->here, is_full ? -1 : w->elsewhere};
    const double left_s = until_s - clock_now_s();
    uint64_t n_woken = 0;
    for (int i = 0; i < w->n_links; i++)
        w->polls[i] = (struct pollfd){
            w->links[i].fd, w->links[i].n_out > 0 ? POLLIN | POLLOUT : POLLIN, 0};
    for (int i = 0; i < 3; i++)
        w->polls[w->n_links + i] = (struct pollfd){fds[i], POLLIN, 0};
    poll(w->polls, (nfds_t)w->n_links + 3, left_s > 0 ? (int)(1000 * left_s) + 1 : 0);
    if (read(w->wake, &n_woken, sizeof n_woken) < 0)
        return; /* nobody has */
}

void watch_turn(struct watch *w, double until_s)
{
    const int n = w->n_links;
    wait_for_events(w, until_s);
    const double now = clock_now_s();
    if (now - w->turned_s > jump_s)
        count_anew(w, now);
    w->turned_s = now;
    for (int i = 0; i < n; i++) {
        if (w->polls[i].revents & POLLOUT)
            link_flush(&w->links[i]);
        if (w->polls[i].revents & ~POLLOUT)
            listen_to(w, &w->links[i]);
    }
    for (int i = 1; i < 3; i++)
        if (w->polls[n + i].revents)
            accept_guests(w, w->polls[n + i].fd);
    say_goodbye(w);
    if (!w->is_ending && atomic_load(&w->armed)) {
        count_losses(w);
        wait_for_end(w);
    }
    if (now - w->beat_s >= 1)
        beat(w);
    tidy(w);
}
