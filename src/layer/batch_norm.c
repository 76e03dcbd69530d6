/* Batch normalisation over n, h, w of each channel (Ioffe and Szegedy 2015):
 *   dst = scale · (src − mean) / sqrt(variance + epsilon) + shift, then max(0, ·) if
 * relu. Parameters weight (scale) and bias (shift) [c]; running statistics running_mean
 * and running_var [c].
 *
 * Training: mean and biased variance of this microbatch, which become statistics (the
 * running averages are updated after the step, outside). Else, and where the layer does
 * not learn, the running statistics: constants, through which no gradient flows.
 */
#include "layer/channel_norm.h"

#include <math.h>
#include <string.h>

static int params(const void *attributes, const struct shape *src, struct param *params)
{
    const struct layer_attributes *a = attributes;
    params[0] = (struct param){.name = "weight",
                               .n_dims = 1,
                               .dims = {src->c},
                               .init = a->zero_init ? INIT_ZERO : INIT_ONE};
    params[1] = (struct param){
        .name = "bias", .n_dims = 1, .dims = {src->c}, .init = INIT_ZERO};
    return 2;
}

static int buffers(const void *attributes, const struct shape *src,
                   struct buffer *buffers)
{
    const struct layer_attributes *a = attributes;
    buffers[0] = (struct buffer){
        .name = "running_mean", .n = src->c, .initial = 0, .momentum = a->momentum};
    buffers[1] = (struct buffer){.name = "running_var",
                                 .n = src->c,
                                 .initial = 1,
                                 .momentum = a->momentum,
                                 .unbiased = true};
    return 2;
}

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    convoy_status status = layer_not_flat(src);
    return status == CONVOY_OK ? layer_same_shape(attributes, n_src, src, dst) : status;
}

struct context {
    struct channel_layout layout;
    float epsilon;
    bool relu, learns; /* learns: with the microbatch's own statistics */
    bool add, ends;    /* backward: add to diff_src; nothing before it learns */
};

/* The tensors of both calls, in the order in which they are handed over. */
enum { SRC, MEAN, VARIANCE, SCALE, SHIFT, SCRATCH, N_COMMON };
enum { DST = N_COMMON, N_FORWARD };
enum { DIFF_DST = N_COMMON, DIFF_SRC, DIFF_SCALE, DIFF_SHIFT, N_BACKWARD };

enum { N_COEFFICIENTS = 5 };

/* Scratch: sums [2, n, room] in double, then the coefficients [5, room]. */
static int64_t scratch_bytes(const struct channel_layout *l)
{
    const int64_t room = channel_room(l);
    return 2 * l->n * room * (int64_t)sizeof(double) +
           N_COEFFICIENTS * room * (int64_t)sizeof(float);
}

/* A run of either call, for what comes between its passes. */
struct call {
    const struct context *context;
    void *const *data;
    struct channel_coefficients coefficients;
};

static double *sums_of(const struct call *call)
{
    return call->data[SCRATCH];
}

/* The coefficients in scratch, 0 past the last channel and where they are not known
 * yet. */
static struct call call_of(const struct context *c, void *const *data)
{
    const struct channel_layout *l = &c->layout;
    const int64_t room = channel_room(l);
    float *at = (float *)((double *)data[SCRATCH] + 2 * l->n * room);
    memset(at, 0, (size_t)(N_COEFFICIENTS * room) * sizeof *at);
    return (struct call){.context = c,
                         .data = data,
                         .coefficients = {.mean = at,
                                          .scale = at + room,
                                          .shift = at + 2 * room,
                                          .diff_mean = at + 3 * room,
                                          .slope = at + 4 * room,
                                          .relu = c->relu}};
}

/* Of the channels [first, last), from their mean and variance. */
static void set_coefficients(const struct call *call, int64_t first, int64_t last)
{
    const float *mean = call->data[MEAN], *variance = call->data[VARIANCE];
    const float *scale = call->data[SCALE], *shift = call->data[SHIFT];
    const struct channel_coefficients *k = &call->coefficients;
    for (int64_t i = first; i < last; i++) {
        const double wide = (double)variance[i] + (double)call->context->epsilon;
        k->mean[i] = mean[i];
        k->scale[i] = (float)((double)scale[i] / sqrt(wide));
        k->shift[i] = shift[i];
    }
}

static double count_of(const struct context *c)
{
    return (double)c->layout.n * (double)c->layout.pixels;
}

/* The statistics (the variance is the biased one), and what to do with them. */
static void between_forward(void *context, int64_t first, int64_t last,
                            const double *sums, const double *squares)
{
    const struct call *call = context;
    const double count = count_of(call->context);
    float *mean = call->data[MEAN], *variance = call->data[VARIANCE];
    for (int64_t i = first; i < last; i++) {
        const double m = sums[i - first] / count;
        const double v = squares[i - first] / count - m * m;
        mean[i] = (float)m;
        variance[i] = v > 0 ? (float)v : 0;
    }
    set_coefficients(call, first, last);
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    struct call call = call_of(c, data);
    (void)info;
    if (!c->learns)
        set_coefficients(&call, 0, c->layout.channels);
    channel_run(&(struct channel_work){.layout = c->layout,
                                       .coefficients = call.coefficients,
                                       .x = data[SRC],
                                       .out = data[DST],
                                       .sums = c->learns ? sums_of(&call) : NULL,
                                       .between = between_forward,
                                       .context = &call});
}

