/* Looking into a net: the value of every node for given images, and the gradient of a
 * score, a class' logit, with respect to it; for pictures, not for training. The net is
 * taken as it evaluates (batch norm by running statistics, no dropout).
 *
 * A probe is a compilation with compile_options.probe. compiled_refresh and
 * compiled_forward (leaf NULL) as for any other; then values and logits can be read,
 * and after probe_backward gradients, too, until the next forward. */
#ifndef NET_NET_PROBE_H
#define NET_NET_PROBE_H

#include "net/net.h"

struct probe {
    int n_nodes;
    tensor *values, *diffs; /* [n_nodes]; NO_TENSOR: there is none */
};

/* Takes NULL. */
void probe_free(struct probe *probe);

/* The node of a layer's name, -1: none is called so. The input is "input". */
int probe_find(const convoy_net *net, const char *name);

/* Values of a node for one sample: c · h · w of its shape. */
size_t probe_size(const struct compiled *compiled, int node);

/* Node's value [n, c, h, w] of the last forward, row-major. Errors: ARGUMENT (the loss'
 * node), MEMORY, LIBRARY. */
convoy_status probe_value(const struct compiled *compiled, int node, float *out);

/* Gradients of the logit of class c of each sample, 0 <= c < classes, by that sample's
 * own values: of everything that it depends on. Behind one forward, one class after
 * another. */
convoy_status probe_backward(struct compiled *compiled, int c);

/* d logit / d value [n, c, h, w] of the last probe_backward, row-major; zeros where the
 * logits do not depend on the node. Errors: as probe_value. */
convoy_status probe_gradient(const struct compiled *compiled, int node, float *out);

#endif
