/* A low-pass filter in front of what leaves out pixels, and leaving them out (Zhang
 * 2019, "Making convolutional networks shift-invariant again"):
 *
 *   dst[n, c, y, x] = sum over i, j of k[i] k[j] src[n, c, stride y + i, stride x + j]
 *   i, j = -1, 0, 1;   k = [1 2 1] / 4;   zeros around src
 *
 * No parameters, and no value is needed by the backward pass, which is the transposed
 * sum. Both are one loop: each value out is a sum over up to three rows and three
 * columns in, which taps_of finds. Layouts follow src; channels that lie side by side
 * are worked at side by side. All factors are powers of two, so only the sums round.
 */
#include "layer/layer.h"
#include "layer/vectors.h"

/* Maps as planes of pixels, each of width values side by side: a block of channels
 * where the layout has blocks, all channels, or one. */
struct context {
    int64_t n_planes;
    int32_t width;
    int32_t in[2], out[2]; /* height, width of what is read and of what is written */
    int32_t stride[2];
    bool back, bf16;
};

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    const convoy_status status = layer_not_flat(src);
    (void)n_src;
    if (status != CONVOY_OK)
        return status;
    *dst = (struct shape){.c = src->c,
                          .h = (src->h - 1) / a->stride[0] + 1,
                          .w = (src->w - 1) / a->stride[1] + 1};
    return CONVOY_OK;
}

/* Where the terms of one value out are, in rows or columns in, and their factors. */
struct taps {
    int n;
    int32_t at[3];
    float factor[3];
};

INLINE void add_tap(struct taps *taps, int32_t at, int32_t n_in, float factor)
{
    if (at < 0 || at >= n_in)
        return;
    taps->at[taps->n] = at;
    taps->factor[taps->n++] = factor;
}

/* d: 0 for rows, 1 for columns. Of a stride of 2 the backward pass has one term for
 * each even place, which was the middle of a sum, and two for each odd one. */
INLINE struct taps taps_of(const struct context *c, int d, int32_t at)
{
    const int32_t n = c->in[d], stride = c->stride[d];
    const bool spreads = c->back && stride == 2;
    const int32_t middle = spreads ? at / 2 : c->back ? at : at * stride;
    struct taps taps = {0};
    if (!spreads) {
        add_tap(&taps, middle - 1, n, 1);
        add_tap(&taps, middle, n, 2);
        add_tap(&taps, middle + 1, n, 1);
    } else if (at % 2 == 0) {
        add_tap(&taps, middle, n, 2);
    } else {
        add_tap(&taps, middle, n, 1);
        add_tap(&taps, middle + 1, n, 1);
    }
    return taps;
}

/* One pixel out: its terms, and where they lead. */
struct pixel {
    const void *in; /* the plane's first values */
    void *out;
    int64_t to; /* in out */
    struct taps rows, columns;
};

/* n channels of a pixel. n_rows and n_columns are the taps', as constants where they
 * can be. */
INLINE void sum_taps(const struct context *c, const struct pixel *p, int n_rows,
                     int n_columns, int64_t channel, int n, bool bf16)
{
    floats sum = {0};
    for (int i = 0; i < n_rows; i++) {
        const int64_t row = (int64_t)p->rows.at[i] * c->in[1];
        floats line = {0};
        for (int j = 0; j < n_columns; j++) {
            const int64_t from = (row + p->columns.at[j]) * c->width + channel;
            line += p->columns.factor[j] * load_floats(p->in, from, n, bf16);
        }
        sum += p->rows.factor[i] * line;
    }
    store_rounded(p->out, p->to + channel, sum * 0.0625F, n, bf16);
}

INLINE void sum_pixel(const struct context *c, const struct pixel *p, int n_rows,
                      int n_columns, bool bf16)
{
    const int rest = c->width % LANES;
    const int64_t whole = c->width - rest;
    for (int64_t k = 0; k < whole; k += LANES)
        sum_taps(c, p, n_rows, n_columns, k, LANES, bf16);
    if (rest > 0)
        sum_taps(c, p, n_rows, n_columns, whole, rest, bf16);
}

/* Row y of a plane. Nearly all pixels have all nine terms, or in the backward pass of a
 * stride of 2 one, two or four. */
INLINE void sum_row(const struct context *c, struct pixel *p, int32_t y, bool bf16)
{
    p->rows = taps_of(c, 0, y);
    for (int32_t x = 0; x < c->out[1]; x++) {
        p->to = ((int64_t)y * c->out[1] + x) * c->width;
        p->columns = taps_of(c, 1, x);
        if (p->rows.n == 3 && p->columns.n == 3)
            sum_pixel(c, p, 3, 3, bf16);
        else if (p->rows.n == 2 && p->columns.n == 2)
            sum_pixel(c, p, 2, 2, bf16);
        else
            sum_pixel(c, p, p->rows.n, p->columns.n, bf16);
    }
}

