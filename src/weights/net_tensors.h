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

/* Fills the views with the values that training starts with under seed: tensor i of
 * them. The net need not be compiled. */
void net_tensors_initial(const convoy_net *net, const struct net_tensors *tensors,
                         size_t i, uint64_t seed);

/* Copies the compiled net's values into the view of tensor i, which has room. params:
 * an arena of the store's layout, its own or a slot. On any number of threads. */
convoy_status net_tensors_get(const convoy_net *net, const float *params,
                              const struct net_tensors *tensors, size_t i);

/* Copies values, in canonical layout, into the compiled net's tensor i; params as
 * above. */
convoy_status net_tensors_put(convoy_net *net, const struct net_tensors *tensors,
                              size_t i, const float *values, float *params);

/* The same of all tensors, from their views. */
convoy_status net_tensors_put_all(convoy_net *net, const struct net_tensors *tensors,
                                  float *params);

/* Fills parameters and running statistics of the compiled net from a checkpoint.
 * Collective over those who share it, who agree on the outcome. FORMAT: it holds others
 * (the text names the tensor). */
convoy_status net_tensors_load(convoy_net *net, const struct checkpoint *checkpoint);

#endif
