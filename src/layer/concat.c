/* Inputs one after another along the channels; heights and widths must agree.
 *
 * In a chain of concats, each the first input of the next, the net gives them all one
 * tensor: a concat then copies only what is new, and hands the gradient of its first
 * input back as a part of its own. */
#include "layer/slice.h"

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    char first[64], other[64];
    (void)attributes;
    struct shape joined = src[0];
    for (int i = 1; i < n_src; i++) {
        if (src[i].h != src[0].h || src[i].w != src[0].w || src[i].flat != src[0].flat)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "cannot concatenate shapes %s and %s along the channels",
                        layer_shape_text(&src[0], first),
                        layer_shape_text(&src[i], other));
        joined.c += src[i].c;
    }
    *dst = joined;
    return CONVOY_OK;
}

/* Into b->place, where src[0] may be already. */
static convoy_status forward_in_place(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    const tensor whole = program_root(b->program, b->place);
    int64_t offset = 0;
    tensor part;
    for (int i = 0; i < b->n_src; i++) {
        TRY(slice_channels(b, b->place, offset, &b->src_shapes[i], &part));
        if (i > 0 || program_root(b->program, b->src[0]) != whole)
            TRY(program_reorder(b->program, PHASE_FORWARD, b->src[i], part));
        offset += b->src_shapes[i].c;
    }
    b->dst = b->place;
cleanup:
    return status;
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    if (b->place != NO_TENSOR)
        return forward_in_place(b);
    struct dnn_md dst = {0};
    dnnl_primitive_desc_t pd = NULL;
    dnn_cmd mds[LAYER_MAX_SRC];
    tensor src[LAYER_MAX_SRC];
    struct program_arg args[LAYER_MAX_SRC + 1];
    for (int i = 0; i < b->n_src; i++) {
        src[i] = b->src[i];
        if (b->src_shapes[i].flat)
            TRY(layer_src_plain(b, i, &src[i]));
        args[i] = (struct program_arg){DNNL_ARG_MULTIPLE_SRC + i, src[i]};
    }
    for (int i = 0; i < b->n_src; i++)
        mds[i] = program_md(b->program, src[i]);
    TRY(layer_any(b, &b->dst_shape, &dst));
    TRY(dnn_concat(program_dnn(b->program), b->n_src, mds, dnn_md_ref(&dst), &pd));
    TRY(program_adopt(b->program, pd));
    TRY(layer_tensor(b, dnn_chosen(pd, dnnl_query_dst_md, 0), &b->dst));
    args[b->n_src] = (struct program_arg){DNNL_ARG_DST, b->dst};
    TRY(program_emit(b->program, PHASE_FORWARD, pd, b->n_src + 1, args));
cleanup:
    dnn_md_free(&dst);
    return status;
}

/* Copies channels [offset, …) of from to diff_src[i]; of a flat input, to row-major
 * [n, c], whatever src[i] still is. */
static convoy_status cut(struct layer_build *b, tensor from, int i, int64_t offset)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0};
    tensor part;
    TRY(slice_channels(b, from, offset, &b->src_shapes[i], &part));
    if (b->src_shapes[i].flat) {
        TRY(layer_plain(b, &b->src_shapes[i], &plain));
        TRY(layer_tensor(b, dnn_md_ref(&plain), &b->diff_src[i]));
    } else {
        TRY(layer_diff_src(b, i, &b->diff_src[i]));
    }
    TRY(program_reorder(b->program, PHASE_BACKWARD, part, b->diff_src[i]));
cleanup:
    dnn_md_free(&plain);
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0};
    tensor from = b->diff_dst;
    int64_t offset = 0;
    TRY(layer_plain(b, &b->dst_shape, &plain));
    for (int i = 0; i < b->n_src; i++) {
        if (i == 0 && b->place != NO_TENSOR)
            status = slice_channels(b, from, 0, &b->src_shapes[0], &b->diff_src[0]);
        else
            status = cut(b, from, i, offset);
        if (status == CONVOY_ERROR_UNSUPPORTED) {
            TRY(program_want(b->program, PHASE_BACKWARD, b->diff_dst,
                             dnn_md_ref(&plain), &from));
            status = cut(b, from, i, offset);
        }
        if (status != CONVOY_OK)
            goto cleanup;
        offset += b->src_shapes[i].c;
    }
cleanup:
    dnn_md_free(&plain);
    return status;
}

const struct layer_kind layer_concat = {
    .about = {.name = "concat",
              .help = "its inputs one after another along the channels",
              .min_src = 1,
              .max_src = LAYER_MAX_SRC},
    .joins = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
