/* 2-D convolution (cross-correlation, as everywhere in the field):
 *   dst[n, o, y, x] = bias[o] + Σ_{c, i, j} weight[o, c, i, j] ·
 *       src[n, c, y·stride + i·dilation − pad, x·stride + j·dilation − pad]
 * Parameters: weight [out, ic / groups, kh, kw], bias [out].
 *
 * Forward lets oneDNN choose every layout, but for channels last where its choice would
 * multiply zeros. The backward passes keep the activations' layouts of the forward
 * pass, so gradients need no reorder, and choose only the weights'; where that leaves
 * only a reference kernel, other layouts are tried.
 *
 * In bf16 weights are f32 in the layout that suits their gradient, which comes with
 * each microbatch; the bf16 copies of other layouts are made once a step. */
#include "layer/layer.h"

static int params(const void *attributes, const struct shape *src, struct param *params)
{
    const struct layer_attributes *a = attributes;
    int64_t ic = src->c / a->groups;
    int64_t taps = (int64_t)a->kernel[0] * a->kernel[1];
    bool own = a->init == INIT_DEFAULT;
    params[0] = (struct param){.name = "weight",
                               .n_dims = 4,
                               .dims = {a->out, ic, a->kernel[0], a->kernel[1]},
                               .init = own ? INIT_HE_NORMAL : a->init,
                               /* fan out: keeps the gradients' variance */
                               .fan = own ? a->out / a->groups * taps : ic * taps,
                               .decay = true};
    params[1] = (struct param){.name = "bias",
                               .n_dims = 1,
                               .dims = {a->out},
                               .init = a->bias_init ? a->bias_init : INIT_ZERO,
                               .fan = ic * taps};
    return a->bias ? 2 : 1;
}

/* oneDNN's weights: [g, out / g, ic / g, kh, kw] with groups, else [out, ic, kh, kw].
 */
static int weight_dims(const struct layer_build *b, int64_t dims[5])
{
    const struct layer_attributes *a = b->attributes;
    int n = 0;
    if (a->groups > 1)
        dims[n++] = a->groups;
    dims[n++] = a->out / a->groups;
    dims[n++] = b->src_shapes[0].c / a->groups;
    dims[n++] = a->kernel[0];
    dims[n++] = a->kernel[1];
    return n;
}

static void fill_window(const struct layer_build *b, struct dnn_window *window)
{
    const struct layer_window w = layer_conv_window(b->attributes);
    layer_window_fill(&w, &b->src_shapes[0], &b->dst_shape, window);
}

/* Layouts to try for a backward pass, best first: the forward pass's, which need no
 * reorder; oneDNN's choice; row-major, for which there is always a matrix product. */
enum { TRY_FORWARD, TRY_ANY, TRY_PLAIN, N_TRIES };

static convoy_status layouts(const struct layer_build *b, int attempt,
                             struct dnn_md *src, struct dnn_md *dst)
{
    convoy_status status = CONVOY_OK;
    if (attempt == TRY_FORWARD) {
        TRY(dnn_md_copy(program_md(b->program, b->saved[0]), src));
        TRY(dnn_md_copy(program_md(b->program, b->dst), dst)); /* diff_dst's, too */
    } else if (attempt == TRY_ANY) {
        TRY(layer_any(b, &b->src_shapes[0], src));
        TRY(layer_any(b, &b->dst_shape, dst));
    } else {
        TRY(layer_plain(b, &b->src_shapes[0], src));
        TRY(layer_plain(b, &b->dst_shape, dst));
    }
cleanup:
    return status;
}

static convoy_status describe(struct layer_build *b, enum dnn_pass pass, int attempt,
                              dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md src = {0}, weight = {0}, bias = {0}, dst = {0};
    struct dnn_window window;
    int64_t dims[5];
    int n_dims = weight_dims(b, dims);
    fill_window(b, &window);
    TRY(dnn_md_make(n_dims, dims, pass == DNN_BACKWARD_WEIGHTS ? dnnl_f32 : b->type,
                    dnnl_format_tag_any, &weight));
    if (layer_told(b)->bias && pass == DNN_BACKWARD_WEIGHTS)
        TRY(dnn_md_make_plain(1, &b->dst_shape.c, dnnl_f32, &bias));
    TRY(layouts(b, attempt, &src, &dst));
    const struct dnn_operands operands = {dnn_md_ref(&src), dnn_md_ref(&weight),
                                          dnn_md_ref(&bias), dnn_md_ref(&dst)};
    TRY(dnn_convolution(program_dnn(b->program), pass, &operands, &window,
                        b->forward_pd, pd));
    TRY(program_adopt(b->program, *pd));
cleanup:
    dnn_md_free(&src);
    dnn_md_free(&weight);
    dnn_md_free(&bias);
    dnn_md_free(&dst);
    return status;
}

