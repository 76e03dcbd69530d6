/* The length of each weight's gradient in a step (metrics.grad_norms): how much of what
 * the loss says reaches which layer.
 *
 * Weights are parameters that learn and are neither biases nor norms, in the order in
 * which the net has its layers. Gradients are as updates read them: of the mean loss
 * over the batch, without weight decay, before clipping. A length is the root of the
 * pieces' sums of squares (update.h), added in their order: the same on any number of
 * ranks, lanes and threads. Local, all of it. */
#ifndef TRAIN_GRAD_NORMS_H
#define TRAIN_GRAD_NORMS_H

#include "base/lanes.h"
#include "comm/leaves.h"
#include "net/net.h"

struct grad_norms;

/* Of the compiled net, which is borrowed with lanes until grad_norms_destroy. *norms is
 * new. Errors: MEMORY. */
convoy_status grad_norms_create(const convoy_net *net, struct lanes *lanes,
                                struct grad_norms **norms);

/* Takes NULL. */
void grad_norms_destroy(struct grad_norms *norms);

/* Measures the gradients of a step, whose sum over all leaves is sum, by all lanes,
 * none of which may be at work. Allocates nothing. */
void grad_norms_measure(struct grad_norms *norms, const struct leaf_sum *sum);

/* How many, their parameters' names and what was measured last, [n] each. Borrowed
 * until destroy; values change with the next measuring. */
int grad_norms_n(const struct grad_norms *norms);
const char *const *grad_norms_names(const struct grad_norms *norms);
const double *grad_norms_values(const struct grad_norms *norms);

#endif
