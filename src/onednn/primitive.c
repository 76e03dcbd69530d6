/* Primitive descriptors in both C APIs: 2.x fills an operation descriptor and creates
 * from it, 3.x creates in one call. Each function here holds both, so no other file
 * knows. */
#include "onednn/primitive.h"

#include "base/memory.h"

#include <string.h>

#define V3 (DNNL_VERSION_MAJOR >= 3)

static dnnl_prop_kind_t forward_kind(enum dnn_pass pass)
{
    return pass == DNN_FORWARD_TRAINING ? dnnl_forward_training
                                        : dnnl_forward_inference;
}

static bool is_forward(enum dnn_pass pass)
{
    return pass == DNN_FORWARD_TRAINING || pass == DNN_FORWARD_INFERENCE;
}

static convoy_status check(dnnl_status_t result, const char *what)
{
    if (result == dnnl_success)
        return CONVOY_OK;
    return FAIL(result == dnnl_unimplemented ? CONVOY_ERROR_UNSUPPORTED
                                             : CONVOY_ERROR_LIBRARY,
                "oneDNN: %s for %s", dnn_status_text(result), what);
}

convoy_status dnn_convolution(const struct dnn *dnn, enum dnn_pass pass,
                              const struct dnn_operands *o, const struct dnn_window *w,
                              dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    /* oneDNN counts the holes between taps. */
    const dnnl_dims_t holes = {w->dilation[0] - 1, w->dilation[1] - 1};
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_convolution_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), dnnl_convolution_direct, o->src,
            o->weights, o->bias, o->dst, w->stride, holes, w->pad_begin, w->pad_end,
            dnn->attr);
    else if (pass == DNN_BACKWARD_DATA)
        result = dnnl_convolution_backward_data_primitive_desc_create(
            pd, dnn->engine, dnnl_convolution_direct, o->src, o->weights, o->dst,
            w->stride, holes, w->pad_begin, w->pad_end, hint, dnn->attr);
    else
        result = dnnl_convolution_backward_weights_primitive_desc_create(
            pd, dnn->engine, dnnl_convolution_direct, o->src, o->weights, o->bias,
            o->dst, w->stride, holes, w->pad_begin, w->pad_end, hint, dnn->attr);
#else
    dnnl_convolution_desc_t desc;
    if (is_forward(pass))
        result = dnnl_dilated_convolution_forward_desc_init(
            &desc, forward_kind(pass), dnnl_convolution_direct, o->src, o->weights,
            o->bias, o->dst, w->stride, holes, w->pad_begin, w->pad_end);
    else if (pass == DNN_BACKWARD_DATA)
        result = dnnl_dilated_convolution_backward_data_desc_init(
            &desc, dnnl_convolution_direct, o->src, o->weights, o->dst, w->stride,
            holes, w->pad_begin, w->pad_end);
    else
        result = dnnl_dilated_convolution_backward_weights_desc_init(
            &desc, dnnl_convolution_direct, o->src, o->weights, o->bias, o->dst,
            w->stride, holes, w->pad_begin, w->pad_end);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "convolution");
}

convoy_status dnn_inner_product(const struct dnn *dnn, enum dnn_pass pass,
                                const struct dnn_operands *o,
                                dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_inner_product_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), o->src, o->weights, o->bias, o->dst,
            dnn->attr);
    else if (pass == DNN_BACKWARD_DATA)
        result = dnnl_inner_product_backward_data_primitive_desc_create(
            pd, dnn->engine, o->src, o->weights, o->dst, hint, dnn->attr);
    else
        result = dnnl_inner_product_backward_weights_primitive_desc_create(
            pd, dnn->engine, o->src, o->weights, o->bias, o->dst, hint, dnn->attr);
