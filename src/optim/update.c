/* The passes of a step, cut into pieces, and the sums between them.
 *
 * Clipping is PyTorch's clip_grad_norm_: the factor is c / (|g| + 1e-6), at most 1.
 * Gradients are scaled where they are read, in the cache, so a step with clipping reads
 * them once more but writes them nowhere.
 *
 * Every second pass goes through the pieces backwards: what it begins with, the pass
 * before has just left in the cache.
 */
#include "optim/update.h"

#include "base/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

enum pass { PASS_CLIP, PASS_MEASURE, PASS_STEP, N_PASSES };

struct piece {
    size_t begin, end;
    int range;
};

struct norms {
    double of[OPTIM_MAX_NORMS];
};

struct update {
    struct optimizer *optimizer;
    const struct update_range *ranges;
    int n_ranges, workers;
    double clip_norm;
    enum pass passes[N_PASSES];
    int n_passes;
    struct piece *pieces; /* [n_pieces], the last range's first */
    size_t n_pieces;
    struct norms *sums;  /* [n_pieces] of squares; NULL: no pass makes any */
    struct norms *norms; /* [n_ranges]; likewise */
    float *room;         /* [workers, UPDATE_PIECE] */

    /* Of a step: */
    struct update_step step;
    double grad_norm;
    float factor; /* of gradients */
    _Atomic size_t next[N_PASSES];

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n_waiting; /* workers that are done with the pass n_ended */
    int n_ended;   /* passes that all workers are done with */
    bool is_cancelled;
};

bool update_by_tensor(const struct optim_kind *kind, double clip_norm)
{
    return kind->measure || clip_norm > 0;
}

static size_t pieces_of(const struct update_range *range)
{
    return (range->end - range->begin + UPDATE_PIECE - 1) / UPDATE_PIECE;
}

static convoy_status cut_pieces(struct update *u)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    for (int i = 0; i < u->n_ranges; i++)
        n += pieces_of(&u->ranges[i]);
    TRY(mem_alloc_array(n, sizeof *u->pieces, (void **)&u->pieces));
    for (int i = u->n_ranges - 1; i >= 0; i--) {
        const struct update_range *range = &u->ranges[i];
        for (size_t at = range->begin; at < range->end; at += UPDATE_PIECE)
            u->pieces[u->n_pieces++] = (struct piece){
                .begin = at,
                .end = range->end - at < UPDATE_PIECE ? range->end : at + UPDATE_PIECE,
                .range = i};
    }
cleanup:
    return status;
}

static void list_passes(struct update *u)
{
    if (u->clip_norm > 0)
        u->passes[u->n_passes++] = PASS_CLIP;
    if (optimizer_kind(u->optimizer)->measure)
        u->passes[u->n_passes++] = PASS_MEASURE;
    u->passes[u->n_passes++] = PASS_STEP;
}

convoy_status update_create(const struct update_options *options, struct update **out)
{
    convoy_status status = CONVOY_OK;
    struct update *u = NULL;
    TRY(mem_alloc(sizeof *u, (void **)&u));
    /* Neither fails with default attributes where there is memory for it. */
    pthread_mutex_init(&u->mutex, NULL);
    pthread_cond_init(&u->changed, NULL);
    u->optimizer = options->optimizer;
    u->ranges = options->ranges;
    u->n_ranges = options->n_ranges;
    u->workers = options->workers;
    u->clip_norm = options->clip_norm;
    list_passes(u);
    TRY(cut_pieces(u));
    if (u->n_passes > 1) {
        TRY(mem_alloc_array(u->n_pieces, sizeof *u->sums, (void **)&u->sums));
        TRY(mem_alloc_array((size_t)u->n_ranges, sizeof *u->norms, (void **)&u->norms));
    }
    TRY(mem_alloc_array((size_t)u->workers, UPDATE_PIECE * sizeof *u->room,
                        (void **)&u->room));
    *out = u;
    u = NULL;
cleanup:
    update_destroy(u);
    return status;
}

void update_destroy(struct update *u)
{
    if (!u)
        return;
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->mutex);
    mem_free(u->pieces);
    mem_free(u->sums);
    mem_free(u->norms);
    mem_free(u->room);
    mem_free(u);
}

void update_begin(struct update *u, const struct update_step *step)
{
    u->step = *step;
    u->grad_norm = NAN;
    u->factor = 1;
    for (int pass = 0; pass < u->n_passes; pass++)
        atomic_store(&u->next[pass], 0);
    u->n_waiting = u->n_ended = 0;
    u->is_cancelled = false;
}

