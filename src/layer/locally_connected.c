/* A convolution whose weights are not shared: each place of the output has a kernel of
 * its own (LeCun 1989, "Generalization and network design strategies"):
 *   dst[n, o, p] = bias[o, p] + sum over c, i, j of weight[o, c, i, j, p] ·
 *       src[n, c, y·stride + i·dilation − pad, x·stride + j·dilation − pad]
 *   p = y·ow + x
 * Parameters: weight [out, ic / groups, kh, kw, oh·ow], bias [out, oh·ow]: the weights
 * of one place lie like a convolution's. Weights of taps in the padding are there, too;
 * their gradients are 0.
 *
 * oneDNN has nothing for this. The loops are over rows: places side by side have
 * weights side by side, and a row of weights is used for all samples while it is near.
 * What four products are added to, of as many channels or samples, is read and written
 * once. A row of results belongs to one thread, and its sums have one order: bits do
 * not depend on the number of threads. In bf16 the loops work on f32 copies. */
#include "layer/layer.h"
#include "layer/vectors.h"

#include <string.h>

/* Of a whole net, as of a recipe's: more has no memory. */
static const int64_t max_weights = INT64_C(1) << 40;

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = CONVOY_OK;
    struct shape made;
    char text[64];
    TRY(layer_conv_infer(attributes, n_src, src, &made));
    const int64_t taps = src->c / a->groups * a->kernel[0] * a->kernel[1];
    if (taps > max_weights / (made.c * made.h * made.w))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "needs %lld weights for each value of the output %s, more than the "
                    "%lld that a net can have: take a smaller kernel, a larger stride "
                    "or smaller images",
                    (long long)taps, layer_shape_text(&made, text),
                    (long long)max_weights);
    *dst = made;
cleanup:
    return status;
}

static int params(const void *attributes, const struct shape *src, struct param *params)
{
    const struct layer_attributes *a = attributes;
    const struct layer_window window = layer_conv_window(a);
    const int64_t ic = src->c / a->groups, kh = a->kernel[0], kw = a->kernel[1];
    const bool own = a->init == INIT_DEFAULT;
    int64_t out[2] = {0};
    layer_window_out(&window, src, false, out); /* infer has seen that it fits */
    params[0] = (struct param){.name = "weight",
                               .n_dims = 5,
                               .dims = {a->out, ic, kh, kw, out[0] * out[1]},
                               .init = own ? INIT_HE_NORMAL : a->init,
                               /* fan out, as a convolution */
                               .fan = (own ? a->out / a->groups : ic) * kh * kw,
                               .decay = true};
    params[1] = (struct param){.name = "bias",
                               .n_dims = 2,
                               .dims = {a->out, out[0] * out[1]},
                               .init = a->bias_init ? a->bias_init : INIT_ZERO,
                               .fan = ic * kh * kw};
    return a->bias ? 2 : 1;
}

/* Sides are height and width. */
struct context {
    int32_t n, ic, oc, groups;
    int32_t in[2], out[2];
    int32_t kernel[2], stride[2], pad[2], dilation[2];
    bool bias;
};

static struct context context_of(const struct layer_build *b)
{
    const struct layer_attributes *a = layer_told(b);
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    return (struct context){.n = (int32_t)b->n,
                            .ic = (int32_t)src->c,
                            .oc = (int32_t)dst->c,
                            .groups = a->groups,
                            .in = {(int32_t)src->h, (int32_t)src->w},
                            .out = {(int32_t)dst->h, (int32_t)dst->w},
                            .kernel = {a->kernel[0], a->kernel[1]},
                            .stride = {a->stride[0], a->stride[1]},
                            .pad = {a->pad[0], a->pad[1]},
                            .dilation = {a->dilation[0], a->dilation[1]},
                            .bias = a->bias};
}

/* Values of a sample of src and of dst. */
static int64_t values_in(const struct context *c)
{
    return (int64_t)c->ic * c->in[0] * c->in[1];
}

static int64_t values_out(const struct context *c)
{
    return (int64_t)c->oc * c->out[0] * c->out[1];
}

static int64_t unshared_taps(const struct context *c)
{
    return (int64_t)(c->ic / c->groups) * c->kernel[0] * c->kernel[1];
}

static int32_t kernel_area(const struct context *c)
{
    return c->kernel[0] * c->kernel[1];
}

/* Weights of a channel of src, for one of dst. */
static int64_t channel_of_weights(const struct context *c)
{
    return (int64_t)kernel_area(c) * c->out[0] * c->out[1];
}

/* Where row y of channel o begins in a sample of dst, and in the bias. */
static int64_t row_of(const struct context *c, int64_t o, int64_t y)
{
    return (o * c->out[0] + y) * c->out[1];
}

