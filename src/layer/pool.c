/* Max pooling keeps where each maximum was (oneDNN's workspace); average pooling keeps
 * nothing. Layouts follow src, unless oneDNN has no fast kernel for that one. */
#include "layer/pool.h"

struct layer_window pool_window(const struct layer_attributes *a)
{
    return (struct layer_window){
        {a->kernel[0], a->kernel[1]},
        {a->stride[0], a->stride[1]},
        {a->pad[0], a->pad[1]},
        {a->dilation[0] ? a->dilation[0] : 1, a->dilation[1] ? a->dilation[1] : 1}};
}

convoy_status pool_infer(const void *attributes, int n_src, const struct shape *src,
                         struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = CONVOY_OK;
    const struct layer_window window = pool_window(a);
    int64_t out[2];
    (void)n_src;
    TRY(layer_not_flat(src));
    if (2 * a->pad[0] > a->kernel[0] || 2 * a->pad[1] > a->kernel[1])
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "pad [%lld, %lld] must be at most half of the kernel [%lld, %lld]",
                    (long long)a->pad[0], (long long)a->pad[1], (long long)a->kernel[0],
                    (long long)a->kernel[1]);
    TRY(layer_window_out(&window, src, a->ceil_mode, out));
    *dst = (struct shape){.c = src->c, .h = out[0], .w = out[1]};
cleanup:
    return status;
}

/* Describes the forward pass on src in the nth layout. */
static convoy_status describe(struct layer_build *b, dnnl_alg_kind_t alg,
                              const struct dnn_window *window, int nth,
                              dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md src = {0}, dst = {0};
    TRY(layer_src_layout(b, 0, nth, &src));
    TRY(layer_any(b, &b->dst_shape, &dst));
    const struct dnn_operands operands = {.src = dnn_md_ref(&src),
                                          .dst = dnn_md_ref(&dst)};
    TRY(dnn_pooling(program_dnn(b->program),
                    b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE, alg,
                    &operands, window, NULL, pd));
    TRY(program_adopt(b->program, *pd));
cleanup:
    dnn_md_free(&src);
    dnn_md_free(&dst);
    return status;
}

/* The first layout that has more than a reference kernel: copying src to it costs a
 * tenth of what that takes. Its own, if none has. */
static convoy_status choose(struct layer_build *b, dnnl_alg_kind_t alg,
                            const struct dnn_window *window, dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_desc_t other = NULL;
    convoy_status status = describe(b, alg, window, 0, pd);
    if (status != CONVOY_OK || !dnn_is_reference(*pd))
        return status;
    for (int nth = 1; nth < LAYER_N_LAYOUTS; nth++)
        if (describe(b, alg, window, nth, &other) == CONVOY_OK &&
            !dnn_is_reference(other)) {
            *pd = other;
            break;
        }
    return CONVOY_OK;
}

convoy_status pool_forward(struct layer_build *b, dnnl_alg_kind_t alg,
                           const struct layer_window *w)
{
    convoy_status status = CONVOY_OK;
    struct dnn_window window;
    dnnl_primitive_desc_t pd = NULL;
    tensor src, workspace = NO_TENSOR;
    layer_window_fill(w, &b->src_shapes[0], &b->dst_shape, &window);
    TRY(choose(b, alg, &window, &pd));
    b->forward_pd = pd;
    TRY(program_want(b->program, PHASE_FORWARD, b->src[0],
                     dnn_chosen(pd, dnnl_query_src_md, 0), &src));
    TRY(layer_tensor(b, dnn_chosen(pd, dnnl_query_dst_md, 0), &b->dst));
    dnn_cmd ws = dnn_chosen(pd, dnnl_query_workspace_md, 0);
    if (dnn_md_bytes(ws) > 0)
        TRY(layer_tensor(b, ws, &workspace));
    const struct program_arg args[] = {
        {DNNL_ARG_SRC, src}, {DNNL_ARG_DST, b->dst}, {DNNL_ARG_WORKSPACE, workspace}};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, workspace == NO_TENSOR ? 2 : 3,
                     args));
    b->saved[0] = workspace;
cleanup:
    return status;
}

convoy_status pool_backward(struct layer_build *b, dnnl_alg_kind_t alg,
                            const struct layer_window *w)
{
    convoy_status status = CONVOY_OK;
    struct dnn_window window;
    dnnl_primitive_desc_t pd = NULL;
    layer_window_fill(w, &b->src_shapes[0], &b->dst_shape, &window);
    dnn_cmd src = dnn_chosen(b->forward_pd, dnnl_query_src_md, 0);
    const struct dnn_operands operands = {.src = src,
                                          .dst = program_md(b->program, b->dst)};
    TRY(dnn_pooling(program_dnn(b->program), DNN_BACKWARD_DATA, alg, &operands, &window,
                    b->forward_pd, &pd));
    TRY(program_adopt(b->program, pd));
    TRY(layer_tensor(b, src, &b->diff_src[0]));
    const struct program_arg args[] = {{DNNL_ARG_DIFF_DST, b->diff_dst},
                                       {DNNL_ARG_DIFF_SRC, b->diff_src[0]},
                                       {DNNL_ARG_WORKSPACE, b->saved[0]}};
    TRY(program_emit(b->program, PHASE_BACKWARD, pd, b->saved[0] == NO_TENSOR ? 2 : 3,
                     args));
cleanup:
    return status;
}

convoy_status pool_rival(struct layer_build *b, enum phase phase, dnnl_alg_kind_t alg,
                         const struct layer_window *w, dnnl_primitive_desc_t *pd)
{
    convoy_status status = CONVOY_OK;
    const struct dnn *dnn = program_dnn(b->program);
    const struct dnn_operands operands = {.src = program_md(b->program, b->src[0]),
                                          .dst = program_md(b->program, b->dst)};
    struct dnn_window window;
    dnnl_primitive_desc_t forward_pd = NULL;
    layer_window_fill(w, &b->src_shapes[0], &b->dst_shape, &window);
    TRY(dnn_pooling(dnn, b->training ? DNN_FORWARD_TRAINING : DNN_FORWARD_INFERENCE,
                    alg, &operands, &window, NULL, &forward_pd));
    if (phase == PHASE_FORWARD) {
        *pd = forward_pd;
        forward_pd = NULL;
    } else {
        TRY(dnn_pooling(dnn, DNN_BACKWARD_DATA, alg, &operands, &window, forward_pd,
                        pd));
    }
cleanup:
    if (forward_pd)
        dnnl_primitive_desc_destroy(forward_pd);
    return status;
}
