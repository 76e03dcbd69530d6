/* Evaluating a checkpoint on a pack: the ranks share its microbatches. */
#include "infer/evaluation.h"

#include "comm/world.h"

convoy_status convoy_eval_run(convoy_world *world, const char *weights,
                              const char *data, const convoy_eval_options *options,
                              convoy_eval_result *result)
{
    convoy_status status = CONVOY_OK;
    const convoy_eval_options defaults = {0};
    struct evaluation e = {0};
    uint64_t left = 0;
    if (!options)
        options = &defaults;
    e.inference.ema = options->ema;
    pulse_enter_phase(PULSE_START);
    TRY(inference_open(world, weights, &e.inference));
    TRY(convoy_world_agree(world,
                           evaluation_prepare(world, &e, weights, data, options)));
    TRY(evaluation_check_same(world, &e, weights));
    TRY(cores_share(world, &e.cores));
    TRY(world_memory_left(world, &left));
    TRY(convoy_world_agree(world, evaluation_make(&e, world, left, options)));
    TRY(inference_load(&e.inference));
    if (e.recomputes)
        TRY(eval_norm_run(world, &e.inference, e.lanes, &e.norm));
    const bool shows = convoy_world_rank(world) == 0;
    TRY(evaluator_run(e.evaluator, shows ? options->progress : NULL, options->context,
                      result));
cleanup:
    evaluation_free(&e);
    return status;
}
