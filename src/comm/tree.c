/* Every walk starts at the root [0, n) and follows exchange_split, so the tree is
 * written down nowhere. The left child of a node holds a power of two of leaves, so a
 * walk is at most 31 nodes deep, and the nodes that end at one leaf are all met on the
 * walk to it.
 *
 * A sum over leaves that come from left to right is a stack: push a value, then merge
 * the last two as often as a node of the tree ends there. */
#include "comm/tree.h"

#include "comm/exchange.h"

static int cover(struct tree_node node, int first, int end, struct tree_node *nodes,
                 int n_nodes)
{
    if (node.hi <= first || end <= node.lo)
        return n_nodes;
    if (first <= node.lo && node.hi <= end) {
        nodes[n_nodes] = node;
        return n_nodes + 1;
    }
    int middle = exchange_split(node.lo, node.hi);
    struct tree_node left = {node.lo, middle}, right = {middle, node.hi};
    n_nodes = cover(left, first, end, nodes, n_nodes);
    return cover(right, first, end, nodes, n_nodes);
}

int tree_cover(int n, int first, int count, struct tree_node *nodes)
{
    struct tree_node root = {0, n};
    return cover(root, first, first + count, nodes, 0);
}

int tree_completed(int n, int hi, int from, int below)
{
    struct tree_node node = {0, n};
    int completed = 0;
    for (;;) {
        if (node.hi == hi && from <= node.lo && node.lo < below)
            completed++;
        if (node.hi - node.lo == 1)
            return completed;
        int middle = exchange_split(node.lo, node.hi);
        if (hi <= middle)
            node.hi = middle;
        else
            node.lo = middle;
    }
}

int tree_depth(const int *merges, int n_merges)
{
    int depth = 0, deepest = 0;
    for (int i = 0; i < n_merges; i++) {
        depth++;
        if (deepest < depth)
            deepest = depth;
        depth -= merges[i];
    }
    return deepest;
}

void tree_add(float *sum, const float *left, const float *right, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        sum[i] = left[i] + right[i];
}
