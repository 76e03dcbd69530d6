/* [c, h, w] as [c · h · w] features, in that order. Nothing runs here: the memory
 * passes on as it is, and a layer that needs row-major features asks for them. */
#include "layer/layer.h"

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    (void)attributes;
    (void)n_src;
    *dst = (struct shape){.c = src->c * src->h * src->w, .h = 1, .w = 1, .flat = true};
    return CONVOY_OK;
}

static convoy_status forward(struct layer_build *b)
{
    b->dst = b->src[0];
    return CONVOY_OK;
}

static convoy_status backward(struct layer_build *b)
{
    b->diff_src[0] = b->diff_dst;
    return CONVOY_OK;
}

const struct layer_kind layer_flatten = {
    .about = {.name = "flatten",
              .help = "a map as a row of features",
              .min_src = 1,
              .max_src = 1},
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
