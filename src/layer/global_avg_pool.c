/* The mean of each channel over height and width: [c, h, w] to [c, 1, 1]. */
#include "layer/pool.h"

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    convoy_status status = layer_not_flat(src);
    (void)attributes;
    (void)n_src;
    if (status == CONVOY_OK)
        *dst = (struct shape){.c = src->c, .h = 1, .w = 1};
    return status;
}

static struct layer_window whole(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0];
    return (struct layer_window){{src->h, src->w}, {src->h, src->w}, {0, 0}, {1, 1}};
}

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = whole(b);
    return pool_forward(b, dnnl_pooling_avg_exclude_padding, &window);
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = whole(b);
    return pool_backward(b, dnnl_pooling_avg_exclude_padding, &window);
}

const struct layer_kind layer_global_avg_pool = {
    .about = {.name = "global_avg_pool",
              .help = "the mean of each channel",
              .min_src = 1,
              .max_src = 1},
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
