/* What all layer kinds share: the list, and small steps of building. */
#include "layer/layer.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

const struct layer_kind *const layer_kinds[] = {
#define LAYER(kind) &layer_##kind,
#include "layer/layer_list.h"
#undef LAYER
    NULL};

const char *const layer_inits[] = {"default", "he_fan_in", "uniform",
                                   "normal",  "one",       NULL};
_Static_assert(sizeof layer_inits / sizeof *layer_inits == INIT_ONE + 2,
               "the words for init are those of enum param_init up to INIT_ONE");

const struct layer_kind *layer_find(const char *name)
{
    for (int i = 0; layer_kinds[i]; i++)
        if (strcmp(layer_kinds[i]->about.name, name) == 0)
            return layer_kinds[i];
    return NULL;
}

convoy_status layer_infer(const struct layer_kind *kind, const void *attributes,
                          int n_src, const struct shape *src, struct shape *dst)
{
    const struct option_owner *owner = &kind->about;
    if (n_src < owner->min_src || n_src > owner->max_src)
        return FAIL(CONVOY_ERROR_ARGUMENT, "takes %d to %d inputs, found %d",
                    owner->min_src, owner->max_src, n_src);
    const int wrong = option_check(owner, attributes);
    if (wrong < 0)
        return kind->infer(attributes, n_src, src, dst);
    struct option option = owner->options[wrong];
    if (option.type == OPTION_CLASSES)
        option.type = OPTION_INT; /* the word is for recipes */
    char found[OPTION_VALUE_SIZE], expects[OPTION_EXPECTS_SIZE];
    option_get(&option, attributes, found);
    option_expects(&option, expects);
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s is %s, expected %s", option.name, found,
                expects);
}

const char *layer_shape_text(const struct shape *shape, char text[64])
{
    if (shape->flat)
        snprintf(text, 64, "[%lld]", (long long)shape->c);
    else
        snprintf(text, 64, "[%lld, %lld, %lld]", (long long)shape->c,
                 (long long)shape->h, (long long)shape->w);
    return text;
}

static int batch_dims(const struct layer_build *b, const struct shape *shape,
                      int64_t *dims)
{
    dims[0] = b->n;
    dims[1] = shape->c;
    dims[2] = shape->h;
    dims[3] = shape->w;
    return shape->flat ? 2 : 4;
}

convoy_status layer_any(const struct layer_build *b, const struct shape *shape,
                        struct dnn_md *md)
{
    int64_t dims[4];
    int n_dims = batch_dims(b, shape, dims);
    return dnn_md_make(n_dims, dims, b->type, dnnl_format_tag_any, md);
}

convoy_status layer_plain(const struct layer_build *b, const struct shape *shape,
                          struct dnn_md *md)
{
    int64_t dims[4];
    int n_dims = batch_dims(b, shape, dims);
    return dnn_md_make_plain(n_dims, dims, b->type, md);
}

/* src[i] as row-major memory of its own dims, seen as those of its shape. */
static convoy_status src_as_plain(struct layer_build *b, int i, dnnl_data_type_t type,
                                  tensor *out)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0}, seen = {0};
    int64_t own[DNN_MAX_DIMS], dims[4];
    int n_own = dnn_md_dims(program_md(b->program, b->src[i]), own);
    int n_dims = batch_dims(b, &b->src_shapes[i], dims);
    tensor copy = NO_TENSOR;
    TRY(dnn_md_make_plain(n_own, own, type, &plain));
    TRY(program_want(b->program, PHASE_FORWARD, b->src[i], dnn_md_ref(&plain), &copy));
    TRY(dnn_md_make_plain(n_dims, dims, type, &seen));
    if (n_own == n_dims)
        *out = copy;
    else
        TRY(program_view(b->program, copy, dnn_md_ref(&seen), out));
cleanup:
    dnn_md_free(&plain);
    dnn_md_free(&seen);
    return status;
}

convoy_status layer_src_plain(struct layer_build *b, int i, tensor *out)
{
    return src_as_plain(b, i, b->type, out);
}

convoy_status layer_src_f32(struct layer_build *b, int i, tensor *out)
{
    return src_as_plain(b, i, dnnl_f32, out);
}

convoy_status layer_src_layout(struct layer_build *b, int i, int nth, struct dnn_md *md)
{
    static const dnnl_format_tag_t tags[] = {dnnl_format_tag_undef, dnnl_nChw16c,
                                             dnnl_nChw8c};
    int64_t dims[4];
    if (nth == 0)
        return dnn_md_copy(program_md(b->program, b->src[i]), md);
    int n_dims = batch_dims(b, &b->src_shapes[i], dims);
    return dnn_md_make(n_dims, dims, b->type, tags[nth], md);
}

