/* All members of the exchange do the same at the same time: what one of them sends to
 * the member s places after it, it receives at that time from the one s places before.
 * So one member is played, and stands for all. It has
 *
 *   - a thread, which does one thing after another: it sends and takes messages (o
 *     each), adds up segments, and sums within the node (two-level);
 *   - a link, which messages that are under way at a time share evenly. A node's ranks
 *     share its link: a member has 1/ranks of it;
 *   - flights, buckets under way; each scatters its segments, adds its own up and
 *     gathers, in steps of which PARTNERS are under way at a time (comm/direct.c).
 *
 * A step of m bytes so takes o + L + m G (G: by what it shares the link with) + o,
 * which is LogGP's cost of a message (Alexandrov et al. 1995; Hockney's alpha + beta m
 * with alpha = L + 2 o). Of many steps only STEPS are played, each in the place of
 * several and as much dearer in all its costs, so playing does not grow with the ranks.
 *
 * The MPI library's sum (native) goes by formulas: bucket after bucket the better of a
 * ring and of recursive halving and doubling (Thakur et al. 2005). */
#include "plan/plan_exchange.h"

#include "comm/tree.h"

#include <math.h>

/* As in comm/direct.c and comm/bucket.h. */
enum { PARTNERS = 3, MAX_FLIGHTS = 8 };
enum { STEPS = 48 }; /* played of a stage, at most */
enum { MOST_ASKED = 4096 };
enum { SCORES_BYTES = 56 }; /* of a microbatch */

/* Of a bucket byte, on every member. */
struct costs {
    int n_steps;
    double scale;      /* steps that one stands for */
    double wire_s;     /* of a segment's byte and piece */
    double segment;    /* bytes of it a byte of the bucket */
    double pieces;     /* messages of a scatter step */
    double overhead_s; /* of a message at an end */
    double latency_s;
    double combine_s, node_s; /* a byte of the bucket */
};

struct slot {
    enum { EMPTY, ON_ITS_WAY, ON_THE_LINK } state;
    double time_s; /* ON_ITS_WAY: when it reaches the link */
    double wire_s; /* ON_THE_LINK: seconds of the link's whole use when it is over */
};

struct flight {
    int bucket; /* -1: none */
    bool is_gathering;
    int steps_left, n_under_way;
    struct slot slots[PARTNERS];
};

struct play {
    const struct costs *costs;
    const struct plan_bucket *buckets;
    int n, n_flights;
    double now_s, used_s; /* used: of the link, by each message on it */
    double thread_free_s;
    double from_s;
    int n_posted, n_done;
    struct flight flights[MAX_FLIGHTS];
};

/* The thread is busy for so long, after what it does now; when that is over. */
static double work(struct play *p, double seconds)
{
    const double begin = p->thread_free_s > p->now_s ? p->thread_free_s : p->now_s;
    p->thread_free_s = begin + seconds;
    return p->thread_free_s;
}

static double messages(const struct play *p, const struct flight *f)
{
    return p->costs->scale * (f->is_gathering ? 1 : p->costs->pieces);
}

static void post_step(struct play *p, struct flight *f, struct slot *slot)
{
    const struct costs *c = p->costs;
    f->steps_left--;
    f->n_under_way++;
    slot->state = ON_ITS_WAY;
    slot->time_s = work(p, messages(p, f) * c->overhead_s) + c->scale * c->latency_s;
}

static void begin_stage(struct play *p, struct flight *f)
{
    f->steps_left = p->costs->n_steps;
    for (int i = 0; i < PARTNERS && f->steps_left > 0; i++)
        post_step(p, f, &f->slots[i]);
}

static double ready_s(const struct play *p, int bucket)
{
    return fmax(p->buckets[bucket].ready_s, p->from_s);
}

static bool can_post(const struct play *p)
{
    return p->n_posted < p->n && p->n_posted - p->n_done < p->n_flights;
}

static void post_ready(struct play *p)
{
    while (can_post(p) && ready_s(p, p->n_posted) <= p->now_s) {
        struct flight *f = &p->flights[p->n_posted % p->n_flights];
        f->bucket = p->n_posted++;
        f->is_gathering = false;
        work(p, p->buckets[f->bucket].bytes * p->costs->node_s);
        begin_stage(p, f);
    }
}

