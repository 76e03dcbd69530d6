/* Gradients of all microbatches lie in two parts, whose sum is made where it is read, a
 * piece at a time, as for an update. It is one more pass over the gradients, in those
 * steps only that a line of metrics is written after. */
#include "train/grad_norms.h"

#include "base/memory.h"
#include "optim/update.h"
#include "train/guard.h"

#include <math.h>

struct grad_piece {
    size_t begin, end; /* floats of the arena */
    int weight;
};

struct grad_norms {
    struct lanes *lanes;
    int n;
    const char **names;        /* [n] the store's */
    double *values;            /* [n] */
    struct grad_piece *pieces; /* [n_pieces], of the first weight first */
    double *sums;              /* [n_pieces] of squares */
    size_t n_pieces;
    float *room;                /* [workers, UPDATE_PIECE] */
    const struct leaf_sum *sum; /* while it is measured */
};

static bool is_weight(const struct stored_param *p)
{
    return !p->frozen && p->param.decay;
}

static void list_pieces(struct grad_norms *g, const struct stored_param *p)
{
    const size_t end = p->offset + p->n_floats;
    for (size_t at = p->offset; at < end; at += UPDATE_PIECE)
        g->pieces[g->n_pieces++] = (struct grad_piece){
            at, end - at < UPDATE_PIECE ? end : at + UPDATE_PIECE, g->n};
}

static convoy_status list_weights(struct grad_norms *g, const struct param_store *store)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0, n_pieces = 0;
    for (int i = 0; i < store->n_params; i++) {
        if (!is_weight(&store->params[i]))
            continue;
        n++;
        n_pieces += (store->params[i].n_floats + UPDATE_PIECE - 1) / UPDATE_PIECE;
    }
    TRY(mem_alloc_array(n, sizeof *g->names, (void **)&g->names));
    TRY(mem_alloc_array(n, sizeof *g->values, (void **)&g->values));
    TRY(mem_alloc_array(n_pieces, sizeof *g->pieces, (void **)&g->pieces));
    TRY(mem_alloc_array(n_pieces, sizeof *g->sums, (void **)&g->sums));
    for (int i = 0; i < store->n_params; i++) {
        if (!is_weight(&store->params[i]))
            continue;
        list_pieces(g, &store->params[i]);
        g->names[g->n++] = store->params[i].name;
    }
cleanup:
    return status;
}

convoy_status grad_norms_create(const convoy_net *net, struct lanes *lanes,
                                struct grad_norms **norms)
{
    convoy_status status = CONVOY_OK;
    struct grad_norms *g = NULL;
    TRY(mem_alloc(sizeof *g, (void **)&g));
    g->lanes = lanes;
    TRY(list_weights(g, &net->store));
    TRY(mem_alloc_array((size_t)lanes_workers(lanes), UPDATE_PIECE * sizeof *g->room,
                        (void **)&g->room));
    *norms = g;
    g = NULL;
cleanup:
    grad_norms_destroy(g);
    return status;
}

void grad_norms_destroy(struct grad_norms *g)
{
    if (!g)
        return;
    mem_free(g->names);
    mem_free(g->values);
    mem_free(g->pieces);
    mem_free(g->sums);
    mem_free(g->room);
    mem_free(g);
}

static void sum_pieces(void *context, int worker, size_t begin, size_t end)
{
    const struct grad_norms *g = context;
    float *room = g->room + (size_t)worker * UPDATE_PIECE;
    for (size_t k = begin; k < end; k++) {
        const struct grad_piece *piece = &g->pieces[k];
        const float *values = leaf_sum_values(g->sum, GUARD_HEAD + piece->begin,
                                              GUARD_HEAD + piece->end, room);
        g->sums[k] = optim_sum_squares(values, piece->end - piece->begin);
    }
}

void grad_norms_measure(struct grad_norms *g, const struct leaf_sum *sum)
{
    g->sum = sum;
    lanes_for(g->lanes, g->n_pieces, 1, sum_pieces, g);
    g->sum = NULL;
    for (int i = 0; i < g->n; i++)
        g->values[i] = 0;
    for (size_t k = 0; k < g->n_pieces; k++)
        g->values[g->pieces[k].weight] += g->sums[k];
    for (int i = 0; i < g->n; i++)
        g->values[i] = sqrt(g->values[i]);
}

int grad_norms_n(const struct grad_norms *g)
{
    return g->n;
}

const char *const *grad_norms_names(const struct grad_norms *g)
{
    return g->names;
}

const double *grad_norms_values(const struct grad_norms *g)
{
    return g->values;
}