static void run(const void *context, const struct run_info *info, void *const *data)
{
    const struct context *c = context;
    const int64_t bytes = c->bf16 ? sizeof(uint16_t) : sizeof(float);
    const int64_t in = (int64_t)c->in[0] * c->in[1] * c->width * bytes;
    const int64_t out = (int64_t)c->out[0] * c->out[1] * c->width * bytes;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < c->n_planes; i++)
        for (int32_t y = 0; y < c->out[0]; y++) {
            struct pixel pixel = {.in = (const char *)data[0] + i * in,
                                  .out = (char *)data[1] + i * out};
            if (c->bf16)
                sum_row(c, &pixel, y, true);
            else
                sum_row(c, &pixel, y, false);
        }
}

static int32_t width_of(dnnl_format_tag_t tag, int64_t channels)
{
    return tag == dnnl_nChw16c  ? 16
           : tag == dnnl_nChw8c ? 8
           : tag == dnnl_nhwc   ? (int32_t)channels
                                : 1;
}

/* Of the forward pass, on src of this layout. */
static struct context context_of(const struct layer_build *b, dnnl_format_tag_t tag)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    const int32_t width = width_of(tag, src->c);
    return (struct context){
        .n_planes = b->n * ((src->c + width - 1) / width),
        .width = width,
        .in = {(int32_t)src->h, (int32_t)src->w},
        .out = {(int32_t)dst->h, (int32_t)dst->w},
        .stride = {layer_told(b)->stride[0], layer_told(b)->stride[1]},
        .bf16 = b->type == dnnl_bf16};
}

/* A map of this shape in a usual layout. */
static convoy_status new_map(struct layer_build *b, const struct shape *shape,
                             dnnl_format_tag_t tag, tensor *out)
{
    const int64_t dims[4] = {b->n, shape->c, shape->h, shape->w};
    struct dnn_md md = {0};
    convoy_status status = dnn_md_make(4, dims, b->type, tag, &md);
    if (status == CONVOY_OK)
        status = layer_tensor(b, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

/* src in its own layout if that is a usual one, else row by row. */
static convoy_status blur(struct layer_build *b, enum phase phase, tensor *out)
{
    convoy_status status = CONVOY_OK;
    tensor tensors[2] = {b->src[0], NO_TENSOR};
    dnnl_format_tag_t tag = layer_tag(b, b->src[0], &b->src_shapes[0]);
    if (tag == dnnl_format_tag_undef) {
        struct dnn_md plain = {0};
        tag = dnnl_nchw;
        status = layer_plain(b, &b->src_shapes[0], &plain);
        if (status == CONVOY_OK)
            status = program_want(b->program, phase, b->src[0], dnn_md_ref(&plain),
                                  &tensors[0]);
        dnn_md_free(&plain);
        TRY(status);
    }
    const struct context context = context_of(b, tag);
    TRY(new_map(b, &b->dst_shape, tag, &tensors[1]));
    TRY(program_call(b->program, phase, run, &context, sizeof context, 2, tensors));
    *out = tensors[1];
cleanup:
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    if (b->type != dnnl_f32 && b->type != dnnl_bf16)
        return FAIL(CONVOY_ERROR_UNSUPPORTED,
                    "blur pooling works on f32 and bf16 only");
    return blur(b, PHASE_FORWARD, &b->dst);
}

static convoy_status recompute(struct layer_build *b)
{
    return blur(b, PHASE_BACKWARD, &b->dst);
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    tensor tensors[2] = {b->diff_dst, NO_TENSOR};
    const dnnl_format_tag_t tag = layer_tag(b, b->diff_dst, &b->dst_shape);
    struct context context = context_of(b, tag);
    for (int d = 0; d < 2; d++) {
        const int32_t in = context.in[d];
        context.in[d] = context.out[d];
        context.out[d] = in;
    }
    context.back = true;
    TRY(new_map(b, &b->src_shapes[0], tag, &tensors[1]));
    TRY(program_call(b->program, PHASE_BACKWARD, run, &context, sizeof context, 2,
                     tensors));
    b->diff_src[0] = tensors[1];
cleanup:
    return status;
}

static const struct option options[] = {
    {"stride", OPTION_PAIR, LAYER_AT(stride), "2", 1, 2,
     .help = "pixels from one value to the next"},
};

const struct layer_kind layer_blur_pool = {
    .about = {.name = "blur_pool",
              .help = "the mean of each 3 x 3 window, its middle weighted most",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = recompute,
};
