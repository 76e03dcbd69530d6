/* An elementwise function as a layer: forward in place where that is allowed, backward
 * from dst, so src need not be kept. */
#ifndef LAYER_ELTWISE_H
#define LAYER_ELTWISE_H

#include "layer/layer.h"

/* alg: one of oneDNN's …_use_dst_for_bwd algorithms. */
convoy_status eltwise_forward(struct layer_build *b, dnnl_alg_kind_t alg);
convoy_status eltwise_backward(struct layer_build *b, dnnl_alg_kind_t alg);

/* t = max(0, t): a part of what a layer that does more does in its forward pass. */
convoy_status eltwise_relu_in_place(struct layer_build *b, enum phase phase, tensor t);

/* A layer_kind's rival for a ReLU, forward. */
convoy_status eltwise_relu_rival(struct layer_build *b, dnnl_primitive_desc_t *pd);

/* diff_src = diff of alg at dst, times diff; in place of diff if overwrite. */
convoy_status eltwise_diff(struct layer_build *b, dnnl_alg_kind_t alg, bool overwrite,
                           tensor diff, tensor *out);

#endif
