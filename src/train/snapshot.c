/* Copies of all tensors in canonical layout, and what a checkpoint says beside them.
 *
 * What the lanes change from step to step is copied; what does not change while a
 * trainer lives is not: names of tensors and classes, ids of packs. So a file can be
 * written from here on a thread of its own. The lanes copy tensor by tensor, each the
 * next that is left, so that a step's border lasts no longer than memory needs. The
 * room stays between saves: its pages are costly to get, and the plan counts it. */
#include "train/snapshot.h"

#include "base/memory.h"
#include "base/pulse.h"
#include "comm/world.h"
#include "h5/h5.h"
#include "train/average.h"
#include "train/state.h"
#include "weights/net_tensors.h"

#include <stdatomic.h>

struct snapshot {
    struct net_tensors weights, slots[OPTIM_MAX_SLOTS];
    struct net_tensors average; /* {0}: there is none */
    struct checkpoint_slot slot_views[OPTIM_MAX_SLOTS];
    struct checkpoint_contents contents;
    char *recipe, onednn[32], mpi[256], hdf5[32], isa[DNN_ISA_SIZE];
    const char **class_names;
    bool is_taken; /* contents.facts.step says of which step */
};

static convoy_status class_names(const convoy_pack *pack, const char ***names)
{
    const int n = convoy_pack_describe(pack)->n_classes;
    convoy_status status = mem_alloc_array((size_t)n, sizeof **names, (void **)names);
    for (int i = 0; status == CONVOY_OK && i < n; i++)
        (*names)[i] = convoy_pack_class_name(pack, i);
    return status;
}

/* Facts that no step changes. */
static convoy_status describe(struct snapshot *s, const convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint_facts *facts = &s->contents.facts;
    TRY(recipe_text(t->recipe, &s->recipe));
    TRY(class_names(t->train_pack, &s->class_names));
    dnn_version(s->onednn);
    world_mpi_version(s->mpi, sizeof s->mpi);
    h5_version(s->hdf5);
    dnn_isa(s->isa);
    state_facts(t, facts);
    facts->recipe = s->recipe;
    facts->class_names = s->class_names;
    facts->onednn_version = s->onednn;
    facts->mpi_version = s->mpi;
    facts->hdf5_version = s->hdf5;
    facts->onednn_isa = s->isa;
cleanup:
    return status;
}

static convoy_status make_room(struct snapshot *s, const convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    struct checkpoint_contents *contents = &s->contents;
    TRY(net_tensors_list(t->net, &s->weights));
    TRY(net_tensors_allocate(&s->weights));
    for (int i = 0; i < kind->n_slots; i++) {
        struct net_tensors *slot = &s->slots[i];
        TRY(net_tensors_list_slot(t->net, slot));
        TRY(net_tensors_allocate(slot));
        s->slot_views[i] = (struct checkpoint_slot){
            optimizer_slot_name(t->optimizer, i), slot->views, slot->n_params};
    }
    contents->params = s->weights.views;
    contents->n_params = s->weights.n_params;
    contents->buffers = s->weights.views + s->weights.n_params;
    contents->n_buffers = s->weights.n_buffers;
    contents->slots = s->slot_views;
    contents->n_slots = (size_t)kind->n_slots;
    if (t->average) {
        TRY(net_tensors_list(t->net, &s->average));
        TRY(net_tensors_allocate(&s->average));
        contents->ema_params = s->average.views;
        contents->ema_buffers = s->average.views + s->average.n_params;
    }
cleanup:
    return status;
}

convoy_status snapshot_create(const convoy_trainer *trainer, struct snapshot **out)
{
    convoy_status status = CONVOY_OK;
    struct snapshot *s = NULL;
    TRY(mem_alloc(sizeof *s, (void **)&s));
    TRY(describe(s, trainer));
    TRY(make_room(s, trainer));
    *out = s;
    s = NULL;
cleanup:
    snapshot_destroy(s);
    return status;
}

