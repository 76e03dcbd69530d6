/* Arithmetic on the fixed binary tree of sums over leaves [0, n) (exchange.h tells its
 * shape). No MPI, no memory. */
#ifndef COMM_TREE_H
#define COMM_TREE_H

#include <stddef.h>

/* More than the complete subtrees that any range of leaves can fall into (2 x 30 for
 * int leaves), and than the unfinished sums of any walk over the tree. */
enum { TREE_MAX_NODES = 64 };

/* The sum of leaves [lo, hi). */
struct tree_node {
    int lo, hi;
};

/* The contiguous range of leaves that rank owns: [first, first + count), all ranks'
 * ranges in order, sizes differing by at most one; ranks from n_leaves on own none. */
void tree_range(int n_leaves, int rank, int size, int *first, int *count);

/* Where [lo, hi), hi - lo >= 2, splits. */
int tree_split(int lo, int hi);

/* Writes the fewest nodes of the tree over n leaves that together are the leaves
 * [first, first + count), from left to right; returns how many, at most TREE_MAX_NODES.
 */
int tree_cover(int n, int first, int count, struct tree_node *nodes);

/* How many nodes tree_cover finds for the leaves of ranks [first, end) of size, taken
 * together. */
int tree_n_pieces(int n_leaves, int first, int end, int size);

/* How many nodes [lo, hi) of the tree over n leaves have from <= lo < below: the sums
 * that become possible once everything left of hi is there, if leaves before from are
 * out of reach and nodes that start at below or later exist already. */
int tree_completed(int n, int hi, int from, int below);

/* The largest number of unfinished sums when values are pushed one by one and push i is
 * followed by merges[i] merges of the last two. */
int tree_depth(const int *merges, int n_merges);

/* sum [n] = left [n] + right [n], always in that order; sum may be left or right. */
void tree_add(float *sum, const float *left, const float *right, size_t n);

/* The tree sum of values[0], values[stride], …, n of them, n >= 1. Local. */
double tree_sum(const double *values, int n, int stride);

#endif
