/* A flight is a span under way: it scatters (pieces of segments to their members),
 * combines, and gathers (sums of segments to all).
 *
 * Both kinds of messages go in steps: in step s a member talks to the one s places
 * after it and listens to the one s places before it, so that all receive from one
 * partner a step. Only so many steps are under way at a time: many senders at once
 * would overflow the queue of a switch in front of one receiver (incast).
 *
 * Pieces are merged like leaves are (tree.h), block by block: a block of every
 * unfinished sum fits the cache, so memory is read once for each piece and written
 * once. The sum of the own segment goes to slot 0 in place: nobody else reads that
 * segment there. The others' segments of slot 0 are received only after all sends from
 * it are done.
 *
 * Flights have tags of their own: a later one may overtake an earlier one. */
#include "comm/direct.h"

#include "base/memory.h"
#include "base/pulse.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <string.h>

enum {
    LINE = MEM_ALIGNMENT / (int)sizeof(float),
    BLOCK = 2048,             /* floats added at a time */
    PARTNERS = 3,             /* steps under way at a time */
    TAG_SUM = TREE_MAX_NODES, /* after the pieces' tags */
    N_TAGS
};

struct piece {
    int member, slot;
    int merges; /* of the tree's sums, possible once this piece is there */
};

/* A step's messages. */
struct step {
    MPI_Request *requests; /* [room for a step's] */
    int n_requests;
};

struct flight {
    enum { SCATTERS, GATHERS } stage;
    struct extent span, segment; /* segment: what this member adds up */
    float *const *slots;
    float *received; /* [n_pieces - n_own, segment_n] */
    float **pieces;  /* [n_pieces] their values of the segment, in the tree's order */
    struct step steps[PARTNERS];
    int next_step; /* to post: 1 <= next_step <= size */
};

struct direct {
    MPI_Comm comm;
    int rank, size;
    struct piece *pieces; /* [n_pieces] of all members */
    int n_pieces, n_own;
    size_t segment_n; /* of the longest segment */
    struct flight flights[DIRECT_FLIGHTS];
    float *scratch; /* [depth, BLOCK] */
    int depth;
};

/* Counts every member's pieces, and lists them unless pieces is NULL. */
static int list_pieces(const struct direct_options *o, int size, struct piece *pieces)
{
    int n = 0;
    for (int member = 0; member < size; member++) {
        struct tree_node nodes[TREE_MAX_NODES];
        const int first = o->firsts[member];
        const int n_nodes =
            tree_cover(o->n_leaves, first, o->firsts[member + 1] - first, nodes);
        for (int k = 0; pieces && k < n_nodes; k++) {
            const int merges = tree_completed(o->n_leaves, nodes[k].hi, 0, nodes[k].lo);
            pieces[n + k] = (struct piece){member, k, merges};
        }
        n += n_nodes;
    }
    return n;
}

static convoy_status find_pieces(struct direct *d, const struct direct_options *o)
{
    convoy_status status = CONVOY_OK;
    int *merges = NULL;
    const int n = list_pieces(o, d->size, NULL);
    TRY(mem_alloc_array((size_t)n, sizeof *d->pieces, (void **)&d->pieces));
    TRY(mem_alloc_array((size_t)n, sizeof *merges, (void **)&merges));
    d->n_pieces = list_pieces(o, d->size, d->pieces);
    for (int i = 0; i < n; i++) {
        merges[i] = d->pieces[i].merges;
        d->n_own += d->pieces[i].member == d->rank;
    }
    d->depth = tree_depth(merges, n);
cleanup:
    mem_free(merges);
    return status;
}

/* Of the longest of the members' segments of a span. */
static size_t segment_floats(size_t most, int members)
{
    const size_t lines = (most + LINE - 1) / LINE, n = (size_t)members;
    return (lines + n - 1) / n * LINE;
}

size_t direct_bytes(int n_received, int members, size_t most, int flights)
{
    return (size_t)flights * (size_t)n_received * segment_floats(most, members) *
           sizeof(float);
}

