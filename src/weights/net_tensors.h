/* A net's tensors in canonical layout (PyTorch's, row-major): what checkpoints hold and
 * weight files are compared with. Parameters come first, then running statistics; names
 * are the net's. Local, but for net_tensors_load. */
#ifndef WEIGHTS_NET_TENSORS_H
#define WEIGHTS_NET_TENSORS_H

#include "checkpoint/checkpoint.h"
#include "net/net.h"

/* Start with {0}. Views [n_params + n_buffers]; their data is NULL until
 * net_tensors_allocate. */
struct net_tensors {
    struct tensor_view *views;
    int *indices; /* [n_params + n_buffers]: which parameter or buffer of the store */
    size_t n_params, n_buffers;
    float *memory;
};

/* Lists all tensors of net, which must outlive *tensors and need not be compiled.
 * *tensors is to be freed with net_tensors_free, on error, too. */
convoy_status net_tensors_list(const convoy_net *net, struct net_tensors *tensors);

/* Lists the parameters that learn, which are those an optimizer's slot has. */
convoy_status net_tensors_list_slot(const convoy_net *net, struct net_tensors *tensors);

void net_tensors_free(struct net_tensors *tensors);

/* Gives each view room for its values, which are 0. */
convoy_status net_tensors_allocate(struct net_tensors *tensors);

/* Values of a net's tensors in its own layouts: arenas of the store's, its own or
 * others like them. buffers is not read for parameters, nor params for buffers. */
struct net_arenas {
    float *params, *buffers;
};

/* The net's own. */
struct net_arenas net_arenas_own(const convoy_net *net);

/* Fills the views with the values that training starts with under seed: tensor i of
 * them. The net need not be compiled. */
void net_tensors_initial(const convoy_net *net, const struct net_tensors *tensors,
                         size_t i, uint64_t seed);

/* Copies values of the compiled net out of the arenas into the view of tensor i, which
 * has room. On any number of threads. */
convoy_status net_tensors_get(const convoy_net *net, const struct net_arenas *from,
                              const struct net_tensors *tensors, size_t i);

/* Copies values, in canonical layout, to their place of the compiled net's tensor i. */
convoy_status net_tensors_put(const convoy_net *net, const struct net_tensors *tensors,
                              size_t i, const float *values,
                              const struct net_arenas *to);

/* The same of all tensors, from their views. */
convoy_status net_tensors_put_all(const convoy_net *net,
                                  const struct net_tensors *tensors,
                                  const struct net_arenas *to);

/* Fills the arenas with parameters and running statistics of the compiled net from a
 * checkpoint: those that it has under the prefix, CHECKPOINT_OWN or CHECKPOINT_EMA.
 * Collective over those who share it, who agree on the outcome. FORMAT: it holds others
 * (the text names the tensor). */
convoy_status net_tensors_load(const convoy_net *net,
                               const struct checkpoint *checkpoint, const char *prefix,
                               const struct net_arenas *to);

#endif