/* With s = 1 / sqrt(variance + epsilon) and N values a channel:
 *   d shift = Σ dy',  d scale = s · Σ dy' · (x − mean)
 *   diff_mean = d shift / N,  slope = s² · Σ dy' · (x − mean) / N */
static void between_backward(void *context, int64_t first, int64_t last,
                             const double *sums, const double *products)
{
    const struct call *call = context;
    const double count = count_of(call->context);
    const double epsilon = (double)call->context->epsilon;
    const float *variance = call->data[VARIANCE];
    float *diff_scale = call->data[DIFF_SCALE], *diff_shift = call->data[DIFF_SHIFT];
    for (int64_t i = first; i < last; i++) {
        const double sum = sums[i - first], product = products[i - first];
        const double s = 1 / sqrt((double)variance[i] + epsilon);
        call->coefficients.diff_mean[i] = (float)(sum / count);
        call->coefficients.slope[i] = (float)(s * s * product / count);
        diff_scale[i] = (float)(s * product);
        diff_shift[i] = (float)sum;
    }
}

static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    struct call call = call_of(c, data);
    (void)info;
    set_coefficients(&call, 0, c->layout.channels);
    channel_run(&(struct channel_work){.layout = c->layout,
                                       .coefficients = call.coefficients,
                                       .x = data[SRC],
                                       .dy = data[DIFF_DST],
                                       .out = c->ends ? NULL : data[DIFF_SRC],
                                       .sums = c->learns ? sums_of(&call) : NULL,
                                       .add = c->add,
                                       .between = between_backward,
                                       .context = &call});
}

/* What both calls share: the context and the first tensors. */
static convoy_status prepare(struct layer_build *b, struct context *context,
                             tensor *tensors)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md channels = {0}, scratch = {0};
    const struct layer_attributes *a = b->attributes;
    tensors[SRC] = b->saved[0];
    *context = (struct context){
        .epsilon = a->epsilon, .relu = b->relu, .learns = b->training && b->learns};
    channel_layout_of(b, tensors[SRC], &b->src_shapes[0], &context->layout);
    const int64_t bytes = scratch_bytes(&context->layout);
    TRY(dnn_md_make_plain(1, &b->src_shapes[0].c, dnnl_f32, &channels));
    TRY(dnn_md_make_plain(1, &bytes, dnnl_u8, &scratch));
    TRY(layer_tensor(b, dnn_md_ref(&scratch), &tensors[SCRATCH]));
    TRY(layer_param(b, 0, dnn_md_ref(&channels), &tensors[SCALE]));
    TRY(layer_param(b, 1, dnn_md_ref(&channels), &tensors[SHIFT]));
    if (context->learns) {
        TRY(layer_statistic(b, 0, &tensors[MEAN]));
        TRY(layer_statistic(b, 1, &tensors[VARIANCE]));
    } else {
        TRY(layer_buffer(b, 0, &tensors[MEAN]));
        TRY(layer_buffer(b, 1, &tensors[VARIANCE]));
    }
cleanup:
    dnn_md_free(&channels);
    dnn_md_free(&scratch);
    return status;
}

/* A tensor for dst or diff_src. */
static convoy_status new_map(struct layer_build *b, const struct channel_layout *l,
                             tensor *out)
{
    const int64_t dims[4] = {b->n, l->channels, b->src_shapes[0].h, b->src_shapes[0].w};
    struct dnn_md md = {0};
    convoy_status status = dnn_md_make(4, dims, b->type, l->tag, &md);
    if (status == CONVOY_OK)
        status = layer_tensor(b, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

/* A single value is its own mean: what comes out is the shift, whatever comes in, and
 * nothing before it learns. */
static convoy_status check_values(const struct layer_build *b)
{
    const struct shape *src = &b->src_shapes[0];
    char text[64];
    if (!b->training || !b->learns || b->n * src->h * src->w > 1)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "has one value a channel to train on, a microbatch of 1 on the input "
                "%s: it would give the same for every sample; take a larger "
                "microbatch, or leave this layer out",
                layer_shape_text(src, text));
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct context context;
    tensor tensors[N_FORWARD];
    b->saved[0] = b->src[0];
    if (b->type != dnnl_f32 && b->type != dnnl_bf16)
        return FAIL(CONVOY_ERROR_UNSUPPORTED, "batch norm works on f32 and bf16 only");
    TRY(check_values(b));
    if (!channel_layout_of(b, b->src[0], &b->src_shapes[0], &context.layout))
        TRY(layer_src_plain(b, 0, &b->saved[0]));
    TRY(prepare(b, &context, tensors));
    const struct channel_layout *l = &context.layout;
    if (!b->training && b->may_overwrite_src && l->src_per_sample == l->per_sample)
        b->dst = b->saved[0];
    else
        TRY(new_map(b, l, &b->dst));
    tensors[DST] = b->dst;
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     N_FORWARD, tensors));
cleanup:
    return status;
}

