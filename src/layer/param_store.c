/* Where parameters live. A layout is fixed by the first program that asks for the
 * parameter (training's forward pass, if there is training); later programs take it as
 * it is or get a reordered copy that is refreshed after each change of the parameters.
 */
#include "layer/param_store.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Values in a range that one thread draws: half a millisecond. */
enum { DRAWN_AT_ONCE = 8192 };

void param_store_free(struct param_store *store)
{
    for (int i = 0; i < store->n_params; i++) {
        mem_free(store->params[i].name);
        dnn_md_free(&store->params[i].layout);
    }
    for (int i = 0; i < store->n_buffers; i++)
        mem_free(store->buffers[i].name);
    mem_free(store->params);
    mem_free(store->buffers);
    mem_free(store->param_data);
    mem_free(store->buffer_data);
    memset(store, 0, sizeof *store);
}

static convoy_status grow(void **array, int n, int *capacity, size_t size)
{
    size_t bytes = (size_t)*capacity * size;
    convoy_status status = mem_reserve(array, &bytes, ((size_t)n + 1) * size);
    if (status == CONVOY_OK)
        *capacity = (int)(bytes / size);
    return status;
}

static convoy_status join_name(const char *layer, const char *name, char **out)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s.%s", layer, name);
    if (n < 0 || (size_t)n >= sizeof text)
        return FAIL(CONVOY_ERROR_ARGUMENT, "the name %s.%s is too long", layer, name);
    return mem_copy_text(text, out);
}

static convoy_status add_param(struct param_store *store, const char *layer,
                               const struct param *param)
{
    convoy_status status = CONVOY_OK;
    TRY(grow((void **)&store->params, store->n_params, &store->params_capacity,
             sizeof *store->params));
    struct stored_param *stored = &store->params[store->n_params];
    memset(stored, 0, sizeof *stored);
    stored->param = *param;
    TRY(join_name(layer, param->name, &stored->name));
    store->n_params++;
cleanup:
    return status;
}

static convoy_status add_buffer(struct param_store *store, const char *layer,
                                const struct buffer *buffer)
{
    convoy_status status = CONVOY_OK;
    TRY(grow((void **)&store->buffers, store->n_buffers, &store->buffers_capacity,
             sizeof *store->buffers));
    struct stored_buffer *stored = &store->buffers[store->n_buffers];
    memset(stored, 0, sizeof *stored);
    stored->buffer = *buffer;
    stored->offset = store->buffer_floats;
    TRY(join_name(layer, buffer->name, &stored->name));
    store->buffer_floats += mem_round_up_floats((size_t)buffer->n);
    store->n_buffers++;
cleanup:
    return status;
}

convoy_status param_store_add(struct param_store *store, const char *layer,
                              const struct layer_kind *kind, const void *attributes,
                              const struct shape *src, int *first_param,
                              int *first_buffer)
{
    convoy_status status = CONVOY_OK;
    struct param params[LAYER_MAX_PARAMS];
    struct buffer buffers[LAYER_MAX_BUFFERS];
    int n_params = kind->params ? kind->params(attributes, src, params) : 0;
    int n_buffers = kind->buffers ? kind->buffers(attributes, src, buffers) : 0;
    *first_param = store->n_params;
    *first_buffer = store->n_buffers;
    for (int i = 0; i < n_params; i++)
        TRY(add_param(store, layer, &params[i]));
    for (int i = 0; i < n_buffers; i++)
        TRY(add_buffer(store, layer, &buffers[i]));
cleanup:
    return status;
}

/* Parameters get their place in the order in which the first program asks for them,
 * which is the forward pass's: so the last layers' lie at the end, and gradients become
 * final from the end to the front. A layout is never changed afterwards, since
 * gradients and the optimizer's slots have the same offsets. Frozen ones are counted
 * apart and moved behind the others when the arena is made: what is exchanged and
 * stepped over is then one range from 0. */