/* Where the weights of a tap for row y of channel o begin. */
static int64_t weights_of(const struct context *c, int64_t o, int64_t tap, int64_t y)
{
    return ((o * unshared_taps(c) + tap) * c->out[0] + y) * c->out[1];
}

/* The places of a row of dst at which a tap finds a pixel: their number, and where the
 * first of them lies, in the first sample. */
struct stretch {
    int32_t n;
    int64_t weight, src, dst;
};

/* False: all that the tap finds is padding. */
static bool find_stretch(const struct context *c, int32_t o, int32_t y, int64_t tap,
                         struct stretch *s)
{
    const int32_t i = (int32_t)(tap / c->kernel[1] % c->kernel[0]);
    const int32_t j = (int32_t)(tap % c->kernel[1]), stride = c->stride[1];
    const int32_t row = y * c->stride[0] + i * c->dilation[0] - c->pad[0];
    const int32_t shift = j * c->dilation[1] - c->pad[1];
    const int32_t room = c->in[1] - 1 - shift;
    const int32_t first = shift < 0 ? (stride - 1 - shift) / stride : 0;
    int32_t end = room < 0 ? 0 : room / stride + 1;
    end = end < c->out[1] ? end : c->out[1];
    if (row < 0 || row >= c->in[0] || first >= end)
        return false;
    const int64_t group = o / (c->oc / c->groups);
    const int64_t channel =
        group * (c->ic / c->groups) + tap / ((int64_t)c->kernel[0] * c->kernel[1]);
    *s = (struct stretch){.n = end - first,
                          .weight = weights_of(c, o, tap, y) + first,
                          .src = (channel * c->in[0] + row) * c->in[1] +
                                 (int64_t)first * stride + shift,
                          .dst = row_of(c, o, y) + first};
    return true;
}

static void zero(float *values, int64_t n)
{
    memset(values, 0, (size_t)n * sizeof *values);
}

/* Factors of MANY products of a place, step values apart; those of the next place are
 * one further, or so many as their stride is. */
struct factors {
    const float *values;
    int64_t step;
    int32_t stride;
};

enum { MANY = 4 };

/* sums[k · stride] += sum over t < MANY of a_t[k] · b_t[k · b's stride]. What is added
 * to is read and written once for MANY products. */
INLINE void add_many(float *restrict sums, int32_t stride, struct factors a,
                     struct factors b, int32_t n)
{
    const float *a0 = a.values, *a1 = a0 + a.step, *a2 = a1 + a.step, *a3 = a2 + a.step;
    const float *b0 = b.values, *b1 = b0 + b.step, *b2 = b1 + b.step, *b3 = b2 + b.step;
    for (int32_t k = 0; k < n; k++) {
        const int64_t at = (int64_t)k * b.stride;
        sums[(int64_t)k * stride] +=
            (a0[k] * b0[at] + a1[k] * b1[at]) + (a2[k] * b2[at] + a3[k] * b3[at]);
    }
}

INLINE void add_one(float *restrict sums, int32_t stride, struct factors a,
                    struct factors b, int32_t n)
{
    for (int32_t k = 0; k < n; k++)
        sums[(int64_t)k * stride] += a.values[k] * b.values[(int64_t)k * b.stride];
}

INLINE void add_terms(float *restrict sums, int32_t stride, struct factors a,
                      struct factors b, int32_t n, int64_t n_terms)
{
    int64_t t = 0;
    for (; t + MANY <= n_terms; t += MANY) {
        add_many(sums, stride, a, b, n);
        a.values += MANY * a.step;
        b.values += MANY * b.step;
    }
    for (; t < n_terms; t++) {
        add_one(sums, stride, a, b, n);
        a.values += a.step;
        b.values += b.step;
    }
}

/* Adds n_terms products to each of n sums. A stride of 1, which most have, is a
 * constant here: neighbours become vectors. a's is 1. */
static void add_products(float *restrict sums, int32_t stride, struct factors a,
                         struct factors b, int32_t n, int64_t n_terms)
{
    if (stride == 1 && b.stride == 1)
        add_terms(sums, 1, a, b, n, n_terms);
    else
        add_terms(sums, stride, a, b, n, n_terms);
}

enum { SRC, WEIGHT, DST, BIAS, N_FORWARD };

