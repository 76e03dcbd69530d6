/* A trainer: put together from recipe, packs and ranks, and what is done with it
 * between steps (step.c takes them).
 *
 * The order of setting up is: packs, which resolve the recipe; the net; what depends on
 * its parameters; then all that talks to other ranks. Everything in the first part is
 * local and ends in one agreement, so a rank that fails there strands nobody. */
#include "train/trainer.h"

#include "base/memory.h"
#include "comm/tree.h"
#include "comm/world.h"
#include "pack/pack.h"
#include "setup/setup.h"
#include "train/average.h"
#include "train/evaluate.h"
#include "train/resolutions.h"
#include "train/same_run.h"
#include "train/snapshot.h"
#include "train/state.h"
#include "train/trace.h"
#include "train/trainer_lanes.h"
#include "weights/init_weights.h"
#include "weights/weights_checkpoint.h"

#include <string.h>

/* The packs' classes are matched by number, so their names must agree. */
static convoy_status check_class_names(const convoy_trainer *t)
{
    const struct recipe_data *data = &t->recipe->data;
    const int n = convoy_pack_describe(t->train_pack)->n_classes;
    for (int i = 0; i < convoy_pack_describe(t->val_pack)->n_classes && i < n; i++) {
        const char *train = convoy_pack_class_name(t->train_pack, i),
                   *val = convoy_pack_class_name(t->val_pack, i);
        if (strcmp(train, val) != 0)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "class %d is '%s' in %s, but '%s' in %s: a net can only be "
                        "validated on the classes that it is trained on",
                        i, train, data->train, val, data->val);
    }
    return CONVOY_OK;
}

/* *pack: the one that is given, whose path the recipe then has, too; else the recipe's,
 * which *owned is, too. */
static convoy_status take_pack(const convoy_pack *given, char **path,
                               convoy_pack **owned, const convoy_pack **pack)
{
    convoy_status status = CONVOY_OK;
    char *copy = NULL;
    *pack = given;
    if (given) {
        TRY(mem_copy_text(pack_path(given), &copy));
        mem_free(*path);
        *path = copy;
    } else if (**path) {
        TRY(convoy_pack_open(*path, owned));
        *pack = *owned;
    }
cleanup:
    return status;
}

/* The train pack decides what the recipe leaves open, classes and shape above all; the
 * validation pack has to fit that. */
static convoy_status open_packs(convoy_trainer *t,
                                const convoy_trainer_options *options)
{
    convoy_status status = CONVOY_OK;
    convoy_recipe *recipe = t->recipe;
    TRY(take_pack(options->train, &recipe->data.train, &t->owned[0], &t->train_pack));
    if (!t->train_pack)
        return recipe_reject(recipe, "data.train",
                             "is empty: this recipe only evaluates; name a pack");
    TRY(setup_resolve(recipe, t->train_pack, t->shape, t->mean, t->std));
    setup_val_shape(recipe, t->shape, t->val_shape);
    TRY(take_pack(options->val, &recipe->data.val, &t->owned[1], &t->val_pack));
    if (!t->val_pack)
        return CONVOY_OK;
    const convoy_pack_info *val = convoy_pack_describe(t->val_pack);
    if (val->n_classes > recipe->model.classes)
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "%s has %d classes, more than the %d of the model; was it packed from "
            "the same data set as %s?",
            recipe->data.val, val->n_classes, recipe->model.classes,
            recipe->data.train);
    TRY(check_class_names(t));
cleanup:
    return status;
}

/* A thread number that is left open grows up to the rank's cores, and that only while
 * steps wait, when lanes leave them idle. */
struct loader_options trainer_loading(const convoy_trainer *t, int rank, int n_ranks)
{
    const convoy_recipe *recipe = t->recipe;
    struct loader_options options = setup_loading(recipe, t->shape, t->mean, t->std);
    if (recipe->data.threads == 0)
        options.max_threads = t->cores.n;
    options.crops = t->n_crops > 0 ? t->crops : NULL;
    options.n_crops = t->n_crops;
    options.consumers = t->choice.lanes;
    options.places = &t->loading;
    options.n_microbatches = t->n_microbatches;
    tree_range(t->n_microbatches, rank, n_ranks, &options.first, &options.count);
    setup_training(recipe, &options);
    return options;
}

