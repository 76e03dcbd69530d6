/* The tail: when the last leaf has got its buffer, none is needed any more, and with
 * buckets no further chain begins. What there is by then, leaves under way and sums of
 * earlier ones, are the tail's values, in the tree's order; what sums are left to make
 * of them is a stack's program (tree.h). It runs on one bucket after the other, as soon
 * as that is final in every value, each sum in the place of its left operand. So the
 * first buckets are summed while lanes still compute the last ones. */
#include "comm/leaves_parts.h"

#include "comm/tree.h"

/* Adds up floats [begin, end) of the tail's values. */
static void merge_range(const struct leaves *l, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at += LEAVES_BLOCK) {
        const size_t n = end - at < LEAVES_BLOCK ? end - at : LEAVES_BLOCK;
        float *sums[TREE_MAX_NODES] = {0};
        int depth = 0;
        for (int i = 0; i < l->n_tail; i++) {
            const struct tail_value *value = &l->tail[i];
            sums[depth++] = l->slots[l->nodes[value->node].slot].values + at;
            for (int m = value->merges; m > 0; m--, depth--)
                tree_add(sums[depth - 2], sums[depth - 2], sums[depth - 1], n);
        }
    }
}

void leaves_claim_merges(struct leaves *l)
{
    const struct extent span = l->merge.span;
    for (;;) {
        const size_t begin =
            span.begin + atomic_fetch_add(&l->merge.next, LEAVES_RANGE);
        if (begin >= span.end)
            return;
        merge_range(l, begin,
                    span.end - begin < LEAVES_RANGE ? span.end : begin + LEAVES_RANGE);
    }
}

void leaves_advance(struct leaves *l)
{
    int n_final = l->buckets.count;
    if (l->n_tail == 0 || l->merge.is_open || l->merge.n_workers > 0)
        return;
    for (int i = 0; i < l->n_tail; i++) {
        const int n = l->nodes[l->tail[i].node].n_final;
        n_final = n < n_final ? n : n_final;
    }
    if (l->n_tail == l->n_roots) { /* nothing to add */
        atomic_store(&l->n_merged, n_final);
    } else if (l->n_merged < n_final) {
        l->merge.span = buckets_extent(&l->buckets, l->n_merged);
        l->merge.next = 0;
        l->merge.is_open = true;
    }
    pthread_cond_broadcast(&l->changed);
}

/* The roots of the tail are where the leftmost of their values are. All other buffers
 * are free, bucket by bucket, once it is merged. */
static void list_tail_roots(struct leaves *l)
{
    int n = 0, value = 0;
    for (int k = 0; k < l->n_roots; k++) {
        struct own_node *root = &l->nodes[l->roots[k]];
        root->slot = l->nodes[l->tail[value].node].slot;
        l->pointers[n++] = l->slots[root->slot].values;
        while (value < l->n_tail && l->nodes[l->tail[value].node].lo < root->hi)
            value++;
    }
    for (int i = 0; i < l->n_slots; i++) {
        bool is_root = false;
        for (int k = 0; k < l->n_roots; k++)
            is_root = is_root || l->nodes[l->roots[k]].slot == i;
        if (!is_root)
            l->pointers[n++] = l->slots[i].values;
    }
}

void leaves_begin_tail(struct leaves *l)
{
    int n = 0;
    for (int node = 0; node < l->n_nodes; node++) {
        if (!l->nodes[node].is_value)
            continue;
        int at = n++;
        for (; at > 0 && l->nodes[l->tail[at - 1].node].lo > l->nodes[node].lo; at--)
            l->tail[at] = l->tail[at - 1];
        l->tail[at].node = node;
    }
    for (int i = 0; i < n; i++) {
        const struct own_node *node = &l->nodes[l->tail[i].node];
        l->tail[i].merges = tree_completed(l->n_leaves, node->hi, l->first, node->lo);
    }
    l->n_tail = n;
    list_tail_roots(l);
    leaves_advance(l);
}
