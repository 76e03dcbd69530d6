/* Evaluating a checkpoint: its recipe says which net it is and how images are prepared.
 */
#include "base/memory.h"
#include "train/run_dir.h"
#include "train/state.h"

#include <string.h>

struct evaluation {
    struct checkpoint *checkpoint;
    convoy_recipe *recipe;
    convoy_pack *pack;
    convoy_net *net;
    struct evaluator *evaluator;
};

/* Pack and net must fit: channels, size and classes. */
static convoy_status check_pack(const struct evaluation *e, const char *weights,
                                const char *data)
{
    const struct checkpoint_facts *facts = checkpoint_describe(e->checkpoint);
    const convoy_pack_info *info = convoy_pack_describe(e->pack);
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
    return CONVOY_OK;
}

static convoy_status prepare(struct evaluation *e, convoy_world *world,
                             const char *weights, const char *data,
                             const convoy_eval_options *options)
{
    convoy_status status = CONVOY_OK;
    float mean[3], std[3];
    TRY(checkpoint_open(weights, &e->checkpoint));
    const struct checkpoint_facts *facts = checkpoint_describe(e->checkpoint);
    trainer_threads(options && options->threads ? options->threads : facts->threads);
    TRY(convoy_recipe_load_text(weights, facts->recipe, NULL, 0, &e->recipe));
    if (options && options->microbatch > 0)
        e->recipe->batch.microbatch = options->microbatch;
    TRY(convoy_pack_open(data, &e->pack));
    TRY(check_pack(e, weights, data));
    const int channels = facts->input_shape[0];
    for (int c = 0; c < channels && c < 3; c++) {
        const struct recipe_numbers *m = &e->recipe->data.mean,
                                    *s = &e->recipe->data.std;
        mean[c] = (float)m->values[m->n > 1 ? c : 0];
        std[c] = (float)s->values[s->n > 1 ? c : 0];
    }
    TRY(trainer_build_net(e->recipe, facts->input_shape, &e->net));
    const struct loader_options loading =
        trainer_loading(e->recipe, facts->input_shape, mean, std);
    TRY(evaluator_create(world, e->net, e->pack, &loading, &e->evaluator));
    TRY(state_load_net(e->net, e->checkpoint));
cleanup:
    return status;
}

convoy_status convoy_eval_run(convoy_world *world, const char *weights,
                              const char *data, const convoy_eval_options *options,
                              convoy_eval_result *result)
{
    convoy_status status = CONVOY_OK;
    struct evaluation e = {0};
    TRY(convoy_world_agree(world, prepare(&e, world, weights, data, options)));
    bool shows = options && convoy_world_rank(world) == 0;
    TRY(evaluator_run(e.evaluator, shows ? options->progress : NULL,
                      shows ? options->context : NULL, result));
cleanup:
    evaluator_destroy(e.evaluator);
    convoy_net_destroy(e.net);
    convoy_pack_close(e.pack);
    convoy_recipe_destroy(e.recipe);
    checkpoint_close(e.checkpoint);
    return status;
}