static convoy_status fix_layout(struct param_store *store, struct stored_param *p,
                                dnn_cmd md)
{
    convoy_status status = dnn_md_copy(md, &p->layout);
    if (status != CONVOY_OK)
        return status;
    size_t *end = p->frozen ? &store->frozen_floats : &store->param_floats;
    p->offset = *end;
    p->n_floats = dnn_md_bytes(md) / sizeof(float);
    *end += mem_round_up_floats(p->n_floats);
    return CONVOY_OK;
}

/* Row-major f32 with the dims of md. */
static convoy_status plain_like(dnn_cmd md, struct dnn_md *out)
{
    int64_t dims[DNN_MAX_DIMS];
    int n_dims = dnn_md_dims(md, dims);
    return dnn_md_make_plain(n_dims, dims, dnnl_f32, out);
}

/* The arena is zeroed: padding inside layouts and between parameters is 0, its
 * gradients are 0, and no optimizer makes anything else of 0 and 0, so sums over whole
 * ranges (norms, exchange) need not know where padding is. */
convoy_status param_store_allocate(struct param_store *store)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0};
    assert(!store->param_data);
    for (int i = 0; i < store->n_params; i++) {
        struct stored_param *p = &store->params[i];
        if (p->layout.set)
            continue;
        TRY(dnn_md_make_plain(p->param.n_dims, p->param.dims, dnnl_f32, &plain));
        TRY(fix_layout(store, p, dnn_md_ref(&plain)));
        dnn_md_free(&plain);
    }
    for (int i = 0; i < store->n_params; i++)
        if (store->params[i].frozen)
            store->params[i].offset += store->param_floats;
    TRY(mem_alloc_array(store->param_floats + store->frozen_floats, sizeof(float),
                        (void **)&store->param_data));
    TRY(mem_alloc_array(store->buffer_floats, sizeof(float),
                        (void **)&store->buffer_data));
cleanup:
    dnn_md_free(&plain);
    return status;
}

int64_t param_store_n_values(const struct param_store *store, int i)
{
    const struct param *param = &store->params[i].param;
    int64_t n = 1;
    for (int d = 0; d < param->n_dims; d++)
        n *= param->dims[d];
    return n;
}

/* Value i of a parameter under its init. */
static float draw(const struct param *param, const struct rng *rng, uint64_t i)
{
    switch (param->init) {
    case INIT_HE_NORMAL:
        return (float)(rng_normal(rng, i) * sqrt(2.0 / (double)param->fan));
    case INIT_UNIFORM:
        return (float)((2 * rng_unit(rng, i) - 1) / sqrt((double)param->fan));
    case INIT_NORMAL:
        return (float)(rng_normal(rng, i) * 0.01);
    case INIT_ONE:
        return 1;
    case INIT_DEFAULT:
    case INIT_ZERO:
        break;
    }
    return 0;
}

static struct rng stream_of(const struct stored_param *p, uint64_t seed)
{
    return rng_stream(seed, RNG_INIT, hash_64(p->name, strlen(p->name)), 0);
}

void param_store_initial(const struct param_store *store, int i, uint64_t seed,
                         float *canonical)
{
    const struct stored_param *p = &store->params[i];
    const struct rng rng = stream_of(p, seed);
    const int64_t n = param_store_n_values(store, i);
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < n; k++)
        canonical[k] = draw(&p->param, &rng, (uint64_t)k);
}

/* The initial values of all parameters, end to end, on their way into the arena. */
struct filling {
    const struct param_store *store;
    const struct dnn *dnn;
    uint64_t seed;
    size_t *begins;   /* [n_params + 1] in canonical */
    float *canonical; /* each row-major */
    atomic_flag has_failed;
    struct failure failure; /* the first */
};

static void draw_range(void *context, int worker, size_t begin, size_t end)
{
    const struct filling *f = context;
    (void)worker;
    for (int i = 0; i < f->store->n_params; i++) {
        const struct stored_param *p = &f->store->params[i];
        const size_t from = f->begins[i] > begin ? f->begins[i] : begin;
        const size_t to = f->begins[i + 1] < end ? f->begins[i + 1] : end;
        if (from >= to)
            continue;
        const struct rng rng = stream_of(p, f->seed);
        for (size_t k = from; k < to; k++)
            f->canonical[k] = draw(&p->param, &rng, k - f->begins[i]);
    }
    pulse();
}