static void forward_row(const struct context *c, void *const *data, int32_t o,
                        int32_t y)
{
    const float *src = data[SRC], *weight = data[WEIGHT];
    const int64_t in = values_in(c), out = values_out(c), row = row_of(c, o, y);
    float *dst = data[DST];
    struct stretch s;
    for (int64_t n = 0; n < c->n; n++)
        if (c->bias)
            memcpy(dst + n * out + row, (const float *)data[BIAS] + row,
                   (size_t)c->out[1] * sizeof *dst);
        else
            zero(dst + n * out + row, c->out[1]);
    for (int32_t tap = 0; tap < kernel_area(c); tap++) {
        if (!find_stretch(c, o, y, tap, &s))
            continue;
        const struct factors weights = {weight + s.weight, channel_of_weights(c), 1};
        for (int64_t n = 0; n < c->n; n++)
            add_products(
                dst + n * out + s.dst, 1, weights,
                (struct factors){src + n * in + s.src, in / c->ic, c->stride[1]}, s.n,
                c->ic / c->groups);
    }
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int32_t o = 0; o < c->oc; o++)
        for (int32_t y = 0; y < c->out[0]; y++)
            forward_row(c, data, o, y);
}

enum { W_SRC, W_DIFF_DST, DIFF_WEIGHT, DIFF_BIAS, N_WEIGHTS };

/* Adds what n samples from first on say of the weights of a tap, channel by channel. */
static void add_samples(const struct context *c, void *const *data,
                        const struct stretch *s, int64_t first, int64_t n)
{
    const float *src = data[W_SRC], *diff_dst = data[W_DIFF_DST];
    const int64_t in = values_in(c), out = values_out(c), channel = in / c->ic;
    float *diff = data[DIFF_WEIGHT];
    for (int64_t k = 0; k < c->ic / c->groups; k++)
        add_products(
            diff + s->weight + k * channel_of_weights(c), 1,
            (struct factors){diff_dst + first * out + s->dst, out, 1},
            (struct factors){src + first * in + s->src + k * channel, in, c->stride[1]},
            s->n, n);
}

static void weights_row(const struct context *c, void *const *data, int32_t o,
                        int32_t y)
{
    const float *diff_dst = data[W_DIFF_DST];
    const int64_t out = values_out(c), row = row_of(c, o, y);
    struct stretch s;
    for (int64_t tap = 0; tap < unshared_taps(c); tap++)
        zero((float *)data[DIFF_WEIGHT] + weights_of(c, o, tap, y), c->out[1]);
    for (int32_t tap = 0; tap < kernel_area(c); tap++) {
        if (!find_stretch(c, o, y, tap, &s))
            continue;
        for (int64_t n = 0; n < c->n; n += MANY)
            add_samples(c, data, &s, n, c->n - n < MANY ? c->n - n : MANY);
    }
    if (!c->bias)
        return;
    float *diff_bias = (float *)data[DIFF_BIAS] + row;
    zero(diff_bias, c->out[1]);
    for (int64_t n = 0; n < c->n; n++)
        for (int32_t x = 0; x < c->out[1]; x++)
            diff_bias[x] += diff_dst[n * out + row + x];
}

static void run_weights(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int32_t o = 0; o < c->oc; o++)
        for (int32_t y = 0; y < c->out[0]; y++)
            weights_row(c, data, o, y);
}

enum { D_DIFF_DST, D_WEIGHT, DIFF_SRC, N_DATA };

/* Adds what the taps [first, first + kw), a row of the kernel, of rows y of all outputs
 * from o on of a group hand to the row of src that they read. */
static void spread_row(const struct context *c, void *const *data, int32_t o, int32_t y,
                       int64_t first)
{
    const float *diff_dst = data[D_DIFF_DST], *weight = data[D_WEIGHT];
    const int64_t in = values_in(c), out = values_out(c);
    float *diff_src = data[DIFF_SRC];
    struct stretch s;
    for (int64_t tap = first; tap < first + c->kernel[1]; tap++) {
        if (!find_stretch(c, o, y, tap, &s))
            continue;
        const struct factors weights = {weight + s.weight, weights_of(c, 1, 0, 0), 1};
        for (int64_t n = 0; n < c->n; n++)
            add_products(diff_src + n * in + s.src, c->stride[1], weights,
                         (struct factors){diff_dst + n * out + s.dst, out / c->oc, 1},
                         s.n, c->oc / c->groups);
    }
}

/* Row y of channel k of src: from all outputs that see it. */
static void data_row(const struct context *c, void *const *data, int32_t k, int32_t row)
{
    const int32_t ic = c->ic / c->groups, oc = c->oc / c->groups;
    const int32_t kh = c->kernel[0], stride = c->stride[0];
    for (int64_t n = 0; n < c->n; n++)
        zero((float *)data[DIFF_SRC] + n * values_in(c) +
                 ((int64_t)k * c->in[0] + row) * c->in[1],
             c->in[1]);
    for (int32_t i = 0; i < kh; i++) {
        const int32_t above = row + c->pad[0] - i * c->dilation[0];
        const int64_t tap = ((int64_t)(k % ic) * kh + i) * c->kernel[1];
        if (above >= 0 && above % stride == 0 && above / stride < c->out[0])
            spread_row(c, data, k / ic * oc, above / stride, tap);
    }
}

