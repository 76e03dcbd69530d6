/* From a checkpoint to its net and to the preprocessing of its images: the recipe in it
 * says both. */
#include "infer/inference.h"

#include "checkpoint/checkpoint_share.h"
#include "weights/net_tensors.h"
#include "weights/weights_checkpoint.h"
#include "setup/setup.h"
#include "setup/setup_lanes.h"

#include <string.h>

/* Only raw records have one channel, and no resizing: an image file in their place is
 * brought to their size. */
static void resolve_resize(convoy_recipe *recipe, const int shape[3])
{
    if (recipe->data.resize == 0 && shape[0] == 1)
        recipe->data.resize = shape[1] < shape[2] ? shape[1] : shape[2];
}

convoy_status inference_open(convoy_world *world, const char *path,
                             struct inference *inference)
{
    convoy_status status = CONVOY_OK;
    TRY(weights_checkpoint_open(world, path, &inference->checkpoint));
    if (inference->ema)
        TRY(checkpoint_agree(inference->checkpoint,
                             checkpoint_need_ema(inference->checkpoint)));
    /* Pooling and ReLU can swallow what is no number: the loss need not show it. */
    TRY(checkpoint_agree(inference->checkpoint,
                         checkpoint_check_finite(inference->checkpoint)));
cleanup:
    return status;
}

convoy_status inference_build(struct inference *inference)
{
    convoy_status status = CONVOY_OK;
    float mean[3] = {0}, std[3] = {0};
    const struct checkpoint_facts *facts = checkpoint_describe(inference->checkpoint);
    TRY(weights_checkpoint_recipe(inference->checkpoint, &inference->recipe));
    resolve_resize(inference->recipe, facts->input_shape);
    TRY(setup_scaling(inference->recipe, facts->input_shape[0], mean, std));
    TRY(setup_net(inference->recipe, facts->input_shape, &inference->net));
    inference->loading =
        setup_loading(inference->recipe, facts->input_shape, mean, std);
cleanup:
    return status;
}

convoy_status inference_load(struct inference *inference)
{
    const struct net_arenas own = net_arenas_own(inference->net);
    const convoy_status status =
        net_tensors_load(inference->net, inference->checkpoint,
                         inference->ema ? CHECKPOINT_EMA : CHECKPOINT_OWN, &own);
    checkpoint_forget_values(inference->checkpoint);
    return status;
}

static bool net_has(const struct checkpoint_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->n_class_names; i++)
        if (strcmp(facts->class_names[i], name) == 0)
            return true;
    return false;
}

static bool pack_has(const convoy_pack *pack, const char *name)
{
    for (int i = 0; i < convoy_pack_describe(pack)->n_classes; i++)
        if (strcmp(convoy_pack_class_name(pack, i), name) == 0)
            return true;
    return false;
}

/* Labels mean the same classes in both. Names may differ, as "n01440764" and "tench"
 * do, but where a name stands at one number here and at another there, so do the
 * classes. */
static convoy_status check_class_names(const struct inference *inference,
                                       const convoy_pack *pack, const char *weights,
                                       const char *data)
{
    const struct checkpoint_facts *facts = checkpoint_describe(inference->checkpoint);
    const int n = convoy_pack_describe(pack)->n_classes;
    for (int i = 0; i < n && (size_t)i < facts->n_class_names; i++) {
        const char *name = convoy_pack_class_name(pack, i);
        const char *net_name = facts->class_names[i];
        if (strcmp(name, net_name) != 0 &&
            (net_has(facts, name) || pack_has(pack, net_name)))
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "class %d is '%s' in %s, but '%s' to the net in %s: pack the "
                        "classes that it was trained on, in its order",
                        i, name, data, net_name, weights);
    }
    return CONVOY_OK;
}

convoy_status inference_check_pack(const struct inference *inference,
                                   const convoy_pack *pack, const char *weights,
                                   const char *data)
{
    const struct checkpoint_facts *facts = checkpoint_describe(inference->checkpoint);
    const convoy_pack_info *info = convoy_pack_describe(pack);
    const int *shape = facts->input_shape;
    if (info->n_classes > facts->classes)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s has %d classes, the net in %s only %d",
                    data, info->n_classes, weights, facts->classes);
    if (info->encoding == CONVOY_ENCODING_RAW && info->shape[0] != shape[0])
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s has samples of shape [%d, %d, %d], the net in %s takes [%d, %d, %d]",
            data, info->shape[0], info->shape[1], info->shape[2], weights, shape[0],
            shape[1], shape[2]);
    return check_class_names(inference, pack, weights, data);
}

struct need {
    const struct inference_lanes *wanted;
    const struct compiled *plan;
};

/* Weights once, activations a lane, and the ring of the loader. */
static uint64_t bytes_of(const void *context, int lanes)
{
    const struct need *need = context;
    const struct param_store *store = &need->plan->net->store;
    uint64_t bytes = (uint64_t)lanes * program_arena_bytes(need->plan->program) +
                     program_prepared_bytes(need->plan->program) +
                     sizeof(float) * (store->param_floats + store->frozen_floats +
                                      store->buffer_floats);
    if (need->wanted->loading) {
        struct loader_options loading = *need->wanted->loading;
        loading.consumers = lanes;
        bytes += loader_bytes(&loading);
    }
    return bytes;
}

convoy_status inference_lanes(const struct inference_lanes *wanted,
                              const struct compiled *plan, const struct cores *cores,
                              struct lanes **lanes)
{
    convoy_status status = CONVOY_OK;
    struct lane_choice choice;
    const struct need need = {wanted, plan};
    const struct lane_facts facts = {
        .wanted = wanted->lanes,
        .threads = wanted->threads,
        .cores = cores->n,
        .microbatches = wanted->microbatches > 0 ? wanted->microbatches : 1,
        .bytes = bytes_of,
        .context = &need,
        .left_bytes = wanted->left_bytes};
    TRY(setup_lanes(&facts, &choice));
    const struct cores_use use = {.lanes = choice.lanes, .threads = wanted->threads};
    TRY(cores_start_lanes(cores, &use, lanes));
cleanup:
    return status;
}

void inference_close(struct inference *inference)
{
    convoy_net_destroy(inference->net);
    convoy_recipe_destroy(inference->recipe);
    checkpoint_close(inference->checkpoint);
    memset(inference, 0, sizeof *inference);
}
