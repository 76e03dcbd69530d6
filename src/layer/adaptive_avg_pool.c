/* Averages over windows that follow from the output's size:
 *   dst[n, c, i, j] = mean of src[n, c, y, x] over
 *       floor(i·ih / oh) <= y < ceil((i + 1)·ih / oh), and so for x
 * as PyTorch's AdaptiveAvgPool2d; where dst is larger than src, values repeat.
 *
 * Equal sizes cost nothing: the memory passes on. Sizes that divide are oneDNN's
 * average pooling. Others, whose windows overlap and differ, are loops here over
 * row-major maps, one thread a channel of a sample, added up in double; gradients in
 * f32, in the order of the windows. */
#include "layer/pool.h"

#include "base/bf16.h"

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = layer_not_flat(src);
    (void)n_src;
    if (status != CONVOY_OK)
        return status;
    *dst = (struct shape){.c = src->c, .h = a->height, .w = a->width};
    return CONVOY_OK;
}

static bool passes_on(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    return src->h == dst->h && src->w == dst->w;
}

/* Whether all windows are alike and none overlap. */
static bool is_plain(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    return src->h % dst->h == 0 && src->w % dst->w == 0;
}

static struct layer_window window_of(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    const int64_t h = src->h / dst->h, w = src->w / dst->w;
    return (struct layer_window){{h, w}, {h, w}, {0, 0}, {1, 1}};
}

struct context {
    int64_t n_maps, ih, iw, oh, ow;
    bool bf16; /* values are; else f32 */
};

static struct context context_of(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    return (struct context){.n_maps = b->n * src->c,
                            .ih = src->h,
                            .iw = src->w,
                            .oh = dst->h,
                            .ow = dst->w,
                            .bf16 = b->type == dnnl_bf16};
}

static float value_at(const struct context *c, const void *values, int64_t i)
{
    return c->bf16 ? bf16_to_f32(((const uint16_t *)values)[i])
                   : ((const float *)values)[i];
}

static void set_value(const struct context *c, void *values, int64_t i, float value)
{
    if (c->bf16)
        ((uint16_t *)values)[i] = bf16_from_f32(value);
    else
        ((float *)values)[i] = value;
}

/* Window i of n_out over n_in values: [first, last). With the numbers exchanged, the
 * windows that value i is in: the rule is its own inverse. */
struct range {
    int64_t first, last;
};

static struct range range_of(int64_t i, int64_t n_in, int64_t n_out)
{
    return (struct range){.first = i * n_in / n_out,
                          .last = ((i + 1) * n_in + n_out - 1) / n_out};
}

static int64_t length(struct range r)
{
    return r.last - r.first;
}

/* Of the window [y, x] of the map that begins at value first. */
static float mean_over(const struct context *c, const void *src, int64_t first,
                       struct range y, struct range x)
{
    double sum = 0;
    for (int64_t i = y.first; i < y.last; i++)
        for (int64_t j = x.first; j < x.last; j++)
            sum += (double)value_at(c, src, first + i * c->iw + j);
    return (float)(sum / (double)(length(y) * length(x)));
}

/* data: src [n, c, ih, iw], dst [n, c, oh, ow] */
static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < c->n_maps; m++)
        for (int64_t k = 0; k < c->oh * c->ow; k++) {
            const struct range y = range_of(k / c->ow, c->ih, c->oh);
            const struct range x = range_of(k % c->ow, c->iw, c->ow);
            set_value(c, data[1], m * c->oh * c->ow + k,
                      mean_over(c, data[0], m * c->ih * c->iw, y, x));
        }
}

/* What the windows [y, x] of the map that begins at value first, all those which a
 * pixel is in, hand to it. */
static float sum_of_shares(const struct context *c, const void *diff_dst, int64_t first,
                           struct range y, struct range x)
{
    float sum = 0;
    for (int64_t i = y.first; i < y.last; i++) {
        const int64_t rows = length(range_of(i, c->ih, c->oh));
        for (int64_t j = x.first; j < x.last; j++) {
            const int64_t pixels = rows * length(range_of(j, c->iw, c->ow));
            sum += value_at(c, diff_dst, first + i * c->ow + j) / (float)pixels;
        }
    }
    return sum;
}

/* data: diff_dst [n, c, oh, ow], diff_src [n, c, ih, iw] */
static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < c->n_maps; m++)
        for (int64_t k = 0; k < c->ih * c->iw; k++) {
            const struct range y = range_of(k / c->iw, c->oh, c->ih);
            const struct range x = range_of(k % c->iw, c->ow, c->iw);
            set_value(c, data[1], m * c->ih * c->iw + k,
                      sum_of_shares(c, data[0], m * c->oh * c->ow, y, x));
        }
}

static convoy_status own_forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md dst = {0};
    const struct context context = context_of(b);
    tensor src;
    if (b->type != dnnl_f32 && b->type != dnnl_bf16)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "adaptive pooling works on f32 and bf16 only");
    TRY(layer_src_plain(b, 0, &src));
    TRY(layer_plain(b, &b->dst_shape, &dst));
    TRY(layer_tensor(b, dnn_md_ref(&dst), &b->dst));
    const tensor tensors[] = {src, b->dst};
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     2, tensors));
cleanup:
    dnn_md_free(&dst);
    return status;
}

static convoy_status own_backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md src = {0};
    const struct context context = context_of(b);
    TRY(layer_plain(b, &b->src_shapes[0], &src));
    TRY(layer_tensor(b, dnn_md_ref(&src), &b->diff_src[0]));
    const tensor tensors[] = {b->diff_dst, b->diff_src[0]};
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     2, tensors));
cleanup:
    dnn_md_free(&src);
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    const struct layer_window window = window_of(b);
    if (passes_on(b)) {
        b->dst = b->src[0];
        return CONVOY_OK;
    }
    if (is_plain(b))
        return pool_forward(b, dnnl_pooling_avg_exclude_padding, &window);
    return own_forward(b);
}

static convoy_status backward(struct layer_build *b)
{
    const struct layer_window window = window_of(b);
    if (passes_on(b)) {
        b->diff_src[0] = b->diff_dst;
        return CONVOY_OK;
    }
    if (is_plain(b))
        return pool_backward(b, dnnl_pooling_avg_exclude_padding, &window);
    return own_backward(b);
}

static const struct option options[] = {
    {"height", OPTION_INT, LAYER_AT(height), NULL, 1, LAYER_MAX_CHANNELS,
     .help = "rows of the output"},
    {"width", OPTION_INT, LAYER_AT(width), NULL, 1, LAYER_MAX_CHANNELS,
     .help = "columns of the output"},
};

const struct layer_kind layer_adaptive_avg_pool = {
    .about = {.name = "adaptive_avg_pool",
              .help = "averages that give a map of a certain size",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