static void put_params(void *context, int worker, size_t begin, size_t end)
{
    struct filling *f = context;
    const struct param_store *store = f->store;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const convoy_status status = param_store_set(
            store, f->dnn, (int)i, f->canonical + f->begins[i], store->param_data);
        if (status != CONVOY_OK && !atomic_flag_test_and_set(&f->has_failed))
            status_save(status, &f->failure);
        pulse();
    }
}

/* Two loops of the lanes. A team of this thread's own would take the same cores and
 * spin on them between parameters, which takes longer than the draws. */
static convoy_status fill_params(struct filling *f, struct lanes *lanes)
{
    convoy_status status = CONVOY_OK;
    const int n = f->store->n_params;
    TRY(mem_alloc_array((size_t)n + 1, sizeof *f->begins, (void **)&f->begins));
    for (int i = 0; i < n; i++)
        f->begins[i + 1] = f->begins[i] + (size_t)param_store_n_values(f->store, i);
    TRY(mem_alloc_array(f->begins[n], sizeof(float), (void **)&f->canonical));
    lanes_for(lanes, f->begins[n], DRAWN_AT_ONCE, draw_range, f);
    lanes_for(lanes, (size_t)n, 1, put_params, f);
    if (f->failure.status != CONVOY_OK)
        status = status_restore(&f->failure);
cleanup:
    mem_free(f->begins);
    mem_free(f->canonical);
    return status;
}

convoy_status param_store_init(struct param_store *store, const struct dnn *dnn,
                               struct lanes *lanes, uint64_t seed)
{
    struct filling filling = {
        .store = store, .dnn = dnn, .seed = seed, .has_failed = ATOMIC_FLAG_INIT};
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        for (int64_t k = 0; k < b->buffer.n; k++)
            store->buffer_data[b->offset + (size_t)k] = b->buffer.initial;
    }
    return fill_params(&filling, lanes);
}

convoy_status param_store_get(const struct param_store *store, const struct dnn *dnn,
                              int i, const float *data, float *canonical)
{
    const struct stored_param *p = &store->params[i];
    struct dnn_md plain = {0};
    convoy_status status = plain_like(dnn_md_ref(&p->layout), &plain);
    if (status == CONVOY_OK)
        status = dnn_reorder_now(dnn, dnn_md_ref(&p->layout), data + p->offset,
                                 dnn_md_ref(&plain), canonical);
    dnn_md_free(&plain);
    return status;
}

convoy_status param_store_set(const struct param_store *store, const struct dnn *dnn,
                              int i, const float *canonical, float *data)
{
    const struct stored_param *p = &store->params[i];
    struct dnn_md plain = {0};
    convoy_status status = plain_like(dnn_md_ref(&p->layout), &plain);
    if (status == CONVOY_OK)
        status = dnn_reorder_now(dnn, dnn_md_ref(&plain), canonical,
                                 dnn_md_ref(&p->layout), data + p->offset);
    dnn_md_free(&plain);
    return status;
}

/* Other types than f32 have a master copy here in f32, and let oneDNN choose the layout
 * of the copy that they compute with; its dims are the master's. */
convoy_status layer_param_any(const struct layer_build *b, int i, int n_dims,
                              const int64_t *dims, struct dnn_md *md)
{
    const struct stored_param *p = &b->store->params[b->first_param + i];
    int64_t fixed[DNN_MAX_DIMS];
    if (p->layout.set && (b->type == dnnl_f32 || n_dims == 1))
        return dnn_md_copy(dnn_md_ref(&p->layout), md);
    if (n_dims == 1)
        return dnn_md_make_plain(n_dims, dims, dnnl_f32, md);
    if (!p->layout.set)
        return dnn_md_make(n_dims, dims, b->type, dnnl_format_tag_any, md);
    n_dims = dnn_md_dims(dnn_md_ref(&p->layout), fixed);
    return dnn_md_make(n_dims, fixed, b->type, dnnl_format_tag_any, md);
}