convoy_status layer_tensor(struct layer_build *b, dnn_cmd md, tensor *out)
{
    return program_tensor(b->program, md, HOME_ARENA, 0, out);
}

dnnl_format_tag_t layer_tag(const struct layer_build *b, tensor t,
                            const struct shape *shape)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nChw16c, dnnl_nChw8c, dnnl_nhwc,
                                             dnnl_nchw};
    int64_t dims[4];
    if (batch_dims(b, shape, dims) != 4)
        return dnnl_format_tag_undef;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct dnn_md md = {0};
        bool same = dnn_md_make(4, dims, b->type, tags[i], &md) == CONVOY_OK &&
                    dnn_md_same(dnn_md_ref(&md), program_md(b->program, t));
        dnn_md_free(&md);
        if (same)
            return tags[i];
    }
    return dnnl_format_tag_undef;
}

convoy_status layer_window_out(const struct layer_window *w, const struct shape *src,
                               bool ceil_mode, int64_t out[2])
{
    const int64_t in[2] = {src->h, src->w};
    char text[64];
    for (int d = 0; d < 2; d++) {
        int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1;
        int64_t room = in[d] + 2 * w->pad[d] - span;
        if (room < 0)
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "a kernel of [%lld, %lld] (dilation %lld, pad %lld) does not fit "
                "into the input %s: make the images larger (data.crop), or the "
                "kernel smaller",
                (long long)w->kernel[0], (long long)w->kernel[1],
                (long long)w->dilation[d], (long long)w->pad[d],
                layer_shape_text(src, text));
        out[d] = room / w->stride[d] + 1;
        bool more = ceil_mode && room % w->stride[d] != 0;
        /* A last window that would start in the padding behind is left out, as PyTorch.
         */
        if (more && out[d] * w->stride[d] < in[d] + w->pad[d])
            out[d]++;
    }
    return CONVOY_OK;
}

void layer_window_fill(const struct layer_window *w, const struct shape *src,
                       const struct shape *dst, struct dnn_window *window)
{
    const int64_t in[2] = {src->h, src->w}, out[2] = {dst->h, dst->w};
    memset(window, 0, sizeof *window);
    for (int d = 0; d < 2; d++) {
        int64_t span = (w->kernel[d] - 1) * w->dilation[d] + 1;
        window->kernel[d] = w->kernel[d];
        window->stride[d] = w->stride[d];
        window->dilation[d] = w->dilation[d];
        window->pad_begin[d] = w->pad[d];
        window->pad_end[d] = (out[d] - 1) * w->stride[d] + span - in[d] - w->pad[d];
    }
}

struct layer_window layer_conv_window(const struct layer_attributes *a)
{
    return (struct layer_window){{a->kernel[0], a->kernel[1]},
                                 {a->stride[0], a->stride[1]},
                                 {a->pad[0], a->pad[1]},
                                 {a->dilation[0], a->dilation[1]}};
}

convoy_status layer_conv_infer(const void *attributes, int n_src,
                               const struct shape *src, struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    convoy_status status = CONVOY_OK;
    const struct layer_window window = layer_conv_window(a);
    int64_t out[2];
    char text[64];
    (void)n_src;
    TRY(layer_not_flat(src));
    if (src->c % a->groups != 0 || a->out % a->groups != 0)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%d groups divide neither or only one of the channels of the input %s "
            "and the %d channels of the output",
            a->groups, layer_shape_text(src, text), a->out);
    TRY(layer_window_out(&window, src, false, out));
    *dst = (struct shape){.c = a->out, .h = out[0], .w = out[1]};
cleanup:
    return status;
}

int64_t layer_conv_macs(const void *attributes, const struct shape *src,
                        const struct shape *dst)
{
    const struct layer_attributes *a = attributes;
    return dst->c * dst->h * dst->w * (src->c / a->groups) * a->kernel[0] *
           a->kernel[1];
}

void layer_conv_reach(const void *attributes, const struct shape *src,
                      struct layer_reach *reach)
{
    const struct layer_attributes *a = attributes;
    *reach = (struct layer_reach){.channels = src->c / a->groups,
                                  .kernel = {a->kernel[0], a->kernel[1]}};
}

convoy_status layer_same_shape(const void *attributes, int n_src,
                               const struct shape *src, struct shape *dst)
{
    (void)attributes;
    (void)n_src;
    *dst = src[0];
    return CONVOY_OK;
}

convoy_status layer_not_flat(const struct shape *src)
{
    char text[64];
    if (src->flat)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "needs an input of [channels, height, width], found %s",
                    layer_shape_text(src, text));
    return CONVOY_OK;
}

convoy_status layer_diff_src(struct layer_build *b, int i, tensor *out)
{
    return layer_tensor(b, program_md(b->program, b->src[i]), out);
}
