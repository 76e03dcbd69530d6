/* The world as the channel through which a checkpoint goes from rank 0 to the others.
 */
#include "weights/weights_checkpoint.h"

#include <convoy/version.h>

#include "checkpoint/checkpoint_share.h"
#include "comm/broadcast.h"

#include <string.h>

static convoy_status broadcast(void *context, void *bytes, size_t n)
{
    return broadcast_bytes(context, 0, bytes, n);
}

static convoy_status agree(void *context, convoy_status status)
{
    return convoy_world_agree(context, status);
}

convoy_status weights_checkpoint_give(convoy_world *world, convoy_status status,
                                      struct checkpoint **checkpoint)
{
    TRY(convoy_world_agree(world, status));
    if (convoy_world_size(world) > 1)
        TRY(checkpoint_share(
            &(struct checkpoint_channel){.context = world,
                                         .is_reader = convoy_world_rank(world) == 0,
                                         .broadcast = broadcast,
                                         .agree = agree},
            checkpoint));
cleanup:
    return status;
}

convoy_status weights_checkpoint_open(convoy_world *world, const char *path,
                                      struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *opened = NULL;
    if (!world)
        return checkpoint_load(path, checkpoint);
    if (convoy_world_rank(world) == 0)
        status = checkpoint_load(path, &opened);
    TRY(weights_checkpoint_give(world, status, &opened));
    *checkpoint = opened;
    opened = NULL;
cleanup:
    checkpoint_close(opened);
    return status;
}

convoy_status weights_checkpoint_recipe(const struct checkpoint *checkpoint,
                                        convoy_recipe **recipe)
{
    const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
    const convoy_status status = convoy_recipe_load_text(
        checkpoint_path(checkpoint), facts->recipe, NULL, 0, recipe);
    if (status == CONVOY_ERROR_FORMAT &&
        strcmp(facts->convoy_version, CONVOY_VERSION) != 0)
        return status_prefix(status,
                             "written by convoy %.40s, whose recipes this one (%s) "
                             "cannot all read; use that version or a newer one",
                             facts->convoy_version, CONVOY_VERSION);
    return status;
}
