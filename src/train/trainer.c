/* Putting a training run together from its recipe. */
#include "train/trainer.h"

#include "base/memory.h"
#include "setup/setup.h"

#include <string.h>

/* The packs' classes are matched by number, so their names must agree. */
static convoy_status check_class_names(const struct trainer *t)
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

static convoy_status open_packs(struct trainer *t)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = t->recipe;
    TRY(convoy_pack_open(recipe->data.train, &t->train_pack));
    TRY(setup_resolve(t->recipe, t->train_pack, t->shape, t->mean, t->std));
    if (!*recipe->data.val)
        return CONVOY_OK;
    TRY(convoy_pack_open(recipe->data.val, &t->val_pack));
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

/* Options of the training loader, or of the evaluation's. A thread number that is left
 * open grows into the processors that computing leaves free. */
static struct loader_options loading_of(const struct trainer *t, bool evaluate)
{
    const convoy_recipe *recipe = t->recipe;
    const struct recipe_augment *augment = &recipe->data.augment;
    struct loader_options options = setup_loading(recipe, t->shape, t->mean, t->std);
    if (recipe->data.threads == 0)
        options.max_threads = t->cpus > recipe->threads ? t->cpus - recipe->threads : 1;
    if (evaluate) {
        evaluator_loading(t->world, t->val_pack, &options);
        return options;
    }
    options.n_microbatches = t->n_microbatches;
    options.first = exchange_first(t->exchange);
    options.count = exchange_count(t->exchange);
    options.augment = (struct augment){
        .resized_crop = (enum augment_crop)augment->resized_crop,
        .pad = augment->pad,
        .flip = augment->flip,
        .brightness = augment->brightness,
        .contrast = augment->contrast,
        .saturation = augment->saturation,
        .hue = augment->hue,
        .erasing = augment->erasing,
    };
    options.shuffle = recipe->data.shuffle;
    options.seed = recipe->seed;
    return options;
}

/* Fills the nodes' disks or memory, where the recipe asks for it. Collective. */
static convoy_status create_records(struct trainer *t)
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

static convoy_status create_loaders(struct trainer *t)
{
    convoy_status status = CONVOY_OK;
    struct loader_options options = loading_of(t, false);
    options.reader = records_reader(t->records);
    TRY(loader_create(t->train_pack, &options, &t->loader));
    if (t->val_pack) {
        options = loading_of(t, true);
        options.reader = records_reader(t->val_records);
        TRY(evaluator_create(t->world, t->net, t->val_pack, &options, &t->evaluator));
    }
cleanup:
    return status;
}

static convoy_status create_optimizer(struct trainer *t)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = t->recipe;
    const struct optim_settings settings = {.momentum = recipe->optimizer.momentum,
                                            .nesterov = recipe->optimizer.nesterov};
    const struct schedule_options schedule = {
        .decay = (enum schedule_decay)recipe->schedule.decay,
        .steps_per_epoch = t->steps_per_epoch,
        .epochs = recipe->schedule.epochs,
        .lr = recipe->schedule.lr,
        .warmup_epochs = recipe->schedule.warmup_epochs,
        .warmup_lr = recipe->schedule.warmup_lr,
        .n_milestones = recipe->schedule.milestones.n,
        .milestones = recipe->schedule.milestones.values,
        .gamma = recipe->schedule.gamma,
        .final_lr = recipe->schedule.final_lr,
    };
    TRY(optimizer_create(recipe->optimizer.name, &settings, net_param_floats(t->net),
                         &t->optimizer));
    TRY(schedule_init(&schedule, &t->schedule));
    TRY(learning_ranges(t->net, recipe, &t->ranges, &t->n_ranges));
cleanup:
    return status;
}

/* A network's errors name its entry and line; a model knows nothing of recipes. */
static convoy_status build_net(struct trainer *t)
{
    const convoy_status status = setup_net(t->recipe, t->shape, &t->net);
    if (status != CONVOY_ERROR_ARGUMENT || t->recipe->network)
        return status;
    return recipe_reject(t->recipe, "model.name", "does not fit: %s",
                         convoy_status_text());
}

/* Everything up to the exchange, which is the first to talk to other ranks. */
static convoy_status create_local(struct trainer *t)
{
    convoy_status status = CONVOY_OK;
    const convoy_recipe *recipe = t->recipe;
    const int m = recipe->batch.microbatch;
    if (recipe->precision != RECIPE_PRECISION_F32)
        return recipe_reject(recipe, "precision",
                             "bf16 is not in this version; use f32");
    if (!*recipe->data.train)
        return recipe_reject(recipe, "data.train",
                             "is empty: this recipe only evaluates; name a pack");
    t->n_microbatches = recipe->batch.size / m;
    TRY(open_packs(t));
    const uint64_t n = convoy_pack_describe(t->train_pack)->n_records;
    t->steps_per_epoch = loader_steps_per_epoch(n, m, t->n_microbatches);
    if (t->steps_per_epoch == 0)
        return recipe_reject(recipe, "batch.size",
                             "is %d, but the train pack %s holds %llu records only",
                             recipe->batch.size, recipe->data.train,
                             (unsigned long long)n);
    t->total_steps = t->steps_per_epoch * (uint64_t)recipe->schedule.epochs;
    TRY(build_net(t));
    TRY(learning_freeze(t->net, recipe));
    const struct compile_options compiling = {
        .n = m, .type = dnnl_f32, .training = true};
    TRY(net_compile(t->net, &compiling, &t->compiled));
    TRY(param_store_init(&t->net->store, &t->net->dnn, recipe->seed));
    TRY(create_optimizer(t));
    TRY(mem_alloc_array((size_t)t->n_microbatches * N_SHARED, sizeof(double),
                        (void **)&t->shared));
cleanup:
    return status;
}

convoy_status trainer_create(convoy_world *world, convoy_recipe *recipe,
                             struct trainer **trainer)
{
    convoy_status status = CONVOY_OK;
    struct trainer *t = NULL;
    TRY(convoy_world_agree(world, mem_alloc(sizeof *t, (void **)&t)));
    t->world = world;
    t->recipe = recipe;
    const int n_microbatches = recipe->batch.size / recipe->batch.microbatch;
    if (convoy_world_size(world) > n_microbatches)
        TRY(convoy_world_agree(
            world,
            recipe_reject(recipe, "batch.size",
                          "and batch.microbatch make %d microbatches a step, too few "
                          "for %d ranks: every rank needs one",
                          n_microbatches, convoy_world_size(world))));
    TRY(convoy_world_agree(world, create_local(t)));
    TRY(exchange_create(
        world, t->n_microbatches, net_leaf_floats(t->net),
        exchange_find(recipe->exchange == RECIPE_EXCHANGE_NATIVE ? "native" : "auto"),
        &t->exchange));
    TRY(convoy_world_cpus(world, &t->cpus));
    TRY(create_records(t));
    TRY(convoy_world_agree(world, create_loaders(t)));
    *trainer = t;
    t = NULL;
cleanup:
    trainer_destroy(t);
    return status;
}

void trainer_destroy(struct trainer *t)
{
    if (!t)
        return;
    loader_destroy(t->loader);
    evaluator_destroy(t->evaluator);
    records_destroy(t->records);
    records_destroy(t->val_records);
    exchange_destroy(t->exchange);
    optimizer_destroy(t->optimizer);
    compiled_destroy(t->compiled);
    convoy_net_destroy(t->net);
    convoy_pack_close(t->train_pack);
    convoy_pack_close(t->val_pack);
    mem_free(t->ranges);
    mem_free(t->shared);
    mem_free(t);
}
