/* The shared body of relu, sigmoid and tanh, and of the ReLU of add and max_pool. */
#include "layer/eltwise.h"

static convoy_status describe(struct layer_build *b, enum dnn_pass pass,
                              dnnl_alg_kind_t alg, dnn_cmd data,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    convoy_status status =
        dnn_eltwise(program_dnn(b->program), pass, alg, data, hint, pd);
    return status == CONVOY_OK ? program_adopt(b->program, *pd) : status;
}

convoy_status eltwise_forward(struct layer_build *b, dnnl_alg_kind_t alg)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    dnn_cmd data = program_md(b->program, b->src[0]);
    TRY(describe(b, b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE, alg,
                 data, NULL, &pd));
    if (b->may_overwrite_src)
        b->dst = b->src[0];
    else
        TRY(layer_tensor(b, data, &b->dst));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->src[0]},
                                       {DNNL_ARG_DST, b->dst}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, 2, args));
cleanup:
    return status;
}

convoy_status eltwise_in_place(struct layer_build *b, enum phase phase,
                               dnnl_alg_kind_t alg, tensor t)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    TRY(describe(b, DNN_FORWARD_TRAINING, alg, program_md(b->program, t), NULL, &pd));
    const struct program_arg args[] = {{DNNL_ARG_SRC, t}, {DNNL_ARG_DST, t}};
    TRY(program_emit(b->program, phase, pd, 2, args));
cleanup:
    return status;
}

convoy_status eltwise_diff(struct layer_build *b, dnnl_alg_kind_t alg, bool overwrite,
                           tensor diff, tensor *out)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t hint = NULL, pd = NULL;
    dnn_cmd data = program_md(b->program, b->dst);
    TRY(describe(b, DNN_FORWARD_TRAINING, alg, data, NULL, &hint));
    TRY(describe(b, DNN_BACKWARD_DATA, alg, data, hint, &pd));
    if (overwrite)
        *out = diff;
    else
        TRY(layer_tensor(b, data, out));
    const struct program_arg args[] = {
        {DNNL_ARG_DST, b->dst}, {DNNL_ARG_DIFF_DST, diff}, {DNNL_ARG_DIFF_SRC, *out}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, 3, args));
cleanup:
    return status;
}

convoy_status eltwise_backward(struct layer_build *b, dnnl_alg_kind_t alg)
{
    return eltwise_diff(b, alg, b->may_overwrite_diff_dst, b->diff_dst,
                        &b->diff_src[0]);
}
