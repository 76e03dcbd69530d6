/* Values that are cheap to compute need not be kept for the backward pass: batch norm
 * (with its ReLU) from what a convolution has made, and sums of a residual net from
 * these (Chen et al. 2016, "Training deep nets with sublinear memory cost", section 4).
 * They are computed once more just before the first backward pass that reads them, by
 * the same loops from the same memory: no bit changes. Each such value costs one more
 * pass over it; of sums of which each is made of the one before, one in three is kept.
 */
#include "net/compile_parts.h"

enum { MOST_SUMS = 2 }; /* that are computed in a row */

/* The node whose value passes through ReLUs that others do. */
static int origin_of(const struct compiler *c, int i)
{
    while (c->entries[i].fused)
        i = c->net->nodes[i].src[0];
    return i;
}

static bool is_recomputed_norm(const struct compiler *c, int i)
{
    const int origin = origin_of(c, i);
    return c->entries[origin].recomputed && c->net->nodes[origin].n_src == 1;
}

/* How many sums in a row are to be computed for the value of node i. */
static int sums_for(const struct compiler *c, int i)
{
    const int origin = origin_of(c, i);
    const struct node *node = &c->net->nodes[origin];
    int most = 0;
    if (!c->entries[origin].recomputed || node->n_src == 1)
        return 0;
    for (int s = 1; s < node->n_src; s++) {
        const int sums = sums_for(c, node->src[s]);
        most = sums > most ? sums : most;
    }
    return 1 + most;
}

/* Whether input s of a sum is there when it is computed again, or can be: one that is
 * kept must not be overwritten by the sum's forward pass, and is kept for others if
 * several layers read it. */
static bool may_add(const struct compiler *c, const struct node *sum, int s)
{
    const int i = sum->src[s], origin = origin_of(c, i);
    if (i == sum->src[0])
        return false;
    if (c->entries[origin].recomputed)
        return sums_for(c, i) < MOST_SUMS;
    return c->entries[i].n_readers > 1;
}

/* A sum is written over its first input. */
static bool may_recompute(const struct compiler *c, int i)
{
    const struct node *node = &c->net->nodes[i];
    const struct compiled_node *e = &c->entries[i];
    if (!node->kind || !node->kind->recompute || !e->learns || node->shape.flat)
        return false;
    if (node->n_src == 1)
        return true;
    if (!is_recomputed_norm(c, node->src[0]) || c->entries[node->src[0]].n_readers != 1)
        return false;
    for (int s = 1; s < node->n_src; s++)
        if (!may_add(c, node, s))
            return false;
    return true;
}

void compile_choose_recomputed(struct compiler *c)
{
    for (int i = 1; i < c->net->n_nodes; i++)
        c->entries[i].recomputed = may_recompute(c, i);
}

static convoy_status refresh_sources(struct compiler *c, int i);

/* Node i's value, in its entry's dst. */
static convoy_status refresh(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    if (!e->recomputed || e->is_there)
        return CONVOY_OK;
    TRY(refresh_sources(c, i));
    program_label(c->program, node->name, "recompute");
    e->build.may_overwrite_src = node->n_src > 1;
    TRY(node->kind->recompute(&e->build));
    e->is_there = true;
cleanup:
    return status;
}

/* What node i reads. Where a layer has kept its source, it keeps the new one. */
static convoy_status refresh_sources(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    for (int s = 0; s < node->n_src; s++) {
        const int origin = origin_of(c, node->src[s]);
        if (!c->entries[origin].recomputed)
            continue;
        TRY(refresh(c, origin));
        for (int k = 0; k < LAYER_MAX_SAVED; k++)
            if (e->build.saved[k] == e->src[s])
                e->build.saved[k] = c->entries[origin].build.dst;
        e->src[s] = c->entries[origin].build.dst;
    }
cleanup:
    return status;
}

convoy_status compile_recompute(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct layer_kind *kind = c->net->nodes[i].kind;
    if (kind->backward_reads_src)
        TRY(refresh_sources(c, i));
    if (compile_reads_dst(c, i))
        TRY(refresh(c, i));
cleanup:
    return status;
}