/* The first attempt that is not a reference kernel; a reference kernel if none is. */
static convoy_status choose(struct layer_build *b, enum dnn_pass pass,
                            dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_desc_t fallback = NULL;
    convoy_status status = CONVOY_OK;
    for (int attempt = 0; attempt < N_TRIES; attempt++) {
        status = describe(b, pass, attempt, pd);
        if (status == CONVOY_OK && !dnn_is_reference(*pd))
            return CONVOY_OK;
        if (status == CONVOY_OK && !fallback)
            fallback = *pd;
    }
    if (!fallback)
        return status;
    *pd = fallback;
    return CONVOY_OK;
}

/* In bf16 training: to what the gradient is written in. */
static convoy_status fix_weights(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    if (b->type == dnnl_f32 || !b->training || !b->learns)
        return CONVOY_OK;
    TRY(choose(b, DNN_BACKWARD_WEIGHTS, &b->backward_pd));
    TRY(layer_param_fix(b, 0,
                        dnn_chosen(b->backward_pd, dnnl_query_diff_weights_md, 0)));
cleanup:
    return status;
}

/* Whether blocks of 8 channels would hold zeros, by which oneDNN multiplies as well:
 * channels last, there are none. Of 3 channels, images', it makes no blocks; and small
 * windows save less than other layers lose where channels are last. */
static bool would_pad(const struct layer_build *b)
{
    const int64_t in = b->src_shapes[0].c, out = b->dst_shape.c;
    const struct layer_attributes *a = b->attributes;
    return b->type == dnnl_f32 && a->groups == 1 && a->kernel[0] * a->kernel[1] >= 25 &&
           (in == 1 || (in > 3 && (in % 8 != 0 || out % 8 != 0)));
}

/* In layouts of oneDNN's choice, or channels last. Evaluating, too, it is training's:
 * else oneDNN may choose other kernels, and a net would evaluate to other bits where it
 * was trained than in a process that only evaluates. */
static convoy_status describe_forward(struct layer_build *b, dnnl_format_tag_t tag,
                                      dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md src = {0}, weight = {0}, bias = {0}, dst = {0};
    struct dnn_window window;
    const struct shape *in = &b->src_shapes[0], *out = &b->dst_shape;
    const int64_t src_dims[4] = {b->n, in->c, in->h, in->w};
    const int64_t dst_dims[4] = {b->n, out->c, out->h, out->w};
    int64_t dims[5];
    int n_dims = weight_dims(b, dims);
    fill_window(b, &window);
    TRY(dnn_md_make(4, src_dims, b->type, tag, &src));
    TRY(dnn_md_make(4, dst_dims, b->type, tag, &dst));
    TRY(layer_param_any(b, 0, n_dims, dims, &weight));
    if (layer_told(b)->bias)
        TRY(layer_param_any(b, 1, 1, &b->dst_shape.c, &bias));
    const struct dnn_operands operands = {dnn_md_ref(&src), dnn_md_ref(&weight),
                                          dnn_md_ref(&bias), dnn_md_ref(&dst)};
    TRY(dnn_convolution(program_dnn(b->program), DNN_FORWARD_TRAINING, &operands,
                        &window, NULL, pd));
    TRY(program_adopt(b->program, *pd));
cleanup:
    dnn_md_free(&src);
    dnn_md_free(&weight);
    dnn_md_free(&bias);
    dnn_md_free(&dst);
    return status;
}