/* The piece's gradients, clipped where their norm is known and too large. */
static const float *gradients(const struct update *u, const struct piece *piece,
                              int worker, const struct update_source *source)
{
    float *room = u->room + (size_t)worker * UPDATE_PIECE;
    const float *made = source->values(source->context, piece->begin, piece->end, room);
    const size_t n = piece->end - piece->begin;
    if (u->factor >= 1)
        return made;
    for (size_t i = 0; i < n; i++)
        room[i] = u->factor * made[i];
    return room;
}

/* Which piece is the k-th of a pass. */
static size_t piece_at(const struct update *u, int pass, size_t k)
{
    return pass % 2 == 0 ? k : u->n_pieces - 1 - k;
}

static bool reads_gradients(const struct update *u, enum pass pass)
{
    const struct optim_kind *kind = optimizer_kind(u->optimizer);
    return pass != PASS_STEP || !kind->measure || !kind->measure_uses_up_grads;
}

void update_piece(struct update *u, int pass, size_t k, int worker,
                  const struct update_source *source)
{
    const size_t at = piece_at(u, pass, k);
    const struct piece *piece = &u->pieces[at];
    const struct update_range *range = &u->ranges[piece->range];
    const enum pass what = u->passes[pass];
    struct optim_piece given = {.params = u->step.params,
                                .begin = piece->begin,
                                .end = piece->end,
                                .step = u->step.step,
                                .lr = u->step.lr * range->lr_scale,
                                .weight_decay = range->weight_decay,
                                .momentum = u->step.momentum,
                                .adapts = range->adapts};
    if (reads_gradients(u, what))
        given.grads = gradients(u, piece, worker, source);
    for (int i = 0; what == PASS_STEP && u->norms && i < OPTIM_MAX_NORMS; i++)
        given.norms[i] = u->norms[piece->range].of[i];
    if (what == PASS_CLIP)
        u->sums[at].of[0] = optim_sum_squares(given.grads, given.end - given.begin);
    else if (what == PASS_MEASURE)
        optimizer_measure(u->optimizer, &given, u->sums[at].of);
    else
        optimizer_step(u->optimizer, &given);
}

static void end_clip(struct update *u)
{
    double sum = 0;
    for (size_t k = 0; k < u->n_pieces; k++)
        sum += u->sums[k].of[0];
    u->grad_norm = sqrt(sum);
    u->factor = (float)fmin(1, u->clip_norm / (u->grad_norm + 1e-6));
}

static void end_measure(struct update *u)
{
    for (int i = 0; i < u->n_ranges; i++)
        u->norms[i] = (struct norms){{0}};
    for (size_t k = 0; k < u->n_pieces; k++)
        for (int i = 0; i < OPTIM_MAX_NORMS; i++)
            u->norms[u->pieces[k].range].of[i] += u->sums[k].of[i];
    for (int r = 0; r < u->n_ranges; r++)
        for (int i = 0; i < OPTIM_MAX_NORMS; i++)
            u->norms[r].of[i] = sqrt(u->norms[r].of[i]);
}

void update_end_pass(struct update *u, int pass)
{
    if (u->passes[pass] == PASS_CLIP)
        end_clip(u);
    else if (u->passes[pass] == PASS_MEASURE)
        end_measure(u);
}

/* The last worker to come makes the pass's sums. False: cancelled. */
static bool end_together(struct update *u, int pass)
{
    pthread_mutex_lock(&u->mutex);
    if (++u->n_waiting == u->workers) {
        update_end_pass(u, pass);
        u->n_waiting = 0;
        u->n_ended++;
        pthread_cond_broadcast(&u->changed);
    }
    while (u->n_ended <= pass && !u->is_cancelled)
        pthread_cond_wait(&u->changed, &u->mutex);
    const bool goes_on = u->n_ended > pass;
    pthread_mutex_unlock(&u->mutex);
    return goes_on;
}

void update_work(struct update *u, int worker, const struct update_source *source,
                 void (*done)(void *context, size_t begin), void *context)
{
    for (int pass = 0; pass < u->n_passes; pass++) {
        size_t k;
        while ((k = atomic_fetch_add(&u->next[pass], 1)) < u->n_pieces) {
            update_piece(u, pass, k, worker, source);
            if (done)
                done(context, u->pieces[piece_at(u, pass, k)].begin);
        }
        if (pass + 1 < u->n_passes && !end_together(u, pass))
            return;
    }
}

void update_cancel(struct update *u)
{
    pthread_mutex_lock(&u->mutex);
    u->is_cancelled = true;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->mutex);
}

int update_n_passes(const struct update *u)
{
    return u->n_passes;
}

size_t update_n_pieces(const struct update *u)
{
    return u->n_pieces;
}

double update_grad_norm(const struct update *u)
{
    return u->grad_norm;
}

bool update_clipped(const struct update *u)
{
    return u->factor < 1;
}
