/* The mean of each window. Zeros of the padding count in the divisor, unless
 * exclude_pad. */
#include "layer/pool.h"

static dnnl_alg_kind_t algorithm(const struct layer_attributes *a)
{
    return a->exclude_pad ? dnnl_pooling_avg_exclude_padding
                          : dnnl_pooling_avg_include_padding;
}

/* oneDNN divides by the whole kernel; PyTorch does not count what ceil_mode adds behind
 * the padding. The two agree unless a window reaches there. */
static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    struct shape made;
    convoy_status status = pool_infer(a, n_src, src, &made);
    if (status != CONVOY_OK)
        return status;
    const int64_t in[2] = {src->h, src->w}, out[2] = {made.h, made.w};
    char text[64];
    for (int d = 0; d < 2 && !a->exclude_pad; d++)
        if ((out[d] - 1) * a->stride[d] + a->kernel[d] > in[d] + INT64_C(2) * a->pad[d])
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "ceil_mode without exclude_pad: a kernel of [%lld, %lld] with "
                "pad [%lld, %lld] would reach beyond the padding of the input %s; "
                "leave ceil_mode out, or set exclude_pad",
                (long long)a->kernel[0], (long long)a->kernel[1], (long long)a->pad[0],
                (long long)a->pad[1], layer_shape_text(src, text));
    *dst = made;
    return CONVOY_OK;
}

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_forward(b, algorithm(layer_told(b)), &window);
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = pool_window(b->attributes);
    return pool_backward(b, algorithm(layer_told(b)), &window);
}

static const struct option options[] = {
    LAYER_KERNEL,
    LAYER_STRIDE("kernel"),
    LAYER_PAD,
    LAYER_CEIL_MODE,
    {"exclude_pad", OPTION_BOOL, LAYER_AT(exclude_pad), "false",
     .help = "padding does not count"},
};

const struct layer_kind layer_avg_pool = {
    .about = {.name = "avg_pool",
              .help = "the mean of each window",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
