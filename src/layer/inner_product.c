/* A fully connected layer: dst[n, o] = bias[o] + Σ_i weight[o, i] · src[n, i].
 * Parameters: weight [out, in], bias [out].
 *
 * A flattened feature map arrives still as [n, c, h, w]: oneDNN then takes weights
 * [out, c, h, w], the same numbers in the same order, and no reorder is needed.
 *
 * In bf16 weights are kept as conv keeps them, and for its reasons. */
#include "layer/layer.h"

static int64_t n_inputs(const struct shape *src)
{
    return src->c * src->h * src->w;
}

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    char text[64];
    (void)n_src;
    if (!src->flat)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "needs a flat input [features], found %s: put a flatten before it",
                    layer_shape_text(src, text));
    *dst = (struct shape){.c = a->out, .h = 1, .w = 1, .flat = true};
    return CONVOY_OK;
}

static int params(const void *attributes, const struct shape *src, struct param *params)
{
    const struct layer_attributes *a = attributes;
    params[0] = (struct param){.name = "weight",
                               .n_dims = 2,
                               .dims = {a->out, n_inputs(src)},
                               .init = a->init ? a->init : INIT_HE_NORMAL,
                               .fan = n_inputs(src),
                               .decay = true};
    params[1] = (struct param){.name = "bias",
                               .n_dims = 1,
                               .dims = {a->out},
                               .init = a->bias_init ? a->bias_init : INIT_ZERO,
                               .fan = n_inputs(src)};
    return a->bias ? 2 : 1;
}

static int64_t macs(const void *attributes, const struct shape *src,
                    const struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    (void)dst;
    return a->out * n_inputs(src);
}

static void reach(const void *attributes, const struct shape *src,
                  struct layer_reach *out)
{
    (void)attributes;
    *out = (struct layer_reach){.channels = n_inputs(src), .kernel = {1, 1}};
}

/* src with as many dims as the weights have, and the weights' dims. An earlier
 * compilation may have fixed the weights as [out, in] or as [out, c, h, w]. */
static convoy_status match_dims(struct layer_build *b, tensor *src,
                                struct dnn_md *weight)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0};
    int64_t dims[DNN_MAX_DIMS];
    int n_src = dnn_md_dims(program_md(b->program, b->src[0]), dims);
    dims[0] = layer_told(b)->out;
    TRY(layer_param_any(b, 0, n_src, dims, weight));
    int n_weight = dnn_md_dims(dnn_md_ref(weight), dims);
    *src = b->src[0];
    if (n_weight != n_src)
        TRY(layer_src_plain(b, 0, src));
    if (n_weight > n_src) {
        dims[0] = b->n;
        TRY(dnn_md_make_plain(n_weight, dims, b->type, &plain));
        TRY(program_view(b->program, *src, dnn_md_ref(&plain), src));
    }
cleanup:
    dnn_md_free(&plain);
    return status;
}

/* Describes a pass with these weights; src is what the pass has for src. */
static convoy_status describe(struct layer_build *b, enum dnn_pass pass, dnn_cmd src,
                              dnn_cmd weight, dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md bias = {0}, dst = {0};
    if (layer_told(b)->bias && pass != DNN_BACKWARD_DATA)
        TRY(dnn_md_make_plain(1, &b->dst_shape.c, dnnl_f32, &bias));
    TRY(layer_plain(b, &b->dst_shape, &dst));
    const struct dnn_operands operands = {src, weight, dnn_md_ref(&bias),
                                          dnn_md_ref(&dst)};
    TRY(dnn_inner_product(program_dnn(b->program), pass, &operands, b->forward_pd, pd));
    TRY(program_adopt(b->program, *pd));
cleanup:
    dnn_md_free(&bias);
    dnn_md_free(&dst);
    return status;
}

/* With weights as they are kept, if oneDNN has the same kernels for them as for the
 * layout of its choice: matrix products take any layout, and reordering weights costs
 * as much as multiplying by them. */
static convoy_status choose(struct layer_build *b, enum dnn_pass pass, dnn_cmd src,
                            dnn_cmd kept, dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md any = {0};
    dnnl_primitive_desc_t free_pd = NULL, kept_pd = NULL;
    int64_t dims[DNN_MAX_DIMS];
    int n_dims = dnn_md_dims(kept, dims);
    TRY(dnn_md_make(n_dims, dims, dnn_md_type(kept), dnnl_format_tag_any, &any));
    TRY(describe(b, pass, src, dnn_md_ref(&any), &free_pd));
    if (describe(b, pass, src, kept, &kept_pd) == CONVOY_OK &&
        dnn_same_kernels(kept_pd, free_pd))
        *pd = kept_pd;
    else
        *pd = free_pd;
cleanup:
    dnn_md_free(&any);
    return status;
}

/* The forward pass: with the weights' layout of an earlier compilation; else row-major,
 * if that does. A bf16 copy is made in any case, so in the layout of oneDNN's choice.
 */