/* The most pieces of a member. */
static int most_pieces(const struct direct *d)
{
    int most = 0;
    for (int i = 0; i < d->n_pieces; i++)
        most = d->pieces[i].slot + 1 > most ? d->pieces[i].slot + 1 : most;
    return most;
}

static convoy_status create_flight(const struct direct *d, struct flight *f)
{
    convoy_status status = CONVOY_OK;
    const size_t n_pieces = (size_t)d->n_pieces;
    const size_t n_received = (size_t)(d->n_pieces - d->n_own);
    const size_t n_requests = (size_t)most_pieces(d) + (size_t)d->n_own;
    TRY(mem_alloc_array(n_received, d->segment_n * sizeof(float),
                        (void **)&f->received));
    TRY(mem_alloc_array(n_pieces, sizeof *f->pieces, (void **)&f->pieces));
    for (int i = 0; i < PARTNERS; i++)
        TRY(mem_alloc_array(n_requests, sizeof(MPI_Request),
                            (void **)&f->steps[i].requests));
    float *next = f->received;
    for (int i = 0; i < d->n_pieces; i++) {
        if (d->pieces[i].member == d->rank)
            continue; /* stays in its slot */
        f->pieces[i] = next;
        next += d->segment_n;
    }
cleanup:
    return status;
}

convoy_status direct_create(const struct direct_options *options,
                            struct direct **direct)
{
    convoy_status status = CONVOY_OK;
    struct direct *d = NULL;
    TRY(mem_alloc(sizeof *d, (void **)&d));
    d->comm = options->comm;
    TRY_MPI(MPI_Comm_rank(d->comm, &d->rank));
    TRY_MPI(MPI_Comm_size(d->comm, &d->size));
    TRY(find_pieces(d, options));
    d->segment_n = segment_floats(options->most, d->size);
    const int flights = options->flights ? options->flights : DIRECT_FLIGHTS;
    for (int i = 0; i < flights; i++)
        TRY(create_flight(d, &d->flights[i]));
    TRY(mem_alloc_array((size_t)d->depth, BLOCK * sizeof(float), (void **)&d->scratch));
    *direct = d;
    d = NULL;
cleanup:
    direct_destroy(d);
    return status;
}

void direct_destroy(struct direct *direct)
{
    if (!direct)
        return;
    for (int i = 0; i < DIRECT_FLIGHTS; i++) {
        struct flight *f = &direct->flights[i];
        mem_free(f->received);
        mem_free(f->pieces);
        for (int k = 0; k < PARTNERS; k++)
            mem_free(f->steps[k].requests);
    }
    mem_free(direct->pieces);
    mem_free(direct->scratch);
    mem_free(direct);
}

int direct_n_own(const struct direct *direct)
{
    return direct->n_own;
}

struct message {
    float *values;
    size_t n; /* far below INT_MAX: of a segment */
    int partner, tag;
    bool is_sent;
};

static convoy_status post_message(const struct direct *d, const struct flight *f,
                                  struct step *step, struct message m)
{
    convoy_status status = CONVOY_OK;
    const int tag = (int)(f - d->flights) * N_TAGS + m.tag;
    MPI_Request *request = &step->requests[step->n_requests];
    if (m.n == 0)
        return CONVOY_OK;
    if (m.is_sent)
        TRY_MPI(
            MPI_Isend(m.values, (int)m.n, MPI_FLOAT, m.partner, tag, d->comm, request));
    else
        TRY_MPI(
            MPI_Irecv(m.values, (int)m.n, MPI_FLOAT, m.partner, tag, d->comm, request));
    step->n_requests++;
cleanup:
    return status;
}

/* Pieces of the own segment come from one member, those of another's go to it. */
static convoy_status post_pieces(const struct direct *d, const struct flight *f,
                                 struct step *step, int from, int to)
{
    convoy_status status = CONVOY_OK;
    const struct extent theirs = extent_part(f->span, to, d->size);
    const size_t n = f->segment.end - f->segment.begin;
    for (int i = 0; i < d->n_pieces; i++)
        if (d->pieces[i].member == from)
            TRY(post_message(
                d, f, step,
                (struct message){f->pieces[i], n, from, d->pieces[i].slot, false}));
    for (int k = 0; k < d->n_own; k++)
        TRY(post_message(d, f, step,
                         (struct message){f->slots[k] + theirs.begin,
                                          theirs.end - theirs.begin, to, k, true}));
cleanup:
    return status;
}