#else
    dnnl_inner_product_desc_t desc;
    if (is_forward(pass))
        result = dnnl_inner_product_forward_desc_init(&desc, forward_kind(pass), o->src,
                                                      o->weights, o->bias, o->dst);
    else if (pass == DNN_BACKWARD_DATA)
        result = dnnl_inner_product_backward_data_desc_init(&desc, o->src, o->weights,
                                                            o->dst);
    else
        result = dnnl_inner_product_backward_weights_desc_init(
            &desc, o->src, o->weights, o->bias, o->dst);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "inner product");
}

convoy_status dnn_eltwise(const struct dnn *dnn, enum dnn_pass pass,
                          dnnl_alg_kind_t alg, dnn_cmd data, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd)
{
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_eltwise_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), alg, data, data, 0, 0, dnn->attr);
    else
        result = dnnl_eltwise_backward_primitive_desc_create(
            pd, dnn->engine, alg, data, data, data, 0, 0, hint, dnn->attr);
#else
    dnnl_eltwise_desc_t desc;
    if (is_forward(pass))
        result =
            dnnl_eltwise_forward_desc_init(&desc, forward_kind(pass), alg, data, 0, 0);
    else
        result = dnnl_eltwise_backward_desc_init(&desc, alg, data, data, 0, 0);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "elementwise function");
}

convoy_status dnn_pooling(const struct dnn *dnn, enum dnn_pass pass,
                          dnnl_alg_kind_t alg, const struct dnn_operands *o,
                          const struct dnn_window *w, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd)
{
    const dnnl_dims_t holes = {w->dilation[0] - 1, w->dilation[1] - 1};
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_pooling_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), alg, o->src, o->dst, w->stride,
            w->kernel, holes, w->pad_begin, w->pad_end, dnn->attr);
    else
        result = dnnl_pooling_backward_primitive_desc_create(
            pd, dnn->engine, alg, o->src, o->dst, w->stride, w->kernel, holes,
            w->pad_begin, w->pad_end, hint, dnn->attr);
#else
    dnnl_pooling_v2_desc_t desc;
    if (is_forward(pass))
        result = dnnl_pooling_v2_forward_desc_init(&desc, forward_kind(pass), alg,
                                                   o->src, o->dst, w->stride, w->kernel,
                                                   holes, w->pad_begin, w->pad_end);
    else
        result = dnnl_pooling_v2_backward_desc_init(&desc, alg, o->src, o->dst,
                                                    w->stride, w->kernel, holes,
                                                    w->pad_begin, w->pad_end);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "pooling");
}

convoy_status dnn_batch_norm(const struct dnn *dnn, enum dnn_pass pass, dnn_cmd data,
                             float epsilon, bool relu, dnnl_primitive_desc_t hint,
                             dnnl_primitive_desc_t *pd)
{
    const unsigned flags =
        dnnl_use_scale | dnnl_use_shift | (relu ? dnnl_fuse_norm_relu : 0U);
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_batch_normalization_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), data, data, epsilon, flags, dnn->attr);
    else
        result = dnnl_batch_normalization_backward_primitive_desc_create(
            pd, dnn->engine, dnnl_backward, data, data, data, epsilon, flags, hint,
            dnn->attr);
#else
    dnnl_batch_normalization_desc_t desc;
    if (is_forward(pass))
        result = dnnl_batch_normalization_forward_desc_init(&desc, forward_kind(pass),
                                                            data, epsilon, flags);
    else
        result = dnnl_batch_normalization_backward_desc_init(&desc, dnnl_backward, data,
                                                             data, epsilon, flags);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "batch normalization");
}

convoy_status dnn_lrn(const struct dnn *dnn, enum dnn_pass pass, dnn_cmd data,
                      const struct dnn_lrn_parameters *p, dnnl_primitive_desc_t hint,
                      dnnl_primitive_desc_t *pd)
{
    const dnnl_alg_kind_t alg = dnnl_lrn_across_channels;
    dnnl_status_t result;
#if V3
    if (is_forward(pass))
        result = dnnl_lrn_forward_primitive_desc_create(
            pd, dnn->engine, forward_kind(pass), alg, data, data, p->size, p->alpha,
            p->beta, p->k, dnn->attr);
    else
        result = dnnl_lrn_backward_primitive_desc_create(
            pd, dnn->engine, alg, data, data, data, p->size, p->alpha, p->beta, p->k,
            hint, dnn->attr);
#else
    dnnl_lrn_desc_t desc;
    if (is_forward(pass))
        result = dnnl_lrn_forward_desc_init(&desc, forward_kind(pass), alg, data,
                                            p->size, p->alpha, p->beta, p->k);
    else
        result = dnnl_lrn_backward_desc_init(&desc, alg, data, data, p->size, p->alpha,
                                             p->beta, p->k);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, dnn->attr, dnn->engine, hint);
