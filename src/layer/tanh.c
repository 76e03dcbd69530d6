/* dst = tanh(src) */
#include "layer/eltwise.h"

static convoy_status forward(struct layer_build *b)
{
    return eltwise_forward(b, dnnl_eltwise_tanh_use_dst_for_bwd);
}

static convoy_status backward(struct layer_build *b)
{
    return eltwise_backward(b, dnnl_eltwise_tanh_use_dst_for_bwd);
}

const struct layer_kind layer_tanh = {
    .about = {.name = "tanh",
              .help = "the hyperbolic tangent",
              .min_src = 1,
              .max_src = 1},
    .backward_reads_dst = true,
    .infer = layer_same_shape,
    .forward = forward,
    .backward = backward,
};
