/* Between the net's own layouts and the canonical tensors of a checkpoint. The
 * canonical copies live only while a checkpoint is written or read. */
#include "train/state.h"

#include <convoy/version.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "comm/world.h"
#include "h5/h5.h"

#include <string.h>

/* Canonical tensors with their memory. */
struct canonical {
    struct tensor_view *views; /* [n] */
    int *index;                /* [n]: which parameter of the store; NULL: buffers */
    float *memory;
    size_t n;
};

static void canonical_free(struct canonical *c)
{
    mem_free(c->views);
    mem_free(c->index);
    mem_free(c->memory);
    memset(c, 0, sizeof *c);
}

/* A view for each parameter, not yet filled; without the frozen ones, which no
 * optimizer knows, if learning. */
static convoy_status param_views(const struct param_store *store, bool learning,
                                 struct canonical *c)
{
    convoy_status status = CONVOY_OK;
    size_t total = 0, at = 0;
    for (int i = 0; i < store->n_params; i++)
        total += (size_t)param_store_n_values(store, i);
    TRY(mem_alloc_array((size_t)store->n_params, sizeof *c->views, (void **)&c->views));
    TRY(mem_alloc_array((size_t)store->n_params, sizeof *c->index, (void **)&c->index));
    TRY(mem_alloc_array(total, sizeof *c->memory, (void **)&c->memory));
    for (int i = 0; i < store->n_params; i++) {
        const struct stored_param *p = &store->params[i];
        if (learning && p->frozen)
            continue;
        c->views[c->n] = (struct tensor_view){
            .name = p->name, .n_dims = p->param.n_dims, .data = c->memory + at};
        memcpy(c->views[c->n].dims, p->param.dims, sizeof p->param.dims);
        c->index[c->n++] = i;
        at += (size_t)param_store_n_values(store, i);
    }
cleanup:
    return status;
}

/* Views of the running statistics, which are kept in canonical form anyway. */
static convoy_status buffer_views(const struct param_store *store, struct canonical *c)
{
    c->n = (size_t)store->n_buffers;
    convoy_status status = mem_alloc_array(c->n, sizeof *c->views, (void **)&c->views);
    for (int i = 0; status == CONVOY_OK && i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        c->views[i] = (struct tensor_view){.name = b->name,
                                           .n_dims = 1,
                                           .dims = {b->buffer.n},
                                           .data = store->buffer_data +
                                                   b->offset / sizeof(float)};
    }
    return status;
}

/* Copies an arena of the store's layout into new canonical views. */
static convoy_status copy_out(const convoy_net *net, const float *arena,
                              struct canonical *c)
{
    const bool is_slot = arena != net->store.param_data;
    convoy_status status = param_views(&net->store, is_slot, c);
    for (size_t i = 0; status == CONVOY_OK && i < c->n; i++)
        status = param_store_get(&net->store, &net->dnn, c->index[i], arena,
                                 c->views[i].data);
    return status;
}

/* is_known: what the checkpoint does not have becomes 0, what the net does not is
 * passed over. */
static convoy_status read_into(const convoy_net *net,
                               const struct checkpoint *checkpoint, const char *group,
                               bool is_known, float *arena)
{
    convoy_status status = CONVOY_OK;
    struct canonical c = {0};
    TRY(param_views(&net->store, arena != net->store.param_data, &c));
    if (is_known)
        TRY(checkpoint_read_known(checkpoint, group, c.views, c.n));
    else
        TRY(checkpoint_read(checkpoint, group, c.views, c.n));
    for (size_t i = 0; i < c.n; i++)
        TRY(param_store_set(&net->store, &net->dnn, c.index[i], c.views[i].data,
                            arena));
cleanup:
    canonical_free(&c);
    return status;
}