static void end_stage(struct play *p, struct flight *f)
{
    if (!f->is_gathering) {
        work(p, p->buckets[f->bucket].bytes * p->costs->combine_s);
        f->is_gathering = true;
        begin_stage(p, f);
        return;
    }
    f->bucket = -1;
    while (p->n_done < p->n_posted &&
           p->flights[p->n_done % p->n_flights].bucket != p->n_done)
        p->n_done++;
}

/* A step's messages have gone through the link. */
static void end_step(struct play *p, struct flight *f, struct slot *slot)
{
    work(p, messages(p, f) * p->costs->overhead_s);
    slot->state = EMPTY;
    f->n_under_way--;
    if (f->steps_left > 0)
        post_step(p, f, slot);
    else if (f->n_under_way == 0)
        end_stage(p, f);
}

/* The first thing that happens next: a slot of a flight, or, with slot NULL, a bucket
 * is ready. */
struct event {
    double time_s;
    struct flight *flight;
    struct slot *slot;
};

static int count_on_link(const struct play *p)
{
    int n = 0;
    for (int i = 0; i < p->n_flights; i++)
        for (int k = 0; k < PARTNERS; k++)
            n += p->flights[i].slots[k].state == ON_THE_LINK;
    return n;
}

static struct event next_event(struct play *p, int n_on_link)
{
    struct event next = {.time_s = INFINITY};
    if (can_post(p))
        next.time_s = ready_s(p, p->n_posted);
    for (int i = 0; i < p->n_flights; i++)
        for (int k = 0; k < PARTNERS; k++) {
            struct slot *slot = &p->flights[i].slots[k];
            double time_s = slot->time_s;
            if (slot->state == EMPTY)
                continue;
            if (slot->state == ON_THE_LINK)
                time_s = p->now_s + fmax(0, slot->wire_s - p->used_s) * n_on_link;
            if (time_s < next.time_s)
                next = (struct event){time_s, &p->flights[i], slot};
        }
    return next;
}

static void move_on(struct play *p)
{
    const int n = count_on_link(p);
    const struct event e = next_event(p, n);
    const double time_s = fmax(e.time_s, p->now_s);
    if (n > 0)
        p->used_s += (time_s - p->now_s) / n;
    p->now_s = time_s;
    if (e.slot && e.slot->state == ON_ITS_WAY) {
        const struct costs *c = p->costs;
        const double pieces = e.flight->is_gathering ? 1 : c->pieces;
        e.slot->state = ON_THE_LINK;
        e.slot->wire_s = p->used_s + c->scale * pieces * c->wire_s *
                                         p->buckets[e.flight->bucket].bytes;
    } else if (e.slot) {
        end_step(p, e.flight, e.slot);
    }
    post_ready(p);
}

/* A member's complete subtrees: of the member with the most of them, and of all. Of
 * very many members some are asked, for all. */
static void count_pieces(const struct plan_ranks *r, int ranks_each, double *most,
                         double *all)
{
    const int size = r->nodes * r->node_ranks, members = size / ranks_each;
    const int every = (members + MOST_ASKED - 1) / MOST_ASKED;
    int n_asked = 0;
    *most = 1;
    *all = 0;
    for (int i = 0; i < members; i += every, n_asked++) {
        const int first = i * ranks_each;
        const int n = tree_n_pieces(r->n_leaves, first, first + ranks_each, size);
        *most = n > *most ? n : *most;
        *all += n;
    }
    *all *= (double)members / n_asked;
}

/* What a node's first owner adds up in shared memory, in slices: nothing where it only
 * has a rank's own subtrees. */
static double node_slices(const struct plan_ranks *r)
{
    double n = 0;
    const int size = r->nodes * r->node_ranks;
    for (int rank = 0; rank < r->node_ranks && r->node_ranks > 1; rank++)
        n += tree_n_pieces(r->n_leaves, rank, rank + 1, size);
    return n;
}

