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
