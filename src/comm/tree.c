/* Every walk starts at the root [0, n) and follows tree_split, so the tree is
 * written down nowhere. The left child of a node holds a power of two of leaves, so a
 * walk is at most 31 nodes deep, and the nodes that end at one leaf are all met on the
 * walk to it.
 *
 * A sum over leaves that come from left to right is a stack: push a value, then merge
 * the last two as often as a node of the tree ends there. */
#include "comm/tree.h"

void tree_range(int n_leaves, int rank, int size, int *first, int *count)
{
    int share = n_leaves / size, more = n_leaves % size;
    *first = rank * share + (rank < more ? rank : more);
    *count = share + (rank < more);
}

int tree_split(int lo, int hi)
{
    int left = 1, n = hi - lo;
    while (left < n - left)
        left *= 2;
    return lo + left;
}

static int cover(struct tree_node node, int first, int end, struct tree_node *nodes,
                 int n_nodes)
{
    if (node.hi <= first || end <= node.lo)
        return n_nodes;
    if (first <= node.lo && node.hi <= end) {
        nodes[n_nodes] = node;
        return n_nodes + 1;
    }
    int middle = tree_split(node.lo, node.hi);
    struct tree_node left = {node.lo, middle}, right = {middle, node.hi};
    n_nodes = cover(left, first, end, nodes, n_nodes);
    return cover(right, first, end, nodes, n_nodes);
}

int tree_cover(int n, int first, int count, struct tree_node *nodes)
{
    struct tree_node root = {0, n};
    return cover(root, first, first + count, nodes, 0);
}

int tree_n_pieces(int n_leaves, int first, int end, int size)
{
    struct tree_node nodes[TREE_MAX_NODES];
    int begin, n, last, n_last;
    tree_range(n_leaves, first, size, &begin, &n);
    tree_range(n_leaves, end - 1, size, &last, &n_last);
    return tree_cover(n_leaves, begin, last + n_last - begin, nodes);
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
        int middle = tree_split(node.lo, node.hi);
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

double tree_sum(const double *values, int n, int stride)
{
    if (n == 1)
        return values[0];
    int left = tree_split(0, n);
    const double *right = values + (ptrdiff_t)left * stride;
    return tree_sum(values, left, stride) + tree_sum(right, n - left, stride);
}
