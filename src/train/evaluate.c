/* Evaluations between steps: of the weights, or of their average in the weights' place.
 * The training's state is what it was before, to the last bit: values only move. */
#include "train/trainer.h"

#include "comm/world.h"
#include "train/average.h"

typedef void progress_function(void *context, uint64_t done, uint64_t total);

static convoy_status evaluate(convoy_trainer *t, progress_function *progress,
                              void *context, convoy_eval_result *result)
{
    t->is_loading = false; /* the evaluation borrows the loader's memory */
    return evaluator_run(t->evaluator, progress, context, result);
}

convoy_status convoy_trainer_evaluate(convoy_trainer *t, progress_function *progress,
                                      void *context, convoy_eval_result *result)
{
    if (t->evaluator)
        return evaluate(t, progress, context, result);
    return convoy_world_agree(t->world,
                              FAIL(CONVOY_ERROR_ARGUMENT,
                                   "there is no validation pack to evaluate on: give "
                                   "the trainer one, or name one in data.val"));
}

convoy_status convoy_trainer_evaluate_ema(convoy_trainer *t,
                                          progress_function *progress, void *context,
                                          convoy_eval_result *result)
{
    if (!t->average) /* a training with one has validation data */
        return convoy_world_agree(
            t->world, FAIL(CONVOY_ERROR_ARGUMENT,
                           "there is no average of the weights to evaluate: set "
                           "ema.decay in the recipe"));
    average_swap(t);
    const convoy_status status = evaluate(t, progress, context, result);
    average_swap(t);
    return status;
}