static struct costs costs_of(const struct plan_network *w, const struct plan_ranks *r)
{
    const bool is_two_level = r->algorithm == PLAN_TWO_LEVEL;
    const int size = is_two_level ? r->nodes : r->nodes * r->node_ranks;
    const double slice = is_two_level ? 1.0 / r->node_ranks : 1;
    struct costs c = {.overhead_s = w->overhead_s, .latency_s = w->latency_s};
    double all;
    count_pieces(r, is_two_level ? r->node_ranks : 1, &c.pieces, &all);
    c.n_steps = size - 1 < STEPS ? size - 1 : STEPS;
    c.scale = c.n_steps > 0 ? (double)(size - 1) / c.n_steps : 1;
    c.segment = slice / size;
    c.wire_s = c.segment * r->node_ranks / w->bytes_per_s;
    if (!is_two_level) /* the others of the node are not on its link */
        c.wire_s *= (double)(size - r->node_ranks) / (size > 1 ? size - 1 : 1);
    c.combine_s = all * c.segment / w->sum_bytes_per_s;
    c.node_s = is_two_level ? node_slices(r) * slice / w->sum_bytes_per_s : 0;
    return c;
}

static double play_exchange(const struct costs *costs, const struct plan_ranks *r,
                            const struct plan_bucket *buckets, int n, double from_s)
{
    struct play p = {
        .costs = costs, .buckets = buckets, .n = n, .from_s = from_s, .n_flights = 1};
    if (r->flights > 1)
        p.n_flights = r->flights < MAX_FLIGHTS ? r->flights : MAX_FLIGHTS;
    for (int i = 0; i < MAX_FLIGHTS; i++)
        p.flights[i].bucket = -1;
    while (p.n_done < n)
        move_on(&p);
    return fmax(p.now_s, p.thread_free_s);
}

/* Within a node nothing is on the link. */
static double add_alone(const struct costs *costs, const struct plan_bucket *buckets,
                        int n, double from_s)
{
    double now_s = from_s;
    for (int b = 0; b < n; b++)
        now_s = fmax(now_s, buckets[b].ready_s) + buckets[b].bytes * costs->node_s;
    return now_s;
}

static double native_s(const struct plan_network *w, const struct plan_ranks *r,
                       const struct plan_bucket *buckets, int n, double from_s)
{
    const double size = (double)r->nodes * r->node_ranks;
    const double alpha = w->latency_s + 2 * w->overhead_s, share = (size - 1) / size;
    double now_s = from_s;
    for (int b = 0; b < n; b++) {
        const double bytes = buckets[b].bytes;
        const double wire = r->nodes > 1 ? 2 * share * bytes / w->bytes_per_s : 0;
        const double sums = 2 * share * bytes / w->sum_bytes_per_s;
        const double ring = 2 * (size - 1) * alpha + wire;
        const double halving = 2 * ceil(log2(size)) * alpha + wire * r->node_ranks;
        now_s = fmax(now_s, buckets[b].ready_s) + fmin(ring, halving) + sums;
    }
    return now_s;
}

double plan_exchange_s(const struct plan_network *network,
                       const struct plan_ranks *ranks,
                       const struct plan_bucket *buckets, int n, double from_s)
{
    if (ranks->nodes * ranks->node_ranks == 1)
        return fmax(from_s, buckets[n - 1].ready_s);
    if (ranks->algorithm == PLAN_NATIVE)
        return native_s(network, ranks, buckets, n, from_s);
    const struct costs costs = costs_of(network, ranks);
    return costs.n_steps == 0 ? add_alone(&costs, buckets, n, from_s)
                              : play_exchange(&costs, ranks, buckets, n, from_s);
}

/* A ring that gathers from all (MPI_Allgatherv), after a barrier of log2 rounds. */
double plan_scores_s(const struct plan_network *network, const struct plan_ranks *ranks)
{
    const double size = (double)ranks->nodes * ranks->node_ranks;
    const double alpha = network->latency_s + 2 * network->overhead_s;
    const double bytes = ranks->nodes > 1 ? (double)ranks->n_leaves * SCORES_BYTES : 0;
    return (ceil(log2(size)) + size - 1) * alpha + bytes / network->bytes_per_s;
}
