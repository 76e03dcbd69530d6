/* What the training did before its evaluations, without the training: the same batches,
 * of the epoch that the checkpoint's step ends or is in, and a net compiled as for it.
 * So the figures are those that it wrote. */
#include "infer/eval_norm.h"

#include "comm/tree.h"
#include "comm/world.h"
#include "setup/setup.h"

#include <string.h>

#define INSTEAD "--batch-norm running evaluates with the statistics that it has"

static convoy_status open_pack(const struct inference *inference, struct eval_norm *e)
{
    const struct checkpoint_facts *facts = checkpoint_describe(inference->checkpoint);
    const char *path = inference->recipe->data.train;
    const char *weights = checkpoint_path(inference->checkpoint);
    if (!*path)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: eval.batch_norm: recompute needs a pack to train on, but its "
                    "recipe's data.train names none; " INSTEAD,
                    weights);
    const convoy_status status = convoy_pack_open(path, &e->pack);
    if (status != CONVOY_OK)
        return status_prefix(status,
                             "data.train of the recipe in %s, for eval.batch_norm: "
                             "recompute (" INSTEAD ")",
                             weights);
    const char *id = convoy_pack_describe(e->pack)->id;
    if (*facts->train_pack && strcmp(facts->train_pack, id) != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: is the pack %s, but the net in %s was trained on %s, whose "
                    "batches eval.batch_norm: recompute needs; " INSTEAD,
                    path, id, weights, facts->train_pack);
    return CONVOY_OK;
}

/* The largest size is planned first, as in training: it decides the layouts. */
static convoy_status plan_net(const struct inference *inference, const int largest[3],
                              int threads, struct eval_norm *e)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = inference->recipe;
    struct compiled *first = NULL;
    struct compile_options compiling = {.n = recipe->batch.microbatch,
                                        .height = largest[1],
                                        .width = largest[2],
                                        .type = e->loading.bf16 ? dnnl_bf16 : dnnl_f32,
                                        .training = true,
                                        .threads = threads,
                                        .recompute = recipe->train.recompute};
    for (int i = 0; i < recipe->init.freeze.n; i++)
        TRY(net_freeze(inference->net, recipe->init.freeze.values[i]));
    TRY(net_plan(inference->net, &compiling, &first));
    compiling.height = e->loading.shape[1];
    compiling.width = e->loading.shape[2];
    TRY(net_plan(inference->net, &compiling, &e->plan));
cleanup:
    compiled_destroy(first);
    return status;
}

static convoy_status find_batches(const convoy_world *world,
                                  const struct inference *inference,
                                  const int largest[3], struct eval_norm *e)
{
    const convoy_recipe *recipe = inference->recipe;
    const int m = recipe->batch.microbatch, n = recipe->batch.size / m;
    const int ranks = convoy_world_size(world);
    const uint64_t step = checkpoint_describe(inference->checkpoint)->step;
    const uint64_t per_epoch =
        loader_steps_per_epoch(convoy_pack_describe(e->pack)->n_records, m, n);
    if (per_epoch == 0 || ranks > n)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "eval.batch_norm: recompute takes batches of %d microbatches, of "
                    "which %d ranks need one each, and %s at least one batch: start "
                    "fewer ranks; " INSTEAD,
                    n, ranks, recipe->data.train);
    e->batches = norm_n_batches(recipe, per_epoch);
    e->first_step = norm_first_step(step, per_epoch);
    e->loading =
        setup_loading(recipe, largest, inference->loading.mean, inference->loading.std);
    const int side = recipe_crop_at(&recipe->data.crop, e->first_step / per_epoch);
    if (side > 0)
        e->loading.shape[1] = e->loading.shape[2] = side;
    setup_training(recipe, &e->loading);
    e->loading.bf16 = inference->loading.bf16;
    e->loading.n_microbatches = n;
    tree_range(n, convoy_world_rank(world), ranks, &e->loading.first,
               &e->loading.count);
    return CONVOY_OK;
}

convoy_status eval_norm_plan(const convoy_world *world, struct inference *inference,
                             int threads, struct eval_norm *e)
{
    convoy_status status = CONVOY_OK;
    float mean[3], std[3];
    int largest[3];
    TRY(open_pack(inference, e));
    TRY(setup_resolve(inference->recipe, e->pack, largest, mean, std));
    TRY(find_batches(world, inference, largest, e));
    TRY(plan_net(inference, largest, threads, e));
    if (!norm_has_any(inference->net))
        status = FAIL(CONVOY_ERROR_ARGUMENT,
                      "%s: the net has no batch norms with statistics to recompute, or "
                      "all are frozen; " INSTEAD,
                      checkpoint_path(inference->checkpoint));
cleanup:
    return status;
}

convoy_status eval_norm_make(struct eval_norm *e, struct lanes *lanes)
{
    convoy_status status = CONVOY_OK;
    struct compiled *plan = e->plan;
    e->plan = NULL;
    e->loading.consumers = lanes_n(lanes);
    TRY(net_lanes_create(lanes, plan, NULL, &e->net_lanes));
    TRY(loader_create(e->pack, &e->loading, &e->loader));
cleanup:
    return status;
}

convoy_status eval_norm_run(convoy_world *world, struct inference *inference,
                            struct lanes *lanes, struct eval_norm *e)
{
    convoy_status status = CONVOY_OK;
    const struct norm_options options = {.net = inference->net,
                                         .lanes = lanes,
                                         .n_microbatches = e->loading.n_microbatches,
                                         .microbatch = e->loading.microbatch,
                                         .batches = e->batches,
                                         .seed = inference->recipe->seed};
    const struct norm_batches batches = {
        .net_lanes = e->net_lanes, .loader = e->loader, .first_step = e->first_step};
    TRY(norm_recompute_create(world, &options, &e->norm));
    TRY(norm_recompute_run(e->norm, &batches));
cleanup:
    return status;
}

void eval_norm_free(struct eval_norm *e)
{
    norm_recompute_destroy(e->norm);
    loader_destroy(e->loader);
    net_lanes_destroy(e->net_lanes);
    compiled_destroy(e->plan);
    convoy_pack_close(e->pack);
    *e = (struct eval_norm){0};
}
