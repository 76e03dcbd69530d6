/* Averages over windows that follow from the output's size:
 *   dst[n, c, i, j] = mean of src[n, c, y, x] over
 *       floor(i·ih / oh) <= y < ceil((i + 1)·ih / oh), and so for x
 * as PyTorch's AdaptiveAvgPool2d; where dst is larger than src, values repeat.
 *
 * Equal sizes cost nothing: the memory passes on. Sizes that divide are oneDNN's
 * average pooling. Others, whose windows overlap and differ, are loops here over
 * row-major maps, one thread a channel of a sample, added up in double. */
#include "layer/pool.h"

#include <string.h>

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
};

static struct context context_of(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    return (struct context){.n_maps = b->n * src->c,
                            .ih = src->h,
                            .iw = src->w,
                            .oh = dst->h,
                            .ow = dst->w};
}

/* Window i of n_out over n_in values: [first, last). */
struct range {
    int64_t first, last;
};

static struct range range_of(int64_t i, int64_t n_in, int64_t n_out)
{
    return (struct range){.first = i * n_in / n_out,
                          .last = ((i + 1) * n_in + n_out - 1) / n_out};
}

static float mean_over(const float *map, int64_t iw, struct range y, struct range x)
{
    double sum = 0;
    for (int64_t i = y.first; i < y.last; i++)
        for (int64_t j = x.first; j < x.last; j++)
            sum += (double)map[i * iw + j];
    return (float)(sum / (double)((y.last - y.first) * (x.last - x.first)));
}

/* data: src [n, c, ih, iw], dst [n, c, oh, ow] */
static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    const float *src = data[0];
    float *dst = data[1];
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < c->n_maps; m++) {
        const float *map = src + m * c->ih * c->iw;
        float *out = dst + m * c->oh * c->ow;
        for (int64_t k = 0; k < c->oh * c->ow; k++)
            out[k] = mean_over(map, c->iw, range_of(k / c->ow, c->ih, c->oh),
                               range_of(k % c->ow, c->iw, c->ow));
    }
}

static void spread(float *map, int64_t iw, struct range y, struct range x, float diff)
{
    const float share = diff / (float)((y.last - y.first) * (x.last - x.first));
    for (int64_t i = y.first; i < y.last; i++)
        for (int64_t j = x.first; j < x.last; j++)
            map[i * iw + j] += share;
}

/* data: diff_dst [n, c, oh, ow], diff_src [n, c, ih, iw] */
static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    const float *diff_dst = data[0];
    float *diff_src = data[1];
    (void)info;
#pragma omp parallel for schedule(static)
    for (int64_t m = 0; m < c->n_maps; m++) {
        const float *diff = diff_dst + m * c->oh * c->ow;
        float *map = diff_src + m * c->ih * c->iw;
        memset(map, 0, (size_t)(c->ih * c->iw) * sizeof *map);
        for (int64_t k = 0; k < c->oh * c->ow; k++)
            spread(map, c->iw, range_of(k / c->ow, c->ih, c->oh),
                   range_of(k % c->ow, c->iw, c->ow), diff[k]);
    }
}

static convoy_status own_forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md dst = {0};
    const struct context context = context_of(b);
    tensor src;
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
