/* What a checkpoint says of a run, and the optimizer's slots beside the net's tensors.
 * The canonical copies live only while a checkpoint is written or read. */
#include "train/state.h"

#include <convoy/version.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "checkpoint/checkpoint_share.h"
#include "comm/world.h"
#include "h5/h5.h"
#include "weights/net_tensors.h"

#include <string.h>

/* The optimizer's slot in group, an arena of the store's layout. is_known: what the
 * checkpoint does not have becomes 0, what the net does not is passed over. */
static convoy_status load_slot(convoy_net *net, const struct checkpoint *checkpoint,
                               const char *group, bool is_known, float *slot)
{
    convoy_status status = CONVOY_OK;
    struct net_tensors tensors = {0};
    status = net_tensors_list_slot(net, &tensors);
    if (status == CONVOY_OK)
        status = net_tensors_allocate(&tensors);
    TRY(checkpoint_agree(checkpoint, status));
    TRY((is_known ? checkpoint_read_known : checkpoint_read)(
        checkpoint, group, tensors.views, tensors.n_params));
    TRY(checkpoint_agree(checkpoint, net_tensors_put_all(net, &tensors, slot)));
cleanup:
    net_tensors_free(&tensors);
    return status;
}

convoy_status state_load(convoy_trainer *t, const struct checkpoint *checkpoint,
                         bool is_changed)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    char group[64];
    TRY(net_tensors_load(t->net, checkpoint));
    for (int s = 0; s < kind->n_slots; s++) {
        snprintf(group, sizeof group, "optimizer/%s", kind->slot_names[s]);
        TRY(load_slot(t->net, checkpoint, group, is_changed,
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

static void fill_facts(const convoy_trainer *t, struct checkpoint_facts *f)
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
    f->threads = t->threads;
    f->isa = cpus_isa();
    f->convoy_version = CONVOY_VERSION;
}

/* Copies of the net's tensors, or of a slot's. */
static convoy_status copy_tensors(const convoy_trainer *t, struct net_tensors *tensors)
{
    convoy_status status = CONVOY_OK;
    TRY(net_tensors_list(t->net, tensors));
    TRY(net_tensors_allocate(tensors));
    TRY(net_tensors_get(t->net, t->net->store.param_data, tensors));
cleanup:
    return status;
}

static convoy_status copy_slot(const convoy_trainer *t, const char *name,
                               struct net_tensors *tensors)
{
    convoy_status status = CONVOY_OK;
    TRY(net_tensors_list_slot(t->net, tensors));
    TRY(net_tensors_allocate(tensors));
    TRY(net_tensors_get(t->net, optimizer_slot(t->optimizer, name), tensors));
cleanup:
    return status;
}

static void fill_weights(const struct net_tensors *tensors,
                         struct checkpoint_contents *contents)
{
    contents->params = tensors->views;
    contents->n_params = tensors->n_params;
    contents->buffers = tensors->views + tensors->n_params;
    contents->n_buffers = tensors->n_buffers;
}

convoy_status state_hash(const convoy_trainer *t, char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct net_tensors tensors = {0};
    struct checkpoint_contents contents = {0};
    TRY(copy_tensors(t, &tensors));
    fill_weights(&tensors, &contents);
    TRY(checkpoint_weights_hash(&contents, hex));
cleanup:
    net_tensors_free(&tensors);
    return status;
}

convoy_status state_save(const convoy_trainer *t, const char *path)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    struct net_tensors tensors = {0}, slots[OPTIM_MAX_SLOTS] = {0};
    struct checkpoint_slot slot_views[OPTIM_MAX_SLOTS];
    struct checkpoint_contents contents = {0};
    char *recipe = NULL, onednn[32], mpi[256], hdf5[32];
    const char **names = NULL;
    TRY(recipe_text(t->recipe, &recipe));
    TRY(class_names(t->train_pack, &names));
    dnn_version(onednn);
    world_mpi_version(mpi, sizeof mpi);
    h5_version(hdf5);
    fill_facts(t, &contents.facts);
    contents.facts.recipe = recipe;
    contents.facts.class_names = names;
    contents.facts.onednn_version = onednn;
    contents.facts.mpi_version = mpi;
    contents.facts.hdf5_version = hdf5;
    TRY(copy_tensors(t, &tensors));
    for (int s = 0; s < kind->n_slots; s++) {
        TRY(copy_slot(t, kind->slot_names[s], &slots[s]));
        slot_views[s] = (struct checkpoint_slot){kind->slot_names[s], slots[s].views,
                                                 slots[s].n_params};
    }
    fill_weights(&tensors, &contents);
    contents.slots = slot_views;
    contents.n_slots = (size_t)kind->n_slots;
    TRY(checkpoint_write(path, &contents));
cleanup:
    for (int s = 0; s < kind->n_slots; s++)
        net_tensors_free(&slots[s]);
    net_tensors_free(&tensors);
    mem_free(names);
    mem_free(recipe);
    return status;
}
