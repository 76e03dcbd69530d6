/* What a net's graph alone decides of its compilation.
 *
 * A ReLU behind a batch norm or an add that nothing else reads is fused into it, one
 * before a max pooling goes behind it. Layers may work in place where nobody else needs
 * what they overwrite: only the net knows who reads what. So it does where a DenseNet's
 * maps lie: concats of which each is the first input of the next share one tensor, if
 * nothing but batch norm reads them besides. */
#include "net/compile_parts.h"

/* Readers are edges: a layer that reads a value twice counts twice, so that "one
 * reader" also means "one gradient". Everything below that lets a layer change memory
 * rests on this count. */
static void count_readers(struct compiler *c)
{
    for (int i = 0; i < c->net->n_nodes; i++)
        for (int s = 0; s < c->net->nodes[i].n_src; s++)
            c->entries[c->net->nodes[i].src[s]].n_readers++;
}

/* The only reader of node i, if it is of a kind that takes a ReLU before it. */
static struct compiled_node *reader_for_relu(struct compiler *c, int i)
{
    if (c->entries[i].n_readers != 1)
        return NULL;
    for (int j = i + 1; j < c->net->n_nodes; j++)
        if (c->net->nodes[j].src[0] == i)
            return c->net->nodes[j].kind->takes_relu_before ? &c->entries[j] : NULL;
    return NULL;
}

/* A ReLU goes into its source where the source's kind can do it and nothing else reads
 * the source's value, which then never exists: not in forward, and not for a gradient
 * of its own. Or else into what reads it, where that is a single layer of a kind that
 * does as well with the ReLU behind itself. The ReLU's node stays and passes values and
 * gradients on, so nothing that counts nodes (dropout's streams, names) changes by
 * fusing. Fusing one costs no bits: max(0, x) rounds nothing. */
static void fuse_relus(struct compiler *c)
{
    for (int i = 0; i < c->net->n_nodes; i++) {
        const struct node *node = &c->net->nodes[i];
        if (!node->kind || !node->kind->is_relu)
            continue;
        const struct node *source = &c->net->nodes[node->src[0]];
        struct compiled_node *before = &c->entries[node->src[0]];
        if (source->kind && source->kind->takes_relu && before->n_readers == 1) {
            before->build.relu = true;
            c->entries[i].fused = true;
            continue;
        }
        struct compiled_node *behind = reader_for_relu(c, i);
        if (behind)
            behind->build.relu = c->entries[i].fused = true;
    }
}

/* Whether node i is a concat that can lie in a chain: every layout can be cut at its
 * sources' ends. */
static bool is_chainable(const struct compiler *c, int i)
{
    enum { LARGEST_BLOCK = 16 };
    const struct node *node = &c->net->nodes[i];
    if (!node->kind || !node->kind->joins || node->shape.flat || node->n_src < 2)
        return false;
    for (int s = 0; s < node->n_src; s++)
        if (c->net->nodes[node->src[s]].shape.c % LARGEST_BLOCK != 0)
            return false;
    return true;
}

/* The concat that has concat i for its first input while only batch norms read i
 * besides; 0: none. */
static int next_in_chain(const struct compiler *c, int i)
{
    int next = 0;
    for (int j = i + 1; j < c->net->n_nodes; j++) {
        const struct node *reader = &c->net->nodes[j];
        for (int s = 0; s < reader->n_src; s++) {
            if (reader->src[s] != i || reader->kind->reads_parts)
                continue;
            if (s > 0 || next > 0 || !is_chainable(c, j))
                return 0;
            next = j;
        }
    }
    return next;
}

/* Chains of concats, last one first: each takes over the end of the one behind it. All
 * of a chain share the last one's tensor; one is as long as its channels, from the
 * front. That is safe since channels are only ever appended, a concat writes only what
 * lies behind its first input, and who reads one besides is a kind that says it reads
 * parts of larger tensors (reads_parts). */
static void find_chains(struct compiler *c)
{
    for (int i = c->net->n_nodes - 1; i > 0; i--) {
        const int next = is_chainable(c, i) ? next_in_chain(c, i) : 0;
        if (next == 0)
            continue;
        if (c->entries[next].chain_end == 0)
            c->entries[next].chain_end = next;
        c->entries[i].chain_end = c->entries[next].chain_end;
        c->entries[c->entries[i].chain_end].whole = NO_TENSOR;
    }
}

/* Whether the other batch norms of node i's chain need what reader is about to read:
 * their values are parts of the same tensor. In training, their backward passes do. */
static bool chain_is_read(const struct compiler *c, int i, int reader)
{
    const int end = c->entries[i].chain_end;
    if (end == 0 || c->options->training)
        return end > 0;
    for (int j = reader + 1; j < c->net->n_nodes; j++)
        for (int s = 0; s < c->net->nodes[j].n_src; s++)
            if (c->entries[c->net->nodes[j].src[s]].chain_end == end)
                return true;
    return false;
}

bool compile_reads_dst(const struct compiler *c, int i)
{
    const struct layer_kind *kind = c->net->nodes[i].kind;
    if (kind->takes_relu || kind->takes_relu_before)
        return kind->backward_reads_dst && c->entries[i].build.relu;
    return kind->backward_reads_dst;
}

/* Values can pass through nodes (flatten, in-place layers, ReLUs that others do); then
 * it must hold for all of them. */
bool compile_may_overwrite(const struct compiler *c, int i, int reader)
{
    if (c->options->probe)
        return false;
    for (;;) {
        const struct node *node = &c->net->nodes[i];
        const struct compiled_node *e = &c->entries[i];
        if (!node->kind || e->n_readers != 1 || chain_is_read(c, i, reader))
            return false;
        if (c->options->training && !e->fused && compile_reads_dst(c, i))
            return false;
        if (e->build.dst != e->src[0])
            return true;
        i = node->src[0];
    }
}

/* Evaluating, these do nothing; their code for training is not to run. */
static void pass_through(struct compiler *c)
{
    for (int i = 0; i < c->net->n_nodes; i++) {
        const struct layer_kind *kind = c->net->nodes[i].kind;
        c->entries[i].fused = kind && kind->passes_evaluating;
    }
}

/* A probe has every value and gradient in a place of its own, so it looks for nothing
 * that could be saved. */
void compile_look(struct compiler *c)
{
    count_readers(c);
    if (c->options->probe) {
        pass_through(c);
        return;
    }
    fuse_relus(c);
    find_chains(c);
}
