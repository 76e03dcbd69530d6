/* The mean of each window. count_include_pad: zeros of the padding count in the
 * divisor. Reads kernel, stride, pad, ceil_mode, count_include_pad. */
#include "layer/pool.h"

static dnnl_alg_kind_t algorithm(const struct layer_attributes *a)
{
    return a->count_include_pad ? dnnl_pooling_avg_include_padding
                                : dnnl_pooling_avg_exclude_padding;
}

/* oneDNN divides by the whole kernel; PyTorch does not count what ceil_mode adds behind
 * the padding. The two agree unless a window reaches there. */
static convoy_status infer(const struct layer_attributes *a, int n_src,
                           const struct shape *src, struct shape *dst)
{
    struct shape made;
    convoy_status status = pool_infer(a, n_src, src, &made);
    if (status != CONVOY_OK)
        return status;
    const int64_t in[2] = {src->h, src->w}, out[2] = {made.h, made.w};
    char text[64];
    for (int d = 0; d < 2 && a->count_include_pad; d++)
        if ((out[d] - 1) * a->stride[d] + a->kernel[d] > in[d] + 2 * a->pad[d])
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "ceil_mode with count_include_pad: a kernel of [%lld, %lld] with "
                "pad [%lld, %lld] would reach beyond the padding of the input %s; "
                "leave one of the two out",
                (long long)a->kernel[0], (long long)a->kernel[1], (long long)a->pad[0],
                (long long)a->pad[1], layer_shape_text(src, text));
    *dst = made;
    return CONVOY_OK;
}

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_forward(b, algorithm(b->attributes), &window);
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_backward(b, algorithm(b->attributes), &window);
}

const struct layer_kind layer_avg_pool = {
    .name = "avg_pool",
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