static convoy_status post_sums(const struct direct *d, const struct flight *f,
                               struct step *step, int from, int to)
{
    convoy_status status = CONVOY_OK;
    const struct extent theirs = extent_part(f->span, from, d->size), own = f->segment;
    float *sum = f->slots[0];
    TRY(post_message(d, f, step,
                     (struct message){sum + theirs.begin, theirs.end - theirs.begin,
                                      from, TAG_SUM, false}));
    TRY(post_message(
        d, f, step,
        (struct message){sum + own.begin, own.end - own.begin, to, TAG_SUM, true}));
cleanup:
    return status;
}

/* Posts the next steps where earlier ones are done; *done when all are. */
static convoy_status move_steps(const struct direct *d, struct flight *f, bool *done)
{
    convoy_status status = CONVOY_OK;
    *done = true;
    for (int i = 0; i < PARTNERS; i++) {
        struct step *step = &f->steps[i];
        int is_done = 1;
        if (step->n_requests > 0)
            TRY_MPI(MPI_Testall(step->n_requests, step->requests, &is_done,
                                MPI_STATUSES_IGNORE));
        if (is_done) {
            if (step->n_requests > 0)
                pulse();
            step->n_requests = 0;
            if (f->next_step == d->size)
                continue;
            const int s = f->next_step++;
            const int from = (d->rank + d->size - s) % d->size;
            const int to = (d->rank + s) % d->size;
            TRY(f->stage == SCATTERS ? post_pieces(d, f, step, from, to)
                                     : post_sums(d, f, step, from, to));
        }
        *done = false;
    }
cleanup:
    return status;
}

convoy_status direct_post(struct direct *direct, int flight, struct extent span,
                          float *const *slots)
{
    struct flight *f = &direct->flights[flight];
    bool done;
    f->stage = SCATTERS;
    f->span = span;
    f->segment = extent_part(span, direct->rank, direct->size);
    f->slots = slots;
    f->next_step = 1;
    for (int i = 0; i < direct->n_pieces; i++)
        if (direct->pieces[i].member == direct->rank)
            f->pieces[i] = slots[direct->pieces[i].slot] + f->segment.begin;
    return move_steps(direct, f, &done);
}

/* Adds n <= BLOCK floats of every piece, from the segment's float start on. */
static void combine_block(const struct direct *d, const struct flight *f, size_t start,
                          size_t n)
{
    const float *sums[TREE_MAX_NODES] = {0};
    int depth = 0;
    for (int i = 0; i < d->n_pieces; i++) {
        sums[depth++] = f->pieces[i] + start;
        for (int m = d->pieces[i].merges; m > 0; m--) {
            float *into = d->scratch + (size_t)(depth - 2) * BLOCK;
            if (i == d->n_pieces - 1 && m == 1) /* the root */
                into = f->slots[0] + f->segment.begin + start;
            tree_add(into, sums[depth - 2], sums[depth - 1], n);
            depth--;
            sums[depth - 1] = into;
        }
    }
}

static void combine(const struct direct *d, const struct flight *f)
{
    const size_t n = f->segment.end - f->segment.begin;
    for (size_t start = 0; start < n; start += BLOCK)
        combine_block(d, f, start, n - start < BLOCK ? n - start : BLOCK);
}

convoy_status direct_test(struct direct *direct, int flight, bool *done)
{
    convoy_status status = CONVOY_OK;
    struct flight *f = &direct->flights[flight];
    TRY(move_steps(direct, f, done));
    if (*done && f->stage == SCATTERS) {
        combine(direct, f);
        f->stage = GATHERS;
        f->next_step = 1;
        TRY(move_steps(direct, f, done));
    }
cleanup:
    return status;
}
