/* Evaluating a checkpoint on a pack. */
#include "train/evaluator.h"
#include "train/inference.h"
#include "train/trainer.h"

struct evaluation {
    struct inference inference;
    convoy_pack *pack;
    struct evaluator *evaluator;
};

/* Pack and net must fit: channels, size and classes. */
static convoy_status check_pack(const struct evaluation *e, const char *weights,
                                const char *data)
{
    const struct checkpoint_facts *facts = checkpoint_describe(e->inference.checkpoint);
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
    struct inference *inference = &e->inference;
    TRY(inference_open(weights, inference));
    const int threads = checkpoint_describe(inference->checkpoint)->threads;
    trainer_threads(options && options->threads ? options->threads : threads);
    if (options && options->microbatch > 0)
        inference->loading.microbatch = options->microbatch;
    TRY(convoy_pack_open(data, &e->pack));
    TRY(check_pack(e, weights, data));
    TRY(evaluator_create(world, inference->net, e->pack, &inference->loading,
                         &e->evaluator));
    TRY(inference_load(inference));
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
    convoy_pack_close(e.pack);
    inference_close(&e.inference);
    return status;
}