/* With the statistics that forward has found. */
static convoy_status recompute(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct context context;
    tensor tensors[N_FORWARD];
    TRY(prepare(b, &context, tensors));
    context.learns = false;
    TRY(new_map(b, &context.layout, &b->dst));
    tensors[DST] = b->dst;
    TRY(program_call(b->program, PHASE_BACKWARD, run_forward, &context, sizeof context,
                     N_FORWARD, tensors));
cleanup:
    return status;
}

/* Where diff_src is written, or added to what is there. */
static convoy_status place_diff_src(struct layer_build *b, struct context *context,
                                    tensor *out)
{
    struct channel_layout *l = &context->layout;
    l->diff_src_per_sample = l->per_sample;
    if (b->diff_sum != NO_TENSOR) {
        const int64_t per_sample =
            channel_per_sample(b, b->diff_sum, &b->src_shapes[0], l);
        if (per_sample > 0) {
            l->diff_src_per_sample = per_sample;
            context->add = true;
            *out = b->diff_sum;
            return CONVOY_OK;
        }
    }
    *out = b->diff_dst;
    return b->may_overwrite_diff_dst ? CONVOY_OK : new_map(b, l, out);
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct context context;
    tensor tensors[N_BACKWARD];
    TRY(prepare(b, &context, tensors));
    tensors[DIFF_DST] = b->diff_dst;
    context.ends = !b->needs_diff_src;
    tensors[DIFF_SRC] = b->diff_dst;
    if (b->needs_diff_src)
        TRY(place_diff_src(b, &context, &tensors[DIFF_SRC]));
    /* A layer that does not learn hands its scale over where nothing is written. */
    tensors[DIFF_SCALE] = tensors[SCALE];
    tensors[DIFF_SHIFT] = tensors[SHIFT];
    if (b->learns) {
        TRY(layer_grad(b, 0, program_md(b->program, tensors[SCALE]),
                       &tensors[DIFF_SCALE]));
        TRY(layer_grad(b, 1, program_md(b->program, tensors[SHIFT]),
                       &tensors[DIFF_SHIFT]));
    }
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     N_BACKWARD, tensors));
    if (b->learns) {
        TRY(layer_grad_done(b, 0, tensors[DIFF_SCALE]));
        TRY(layer_grad_done(b, 1, tensors[DIFF_SHIFT]));
    }
    b->diff_src[0] = b->needs_diff_src ? tensors[DIFF_SRC] : NO_TENSOR;
cleanup:
    return status;
}

/* In the layout of dst: src may be a part of a larger tensor. */
static convoy_status rival(struct layer_build *b, enum phase phase,
                           dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    const struct dnn *dnn = program_dnn(b->program);
    const float epsilon = layer_told(b)->epsilon;
    dnn_cmd data = program_md(b->program, b->dst);
    dnnl_primitive_desc_t forward_pd = NULL;
    if (!b->training || !b->learns)
        return CONVOY_OK;
    TRY(dnn_batch_norm(dnn, DNN_FORWARD_TRAINING, data, epsilon, b->relu, NULL,
                       &forward_pd));
    if (phase == PHASE_FORWARD) {
        *pd = forward_pd;
        forward_pd = NULL;
    } else {
        TRY(dnn_batch_norm(dnn, DNN_BACKWARD_WEIGHTS, data, epsilon, b->relu,
                           forward_pd, pd));
    }
cleanup:
    if (forward_pd)
        dnnl_primitive_desc_destroy(forward_pd);
    return status;
}

static const struct option options[] = {
    {"epsilon", OPTION_F32, LAYER_AT(epsilon), "1e-5", 0, 1, OPTION_ABOVE_MIN,
     .help = "added to the variance"},
    {"momentum", OPTION_F32, LAYER_AT(momentum), "0.1", 0, 1, OPTION_ABOVE_MIN,
     .help = "weight of the new in the running averages"},
    {"zero_init", OPTION_BOOL, LAYER_AT(zero_init), "false",
     .help = "the scale starts at 0"},
};

const struct layer_kind layer_batch_norm = {
    .about = {.name = "batch_norm",
              .help = "batch normalisation over each microbatch",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .adds_to_diff_src = true,
    .takes_relu = true,
    .reads_parts = true,
    .infer = infer,
    .params = params,
    .buffers = buffers,
    .forward = forward,
    .backward = backward,
    .recompute = recompute,
    .rival = rival,
};