static convoy_status choose_forward(struct layer_build *b, dnnl_primitive_desc_t *pd)
{
    if (would_pad(b) && describe_forward(b, dnnl_nhwc, pd) == CONVOY_OK &&
        !dnn_is_reference(*pd))
        return CONVOY_OK;
    return describe_forward(b, dnnl_format_tag_any, pd);
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    tensor src_in, weight_in, bias_in = NO_TENSOR;
    TRY(choose_forward(b, &pd));
    b->forward_pd = pd;
    TRY(program_want(b->program, PHASE_FORWARD, b->src[0],
                     dnn_chosen(pd, dnnl_query_src_md, 0), &src_in));
    TRY(layer_tensor(b, dnn_chosen(pd, dnnl_query_dst_md, 0), &b->dst));
    b->saved[0] = src_in;
    TRY(fix_weights(b));
    TRY(layer_param(b, 0, dnn_chosen(pd, dnnl_query_weights_md, 0), &weight_in));
    if (layer_told(b)->bias)
        TRY(layer_param(b, 1, dnn_chosen(pd, dnnl_query_weights_md, 1), &bias_in));
    const struct program_arg args[] = {{DNNL_ARG_SRC, src_in},
                                       {DNNL_ARG_WEIGHTS, weight_in},
                                       {DNNL_ARG_DST, b->dst},
                                       {DNNL_ARG_BIAS, bias_in}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, bias_in == NO_TENSOR ? 3 : 4,
                     args));
cleanup:
    return status;
}

static convoy_status backward_weights(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    tensor src, diff_dst, diff_weight, diff_bias = NO_TENSOR;
    if (b->backward_pd)
        pd = b->backward_pd;
    else
        TRY(choose(b, DNN_BACKWARD_WEIGHTS, &pd));
    TRY(program_want(b->program, PHASE_BACKWARD, b->src[0],
                     dnn_chosen(pd, dnnl_query_src_md, 0), &src));
    TRY(program_want(b->program, PHASE_BACKWARD, b->diff_dst,
                     dnn_chosen(pd, dnnl_query_diff_dst_md, 0), &diff_dst));
    TRY(layer_grad(b, 0, dnn_chosen(pd, dnnl_query_diff_weights_md, 0), &diff_weight));
    if (layer_told(b)->bias)
        TRY(layer_grad(b, 1, dnn_chosen(pd, dnnl_query_diff_weights_md, 1),
                       &diff_bias));
    const struct program_arg args[] = {{DNNL_ARG_SRC, src},
                                       {DNNL_ARG_DIFF_DST, diff_dst},
                                       {DNNL_ARG_DIFF_WEIGHTS, diff_weight},
                                       {DNNL_ARG_DIFF_BIAS, diff_bias}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, diff_bias == NO_TENSOR ? 3 : 4,
                     args));
    TRY(layer_grad_done(b, 0, diff_weight));
    if (layer_told(b)->bias)
        TRY(layer_grad_done(b, 1, diff_bias));
cleanup:
    return status;
}

static convoy_status backward_data(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    tensor weight, diff_dst;
    TRY(choose(b, DNN_BACKWARD_DATA, &pd));
    TRY(layer_param(b, 0, dnn_chosen(pd, dnnl_query_weights_md, 0), &weight));
    TRY(program_want(b->program, PHASE_BACKWARD, b->diff_dst,
                     dnn_chosen(pd, dnnl_query_diff_dst_md, 0), &diff_dst));
    TRY(layer_tensor(b, dnn_chosen(pd, dnnl_query_diff_src_md, 0), &b->diff_src[0]));
    const struct program_arg args[] = {{DNNL_ARG_DIFF_DST, diff_dst},
                                       {DNNL_ARG_WEIGHTS, weight},
                                       {DNNL_ARG_DIFF_SRC, b->diff_src[0]}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, 3, args));
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    if (b->learns)
        TRY(backward_weights(b));
    if (b->needs_diff_src)
        TRY(backward_data(b));
cleanup:
    return status;
}

static const struct option options[] = {LAYER_CONV_OPTIONS};

const struct layer_kind layer_conv = {
    .about = {.name = "conv",
              .help = "convolution in two dimensions",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .infer = layer_conv_infer,
    .params = params,
    .forward = forward,
    .backward = backward,
    .macs = layer_conv_macs,
    .reach = layer_conv_reach,
};
