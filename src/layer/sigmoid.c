/* dst = 1 / (1 + exp(-src)) */
#include "layer/eltwise.h"

static convoy_status forward(struct layer_build *b)
{
    return eltwise_forward(b, dnnl_eltwise_logistic_use_dst_for_bwd);
}

static convoy_status backward(struct layer_build *b)
{
    return eltwise_backward(b, dnnl_eltwise_logistic_use_dst_for_bwd);
}

const struct layer_kind layer_sigmoid = {
    .about = {.name = "sigmoid",
              .help = "1 / (1 + exp(-x))",
              .min_src = 1,
              .max_src = 1},
    .backward_reads_dst = true,
    .infer = layer_same_shape,
    .forward = forward,
    .backward = backward,
};