void snapshot_destroy(struct snapshot *s)
{
    if (!s)
        return;
    for (int i = 0; i < OPTIM_MAX_SLOTS; i++)
        net_tensors_free(&s->slots[i]);
    net_tensors_free(&s->weights);
    net_tensors_free(&s->average);
    mem_free(s->class_names);
    mem_free(s->recipe);
    mem_free(s);
}

/* The tensors of the weights, then those of their average and of each slot, counted
 * through. */
struct copying {
    struct snapshot *to;
    const convoy_trainer *from;
    atomic_flag has_failed;
    struct failure failure; /* the first */
};

static size_t n_of(const struct net_tensors *tensors)
{
    return tensors->n_params + tensors->n_buffers;
}

static convoy_status copy_one(const struct copying *c, size_t i)
{
    const convoy_trainer *t = c->from;
    struct net_tensors *tensors = &c->to->weights;
    struct net_arenas arenas = net_arenas_own(t->net);
    if (i >= n_of(tensors)) {
        i -= n_of(tensors);
        tensors = &c->to->average;
        if (t->average)
            arenas = average_arenas(t->average);
    }
    for (int slot = 0; i >= n_of(tensors); slot++) {
        i -= n_of(tensors);
        tensors = &c->to->slots[slot];
        arenas.params = optimizer_slot(t->optimizer, c->to->slot_views[slot].name);
    }
    return net_tensors_get(t->net, &arenas, tensors, i);
}

static void copy_range(void *context, int worker, size_t begin, size_t end)
{
    struct copying *c = context;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const convoy_status status = copy_one(c, i);
        if (status != CONVOY_OK && !atomic_flag_test_and_set(&c->has_failed))
            status_save(status, &c->failure);
        pulse();
    }
}

convoy_status snapshot_take(struct snapshot *s, const convoy_trainer *t)
{
    struct copying copying = {.to = s, .from = t, .has_failed = ATOMIC_FLAG_INIT};
    size_t n = n_of(&s->weights) + n_of(&s->average);
    for (size_t i = 0; i < s->contents.n_slots; i++)
        n += n_of(&s->slots[i]);
    s->is_taken = false;
    lanes_for(t->lanes, n, 1, copy_range, &copying);
    if (copying.failure.status != CONVOY_OK)
        return status_restore(&copying.failure);
    s->contents.facts.step = t->step;
    s->is_taken = true;
    return CONVOY_OK;
}

bool snapshot_is_of(const struct snapshot *s, uint64_t step)
{
    return s->is_taken && s->contents.facts.step == step;
}

uint64_t snapshot_step(const struct snapshot *s)
{
    return s->contents.facts.step;
}

static uint64_t bytes_of(const struct tensor_view *tensors, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t n_values = 1;
        for (int d = 0; d < tensors[i].n_dims; d++)
            n_values *= (uint64_t)tensors[i].dims[d];
        bytes += n_values * sizeof(float);
    }
    return bytes;
}

uint64_t snapshot_bytes(const struct snapshot *s)
{
    const struct checkpoint_contents *contents = &s->contents;
    uint64_t bytes = bytes_of(contents->params, contents->n_params) +
                     bytes_of(contents->buffers, contents->n_buffers);
    bytes *= contents->ema_params ? 2 : 1;
    for (size_t i = 0; i < contents->n_slots; i++)
        bytes += bytes_of(contents->slots[i].tensors, contents->slots[i].n);
    return bytes;
}

convoy_status snapshot_write(const struct snapshot *s, const char *path)
{
    return checkpoint_write_to(path, &s->contents);
}

convoy_status snapshot_hash(const struct snapshot *s, char hex[33])
{
    return checkpoint_weights_hash(&s->contents, hex);
}

convoy_status snapshot_save(const convoy_trainer *trainer, const char *path)
{
    convoy_status status = CONVOY_OK;
    struct snapshot *s = NULL;
    TRY(snapshot_create(trainer, &s));
    TRY(snapshot_take(s, trainer));
    TRY(checkpoint_write(path, &s->contents));
cleanup:
    snapshot_destroy(s);
    return status;
}