#endif
    return check(result, "local response normalization");
}

/* An attribute with the scratchpad mode of ours and a fused ReLU. */
static convoy_status relu_attribute(dnnl_primitive_attr_t *out)
{
    convoy_status status = CONVOY_OK;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    TRY_DNNL(dnnl_primitive_attr_create(&attr));
    TRY_DNNL(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    TRY_DNNL(dnnl_post_ops_create(&ops));
#if V3
    TRY_DNNL(dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0));
#else
    TRY_DNNL(dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0));
#endif
    TRY_DNNL(dnnl_primitive_attr_set_post_ops(attr, ops));
    *out = attr;
    attr = NULL;
cleanup:
    if (ops)
        dnnl_post_ops_destroy(ops);
    if (attr)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

bool dnn_add_takes_relu(dnn_cmd md)
{
    int64_t dims[DNN_MAX_DIMS];
    size_t bytes = dnnl_data_type_size(dnn_md_type(md));
    int n_dims = dnn_md_dims(md, dims);
    for (int i = 0; i < n_dims; i++)
        bytes *= (size_t)dims[i];
    return bytes == dnn_md_bytes(md);
}

convoy_status dnn_add(const struct dnn *dnn, dnn_cmd a, dnn_cmd b, dnn_cmd dst,
                      bool relu, dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_attr_t attr = dnn->attr;
    if (relu) {
        convoy_status status = relu_attribute(&attr);
        if (status != CONVOY_OK)
            return status;
    }
    dnnl_status_t result;
#if V3
    result = dnnl_binary_primitive_desc_create(pd, dnn->engine, dnnl_binary_add, a, b,
                                               dst, attr);
#else
    dnnl_binary_desc_t desc;
    result = dnnl_binary_desc_init(&desc, dnnl_binary_add, a, b, dst);
    if (result == dnnl_success)
        result = dnnl_primitive_desc_create(pd, &desc, attr, dnn->engine, NULL);
#endif
    if (relu)
        dnnl_primitive_attr_destroy(attr);
    return check(result, "add");
}

convoy_status dnn_concat(const struct dnn *dnn, int n_src, const dnn_cmd *src,
                         dnn_cmd dst, dnnl_primitive_desc_t *pd)
{
    dnnl_status_t result;
#if V3
    result = dnnl_concat_primitive_desc_create(pd, dnn->engine, dst, n_src, 1, src,
                                               dnn->attr);
#else
    dnnl_memory_desc_t *copies = NULL;
    convoy_status status =
        mem_alloc_array((size_t)n_src, sizeof *copies, (void **)&copies);
    if (status != CONVOY_OK)
        return status;
    for (int i = 0; i < n_src; i++)
        copies[i] = *src[i];
    result = dnnl_concat_primitive_desc_create(pd, dst, n_src, 1, copies, dnn->attr,
                                               dnn->engine);
    mem_free(copies);
#endif
    return check(result, "concat");
}

convoy_status dnn_reorder(const struct dnn *dnn, dnn_cmd from, dnn_cmd to,
                          dnnl_primitive_desc_t *pd)
{
    return check(dnnl_reorder_primitive_desc_create(pd, from, dnn->engine, to,
                                                    dnn->engine, dnn->attr),
                 "reorder");
}

#if V3

