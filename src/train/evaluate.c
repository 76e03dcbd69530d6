/* Evaluations between steps: of the weights, or of their average in the weights' place.
 * The training's state is what it was before, to the last bit: values only move. */
#include "train/evaluate.h"

#include "comm/world.h"
#include "train/average.h"
#include "train/resolutions.h"

typedef void progress_function(void *context, uint64_t done, uint64_t total);

convoy_status evaluate_check_net(const convoy_trainer *t)
{
    if (t->recipe->eval.batch_norm == RECIPE_BATCH_NORM_RUNNING || norm_has_any(t->net))
        return CONVOY_OK;
    return recipe_reject(t->recipe, "eval.batch_norm",
                         "is recompute, but the net has no batch norms with statistics "
                         "to recompute, or all are frozen: set eval.batch_norm to "
                         "running");
}

convoy_status evaluate_check(const convoy_trainer *t)
{
    const int batches = t->recipe->eval.batches;
    if ((uint64_t)batches <= t->steps_per_epoch)
        return CONVOY_OK;
    return recipe_reject(t->recipe, "eval.batches",
                         "is %d, but an epoch of the train pack has only %llu: take so "
                         "many, or auto",
                         batches, (unsigned long long)t->steps_per_epoch);
}

static bool recomputes(const convoy_trainer *t)
{
    return t->val_pack && t->recipe->eval.batch_norm == RECIPE_BATCH_NORM_RECOMPUTE;
}

uint64_t evaluate_bytes(const convoy_trainer *t, int rank, int n_ranks, int lanes)
{
    return recomputes(t)
               ? norm_recompute_bytes(t->net, t->n_microbatches, rank, n_ranks, lanes)
               : 0;
}

convoy_status evaluate_create(convoy_trainer *t)
{
    const struct norm_options options = {
        .net = t->net,
        .lanes = t->lanes,
        .n_microbatches = t->n_microbatches,
        .microbatch = t->recipe->batch.microbatch,
        .batches = norm_n_batches(t->recipe, t->steps_per_epoch),
        .seed = t->recipe->seed,
    };
    return recomputes(t) ? norm_recompute_create(t->world, &options, &t->norm)
                         : CONVOY_OK;
}

/* A step that is not taken, but whose batch is. */
static convoy_status feed(void *context, uint64_t step)
{
    const convoy_trainer *t = context;
    const uint64_t end = norm_first_step(t->step, t->steps_per_epoch) +
                         (uint64_t)norm_n_batches(t->recipe, t->steps_per_epoch);
    return records_feed(t->records, t->loader, step, end);
}

/* With the loader of the training, at the first batches of the epoch that the last step
 * was of: what is read for it is what that epoch has trained on. */
static convoy_status recompute(convoy_trainer *t)
{
    const uint64_t first = norm_first_step(t->step, t->steps_per_epoch);
    resolutions_turn(t, first);
    const struct norm_batches batches = {.net_lanes = t->net_lanes,
                                         .loader = t->loader,
                                         .first_step = first,
                                         .feed = feed,
                                         .context = t};
    records_restart(t->records);
    const convoy_status status = norm_recompute_run(t->norm, &batches);
    records_restart(t->records);
    return status;
}

static convoy_status evaluate(convoy_trainer *t, progress_function *progress,
                              void *context, convoy_eval_result *result)
{
    convoy_status status = CONVOY_OK;
    t->is_loading = false; /* the evaluation borrows the loader's memory */
    if (t->norm)
        TRY(recompute(t));
    status = evaluator_run(t->evaluator, progress, context, result);
    if (t->norm)
        norm_recompute_undo(t->norm);
cleanup:
    return status;
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
