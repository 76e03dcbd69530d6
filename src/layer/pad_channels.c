/* Zero channels appended up to out channels: with a strided pooling before it, the
 * parameter-free shortcut (option A) of He et al. 2015, "Deep residual learning",
 * section 4.2. */
#include "layer/slice.h"

#include <stddef.h>
#include <string.h>

static convoy_status infer(const void *attributes, int n_src, const struct shape *src,
                           struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = layer_not_flat(src);
    char text[64];
    (void)n_src;
    if (status != CONVOY_OK)
        return status;
    if (a->out < src->c)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "cannot pad the input %s to %d channels: it has more",
                    layer_shape_text(src, text), a->out);
    *dst = *src;
    dst->c = a->out;
    return CONVOY_OK;
}

/* dst_shape in the layout family of src. */
static convoy_status like(struct layer_build *b, tensor src, struct dnn_md *out)
{
    const struct shape *to = &b->dst_shape;
    const int64_t dims[] = {b->n, to->c, to->h, to->w};
    const dnnl_format_tag_t tag = layer_tag(b, src, &b->src_shapes[0]);
    if (tag == dnnl_format_tag_undef)
        return layer_plain(b, to, out);
    return dnn_md_make(4, dims, b->type, tag, out);
}

static void clear(const void *context, const struct run_info *info, void *const *data)
{
    (void)info;
    memset(data[0], 0, *(const size_t *)context);
}

static convoy_status forward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md dst = {0};
    tensor src = b->src[0], part;
    TRY(like(b, src, &dst));
    TRY(layer_tensor(b, dnn_md_ref(&dst), &b->dst));
    status = slice_channels(b, b->dst, 0, &b->src_shapes[0], &part);
    if (status == CONVOY_ERROR_UNSUPPORTED) {
        dnn_md_free(&dst);
        TRY(layer_plain(b, &b->dst_shape, &dst));
        TRY(layer_tensor(b, dnn_md_ref(&dst), &b->dst));
        status = slice_channels(b, b->dst, 0, &b->src_shapes[0], &part);
    }
    if (status != CONVOY_OK)
        goto cleanup;
    const size_t bytes = dnn_md_bytes(dnn_md_ref(&dst));
    TRY(program_call(b->program, PHASE_FORWARD, clear, &bytes, sizeof bytes, 1,
                     &b->dst));
    TRY(program_reorder(b->program, PHASE_FORWARD, src, part));
cleanup:
    dnn_md_free(&dst);
    return status;
}

static convoy_status backward(struct layer_build *b)
{
    convoy_status status = CONVOY_OK;
    tensor part;
    TRY(slice_channels(b, b->diff_dst, 0, &b->src_shapes[0], &part));
    TRY(layer_diff_src(b, 0, &b->diff_src[0]));
    TRY(program_reorder(b->program, PHASE_BACKWARD, part, b->diff_src[0]));
cleanup:
    return status;
}

static const struct option options[] = {
    {"channels", OPTION_INT, LAYER_AT(out), NULL, 1, LAYER_MAX_CHANNELS,
     .help = "channels of the output"},
};

const struct layer_kind layer_pad_channels = {
    .about = {.name = "pad_channels",
              .help = "zero channels appended",
              .min_src = 1,
              .max_src = 1,
              OPTION_TABLE(options, struct layer_attributes)},
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