static convoy_status choose_forward(struct layer_build *b, dnn_cmd src, dnn_cmd weight,
                                    dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0};
    int64_t dims[DNN_MAX_DIMS];
    /* Evaluating, too, as conv does, and for its reason. */
    const enum dnn_pass pass = DNN_FORWARD_TRAINING;
    if (b->type != dnnl_f32 || layer_param_is_fixed(b, 0))
        return describe(b, pass, src, weight, pd);
    int n_dims = dnn_md_dims(weight, dims);
    TRY(dnn_md_make_plain(n_dims, dims, b->type, &plain));
    TRY(choose(b, pass, src, dnn_md_ref(&plain), pd));
cleanup:
    dnn_md_free(&plain);
    return status;
}

/* In bf16 training: to what the gradient is written in. */
static convoy_status fix_weights(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md any = {0};
    int64_t dims[DNN_MAX_DIMS];
    if (b->type == dnnl_f32 || !b->training || !b->learns)
        return CONVOY_OK;
    int n_dims = dnn_md_dims(dnn_chosen(b->forward_pd, dnnl_query_weights_md, 0), dims);
    TRY(dnn_md_make(n_dims, dims, dnnl_f32, dnnl_format_tag_any, &any));
    TRY(describe(b, DNN_BACKWARD_WEIGHTS, program_md(b->program, b->saved[0]),
                 dnn_md_ref(&any), &b->backward_pd));
    TRY(layer_param_fix(b, 0,
                        dnn_chosen(b->backward_pd, dnnl_query_diff_weights_md, 0)));
cleanup:
    dnn_md_free(&any);
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md weight = {0}, any = {0};
    dnnl_primitive_desc_t pd = NULL;
    int64_t dims[DNN_MAX_DIMS];
    tensor src, weight_in, bias_in = NO_TENSOR;
    TRY(match_dims(b, &src, &weight));
    int n_dims = dnn_md_dims(program_md(b->program, src), dims);
    TRY(dnn_md_make(n_dims, dims, b->type, dnnl_format_tag_any, &any));
    TRY(choose_forward(b, dnn_md_ref(&any), dnn_md_ref(&weight), &pd));
    b->forward_pd = pd;
    TRY(program_want(b->program, PHASE_FORWARD, src,
                     dnn_chosen(pd, dnnl_query_src_md, 0), &src));
    b->saved[0] = src;
    TRY(fix_weights(b));
    TRY(layer_param(b, 0, dnn_chosen(pd, dnnl_query_weights_md, 0), &weight_in));
    if (layer_told(b)->bias)
        TRY(layer_param(b, 1, dnn_chosen(pd, dnnl_query_weights_md, 1), &bias_in));
    TRY(layer_tensor(b, dnn_chosen(pd, dnnl_query_dst_md, 0), &b->dst));
    const struct program_arg args[] = {{DNNL_ARG_SRC, src},
                                       {DNNL_ARG_WEIGHTS, weight_in},
                                       {DNNL_ARG_DST, b->dst},
                                       {DNNL_ARG_BIAS, bias_in}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, bias_in == NO_TENSOR ? 3 : 4,
                     args));
cleanup:
    dnn_md_free(&any);
    dnn_md_free(&weight);
    return status;
}

/* A backward pass on the forward pass's layouts. */
static convoy_status choose_backward(struct layer_build *b, enum dnn_pass pass,
                                     dnnl_primitive_desc_t *pd)
{
    return choose(b, pass, program_md(b->program, b->saved[0]),
                  dnn_chosen(b->forward_pd, dnnl_query_weights_md, 0), pd);
}

static convoy_status backward_weights(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    tensor diff_weight, diff_bias = NO_TENSOR;
    if (b->backward_pd)
        pd = b->backward_pd;
    else
        TRY(choose_backward(b, DNN_BACKWARD_WEIGHTS, &pd));
    TRY(layer_grad(b, 0, dnn_chosen(pd, dnnl_query_diff_weights_md, 0), &diff_weight));
    if (layer_told(b)->bias)
        TRY(layer_grad(b, 1, dnn_chosen(pd, dnnl_query_diff_weights_md, 1),
                       &diff_bias));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->saved[0]},
                                       {DNNL_ARG_DIFF_DST, b->diff_dst},
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
    tensor weight_in, diff;
    TRY(choose_backward(b, DNN_BACKWARD_DATA, &pd));
    TRY(layer_param(b, 0, dnn_chosen(pd, dnnl_query_weights_md, 0), &weight_in));
    TRY(layer_tensor(b, program_md(b->program, b->saved[0]), &diff));
    const struct program_arg args[] = {{DNNL_ARG_DIFF_DST, b->diff_dst},
                                       {DNNL_ARG_WEIGHTS, weight_in},
                                       {DNNL_ARG_DIFF_SRC, diff}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, 3, args));
    b->diff_src[0] = diff;
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

static const struct option options[] = {
    {"out", OPTION_CLASSES, LAYER_AT(out), NULL, 1, LAYER_MAX_FEATURES,
     .help = "output features"},
    LAYER_BIAS,
    LAYER_INIT(init, "how the weights start"),
    LAYER_INIT(bias_init, "how the bias starts"),
};

const struct layer_kind layer_inner_product = {
    .about = {.name = "inner_product",
              .help = "fully connected, on a flat input",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .backward_reads_src = true,
    .infer = infer,
    .params = params,
    .forward = forward,
    .backward = backward,
    .macs = macs,
    .reach = reach,
};