/* Of the training loader, or of the evaluation's. */
static struct loader_options loading_of(const convoy_trainer *t, bool evaluate)
{
    struct loader_options options =
        trainer_loading(t, convoy_world_rank(t->world), convoy_world_size(t->world));
    if (evaluate) {
        options.augment = (struct augment){.pad = options.augment.pad};
        options.crops = NULL;
        memcpy(options.shape, t->val_shape, sizeof options.shape);
        evaluator_loading(t->world, t->val_pack, &options);
    }
    return options;
}

/* Where records are read from: NULL for the packs themselves, else the nodes' disks or
 * memory, which are filled here. Before the loaders, whose threads read through them;
 * after the exchange, whose shares of a step say which records a rank needs.
 * Collective: each of the two ends in an agreement of its own. */
static convoy_status create_records(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const enum recipe_read read = t->recipe->data.read;
    struct loader_options options = loading_of(t, false);
    TRY(records_create(t->world, t->train_pack, read, &options, &t->records));
    if (t->val_pack) {
        options = loading_of(t, true);
        TRY(records_create(t->world, t->val_pack, read, &options, &t->val_records));
    }
cleanup:
    return status;
}

/* The evaluator comes last, for it borrows: the training nets' arena and the training
 * loader's ring. That is safe since no step runs during an evaluation, weights are
 * prepared anew before each pass of either net, and the loader starts anew at the next
 * step (is_loading). Local: threads are started, but wait for loader_start. */
static convoy_status create_loaders(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    struct compiled *plan = t->eval_plan;
    struct loader_options options = loading_of(t, false);
    options.reader = records_reader(t->records);
    TRY(loader_create(t->train_pack, &options, &t->loader));
    if (t->val_pack) {
        options = loading_of(t, true);
        options.reader = records_reader(t->val_records);
        const struct evaluator_loan loan = {resolutions_lender(t), t->loader};
        t->eval_plan = NULL;
        TRY(evaluator_create(t->world, t->lanes, plan, t->val_pack, &options, &loan,
                             &t->evaluator));
        if (t->recipe->eval.flip)
            TRY(evaluator_flip(t->evaluator));
    }
cleanup:
    return status;
}

/* What a step does to the weights, as plain data. Slots are as long as what learns and
 * lie at the parameters' offsets; frozen parameters lie behind and have none. The
 * ranges cut this once by weight decay and learning rate, and into single tensors where
 * norms are asked for: steps only walk them. */
static convoy_status create_optimizer(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = t->recipe;
    TRY(setup_optimizer(recipe, net_param_floats(t->net), &t->optimizer));
    TRY(trainer_schedule(recipe, t->steps_per_epoch, &t->schedule));
    TRY(learning_ranges(t->net, recipe, &t->ranges, &t->n_ranges));
    const struct update_options options = {.optimizer = t->optimizer,
                                           .ranges = t->ranges,
                                           .n_ranges = t->n_ranges,
                                           .workers = lanes_workers(t->lanes),
                                           .clip_norm = recipe->optimizer.clip_norm};
    TRY(update_create(&options, &t->update));
    if (recipe->metrics.grad_norms)
        TRY(grad_norms_create(t->net, t->lanes, &t->grad_norms));
cleanup:
    return status;
}

/* A network's errors name its entry and line; a model knows nothing of recipes. */
static convoy_status build_net(convoy_trainer *t)
{
    const convoy_status status = setup_net(t->recipe, t->shape, &t->net);
    if (status != CONVOY_ERROR_ARGUMENT || t->recipe->network)
        return status;
    return recipe_reject(t->recipe, "model.name", "does not fit: %s",
                         convoy_status_text());
}

/* Records that do not fill the last batch of an epoch are left out of it. */
static convoy_status count_steps(convoy_trainer *t)
{
    const convoy_recipe *recipe = t->recipe;
    const int m = recipe->batch.microbatch;
    const uint64_t n = convoy_pack_describe(t->train_pack)->n_records;
    t->n_microbatches = recipe->batch.size / m;
    t->steps_per_epoch = loader_steps_per_epoch(n, m, t->n_microbatches);
    if (t->steps_per_epoch == 0)
        return recipe_reject(recipe, "batch.size",
                             "is %d, but the train pack %s holds %llu records only",
                             recipe->batch.size, recipe->data.train,
                             (unsigned long long)n);
    t->total_steps = t->steps_per_epoch * (uint64_t)recipe->schedule.epochs;
    return CONVOY_OK;
}

/* What is frozen must be known before compiling, which leaves its gradients out; what
 * learns is known after it, when parameters have their places. */
