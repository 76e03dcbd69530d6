/* oneDNN 3.7.2's jit:uni reorder of f32 [7, 24, 5, 3] from abcd to ABcd16b16a leaves 56
 * of the 2520 values out on some machines (Zen 5), whatever the instruction set and the
 * number of threads; [16, 24, 5, 3] and ABcd16a16b likewise, while [7, 32, 5, 3] and
 * layouts with one block are right. Its releases up to 3.8 have several such faults. So
 * padded layouts with two blocks are copied here, value by value: few nets have any, in
 * the weights of layers whose channels fill no block.
 *
 * The offset of a position in a blocked layout is that of oneDNN's "Understanding
 * memory formats": the inner blocks from the last to the first, then the strides. */
#include "onednn/reorder.h"

#include "base/bf16.h"

#include <string.h>

#if DNNL_VERSION_MAJOR >= 3

struct layout {
    int n_dims, n_blocks;
    const dnnl_dims_t *dims, *padded, *strides, *blocks, *block_dims;
    dnnl_dim_t offset;
};

static struct layout layout_of(dnn_cmd md)
{
    struct layout l = {0};
    dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &l.n_dims);
    dnnl_memory_desc_query(md, dnnl_query_dims, &l.dims);
    dnnl_memory_desc_query(md, dnnl_query_padded_dims, &l.padded);
    dnnl_memory_desc_query(md, dnnl_query_strides, &l.strides);
    dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &l.n_blocks);
    dnnl_memory_desc_query(md, dnnl_query_inner_blks, &l.blocks);
    dnnl_memory_desc_query(md, dnnl_query_inner_idxs, &l.block_dims);
    dnnl_memory_desc_query(md, dnnl_query_submemory_offset_s64, &l.offset);
    return l;
}

static bool is_blocked(dnn_cmd md)
{
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind);
    return kind == dnnl_blocked;
}

static bool is_padded_in_two_blocks(dnn_cmd md)
{
    const struct layout l = layout_of(md);
    return l.n_blocks > 1 &&
           memcmp(*l.dims, *l.padded, (size_t)l.n_dims * sizeof **l.dims) != 0;
}

bool reorder_is_ours(dnn_cmd from, dnn_cmd to)
{
    return dnn_md_type(from) == dnnl_f32 &&
           (dnn_md_type(to) == dnnl_f32 || dnn_md_type(to) == dnnl_bf16) &&
           is_blocked(from) && is_blocked(to) &&
           (is_padded_in_two_blocks(from) || is_padded_in_two_blocks(to));
}

static dnnl_dim_t offset_of(const struct layout *l, const dnnl_dim_t *position)
{
    dnnl_dim_t left[DNN_MAX_DIMS], offset = l->offset, stride = 1;
    memcpy(left, position, (size_t)l->n_dims * sizeof *left);
    for (int b = l->n_blocks - 1; b >= 0; b--) {
        const dnnl_dim_t block = (*l->blocks)[b];
        dnnl_dim_t *at = &left[(*l->block_dims)[b]];
        offset += *at % block * stride;
        *at /= block;
        stride *= block;
    }
    for (int d = 0; d < l->n_dims; d++)
        offset += left[d] * (*l->strides)[d];
    return offset;
}

/* An offset is a sum of one part for each dimension. Those of the longest are kept for
 * many values at a time, so that a value costs two additions. */
enum { PART = 2048 };

struct copying {
    struct layout in, out;
    int along;                                  /* the longest dimension */
    dnnl_dim_t start, n;                        /* which of its positions */
    dnnl_dim_t in_parts[PART], out_parts[PART]; /* their parts of the offsets */
    bool bf16;
};

static void find_parts(struct copying *c)
{
    for (dnnl_dim_t i = 0; i < c->n; i++) {
        dnnl_dim_t position[DNN_MAX_DIMS] = {0};
        position[c->along] = c->start + i;
        c->in_parts[i] = offset_of(&c->in, position) - c->in.offset;
        c->out_parts[i] = offset_of(&c->out, position) - c->out.offset;
    }
}

/* Row i of the others' positions. */
static void copy_row(const struct copying *c, dnnl_dim_t i, const float *src, void *dst)
{
    dnnl_dim_t position[DNN_MAX_DIMS] = {0};
    bool is_padding = false;
    for (int d = c->out.n_dims - 1; d >= 0; d--) {
        if (d == c->along)
            continue;
        position[d] = i % (*c->out.padded)[d];
        i /= (*c->out.padded)[d];
        is_padding = is_padding || position[d] >= (*c->out.dims)[d];
    }
    const dnnl_dim_t from = offset_of(&c->in, position),
                     to = offset_of(&c->out, position),
                     end = (*c->out.dims)[c->along] - c->start;
    for (dnnl_dim_t k = 0; k < c->n; k++) {
        const float value = is_padding || k >= end ? 0 : src[from + c->in_parts[k]];
        if (c->bf16)
            ((uint16_t *)dst)[to + c->out_parts[k]] = bf16_from_f32(value);
        else
            ((float *)dst)[to + c->out_parts[k]] = value;
    }
}

void reorder_copy(dnn_cmd from, const float *src, dnn_cmd to, void *dst)
{
    struct copying c = {.in = layout_of(from),
                        .out = layout_of(to),
                        .bf16 = dnn_md_type(to) == dnnl_bf16};
    dnnl_dim_t n = 1;
    for (int d = 0; d < c.out.n_dims; d++) {
        n *= (*c.out.padded)[d];
        if ((*c.out.padded)[d] > (*c.out.padded)[c.along])
            c.along = d;
    }
    const dnnl_dim_t length = (*c.out.padded)[c.along];
    for (c.start = 0; c.start < length; c.start += c.n) {
        c.n = length - c.start < PART ? length - c.start : PART;
        find_parts(&c);
#pragma omp parallel for schedule(static)
        for (dnnl_dim_t i = 0; i < n / length; i++)
            copy_row(&c, i, src, dst);
    }
}

#else

bool reorder_is_ours(dnn_cmd from, dnn_cmd to)
{
    (void)from;
    (void)to;
    return false;
}

void reorder_copy(dnn_cmd from, const float *src, dnn_cmd to, void *dst)
{
    (void)from;
    (void)src;
    (void)to;
    (void)dst;
}

#endif
