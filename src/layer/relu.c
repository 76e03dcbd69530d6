/* dst = max(0, src); its gradient is 0 at 0, as PyTorch's. */
#include "layer/eltwise.h"

static convoy_status forward(struct layer_build *b)
{
    return eltwise_forward(b, dnnl_eltwise_relu_use_dst_for_bwd);
}

static convoy_status backward(struct layer_build *b)
{
    return eltwise_backward(b, dnnl_eltwise_relu_use_dst_for_bwd);
}

static convoy_status rival(struct layer_build *b, enum phase phase,
                           dnnl_primitive_desc_t *pd)
{
    return phase == PHASE_FORWARD ? eltwise_relu_rival(b, pd) : CONVOY_OK;
}

const struct layer_kind layer_relu = {
    .about = {.name = "relu", .help = "max(0, x)", .min_src = 1, .max_src = 1},
    .backward_reads_dst = true,
    .is_relu = true,
    .infer = layer_same_shape,
    .forward = forward,
    .backward = backward,
    .rival = rival,
};