convoy_status state_load_net(convoy_net *net, const struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct canonical buffers = {0};
    TRY(read_into(net, checkpoint, "params", false, net->store.param_data));
    TRY(buffer_views(&net->store, &buffers));
    TRY(checkpoint_read(checkpoint, "buffers", buffers.views, buffers.n));
cleanup:
    canonical_free(&buffers);
    return status;
}

convoy_status state_load(struct trainer *t, const struct checkpoint *checkpoint,
                         bool is_changed)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    char group[64];
    TRY(state_load_net(t->net, checkpoint));
    for (int s = 0; s < kind->n_slots; s++) {
        snprintf(group, sizeof group, "optimizer/%s", kind->slot_names[s]);
        TRY(read_into(t->net, checkpoint, group, is_changed,
                      optimizer_slot(t->optimizer, kind->slot_names[s])));
    }
    t->step = checkpoint_describe(checkpoint)->step;
cleanup:
    return status;
}

static convoy_status class_names(const convoy_pack *pack, const char ***names)
{
    const int n = convoy_pack_describe(pack)->n_classes;
    convoy_status status = mem_alloc_array((size_t)n, sizeof **names, (void **)names);
    for (int i = 0; status == CONVOY_OK && i < n; i++)
        (*names)[i] = convoy_pack_class_name(pack, i);
    return status;
}

static void fill_facts(const struct trainer *t, int threads, struct checkpoint_facts *f)
{
    f->step = t->step;
    f->steps_per_epoch = t->steps_per_epoch;
    f->model = t->recipe->model.name;
    f->classes = t->recipe->model.classes;
    memcpy(f->input_shape, t->shape, sizeof f->input_shape);
    f->n_class_names = (size_t)convoy_pack_describe(t->train_pack)->n_classes;
    f->train_pack = convoy_pack_describe(t->train_pack)->id;
    f->val_pack = t->val_pack ? convoy_pack_describe(t->val_pack)->id : "";
    f->microbatch = t->recipe->batch.microbatch;
    f->n_microbatches = t->n_microbatches;
    f->threads = threads;
    f->isa = cpus_isa();
    f->convoy_version = CONVOY_VERSION;
}

convoy_status state_save(const struct trainer *t, int threads, const char *path)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    struct canonical params = {0}, buffers = {0}, slots[OPTIM_MAX_SLOTS] = {0};
    struct checkpoint_slot slot_views[OPTIM_MAX_SLOTS];
    struct checkpoint_contents contents = {0};
    char *recipe = NULL, onednn[32], mpi[256], hdf5[32];
    const char **names = NULL;
    TRY(recipe_text(t->recipe, &recipe));
    TRY(class_names(t->train_pack, &names));
    dnn_version(onednn);
    world_mpi_version(mpi, sizeof mpi);
    h5_version(hdf5);
    fill_facts(t, threads, &contents.facts);
    contents.facts.recipe = recipe;
    contents.facts.class_names = names;
    contents.facts.onednn_version = onednn;
    contents.facts.mpi_version = mpi;
    contents.facts.hdf5_version = hdf5;
    TRY(copy_out(t->net, t->net->store.param_data, &params));
    TRY(buffer_views(&t->net->store, &buffers));
    for (int s = 0; s < kind->n_slots; s++) {
        TRY(copy_out(t->net, optimizer_slot(t->optimizer, kind->slot_names[s]),
                     &slots[s]));
        slot_views[s] =
            (struct checkpoint_slot){kind->slot_names[s], slots[s].views, slots[s].n};
    }
    contents.params = params.views;
    contents.n_params = params.n;
    contents.buffers = buffers.views;
    contents.n_buffers = buffers.n;
    contents.slots = slot_views;
    contents.n_slots = (size_t)kind->n_slots;
    TRY(checkpoint_write(path, &contents));
cleanup:
    for (int s = 0; s < kind->n_slots; s++)
        canonical_free(&slots[s]);
    canonical_free(&params);
    canonical_free(&buffers);
    mem_free(names);
    mem_free(recipe);
    return status;
}
