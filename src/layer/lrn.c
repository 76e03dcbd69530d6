/* Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3),
 * with PyTorch's parameters: dst[c] = src[c] / (k + alpha / size · Σ_{c' within size
 * around c} src[c']²)^beta Reads size, alpha, beta, k. */
#include "layer/layer.h"

static convoy_status infer(const struct layer_attributes *a, int n_src,
                           const struct shape *src, struct shape *dst)
{
    convoy_status status = layer_not_flat(src);
    if (status != CONVOY_OK)
        return status;
    if (a->size < 1 || a->size % 2 == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "size must be odd and at least 1, here %lld",
                    (long long)a->size);
    return layer_same_shape(a, n_src, src, dst);
}

static struct dnn_lrn_parameters parameters_of(const struct layer_attributes *a)
{
    return (struct dnn_lrn_parameters){
        .size = a->size, .alpha = a->alpha, .beta = a->beta, .k = a->k};
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_lrn_parameters parameters = parameters_of(b->attributes);
    dnn_cmd data = program_md(b->program, b->src[0]);
    dnnl_primitive_desc_t pd = NULL;
    tensor workspace = NO_TENSOR;
    TRY(dnn_lrn(program_dnn(b->program),
                b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE, data,
                &parameters, NULL, &pd));
    TRY(program_adopt(b->program, pd));
    b->forward_pd = pd;
    TRY(layer_tensor(b, data, &b->dst));
    dnn_cmd ws = dnn_chosen(pd, dnnl_query_workspace_md, 0);
    if (dnn_md_bytes(ws) > 0)
        TRY(layer_tensor(b, ws, &workspace));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->src[0]},
                                       {DNNL_ARG_DST, b->dst},
                                       {DNNL_ARG_WORKSPACE, workspace}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, workspace == NO_TENSOR ? 2 : 3,
                     args));
    b->saved[0] = workspace;
cleanup:
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_lrn_parameters parameters = parameters_of(b->attributes);
    dnnl_primitive_desc_t pd = NULL;
    TRY(dnn_lrn(program_dnn(b->program), DNN_BACKWARD_DATA,
                program_md(b->program, b->src[0]), &parameters, b->forward_pd, &pd));
    TRY(program_adopt(b->program, pd));
    TRY(layer_diff_src(b, 0, &b->diff_src[0]));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->src[0]},
                                       {DNNL_ARG_DIFF_DST, b->diff_dst},
                                       {DNNL_ARG_DIFF_SRC, b->diff_src[0]},
                                       {DNNL_ARG_WORKSPACE, b->saved[0]}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, b->saved[0] == NO_TENSOR ? 3 : 4,
                     args));
cleanup:
    return status;
}

const struct layer_kind layer_lrn = {
    .name = "lrn",
    .min_src = 1,
    .max_src = 1,
    .backward_reads_src = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
