/* The largest value of each window; padding never wins. */
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

static const struct option options[] = {
    LAYER_KERNEL,
    LAYER_STRIDE("kernel"),
    LAYER_PAD,
    {"dilation", OPTION_PAIR, LAYER_AT(dilation), "1", 1, LAYER_MAX_WINDOW,
     .help = "pixels from one value of the window to the next"},
    LAYER_CEIL_MODE,
};

const struct layer_kind layer_max_pool = {
    .about = {.name = "max_pool",
              .help = "the largest value of each window",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .infer = pool_infer,
    .forward = forward,
    .backward = backward,
};
