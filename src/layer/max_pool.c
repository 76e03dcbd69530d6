/* The largest value of each window; padding never wins.
 * Reads kernel, stride, pad, dilation, ceil_mode. */
#include "layer/pool.h"

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_forward(b, dnnl_pooling_max, &window);
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_backward(b, dnnl_pooling_max, &window);
}

const struct layer_kind layer_max_pool = {
    .name = "max_pool",
    .min_src = 1,
    .max_src = 1,
    .infer = pool_infer,
    .forward = forward,
    .backward = backward,
};
