/* Primitive descriptors of every layer, the same call for oneDNN 2.6 and 3.x.
 *
 * Each function writes a new descriptor to *pd; the caller owns it (and usually hands
 * it to program_emit). hint: the forward descriptor, for backward passes. attr may be
 * NULL. Memory descriptors with dnnl_format_tag_any let oneDNN choose. dst and weights
 * stand for diff_dst and diff_weights in the pass that has those.
 */
#ifndef ONEDNN_PRIMITIVE_H
#define ONEDNN_PRIMITIVE_H

#include "onednn/engine.h"

enum dnn_pass {
    DNN_FORWARD_TRAINING,
    DNN_FORWARD_INFERENCE,
    DNN_BACKWARD_DATA,
    DNN_BACKWARD_WEIGHTS
};

/* A window over height and width. */
struct dnn_window {
    /* [0]: height, [1]: width; the rest is there because oneDNN's type has it */
    dnnl_dims_t kernel, stride, dilation; /* dilation 1: dense */
    dnnl_dims_t pad_begin, pad_end;
};

/* bias may be NULL; pooling has no weights either. */
struct dnn_operands {
    dnn_cmd src, weights, bias, dst;
};

convoy_status dnn_convolution(const struct dnn *dnn, enum dnn_pass pass,
                              const struct dnn_operands *operands,
                              const struct dnn_window *window,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd);

convoy_status dnn_inner_product(const struct dnn *dnn, enum dnn_pass pass,
                                const struct dnn_operands *operands,
                                dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd);

/* Backward: data is dst for the …_use_dst_for_bwd algorithms. */
convoy_status dnn_eltwise(const struct dnn *dnn, enum dnn_pass pass,
                          dnnl_alg_kind_t alg, dnn_cmd data, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd);

convoy_status dnn_pooling(const struct dnn *dnn, enum dnn_pass pass,
                          dnnl_alg_kind_t alg, const struct dnn_operands *operands,
                          const struct dnn_window *window, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd);

/* With the statistics of its src in training, then a ReLU if relu: oneDNN's own, which
 * the layer is compared with. Backward: the gradients of scale and shift, too. data: no
 * dnnl_format_tag_any. */
convoy_status dnn_batch_norm(const struct dnn *dnn, enum dnn_pass pass, dnn_cmd data,
                             float epsilon, bool relu, dnnl_primitive_desc_t hint,
                             dnnl_primitive_desc_t *pd);

/* Across channels: dst = src / (k + alpha / size * sum of squares)^beta. */
struct dnn_lrn_parameters {
    int64_t size;
    float alpha, beta, k;
};
convoy_status dnn_lrn(const struct dnn *dnn, enum dnn_pass pass, dnn_cmd data,
                      const struct dnn_lrn_parameters *parameters,
                      dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd);

/* Whether dnn_add of tensors of layout md can take relu. oneDNN 2.6's fused addition
 * gives wrong values, and writes beyond dst, where the layout pads the channels. */
bool dnn_add_takes_relu(dnn_cmd md);

/* dst = a + b, then max(0, ·) if relu. */
convoy_status dnn_add(const struct dnn *dnn, dnn_cmd a, dnn_cmd b, dnn_cmd dst,
                      bool relu, dnnl_primitive_desc_t *pd);

/* Along dimension 1. */
convoy_status dnn_concat(const struct dnn *dnn, int n_src, const dnn_cmd *src,
                         dnn_cmd dst, dnnl_primitive_desc_t *pd);

convoy_status dnn_reorder(const struct dnn *dnn, dnn_cmd from, dnn_cmd to,
                          dnnl_primitive_desc_t *pd);

/* What a primitive does, layouts aside; what its kind does not have is 0. */
struct dnn_work {
    dnnl_primitive_kind_t kind;
    dnnl_prop_kind_t prop_kind;
    dnnl_alg_kind_t alg;
    struct dnn_window window; /* convolution: without kernel */
    int64_t lrn_size;
};
struct dnn_work dnn_work_of(dnnl_primitive_desc_t pd);

/* Which kernels pd is: oneDNN's name for them, as "jit:avx2"; borrowed from pd. */
const char *dnn_kernels(dnnl_primitive_desc_t pd);

/* Whether pd is one of oneDNN's plain-loop reference kernels, a hundred times slower
 * than the others: another layout may have a better one. */
bool dnn_is_reference(dnnl_primitive_desc_t pd);

/* Whether both are done by the same kernels of oneDNN, by their names. */
bool dnn_same_kernels(dnnl_primitive_desc_t a, dnnl_primitive_desc_t b);

/* A memory descriptor that pd chose; borrowed from pd. what: dnnl_query_src_md, … */
dnn_cmd dnn_chosen(dnnl_primitive_desc_t pd, dnnl_query_t what, int index);

#endif
