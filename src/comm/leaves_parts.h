/* What leaves.c and leaves_tail.c share: the insides of leaves. */
#ifndef COMM_LEAVES_PARTS_H
#define COMM_LEAVES_PARTS_H

#include "comm/leaves.h"
#include "comm/tree.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    LEAVES_BLOCK = 4096,             /* floats that a chain handles at a time */
    LEAVES_RANGE = 4 * LEAVES_BLOCK, /* floats that a worker claims at a time */
    LEAVES_PARALLEL_FROM = 1 << 15,  /* floats that are worth waking threads for */
    LEAVES_MAX_ADDS = 32,            /* more than the depth of a tree over int leaves */
    LEAVES_NONE = -1
};

struct own_node {
    int parent, sibling; /* nodes, or LEAVES_NONE */
    int lo, hi;          /* its leaves, of the tree */
    bool is_left;        /* of its parent's children */
    bool is_value;       /* its value is there or under way, and is in no sum */
    bool is_ready;
    int n_final; /* of a value's buckets */
    int slot;    /* with its value */
};

struct leaf_slot {
    float *values; /* [n] */
    int home;      /* the lane that touched it first, or LEAVES_NONE */
    bool is_taken;
};

/* A chain of additions: value, plus the first other, plus the second other, …. */
struct leaf_chain {
    int node; /* whose value it makes */
    int slot; /* of value */
    int n_adds;
    struct {
        int slot;
        bool is_left; /* left operand */
    } adds[LEAVES_MAX_ADDS];
    int n_workers;
    bool is_open; /* there may be a range to claim */
    _Atomic size_t next;
};

/* The sums of one bucket of the tail. */
struct leaf_merge {
    struct extent span;
    int n_workers;
    bool is_open;
    _Atomic size_t next; /* range of span to claim */
};

struct tail_value {
    int node;
    int merges; /* of the last two values, once this one is there */
};

struct leaves {
    size_t n;
    int n_leaves, first, count;
    struct buckets buckets; /* count 0: none */
    struct own_node *nodes; /* [n_nodes] */
    int n_nodes;
    int roots[TREE_MAX_NODES]; /* of the complete subtrees, from left to right */
    int n_roots;
    struct leaf_slot *slots; /* [n_slots] */
    int n_slots;
    struct leaf_chain *sums; /* [n_sums] */
    int n_sums;
    float **pointers; /* [n_slots] */
    float *memory;    /* NULL: it is another's */

    pthread_mutex_t mutex;  /* of all that follows, and of what nodes, slots and sums
                               say of this step */
    pthread_cond_t changed; /* a buffer became free, or the next leaf's turn came, or a
                               sum began or ended */
    int next;               /* leaf to get a buffer, counted from first */
    int n_made;             /* roots */
    int n_idle;             /* lanes in leaves_finish */
    struct tail_value
        *tail; /* [n_tail], which is 0 before the tail; room for n_slots */
    int n_tail;
    struct leaf_merge merge; /* of the n_merged-th bucket */
    atomic_int n_merged;     /* buckets */
    double slept_s;          /* all lanes together */
    atomic_bool is_cancelled;
};

/* Where all sums are made that the next bucket of the tail needs, they are opened; and
 * who waits is woken. The caller holds the mutex, as for the next one. */
void leaves_advance(struct leaves *leaves);

/* The last leaf has its buffer. */
void leaves_begin_tail(struct leaves *leaves);

/* Makes sums of the open merge as long as there are ranges to claim. Without the mutex.
 */
void leaves_claim_merges(struct leaves *leaves);

#endif
