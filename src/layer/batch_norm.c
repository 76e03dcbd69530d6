/* Batch normalisation over n, h, w of each channel (Ioffe and Szegedy 2015):
 *   dst = scale · (src − mean) / sqrt(variance + epsilon) + shift, then max(0, ·) if
 * relu Reads epsilon, momentum, relu, zero_init. Parameters weight (scale) and bias
 * (shift) [c]; running statistics running_mean and running_var [c].
 *
 * Training: mean and biased variance of this microbatch, which become statistics (the
 * running averages are updated after the step, outside). Else the running statistics.
 */
#include "layer/layer.h"

static int params(const struct layer_attributes *a, const struct shape *src,
                  struct param *params)
{
    params[0] = (struct param){.name = "weight",
                               .n_dims = 1,
                               .dims = {src->c},
                               .init = a->zero_init ? INIT_ZERO : INIT_ONE};
    params[1] = (struct param){
        .name = "bias", .n_dims = 1, .dims = {src->c}, .init = INIT_ZERO};
    return 2;
}

static int buffers(const struct layer_attributes *a, const struct shape *src,
                   struct buffer *buffers)
{
    buffers[0] = (struct buffer){
        .name = "running_mean", .n = src->c, .initial = 0, .momentum = a->momentum};
    buffers[1] = (struct buffer){.name = "running_var",
                                 .n = src->c,
                                 .initial = 1,
                                 .momentum = a->momentum,
                                 .unbiased = true};
    return 2;
}

static convoy_status infer(const struct layer_attributes *a, int n_src,
                           const struct shape *src, struct shape *dst)
{
    convoy_status status = layer_not_flat(src);
    if (status != CONVOY_OK)
        return status;
    if (!(a->epsilon > 0))
        return FAIL(CONVOY_ERROR_ARGUMENT, "epsilon must be above 0, here %g",
                    (double)a->epsilon);
    return layer_same_shape(a, n_src, src, dst);
}

/* Scale, shift, mean and variance as tensors. */
static convoy_status operands(struct layer_build *b, tensor *scale, tensor *shift,
                              tensor *mean, tensor *variance)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md channels = {0};
    TRY(dnn_md_make_plain(1, &b->src_shapes[0].c, dnnl_f32, &channels));
    TRY(layer_param(b, 0, dnn_md_ref(&channels), scale));
    TRY(layer_param(b, 1, dnn_md_ref(&channels), shift));
    if (b->training) {
        TRY(layer_statistic(b, 0, mean));
        TRY(layer_statistic(b, 1, variance));
    } else {
        TRY(layer_buffer(b, 0, mean));
        TRY(layer_buffer(b, 1, variance));
    }
cleanup:
    dnn_md_free(&channels);
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_norm norm = {.epsilon = b->attributes->epsilon,
                                  .relu = b->attributes->relu,
                                  .global_stats = !b->training};
    dnn_cmd data = program_md(b->program, b->src[0]);
    dnnl_primitive_desc_t pd = NULL;
    tensor scale, shift, mean, variance, workspace = NO_TENSOR;
    TRY(dnn_batch_normalization(program_dnn(b->program),
                                b->training ? DNN_FORWARD_TRAINING
                                            : DNN_FORWARD_INFERENCE,
                                data, &norm, NULL, &pd));
    TRY(program_adopt(b->program, pd));
    b->forward_pd = pd;
    TRY(operands(b, &scale, &shift, &mean, &variance));
    if (!b->training && b->may_overwrite_src)
        b->dst = b->src[0];
    else
        TRY(layer_tensor(b, data, &b->dst));
    dnn_cmd ws = dnn_chosen(pd, dnnl_query_workspace_md, 0);
    if (dnn_md_bytes(ws) > 0)
        TRY(layer_tensor(b, ws, &workspace));
    const struct program_arg args[] = {
        {DNNL_ARG_SRC, b->src[0]},       {DNNL_ARG_DST, b->dst},
        {DNNL_ARG_MEAN, mean},           {DNNL_ARG_VARIANCE, variance},
        {DNNL_ARG_SCALE, scale},         {DNNL_ARG_SHIFT, shift},
        {DNNL_ARG_WORKSPACE, workspace},
    };
    TRY(program_emit(b->program, PHASE_FORWARD, pd, workspace == NO_TENSOR ? 6 : 7,
                     args));
    b->saved[0] = workspace;
cleanup:
    return status;
}

/* Where the gradient of parameter i (of which p is the tensor) goes. oneDNN 2.6 has no
 * backward pass without these gradients; a layer that does not learn drops them. */
static convoy_status gradient(struct layer_build *b, int i, tensor p, tensor *out)
{
    dnn_cmd md = program_md(b->program, p);
    return b->learns ? layer_grad(b, i, md, out) : layer_tensor(b, md, out);
}

static convoy_status emit_backward(struct layer_build *b, dnnl_primitive_desc_t pd)
{
    convoy_status status = CONVOY_OK;
    struct program_arg args[10];
    tensor scale, shift, mean, variance, diff_scale, diff_shift;
    int n = 0;
    TRY(operands(b, &scale, &shift, &mean, &variance));
    TRY(gradient(b, 0, scale, &diff_scale));
    TRY(gradient(b, 1, shift, &diff_shift));
    args[n++] = (struct program_arg){DNNL_ARG_SRC, b->src[0]};
    args[n++] = (struct program_arg){DNNL_ARG_MEAN, mean};
    args[n++] = (struct program_arg){DNNL_ARG_VARIANCE, variance};
    args[n++] = (struct program_arg){DNNL_ARG_DIFF_DST, b->diff_dst};
    args[n++] = (struct program_arg){DNNL_ARG_SCALE, scale};
    args[n++] = (struct program_arg){DNNL_ARG_DIFF_SRC, b->diff_src[0]};
#if DNNL_VERSION_MAJOR < 3
    args[n++] = (struct program_arg){DNNL_ARG_SHIFT, shift};
#endif
    if (b->saved[0] != NO_TENSOR)
        args[n++] = (struct program_arg){DNNL_ARG_WORKSPACE, b->saved[0]};
    args[n++] = (struct program_arg){DNNL_ARG_DIFF_SCALE, diff_scale};
    args[n++] = (struct program_arg){DNNL_ARG_DIFF_SHIFT, diff_shift};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, n, args));
    if (b->learns) {
        TRY(layer_grad_done(b, 0, diff_scale));
        TRY(layer_grad_done(b, 1, diff_shift));
    }
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_norm norm = {.epsilon = b->attributes->epsilon,
                                  .relu = b->attributes->relu};
    dnnl_primitive_desc_t pd = NULL;
    TRY(dnn_batch_normalization(program_dnn(b->program), DNN_BACKWARD,
                                program_md(b->program, b->src[0]), &norm, b->forward_pd,
                                &pd));
    TRY(program_adopt(b->program, pd));
    if (b->may_overwrite_diff_dst)
        b->diff_src[0] = b->diff_dst;
    else
        TRY(layer_diff_src(b, 0, &b->diff_src[0]));
    TRY(emit_backward(b, pd));
cleanup:
    return status;
}

const struct layer_kind layer_batch_norm = {
    .name = "batch_norm",
    .min_src = 1,
    .max_src = 1,
    .backward_reads_src = true,
    .infer = infer,
    .params = params,
    .buffers = buffers,
    .forward = forward,
    .backward = backward,
};