static void run_data(const void *context, const struct run_info *info,
                     void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int32_t k = 0; k < c->ic; k++)
        for (int32_t row = 0; row < c->in[0]; row++)
            data_row(c, data, k, row);
}

static convoy_status map_md(const struct layer_build *b, const struct shape *shape,
                            dnnl_data_type_t type, struct dnn_md *md)
{
    const int64_t dims[] = {b->n, shape->c, shape->h, shape->w};
    return dnn_md_make_plain(4, dims, type, md);
}

/* t, a map of this shape, row by row in a type. */
static convoy_status want_map(struct layer_build *b, enum phase phase, tensor t,
                              const struct shape *shape, dnnl_data_type_t type,
                              tensor *out)
{
    struct dnn_md md = {0};
    convoy_status status = map_md(b, shape, type, &md);
    if (status == CONVOY_OK)
        status = program_want(b->program, phase, t, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

static convoy_status new_map(struct layer_build *b, const struct shape *shape,
                             tensor *out)
{
    struct dnn_md md = {0};
    convoy_status status = map_md(b, shape, dnnl_f32, &md);
    if (status == CONVOY_OK)
        status = layer_tensor(b, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

/* Parameter i, or its gradient, row by row. */
static convoy_status param_tensor(struct layer_build *b, int i, bool gradient,
                                  tensor *out)
{
    struct param own[LAYER_MAX_PARAMS];
    struct dnn_md md = {0};
    params(b->attributes, b->src_shapes, own);
    convoy_status status = dnn_md_make_plain(own[i].n_dims, own[i].dims, dnnl_f32, &md);
    if (status == CONVOY_OK)
        status = (gradient ? layer_grad : layer_param)(b, i, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    tensor t[N_FORWARD];
    if (b->type != dnnl_f32 && b->type != dnnl_bf16)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "locally connected layers work on f32 and bf16 only");
    TRY(want_map(b, PHASE_FORWARD, b->src[0], &b->src_shapes[0], dnnl_f32, &t[SRC]));
    TRY(param_tensor(b, 0, false, &t[WEIGHT]));
    TRY(new_map(b, &b->dst_shape, &t[DST]));
    if (context.bias)
        TRY(param_tensor(b, 1, false, &t[BIAS]));
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     context.bias ? N_FORWARD : BIAS, t));
    TRY(want_map(b, PHASE_FORWARD, t[DST], &b->dst_shape, b->type, &b->dst));
cleanup:
    return status;
}

static convoy_status backward_weights(struct layer_build *b, tensor diff_dst)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    tensor t[N_WEIGHTS] = {NO_TENSOR, diff_dst, NO_TENSOR, NO_TENSOR};
    TRY(want_map(b, PHASE_BACKWARD, b->src[0], &b->src_shapes[0], dnnl_f32, &t[W_SRC]));
    TRY(param_tensor(b, 0, true, &t[DIFF_WEIGHT]));
    if (context.bias)
        TRY(param_tensor(b, 1, true, &t[DIFF_BIAS]));
    TRY(program_call(b->program, PHASE_BACKWARD, run_weights, &context, sizeof context,
                     context.bias ? N_WEIGHTS : DIFF_BIAS, t));
    TRY(layer_grad_done(b, 0, t[DIFF_WEIGHT]));
    if (context.bias)
        TRY(layer_grad_done(b, 1, t[DIFF_BIAS]));
cleanup:
    return status;
}

static convoy_status backward_data(struct layer_build *b, tensor diff_dst)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b);
    tensor t[N_DATA] = {diff_dst, NO_TENSOR, NO_TENSOR};
    TRY(param_tensor(b, 0, false, &t[D_WEIGHT]));
    TRY(new_map(b, &b->src_shapes[0], &t[DIFF_SRC]));
    TRY(program_call(b->program, PHASE_BACKWARD, run_data, &context, sizeof context,
                     N_DATA, t));
    TRY(want_map(b, PHASE_BACKWARD, t[DIFF_SRC], &b->src_shapes[0], b->type,
                 &b->diff_src[0]));
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    tensor diff_dst;
    TRY(want_map(b, PHASE_BACKWARD, b->diff_dst, &b->dst_shape, dnnl_f32, &diff_dst));
    if (b->learns)
        TRY(backward_weights(b, diff_dst));
    if (b->needs_diff_src)
        TRY(backward_data(b, diff_dst));
cleanup:
    return status;
}

static const struct option options[] = {LAYER_CONV_OPTIONS};

const struct layer_kind layer_locally_connected = {
    .about = {.name = "locally_connected",
              .help = "a convolution with weights of its own at each place",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .infer = infer,
    .params = params,
    .forward = forward,
    .backward = backward,
    .macs = layer_conv_macs,
    .reach = layer_conv_reach,
};
