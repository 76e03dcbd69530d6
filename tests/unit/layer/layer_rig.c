/* Compiles one layer as src/net does: sources and diff_dst are tensors of the caller's
 * (or copies in planned memory, in the layout that the options ask for), diff_dst comes
 * in dst's layout, and row-major copies of the results are kept for reading. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const src_layout_names[N_SRC_LAYOUTS] = {"plain", "plain copy", "8c", "16c",
                                                     "channels last"};

void rig_add_params(const struct layer_case *c, struct param_store *store)
{
    int first_param = -1, first_buffer = -1;
    OK(param_store_add(store, "layer", layer_find(c->kind), &c->a, c->src, &first_param,
                       &first_buffer));
    assert_int_equal(first_param, 0);
    assert_int_equal(first_buffer, 0);
}

/* Number of dims of a [n, …] tensor of this shape, and the dims. */
static int dims_of(int64_t n, const struct shape *shape, int64_t *dims)
{
    dims[0] = n;
    dims[1] = shape->c;
    dims[2] = shape->h;
    dims[3] = shape->w;
    return shape->flat ? 2 : 4;
}

/* A row-major tensor of the dims of t, at offset of home. */
static tensor plain_tensor(struct layer_rig *rig, int n_dims, const int64_t *dims,
                           enum home home, size_t offset)
{
    struct dnn_md md = {0};
    tensor made = NO_TENSOR;
    OK(dnn_md_make_plain(n_dims, dims, dnnl_f32, &md));
    OK(program_tensor(rig->program, dnn_md_ref(&md), home, offset, &made));
    dnn_md_free(&md);
    return made;
}

/* A planned copy of t in a layout. */
static tensor copy_of(struct layer_rig *rig, enum phase phase, tensor t, dnn_cmd md)
{
    tensor made = NO_TENSOR;
    OK(program_tensor(rig->program, md, HOME_ARENA, 0, &made));
    OK(program_reorder(rig->program, phase, t, made));
    return made;
}

/* Bytes of the caller's sources before source i. */
static size_t src_offset(const struct reference *r, int i)
{
    size_t offset = 0;
    for (int s = 0; s < i; s++)
        offset += mem_round_up_floats((size_t)reference_src_values(r, s));
    return offset;
}

static tensor make_src(struct layer_rig *rig, int i)
{
    static const dnnl_format_tag_t tags[] = {dnnl_abcd, dnnl_abcd, dnnl_aBcd8b,
                                             dnnl_aBcd16b, dnnl_acdb};
    const struct layer_case *c = rig->sample->c;
    enum src_layout layout = rig->options.layout;
    const struct shape *shape = &c->src[i];
    if (shape->flat && layout >= SRC_BLOCK_8 && c->map.c > 0)
        shape = &c->map;
    int64_t dims[4];
    int n_dims = dims_of(c->n, shape, dims);
    struct dnn_md md = {0};
    tensor plain =
        plain_tensor(rig, n_dims, dims, HOME_IMAGES, src_offset(&rig->sample->r, i));
    if (layout == SRC_PLAIN)
        return plain;
    OK(dnn_md_make(n_dims, dims, dnnl_f32, n_dims == 2 ? dnnl_ab : tags[layout], &md));
    tensor made = copy_of(rig, PHASE_FORWARD, plain, dnn_md_ref(&md));
    dnn_md_free(&md);
    return made;
}

static tensor make_labels(struct layer_rig *rig)
{
    struct dnn_md md = {0};
    tensor labels = NO_TENSOR;
    OK(dnn_md_make_plain(1, &rig->sample->c->n, dnnl_s32, &md));
    OK(program_tensor(rig->program, dnn_md_ref(&md), HOME_LABELS, 0, &labels));
    dnn_md_free(&md);
    return labels;
}

