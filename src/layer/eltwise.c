/* The shared body of relu, sigmoid and tanh, and of the ReLU of add and max_pool.
 *
 * The ReLU's forward pass is a loop here: oneDNN's makes 0 of a value that is not a
 * number, and a net that computes nothing any more would give a loss that looks well.
 * Its backward pass is oneDNN's. */
#include "layer/eltwise.h"

static convoy_status describe(struct layer_build *b, enum dnn_pass pass,
                              dnnl_alg_kind_t alg, dnn_cmd data,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    convoy_status status =
        dnn_eltwise(program_dnn(b->program), pass, alg, data, hint, pd);
    return status == CONVOY_OK ? program_adopt(b->program, *pd) : status;
}

struct relu {
    int64_t n; /* values, padding of the layout included */
    bool bf16; /* they are; else f32 */
};

/* data: src, dst, which may be the same. */
static void run_relu(const void *context, const struct run_info *info,
                     void *const *data)
{
    const struct relu *relu = context;
    (void)info;
    if (relu->bf16) {
        const uint16_t *src = data[0];
        uint16_t *dst = data[1];
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < relu->n; i++)
            dst[i] = src[i] >= 0x8000 && src[i] <= 0xff80 ? 0 : src[i];
    } else {
        const float *src = data[0];
        float *dst = data[1];
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < relu->n; i++)
            dst[i] = src[i] < 0 ? 0 : src[i];
    }
}

static convoy_status emit_relu(struct layer_build *b, enum phase phase, tensor src,
                               tensor dst)
{
    const bool bf16 = b->type == dnnl_bf16;
    const size_t bytes = dnn_md_bytes(program_md(b->program, src));
    const struct relu relu = {
        .n = (int64_t)(bytes / (bf16 ? sizeof(uint16_t) : sizeof(float))),
        .bf16 = bf16};
    const tensor tensors[] = {src, dst};
    return program_call(b->program, phase, run_relu, &relu, sizeof relu, 2, tensors);
}

convoy_status eltwise_relu_rival(struct layer_build *b, dnnl_primitive_desc_t *pd)
{
    return dnn_eltwise(program_dnn(b->program), DNN_FORWARD_TRAINING,
                       dnnl_eltwise_relu_use_dst_for_bwd,
                       program_md(b->program, b->dst), NULL, pd);
}

convoy_status eltwise_forward(struct layer_build *b, dnnl_alg_kind_t alg)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_desc_t pd = NULL;
    dnn_cmd data = program_md(b->program, b->src[0]);
    if (b->may_overwrite_src)
        b->dst = b->src[0];
    else
        TRY(layer_tensor(b, data, &b->dst));
    if (alg == dnnl_eltwise_relu_use_dst_for_bwd)
        return emit_relu(b, PHASE_FORWARD, b->src[0], b->dst);
    TRY(describe(b, b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE, alg,
                 program_md(b->program, b->src[0]), NULL, &pd));
    const struct program_arg args[] = {{DNNL_ARG_SRC, b->src[0]},
                                       {DNNL_ARG_DST, b->dst}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, 2, args));
cleanup:
    return status;
}

convoy_status eltwise_relu_in_place(struct layer_build *b, enum phase phase, tensor t)
{
    return emit_relu(b, phase, t, t);
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
