/* Between a net's own layouts and the canonical tensors of files. Canonical copies of
 * all values live only while a file is written or read. */
#include "weights/net_tensors.h"

#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"
#include "checkpoint/checkpoint_share.h"

#include <stdio.h>
#include <string.h>

static void add_view(struct net_tensors *t, const char *name, int n_dims,
                     const int64_t *dims, int index)
{
    const size_t n = t->n_params + t->n_buffers;
    t->views[n] = (struct tensor_view){.name = name, .n_dims = n_dims};
    memcpy(t->views[n].dims, dims, (size_t)n_dims * sizeof *dims);
    t->indices[n] = index;
}

static convoy_status make_room(const struct param_store *store, struct net_tensors *t)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)store->n_params + (size_t)store->n_buffers;
    TRY(mem_alloc_array(n, sizeof *t->views, (void **)&t->views));
    TRY(mem_alloc_array(n, sizeof *t->indices, (void **)&t->indices));
cleanup:
    return status;
}

static void add_params(const struct param_store *store, bool with_frozen,
                       struct net_tensors *t)
{
    for (int i = 0; i < store->n_params; i++) {
        const struct stored_param *p = &store->params[i];
        if (p->frozen && !with_frozen)
            continue;
        add_view(t, p->name, p->param.n_dims, p->param.dims, i);
        t->n_params++;
    }
}

convoy_status net_tensors_list(const convoy_net *net, struct net_tensors *t)
{
    const struct param_store *store = &net->store;
    const convoy_status status = make_room(store, t);
    if (status != CONVOY_OK)
        return status;
    add_params(store, true, t);
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        add_view(t, b->name, 1, &b->buffer.n, i);
        t->n_buffers++;
    }
    return CONVOY_OK;
}

convoy_status net_tensors_list_slot(const convoy_net *net, struct net_tensors *t)
{
    const convoy_status status = make_room(&net->store, t);
    if (status == CONVOY_OK)
        add_params(&net->store, false, t);
    return status;
}

void net_tensors_free(struct net_tensors *t)
{
    mem_free(t->views);
    mem_free(t->indices);
    mem_free(t->memory);
    memset(t, 0, sizeof *t);
}

convoy_status net_tensors_allocate(struct net_tensors *t)
{
    const size_t n = t->n_params + t->n_buffers;
    size_t n_values = 0;
    for (size_t i = 0; i < n; i++)
        n_values += checkpoint_n_values(&t->views[i]);
    const convoy_status status =
        mem_alloc_array(n_values, sizeof *t->memory, (void **)&t->memory);
    float *at = t->memory;
    for (size_t i = 0; status == CONVOY_OK && i < n; i++) {
        t->views[i].data = at;
        at += checkpoint_n_values(&t->views[i]);
    }
    return status;
}

static bool is_param(const struct net_tensors *t, size_t i)
{
    return i < t->n_params;
}

struct net_arenas net_arenas_own(const convoy_net *net)
{
    return (struct net_arenas){net->store.param_data, net->store.buffer_data};
}

/* The running statistic that tensor i is; it is kept in canonical layout anyway. */
static float *buffer_of(const convoy_net *net, const struct net_arenas *arenas,
                        const struct net_tensors *t, size_t i)
{
    return arenas->buffers + net->store.buffers[t->indices[i]].offset;
}

void net_tensors_initial(const convoy_net *net, const struct net_tensors *t, size_t i,
                         uint64_t seed)
{
    float *values = t->views[i].data;
    if (is_param(t, i)) {
        param_store_initial(&net->store, t->indices[i], seed, values);
        return;
    }
    const struct buffer *buffer = &net->store.buffers[t->indices[i]].buffer;
    for (int64_t k = 0; k < buffer->n; k++)
        values[k] = buffer->initial;
}

convoy_status net_tensors_get(const convoy_net *net, const struct net_arenas *from,
                              const struct net_tensors *t, size_t i)
{
    const struct tensor_view *view = &t->views[i];
    if (is_param(t, i))
        return param_store_get(&net->store, &net->dnn, t->indices[i], from->params,
                               view->data);
    memcpy(view->data, buffer_of(net, from, t, i),
           checkpoint_n_values(view) * sizeof *view->data);
    return CONVOY_OK;
}

convoy_status net_tensors_put(const convoy_net *net, const struct net_tensors *t,
                              size_t i, const float *values,
                              const struct net_arenas *to)
{
    if (is_param(t, i))
        return param_store_set(&net->store, &net->dnn, t->indices[i], values,
                               to->params);
    memcpy(buffer_of(net, to, t, i), values,
           checkpoint_n_values(&t->views[i]) * sizeof *values);
    return CONVOY_OK;
}

convoy_status net_tensors_put_all(const convoy_net *net, const struct net_tensors *t,
                                  const struct net_arenas *to)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < t->n_params + t->n_buffers; i++)
        TRY(net_tensors_put(net, t, i, t->views[i].data, to));
cleanup:
    return status;
}

convoy_status net_tensors_load(const convoy_net *net,
                               const struct checkpoint *checkpoint, const char *prefix,
                               const struct net_arenas *to)
{
    convoy_status status = CONVOY_OK;
    struct net_tensors t = {0};
    char params[32], buffers[32];
    snprintf(params, sizeof params, "%sparams", prefix);
    snprintf(buffers, sizeof buffers, "%sbuffers", prefix);
    status = net_tensors_list(net, &t);
    if (status == CONVOY_OK)
        status = net_tensors_allocate(&t);
    TRY(checkpoint_agree(checkpoint, status));
    TRY(checkpoint_read(checkpoint, params, t.views, t.n_params));
    TRY(checkpoint_read(checkpoint, buffers, t.views + t.n_params, t.n_buffers));
    TRY(checkpoint_agree(checkpoint, net_tensors_put_all(net, &t, to)));
cleanup:
    net_tensors_free(&t);
    return status;
}