static void build_forward(struct layer_rig *rig)
{
    const struct layer_case *c = rig->sample->c;
    bool planned_src = rig->options.layout != SRC_PLAIN;
    for (int i = 0; i < c->n_src; i++) {
        rig->src[i] = make_src(rig, i);
        rig->diff_src[i] = NO_TENSOR;
    }
    rig->build = (struct layer_build){
        .program = rig->program,
        .attributes = &c->a,
        .relu = c->relu,
        .n = c->n,
        .type = dnnl_f32,
        .training = rig->options.training,
        .index = rig->options.index,
        .needs_diff_src = !rig->options.no_diff_src,
        .n_src = c->n_src,
        .src_shapes = c->src,
        .dst_shape = c->dst,
        .src = rig->src,
        .may_overwrite_src =
            rig->options.overwrite && planned_src &&
            (!rig->options.training || !rig->sample->kind->backward_reads_src),
        .labels = rig->sample->kind->takes_labels ? make_labels(rig) : NO_TENSOR,
        .dst = NO_TENSOR,
        .diff_dst = NO_TENSOR,
        .may_overwrite_diff_dst = rig->options.overwrite,
        .diff_src = rig->diff_src,
        .saved = {NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
        .store = rig->store,
        .learns = !rig->options.frozen,
        .place = NO_TENSOR,
        .diff_sum = NO_TENSOR,
    };
    program_label(rig->program, c->name, c->kind);
    OK(rig->sample->kind->forward(&rig->build));
    rig->dst = rig->build.dst;
}

static void build_backward(struct layer_rig *rig)
{
    int64_t dims[DNN_MAX_DIMS];
    dnn_cmd dst = program_md(rig->program, rig->dst);
    int n_dims = dnn_md_dims(dst, dims);
    tensor given = plain_tensor(rig, n_dims, dims, HOME_LOSS_SCALE, 0);
    dst = program_md(rig->program, rig->dst);
    if (rig->options.overwrite)
        rig->build.diff_dst = copy_of(rig, PHASE_BACKWARD, given, dst);
    else
        OK(program_want(rig->program, PHASE_BACKWARD, given, dst,
                        &rig->build.diff_dst));
    OK(rig->sample->kind->backward(&rig->build));
}

/* A row-major copy of t that stays after the run. */
static tensor keep_plain(struct layer_rig *rig, enum phase phase, tensor t)
{
    struct dnn_md md = {0};
    int64_t dims[DNN_MAX_DIMS];
    int n_dims = dnn_md_dims(program_md(rig->program, t), dims);
    OK(dnn_md_make_plain(n_dims, dims, dnnl_f32, &md));
    tensor copy = copy_of(rig, phase, t, dnn_md_ref(&md));
    program_keep(rig->program, copy);
    dnn_md_free(&md);
    return copy;
}

static float *to_floats(const double *values, int64_t n)
{
    float *floats = calloc((size_t)n, sizeof *floats);
    assert_non_null(floats);
    for (int64_t i = 0; i < n; i++)
        floats[i] = (float)values[i];
    return floats;
}

void rig_set_params(struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    struct param_store *store = rig->store;
    for (int i = 0; i < store->n_params; i++) {
        assert_int_equal(param_store_n_values(store, i), reference_param_values(r, i));
        float *values = to_floats(r->params[i], reference_param_values(r, i));
        OK(param_store_set(store, rig->dnn, i, values, store->param_data));
        free(values);
    }
    for (int i = 0; i < store->n_buffers; i++) {
        float *at = store->buffer_data + store->buffers[i].offset;
        assert_int_equal(store->buffers[i].buffer.n, reference_statistic_values(r, i));
        for (int64_t k = 0; k < store->buffers[i].buffer.n; k++)
            at[k] = (float)r->running[i][k];
    }
}

static void *bytes(size_t n)
{
    void *memory = NULL;
    OK(mem_alloc(n, &memory));
    return memory;
}

static void bind(struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    struct param_store *store = rig->store;
    rig->images = bytes(src_offset(r, r->n_src) * sizeof(float));
    rig->diff = bytes((size_t)reference_dst_values(r) * sizeof(float));
    rig->grads = bytes(store->param_floats * sizeof(float));
    rig->statistics = bytes(store->buffer_floats * sizeof(float));
    OK(program_bind(rig->program, HOME_PARAMS, store->param_data));
    OK(program_bind(rig->program, HOME_GRADS, rig->grads));
    OK(program_bind(rig->program, HOME_BUFFERS, store->buffer_data));
    OK(program_bind(rig->program, HOME_STATS, rig->statistics));
    OK(program_bind(rig->program, HOME_IMAGES, rig->images));
    OK(program_bind(rig->program, HOME_LABELS, rig->sample->labels));
    OK(program_bind(rig->program, HOME_LOSS_SCALE, rig->diff));
}

struct layer_rig *rig_create(struct layer_sample *sample,
                             const struct rig_options *options, const struct dnn *dnn,
                             struct param_store *store)
{
    struct layer_rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->sample = sample;
    rig->options = *options;
    rig->dnn = dnn;
    rig->store = store;
    rig->info.seed = 1;
    OK(program_create(dnn, &rig->program));
    build_forward(rig);
    rig->out_dst = keep_plain(rig, PHASE_FORWARD, rig->dst);
    for (int i = 0; i < sample->r.n_src; i++)
        rig->out_diff_src[i] = NO_TENSOR;
    if (options->training) {
        build_backward(rig);
        for (int i = 0; i < sample->r.n_src; i++)
            if (rig->diff_src[i] != NO_TENSOR)
                rig->out_diff_src[i] =
                    keep_plain(rig, PHASE_BACKWARD, rig->diff_src[i]);
    }
    for (int i = 0; options->spoil && i < sample->r.n_src; i++)
        program_keep(rig->program, rig->src[i]);
    if (options->spoil)
        program_keep(rig->program, rig->dst);
    OK(program_plan(rig->program));
    if (!store->param_data)
        OK(param_store_allocate(store));
    rig_set_params(rig);
    bind(rig);
    return rig;
}

void rig_destroy(struct layer_rig *rig)
{
    if (!rig)
        return;
    program_destroy(rig->program);
    mem_free(rig->images);
    mem_free(rig->diff);
    mem_free(rig->grads);
    mem_free(rig->statistics);
    free(rig);
}

static void fill_nan(float *values, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes / sizeof *values; i++)
        values[i] = NAN;
}