static convoy_status plan_net(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(resolutions_find(t));
    TRY(build_net(t));
    TRY(learning_freeze(t->net, t->recipe));
    TRY(resolutions_plan(t));
    TRY(evaluate_check_net(t));
cleanup:
    return status;
}

convoy_status trainer_plan(convoy_trainer *t, const convoy_trainer_options *options,
                           int n_ranks)
{
    convoy_status status = CONVOY_OK;
    const int n_microbatches = t->recipe->batch.size / t->recipe->batch.microbatch;
    if (n_ranks > n_microbatches)
        return recipe_reject(t->recipe, "batch.size",
                             "and batch.microbatch make %d microbatches a step, too "
                             "few for %d ranks: every rank needs one",
                             n_microbatches, n_ranks);
    if (dnn_check_type(setup_type(t->recipe)) != CONVOY_OK)
        return recipe_reject(t->recipe, "precision", "does not fit: %s",
                             convoy_status_text());
    t->threads = t->recipe->threads > 0 ? t->recipe->threads : 1;
    t->recipe->threads = t->threads;
    TRY(open_packs(t, options));
    TRY(count_steps(t));
    if (!options->goes_on)
        TRY(trainer_check_schedule(t->recipe, t->steps_per_epoch));
    TRY(average_check(t));
    TRY(evaluate_check(t));
    TRY(plan_net(t));
cleanup:
    return status;
}

/* The first to allocate what is large, now that it is known to fit. */
static convoy_status create_net(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(resolutions_create(t));
    TRY(param_store_init(&t->net->store, &t->net->dnn, t->lanes, t->recipe->seed));
    TRY(create_optimizer(t));
    TRY(average_create(t));
    TRY(mem_alloc_array((size_t)lanes_n(t->lanes), sizeof *t->lane_seconds,
                        (void **)&t->lane_seconds));
    TRY(mem_alloc_array((size_t)t->n_microbatches * N_SHARED, sizeof(double),
                        (void **)&t->shared));
    TRY(mem_alloc_array((size_t)convoy_world_size(t->world) * N_OF_RANKS,
                        sizeof(double), (void **)&t->of_ranks));
    TRY(guard_init(&t->guard, t->n_microbatches));
cleanup:
    return status;
}

struct exchange_options trainer_exchange(const convoy_trainer *t, int lanes)
{
    const struct option_owner *wanted = t->recipe->exchange.algorithm.owner;
    return (struct exchange_options){
        .n_leaves = t->n_microbatches,
        .n = guard_leaf_floats(t->net),
        /* Statistics: batch norms' backward passes read them. */
        .n_last = net_leaf_floats(t->net) - net_param_floats(t->net),
        .lanes = lanes,
        .algorithm = wanted == &exchange_auto ? NULL : exchange_find(wanted->name),
        .bucket_n = ((size_t)t->recipe->exchange.bucket << 20) / sizeof(float),
    };
}

static convoy_status create_bucket_seconds(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)exchange_buckets(t->exchange)->count,
                 n_lanes = (size_t)lanes_n(t->lanes);
    TRY(mem_alloc_array(n, sizeof *t->bucket_seconds, (void **)&t->bucket_seconds));
    if (convoy_world_size(t->world) == 1)
        TRY(mem_alloc_array(n * n_lanes, sizeof *t->lane_ready_s,
                            (void **)&t->lane_ready_s));
cleanup:
    return status;
}

/* The exchange gives each rank its microbatches, which the loaders' options hold. */
static convoy_status create_shared(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const struct exchange_options exchange = trainer_exchange(t, lanes_n(t->lanes));
    TRY(exchange_create(t->world, &exchange, &t->exchange));
    TRY(convoy_world_agree(t->world, create_bucket_seconds(t)));
    TRY(create_records(t));
    TRY(convoy_world_agree(t->world, create_loaders(t)));
    TRY(evaluate_create(t));
cleanup:
    return status;
}

convoy_status convoy_trainer_create(convoy_world *world, convoy_recipe *recipe,
                                    const convoy_trainer_options *options,
                                    convoy_trainer **trainer)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer_options defaults = {0};
    convoy_trainer *t = NULL;
    TRY(convoy_world_agree(world, mem_alloc(sizeof *t, (void **)&t)));
    step_scored_init(&t->scored);
    t->world = world;
    t->recipe = recipe;
    world_set_timeout(world, recipe->exchange.timeout);
    if (!options)
        options = &defaults;
    TRY(convoy_world_agree(world, trainer_plan(t, options, convoy_world_size(world))));
    TRY(same_run_trainer(world, recipe, t->train_pack, t->val_pack));
    TRY(trainer_lanes(t, options->oversubscribe));
    TRY(convoy_world_agree(world, create_net(t)));
    if (!options->goes_on)
        TRY(init_weights(world, t->net, recipe));
    average_begin(t);
    TRY(create_shared(t));
    *trainer = t;
    t = NULL;
