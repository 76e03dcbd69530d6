/* The sum of two or more inputs of one shape, then max(0, ·) if relu (a residual
 * block's end). The gradient of every input is the same tensor: nothing is
 * copied. */
#include "layer/eltwise.h"

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    char first[64], other[64];
    (void)attributes;
    for (int i = 1; i < n_src; i++)
        if (src[i].c != src[0].c || src[i].h != src[0].h || src[i].w != src[0].w ||
            src[i].flat != src[0].flat)
            return FAIL(CONVOY_ERROR_ARGUMENT, "cannot add shapes %s and %s",
                        layer_shape_text(&src[0], first),
                        layer_shape_text(&src[i], other));
    *dst = src[0];
    return CONVOY_OK;
}

/* Flat inputs may be row-major or still a feature map: one layout for all. */
static convoy_status same_layout(struct layer_build *b, enum phase phase, int i,
                                 tensor first, tensor *out)
{
    if (b->src_shapes[i].flat)
        return layer_src_plain(b, i, out);
    return program_want(b->program, phase, b->src[i], program_md(b->program, first),
                        out);
}

static convoy_status add_up(struct layer_build *b, enum phase phase, tensor *out)
{
    convoy_status status = CONVOY_OK;
    bool fused = true;
    tensor sum, next;
    TRY(same_layout(b, phase, 0, b->src[0], &sum));
    for (int i = 1; i < b->n_src; i++) {
        dnnl_primitive_desc_t pd = NULL;
        tensor dst;
        bool last = i == b->n_src - 1;
        TRY(same_layout(b, phase, i, sum, &next));
        dnn_cmd md = program_md(b->program, sum);
        fused = dnn_add_takes_relu(md);
        TRY(dnn_add(program_dnn(b->program), md, md, md, b->relu && last && fused,
                    &pd));
        TRY(program_adopt(b->program, pd));
        if (i > 1 || (b->may_overwrite_src && sum == b->src[0]))
            dst = sum;
        else
            TRY(layer_tensor(b, md, &dst));
        const struct program_arg args[] = {
            {DNNL_ARG_SRC_0, sum}, {DNNL_ARG_SRC_1, next}, {DNNL_ARG_DST, dst}};
        TRY(program_emit(b->program, phase, pd, 3, args));
        sum = dst;
    }
    if (b->relu && !fused)
        TRY(eltwise_relu_in_place(b, phase, sum));
    *out = sum;
cleanup:
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    return add_up(b, PHASE_FORWARD, &b->dst);
}

static convoy_status recompute(struct layer_build *b)
{
    return add_up(b, PHASE_BACKWARD, &b->dst);
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    tensor diff = b->diff_dst;
    if (b->relu)
        TRY(eltwise_diff(b, dnnl_eltwise_relu_use_dst_for_bwd,
                         b->may_overwrite_diff_dst, b->diff_dst, &diff));
    for (int i = 0; i < b->n_src; i++)
        b->diff_src[i] = diff;
cleanup:
    return status;
}

const struct layer_kind layer_add = {
    .about = {.name = "add",
              .help = "the sum of its inputs",
              .min_src = 2,
              .max_src = LAYER_MAX_SRC},
    .backward_reads_dst = true,
    .takes_relu = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .recompute = recompute,
};