convoy_status layer_param_fix(struct layer_build *b, int i, dnn_cmd md)
{
    struct stored_param *p = &b->store->params[b->first_param + i];
    return p->layout.set ? CONVOY_OK : fix_layout(b->store, p, md);
}

bool layer_param_is_fixed(const struct layer_build *b, int i)
{
    return b->store->params[b->first_param + i].layout.set;
}

convoy_status layer_param(struct layer_build *b, int i, dnn_cmd md, tensor *out)
{
    convoy_status status = CONVOY_OK;
    struct stored_param *p = &b->store->params[b->first_param + i];
    struct dnn_md plain = {0};
    tensor stored;
    if (!p->layout.set && dnn_md_type(md) == dnnl_f32)
        TRY(fix_layout(b->store, p, md));
    if (!p->layout.set) {
        /* The master copy is f32 whatever the layer computes with. */
        TRY(plain_like(md, &plain));
        TRY(fix_layout(b->store, p, dnn_md_ref(&plain)));
    }
    const size_t before =
        p->frozen && b->store->param_data ? b->store->param_floats : 0;
    TRY(program_tensor(b->program, dnn_md_ref(&p->layout),
                       p->frozen ? HOME_FROZEN : HOME_PARAMS, p->offset - before,
                       &stored));
    TRY(program_want(b->program, PHASE_WEIGHTS, stored, md, out));
cleanup:
    dnn_md_free(&plain);
    return status;
}

static convoy_status grad_home(struct layer_build *b, int i, tensor *out)
{
    const struct stored_param *p = &b->store->params[b->first_param + i];
    return program_tensor(b->program, dnn_md_ref(&p->layout), HOME_GRADS, p->offset,
                          out);
}

/* Where a primitive's own layout for a gradient is not the parameter's, it writes to a
 * tensor of the plan, and layer_grad_done reorders that into the arena: gradients in
 * the arena always lie like their parameters. */
convoy_status layer_grad(struct layer_build *b, int i, dnn_cmd md, tensor *out)
{
    const struct stored_param *p = &b->store->params[b->first_param + i];
    if (dnn_md_same(md, dnn_md_ref(&p->layout)))
        return grad_home(b, i, out);
    return layer_tensor(b, md, out);
}

convoy_status layer_grad_done(struct layer_build *b, int i, tensor grad)
{
    const struct stored_param *p = &b->store->params[b->first_param + i];
    if (dnn_md_same(program_md(b->program, grad), dnn_md_ref(&p->layout)))
        return CONVOY_OK;
    tensor kept;
    convoy_status status = grad_home(b, i, &kept);
    if (status == CONVOY_OK)
        status = program_reorder(b->program, PHASE_BACKWARD, grad, kept);
    return status;
}

static convoy_status channels_tensor(struct layer_build *b, int i, enum home home,
                                     tensor *out)
{
    const struct stored_buffer *stored = &b->store->buffers[b->first_buffer + i];
    struct dnn_md md = {0};
    convoy_status status = dnn_md_make_plain(1, &stored->buffer.n, dnnl_f32, &md);
    if (status == CONVOY_OK)
        status = program_tensor(b->program, dnn_md_ref(&md), home, stored->offset, out);
    dnn_md_free(&md);
    return status;
}

convoy_status layer_buffer(struct layer_build *b, int i, tensor *out)
{
    return channels_tensor(b, i, HOME_BUFFERS, out);
}

convoy_status layer_statistic(struct layer_build *b, int i, tensor *out)
{
    const struct shape *src = &b->src_shapes[0];
    b->store->buffers[b->first_buffer + i].n_values =
        (double)b->n * (double)src->h * (double)src->w;
    return channels_tensor(b, i, HOME_STATS, out);
}