static void read_dims(dnnl_primitive_desc_t pd, dnnl_query_t what, dnnl_dims_t out)
{
    const dnnl_dims_t *dims = NULL;
    if (dnnl_primitive_desc_query(pd, what, 0, &dims) == dnnl_success && dims)
        memcpy(out, dims, 2 * sizeof *out);
}

struct dnn_work dnn_work_of(dnnl_primitive_desc_t pd)
{
    struct dnn_work work = {.kind = dnnl_undefined_primitive};
    dnnl_dims_t holes = {-1, -1};
    dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &work.kind);
    dnnl_primitive_desc_query(pd, dnnl_query_prop_kind, 0, &work.prop_kind);
    dnnl_primitive_desc_query(pd, dnnl_query_alg_kind, 0, &work.alg);
    dnnl_primitive_desc_query(pd, dnnl_query_local_size_s64, 0, &work.lrn_size);
    read_dims(pd, dnnl_query_kernel, work.window.kernel);
    read_dims(pd, dnnl_query_strides, work.window.stride);
    read_dims(pd, dnnl_query_padding_l, work.window.pad_begin);
    read_dims(pd, dnnl_query_padding_r, work.window.pad_end);
    read_dims(pd, dnnl_query_dilations, holes);
    for (int i = 0; i < 2; i++)
        work.window.dilation[i] = holes[i] + 1;
    return work;
}

#else

static void fill_window(struct dnn_window *w, const dnnl_dims_t stride,
                        const dnnl_dims_t holes, const dnnl_dims_t padding[2])
{
    for (int i = 0; i < 2; i++) {
        w->stride[i] = stride[i];
        w->dilation[i] = holes[i] + 1;
        w->pad_begin[i] = padding[0][i];
        w->pad_end[i] = padding[1][i];
    }
}

/* The operation descriptor that pd was made from, if it is of the kind that what is. */
static bool read_desc(dnnl_primitive_desc_t pd, dnnl_query_t what, void *out)
{
    return dnnl_primitive_desc_query(pd, what, 0, out) == dnnl_success;
}

struct dnn_work dnn_work_of(dnnl_primitive_desc_t pd)
{
    struct dnn_work work = {.kind = dnnl_undefined_primitive};
    const dnnl_convolution_desc_t *conv;
    const dnnl_pooling_v2_desc_t *pool;
    const dnnl_lrn_desc_t *lrn;
    const dnnl_eltwise_desc_t *eltwise;
    dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &work.kind);
    dnnl_primitive_desc_query(pd, dnnl_query_prop_kind, 0, &work.prop_kind);
    if (read_desc(pd, dnnl_query_convolution_d, &conv)) {
        fill_window(&work.window, conv->strides, conv->dilates, conv->padding);
        work.alg = conv->alg_kind;
    } else if (read_desc(pd, dnnl_query_pooling_v2_d, &pool)) {
        fill_window(&work.window, pool->strides, pool->dilation, pool->padding);
        memcpy(work.window.kernel, pool->kernel, 2 * sizeof *pool->kernel);
        work.alg = pool->alg_kind;
    } else if (read_desc(pd, dnnl_query_lrn_d, &lrn)) {
        work.alg = lrn->alg_kind;
        work.lrn_size = lrn->local_size;
    } else if (read_desc(pd, dnnl_query_eltwise_d, &eltwise)) {
        work.alg = eltwise->alg_kind;
    }
    return work;
}

#endif

const char *dnn_kernels(dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return name ? name : "";
}

bool dnn_is_reference(dnnl_primitive_desc_t pd)
{
    const char *name = dnn_kernels(pd);
    return strstr(name, "ref:") || strstr(name, "simple");
}

bool dnn_same_kernels(dnnl_primitive_desc_t a, dnnl_primitive_desc_t b)
{
    return strcmp(dnn_kernels(a), dnn_kernels(b)) == 0;
}

dnn_cmd dnn_chosen(dnnl_primitive_desc_t pd, dnnl_query_t what, int index)
{
    return dnnl_primitive_desc_query_md(pd, what, index);
}
