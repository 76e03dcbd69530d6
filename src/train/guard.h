/* The guard of the weights: a step whose loss or gradient is no finite number does not
 * touch them, on any rank.
 *
 * A leaf of the exchange begins with a number that is 1 where something that this
 * microbatch would give to the update is too large: a gradient or a statistic of its
 * batch norms that is not finite, or so large that the sum over all microbatches could
 * overflow. It travels and is summed as gradients are, so every rank sees the same sum,
 * on any number of ranks; and where that is 0, all sums are finite. The loss is known
 * to all ranks anyway.
 *
 * A step that is not taken is computed once more where it went wrong, to tell what
 * did (guard_cause.c). */
#ifndef TRAIN_GUARD_H
#define TRAIN_GUARD_H

#include <convoy/trainer.h>

#include "comm/leaves.h"
#include "net/net.h"

/* Floats of a leaf before its gradients: the first is the guard's, the others, which
 * nobody reads, make a line of the cache. */
enum { GUARD_HEAD = 16 };

/* Steps in a row that may be left out: then the weights are past helping. */
enum { GUARD_MOST_IN_A_ROW = 20 };

struct guard {
    float limit; /* of a microbatch's magnitudes */
    int n_microbatches;
    double *told; /* [n_microbatches, GUARD_TOLD]: what ranks tell each other of a
                     step that is not taken */
    bool is_loss_finite; /* of the step that lanes are at */
    int n_in_a_row;      /* steps that were left out, up to now */
    int n_explained;
    bool is_stopped; /* the recipe's will, or too many in a row */
    char text[2048]; /* of the last step that was not taken: why */
};

/* Local. Errors: MEMORY. */
convoy_status guard_init(struct guard *guard, int n_microbatches);
void guard_fini(struct guard *guard);

/* Floats of a leaf: its head, then net_leaf_floats. */
size_t guard_leaf_floats(const convoy_net *net);

/* A look at a leaf while it is made, from its end on. */
struct guard_watch {
    const struct guard *guard;
    float *leaf;
    size_t n_grads, n; /* gradients, and those with statistics */
    size_t from;       /* gradients from here on are seen */
    bool is_bad;
};

struct guard_watch guard_watch(const struct guard *guard, const convoy_net *net,
                               float *leaf);
/* Gradients from `from` on are final. */
void guard_watch_from(struct guard_watch *watch, size_t from);
/* All is: fills in the leaf's head, and what the guard knows of this microbatch. */
void guard_watch_end(struct guard_watch *watch, int microbatch);

/* Whether the weights may change, by the sum of all leaves' heads. Any thread. Local.
 */
bool guard_allows(const struct guard *guard, const struct leaf_sum *sum);

/* After a step, before it is counted. Where it was not taken, finds out why, and either
 * says so in result->left_out, or fails with ARGUMENT on all ranks, as the recipe says;
 * weights, state and step are then as they were. Collective. */
convoy_status guard_end_step(convoy_trainer *trainer, bool is_taken,
                             convoy_step_result *result);

/* What ranks tell each other about a microbatch of a step that is not taken. */
enum guard_told {
    GUARD_BAD,       /* 1: its gradients are too large */
    GUARD_OP,        /* of the program, the first with a value that is not finite; */
    GUARD_N_RECORDS, /* of the microbatch, and where told by the loss, of its cause */
    GUARD_BY_LOSS,   /* 1: these records' losses or images are not finite */
    GUARD_RECORDS,   /* the first of them */
    GUARD_TOLD = GUARD_RECORDS + 6
};
/* In place of an op: */
enum {
    GUARD_OP_IMAGES = -1,
    GUARD_OP_LARGE = -2, /* all are finite, but too large */
    GUARD_OP_NONE = -3,  /* nothing is wrong this time */
    GUARD_OP_UNKNOWN = -4
};

/* Computes microbatch once more, on the rank that has it, until something is not
 * finite, and fills in its row of told on all ranks. The loader then has to be started
 * anew. Collective; fails only with loading, or MPI. */
convoy_status guard_find_cause(convoy_trainer *trainer, int microbatch);

/* ": it begins in …, on record …" */
void guard_append_cause(const convoy_trainer *trainer, int microbatch, char *text,
                        size_t size);

#endif