void rig_forward(struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    for (int s = 0; s < r->n_src; s++)
        for (int64_t i = 0; i < reference_src_values(r, s); i++)
            rig->images[src_offset(r, s) + (size_t)i] = (float)r->src[s][i];
    fill_nan(rig->statistics, rig->store->buffer_floats * sizeof(float));
    OK(program_run(rig->program, PHASE_WEIGHTS, &rig->info));
    OK(program_run(rig->program, PHASE_FORWARD, &rig->info));
}

static void spoil(struct layer_rig *rig, tensor t)
{
    size_t n_bytes = dnn_md_bytes(program_md(rig->program, t));
    fill_nan(program_data(rig->program, t), n_bytes);
}

void rig_backward(struct layer_rig *rig)
{
    const struct reference *r = &rig->sample->r;
    const struct layer_kind *kind = rig->sample->kind;
    for (int i = 0; rig->options.spoil && !kind->backward_reads_src && i < r->n_src;
         i++)
        spoil(rig, rig->src[i]);
    if (rig->options.spoil && !kind->backward_reads_dst)
        spoil(rig, rig->dst);
    for (int64_t i = 0; i < reference_dst_values(r); i++)
        rig->diff[i] = (float)r->diff_dst[i];
    fill_nan(rig->grads, rig->store->param_floats * sizeof(float));
    OK(program_run(rig->program, PHASE_BACKWARD, &rig->info));
}

const float *rig_dst(const struct layer_rig *rig)
{
    return program_data(rig->program, rig->out_dst);
}

const float *rig_diff_src(const struct layer_rig *rig, int i)
{
    tensor t = rig->out_diff_src[i];
    return t == NO_TENSOR ? NULL : program_data(rig->program, t);
}

float *rig_grad(const struct layer_rig *rig, int i)
{
    float *values = calloc((size_t)param_store_n_values(rig->store, i), sizeof *values);
    assert_non_null(values);
    OK(param_store_get(rig->store, rig->dnn, i, rig->grads, values));
    return values;
}

const float *rig_statistic(const struct layer_rig *rig, int i)
{
    return rig->statistics + rig->store->buffers[i].offset;
}

int rig_n_params(const struct layer_rig *rig)
{
    return rig->store->n_params;
}

int rig_n_statistics(const struct layer_rig *rig)
{
    return rig->store->n_buffers;
}

void rig_draw_mask(struct layer_rig *rig)
{
    const struct layer_case *c = rig->sample->c;
    dnn_cmd md = program_md(rig->program, rig->dst);
    size_t sample_size = dnn_md_bytes(md) / sizeof(float) / (size_t)c->n;
    float *in_memory = bytes(dnn_md_bytes(md));
    float *plain =
        bytes((size_t)reference_src_values(&rig->sample->r, 0) * sizeof *plain);
    const uint64_t a = rig->info.step << 16 | (uint64_t)rig->options.index;
    struct dnn_md plain_md = {0};
    int64_t dims[DNN_MAX_DIMS];
    for (size_t i = 0; i < sample_size * (size_t)c->n; i++) {
        uint64_t b = rig->info.first_sample + i / sample_size;
        struct rng rng = rng_stream(rig->info.seed, RNG_DROPOUT, a, b);
        double u = (double)rng_word(&rng, i % sample_size) * 0x1p-32;
        in_memory[i] = u >= (double)c->a.p ? 1 : 0;
    }
    int n_dims = dnn_md_dims(md, dims);
    OK(dnn_md_make_plain(n_dims, dims, dnnl_f32, &plain_md));
    OK(dnn_reorder_now(rig->dnn, md, in_memory, dnn_md_ref(&plain_md), plain));
    for (int64_t i = 0; i < reference_src_values(&rig->sample->r, 0); i++)
        rig->sample->kept[i] = plain[i] > 0;
    dnn_md_free(&plain_md);
    mem_free(in_memory);
    mem_free(plain);
    sample_compute(rig->sample);
}

double rig_error(const float *found, const double *expected, int64_t n)
{
    double difference = 0, largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)found[i] - expected[i]);
        if (!(d <= difference))
            difference = d == d ? d : INFINITY;
        largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
    }
    if (difference == 0 || largest == 0)
        return difference;
    return difference / largest;
}