cleanup:
    convoy_trainer_destroy(t);
    return status;
}

void trainer_free(convoy_trainer *t)
{
    norm_recompute_destroy(t->norm);
    evaluator_destroy(t->evaluator); /* it borrows of the next two */
    loader_destroy(t->loader);
    records_destroy(t->records);
    records_destroy(t->val_records);
    exchange_destroy(t->exchange);
    update_destroy(t->update);
    grad_norms_destroy(t->grad_norms);
    optimizer_destroy(t->optimizer);
    average_destroy(t->average);
    resolutions_free(t);
    convoy_net_destroy(t->net);
    lanes_destroy(t->lanes);
    cores_free(&t->cores);
    convoy_pack_close(t->owned[0]);
    convoy_pack_close(t->owned[1]);
    mem_free(t->ranges);
    mem_free(t->shared);
    mem_free(t->of_ranks);
    mem_free(t->lane_seconds);
    mem_free(t->bucket_seconds);
    mem_free(t->lane_ready_s);
    guard_fini(&t->guard);
    trace_free(t->trace);
    resume_changes_free(&t->changes);
    mem_free(t->history);
}

void convoy_trainer_destroy(convoy_trainer *t)
{
    if (!t)
        return;
    trainer_free(t);
    step_scored_fini(&t->scored);
    mem_free(t);
}

void convoy_trainer_describe(const convoy_trainer *t, convoy_trainer_info *info)
{
    *info = (convoy_trainer_info){
        .step = t->step,
        .steps_per_epoch = t->steps_per_epoch,
        .total_steps = t->total_steps,
        .epoch = (int)(t->step / t->steps_per_epoch),
        .epochs = t->recipe->schedule.epochs,
        .microbatch = t->recipe->batch.microbatch,
        .n_microbatches = t->n_microbatches,
        .lanes = t->choice.lanes,
        .threads = t->threads,
        .memory = t->memory,
        .shape = {t->shape[0], t->shape[1], t->shape[2]},
        .classes = t->recipe->model.classes,
        .n_params = convoy_net_n_params(t->net),
    };
}

/* The ranks' weights are the same, so one file has them all. */
convoy_status convoy_trainer_save(convoy_trainer *t, const char *path)
{
    const bool writes = convoy_world_rank(t->world) == 0;
    return convoy_world_agree(t->world, writes ? snapshot_save(t, path) : CONVOY_OK);
}

/* Whether the checkpoint is of this training, and what has changed since. Local. */
static convoy_status check_state(convoy_trainer *t, const struct checkpoint *checkpoint,
                                 bool may_change)
{
    convoy_status status = CONVOY_OK;
    const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
    char *history = NULL;
    TRY(resume_compare(t, checkpoint, may_change, &t->changes));
    if (!may_change)
        TRY(resume_check(&t->changes, checkpoint));
    if (facts->step > t->total_steps)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s is of step %llu, but the recipe has %llu steps only",
                 checkpoint_path(checkpoint), (unsigned long long)facts->step,
                 (unsigned long long)t->total_steps));
    TRY(resume_history(&t->changes, facts->changes, facts->step, &history));
    mem_free(t->history);
    t->history = history;
cleanup:
    return status;
}

/* What the loader has read ahead is of steps that do not follow any more: the next step
 * starts it anew. */
convoy_status trainer_go_on(convoy_trainer *t, const struct checkpoint *checkpoint,
                            bool may_change)
{
    convoy_status status = CONVOY_OK;
    records_restart(t->records);
    t->is_loading = false;
    TRY(convoy_world_agree(t->world, check_state(t, checkpoint, may_change)));
    TRY(convoy_world_agree(t->world, state_load(t, checkpoint, may_change)));
cleanup:
    return status;
}

convoy_status convoy_trainer_load(convoy_trainer *t, const char *path, bool changed)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *checkpoint = NULL;
    TRY(weights_checkpoint_open(t->world, path, &checkpoint));
    TRY(trainer_go_on(t, checkpoint, changed));
cleanup:
    checkpoint_close(checkpoint);
    return status;
}
