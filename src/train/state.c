/* What a checkpoint says of a run, and the optimizer's slots beside the net's tensors.
 * The canonical copies live only while a checkpoint is read. */
#include "train/state.h"

#include <convoy/version.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "checkpoint/checkpoint_share.h"
#include "recipe/recipe_check.h"
#include "train/average.h"
#include "weights/net_tensors.h"

#include <string.h>

enum { SLOT_PATH_SIZE = 64 };

static void slot_path(const convoy_trainer *t, int i, char group[SLOT_PATH_SIZE])
{
    snprintf(group, SLOT_PATH_SIZE, "optimizer/%s",
             optimizer_slot_name(t->optimizer, i));
}

/* The optimizer's slot in group, an arena of the store's layout. is_known: what the
 * checkpoint does not have becomes 0, what the net does not is passed over. */
static convoy_status load_slot(convoy_net *net, const struct checkpoint *checkpoint,
                               const char *group, bool is_known, float *slot)
{
    convoy_status status = CONVOY_OK;
    struct net_tensors tensors = {0};
    const struct net_arenas to = {slot, NULL};
    status = net_tensors_list_slot(net, &tensors);
    if (status == CONVOY_OK)
        status = net_tensors_allocate(&tensors);
    TRY(checkpoint_agree(checkpoint, status));
    TRY((is_known ? checkpoint_read_known : checkpoint_read)(
        checkpoint, group, tensors.views, tensors.n_params));
    TRY(checkpoint_agree(checkpoint, net_tensors_put_all(net, &tensors, &to)));
cleanup:
    net_tensors_free(&tensors);
    return status;
}

/* What a training without an average left has none: it begins anew. */
static convoy_status load_average(convoy_trainer *t,
                                  const struct checkpoint *checkpoint)
{
    convoy_status status = CONVOY_OK;
    if (!t->average || !checkpoint_has_ema(checkpoint)) {
        average_begin(t);
        return CONVOY_OK;
    }
    const struct net_arenas to = average_arenas(t->average);
    TRY(net_tensors_load(t->net, checkpoint, CHECKPOINT_EMA, &to));
    average_begin_frozen(t);
cleanup:
    return status;
}

static bool has_group(const struct checkpoint *checkpoint, const char *group)
{
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(checkpoint, &n);
    const size_t length = strlen(group);
    for (size_t i = 0; i < n; i++)
        if (strncmp(tensors[i].name, group, length) == 0 &&
            tensors[i].name[length] == '/')
            return true;
    return false;
}

/* Optimizers whose slots mean the same may follow each other, if the user says so;
 * others have nothing to go on with. */
static convoy_status check_slots(const convoy_trainer *t,
                                 const struct checkpoint *checkpoint)
{
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    char group[SLOT_PATH_SIZE];
    for (int s = 0; s < kind->n_slots; s++) {
        slot_path(t, s, group);
        if (!has_group(checkpoint, group))
            return recipe_reject(
                t->recipe, "optimizer.name",
                "is %s, which goes on from %s, but %s has none: its run had another "
                "optimizer, or another form of its momentum; go back to that, or begin "
                "a new run from its weights, with the file in init.weights",
                kind->about.name, group, checkpoint_path(checkpoint));
    }
    return CONVOY_OK;
}

convoy_status state_load(convoy_trainer *t, const struct checkpoint *checkpoint,
                         bool is_changed)
{
    convoy_status status = CONVOY_OK;
    const struct optim_kind *kind = optimizer_kind(t->optimizer);
    const struct net_arenas own = net_arenas_own(t->net);
    char group[SLOT_PATH_SIZE];
    TRY(checkpoint_agree(checkpoint, check_slots(t, checkpoint)));
    TRY(net_tensors_load(t->net, checkpoint, CHECKPOINT_OWN, &own));
    TRY(load_average(t, checkpoint));
    for (int s = 0; s < kind->n_slots; s++) {
        slot_path(t, s, group);
        TRY(load_slot(
            t->net, checkpoint, group, is_changed,
            optimizer_slot(t->optimizer, optimizer_slot_name(t->optimizer, s))));
    }
    t->step = checkpoint_describe(checkpoint)->step;
cleanup:
    return status;
}

void state_facts(const convoy_trainer *t, struct checkpoint_facts *f)
{
    f->step = t->step;
    f->steps_per_epoch = t->steps_per_epoch;
    f->model = t->recipe->model.name;
    f->classes = t->recipe->model.classes;
    memcpy(f->input_shape, t->val_shape, sizeof f->input_shape);
    f->n_class_names = (size_t)convoy_pack_describe(t->train_pack)->n_classes;
    f->train_pack = convoy_pack_describe(t->train_pack)->id;
    f->val_pack = t->val_pack ? convoy_pack_describe(t->val_pack)->id : "";
    f->microbatch = t->recipe->batch.microbatch;
    f->n_microbatches = t->n_microbatches;
    f->threads = t->threads;
    f->isa = cpus_isa();
    f->convoy_version = CONVOY_VERSION;
    f->changes = t->history;
}
