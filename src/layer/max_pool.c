/* The largest value of each window; padding never wins. A ReLU before it it does behind
 * it, where there are fewer values: max(0, ·) of the largest value is the largest
 * max(0, ·), and where that is above 0, so is the place, to which the gradient goes. (A
 * window all in padding, which only dilation makes, gives 0 then.) What the ReLU would
 * read and write at full size is then needed by no backward pass. */
#include "layer/eltwise.h"
#include "layer/pool.h"
#include "layer/tile_pool.h"

static const dnnl_alg_kind_t relu = dnnl_eltwise_relu_use_dst_for_bwd;

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    if (tile_pool_fits(b, &window))
        return tile_pool_forward(b, &window);
    const convoy_status status = pool_forward(b, dnnl_pooling_max, &window);
    return status == CONVOY_OK && b->relu
               ? eltwise_relu_in_place(b, PHASE_FORWARD, b->dst)
               : status;
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    convoy_status status = CONVOY_OK;
    if (tile_pool_fits(b, &window))
        return tile_pool_backward(b, &window);
    if (b->relu)
        status =
            eltwise_diff(b, relu, b->may_overwrite_diff_dst, b->diff_dst, &b->diff_dst);
    return status == CONVOY_OK ? pool_backward(b, dnnl_pooling_max, &window) : status;
}

static convoy_status rival(struct layer_build *b, enum phase phase,
                           dnnl_primitive_desc_t *pd)
{
    const struct layer_window window = pool_window(b->attributes);
    return tile_pool_fits(b, &window)
               ? pool_rival(b, phase, dnnl_pooling_max, &window, pd)
               : CONVOY_OK;
}

static const struct option options[] = {
    LAYER_KERNEL, LAYER_STRIDE("kernel"), LAYER_PAD, LAYER_DILATION, LAYER_CEIL_MODE,
};

const struct layer_kind layer_max_pool = {
    .about = {.name = "max_pool",
              .help = "the largest value of each window",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_dst = true, /* the ReLU's */
    .takes_relu_before = true,
    .infer = pool_infer,
    .forward = forward,
    .backward = backward,
    .rival = rival,
};
