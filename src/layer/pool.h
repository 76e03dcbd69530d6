/* Pooling over windows: the shared body of max_pool, avg_pool and global_avg_pool. */
#ifndef LAYER_POOL_H
#define LAYER_POOL_H

#include "layer/layer.h"

convoy_status pool_infer(const void *attributes, int n_src, const struct shape *src,
                         struct shape *dst);
convoy_status pool_forward(struct layer_build *b, dnnl_alg_kind_t alg,
                           const struct layer_window *window);
convoy_status pool_backward(struct layer_build *b, dnnl_alg_kind_t alg,
                            const struct layer_window *window);

/* A layer_kind's rival for a layer that does its pooling itself, in src's layout. */
convoy_status pool_rival(struct layer_build *b, enum phase phase, dnnl_alg_kind_t alg,
                         const struct layer_window *window, dnnl_primitive_desc_t *pd);

/* Kernel, stride, pad and dilation (0: dense) of the attributes. */
struct layer_window pool_window(const struct layer_attributes *a);

#endif
