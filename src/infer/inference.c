/* From a checkpoint to its net and to the preprocessing of its images: the recipe in it
 * says both. */
#include "infer/inference.h"

#include "checkpoint/checkpoint_share.h"
#include "weights/net_tensors.h"
#include "weights/weights_checkpoint.h"
#include "setup/setup.h"

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
    const convoy_status status =
        net_tensors_load(inference->net, inference->checkpoint);
    checkpoint_forget_values(inference->checkpoint);
    return status;
}

void inference_close(struct inference *inference)
{
    convoy_net_destroy(inference->net);
    convoy_recipe_destroy(inference->recipe);
    checkpoint_close(inference->checkpoint);
    memset(inference, 0, sizeof *inference);
}
