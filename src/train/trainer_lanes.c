/* Memory and lanes: what a rank will need is known from the plan of its net, before
 * anything of that size is allocated, and decides with the cores how many lanes there
 * are. */
#include "train/trainer_lanes.h"

#include "base/cpus.h"
#include "base/limits.h"
#include "base/memory.h"
#include "comm/world.h"
#include "comm/tree.h"
#include "setup/setup.h"
#include "train/average.h"
#include "train/evaluate.h"
#include "train/resolutions.h"

#include <stdio.h>
#include <string.h>

/* A trainer as one of some ranks. */
struct part {
    const convoy_trainer *trainer;
    int rank, n_ranks;
};

/* What the rank holds of packs in its memory. */
static uint64_t held_bytes(const struct part *part)
{
    const convoy_trainer *t = part->trainer;
    uint64_t bytes = 0;
    if (t->recipe->data.read != RECIPE_READ_MEMORY)
        return 0;
    bytes += convoy_pack_describe(t->train_pack)->n_bytes;
    if (t->val_pack)
        bytes += convoy_pack_describe(t->val_pack)->n_bytes;
    return bytes / (uint64_t)part->n_ranks;
}

/* What the exchange holds of other ranks' gradients. Without a world nobody knows which
 * ranks share a node. */
static uint64_t exchange_bytes(const struct part *part, int lanes)
{
    const convoy_trainer *t = part->trainer;
    const struct exchange_options options = trainer_exchange(t, lanes);
    const struct exchange_ranks ranks = {
        .n_leaves = t->n_microbatches,
        .rank = part->rank,
        .size = part->n_ranks,
        .nodes = t->world ? t->world->nodes : part->n_ranks,
        .node_firsts = t->world ? t->world->node_firsts : NULL};
    return exchange_n_bytes(&ranks, &options);
}

/* What the ring of the loader takes; and that of the evaluation's, which borrows it
 * where its samples are no larger. */
static uint64_t ring_bytes(const struct part *part, int lanes)
{
    const convoy_trainer *t = part->trainer;
    struct loader_options loading = trainer_loading(t, part->rank, part->n_ranks);
    loading.consumers = lanes;
    uint64_t bytes = loader_bytes(&loading);
    if (t->val_pack && (int64_t)t->val_shape[1] * t->val_shape[2] >
                           (int64_t)t->shape[1] * t->shape[2]) {
        memcpy(loading.shape, t->val_shape, sizeof loading.shape);
        bytes += loader_bytes(&loading);
    }
    return bytes;
}

static convoy_memory memory_of(const struct part *part, int lanes)
{
    const convoy_trainer *t = part->trainer;
    const struct param_store *store = &t->net->store;
    const struct optim_kind *optim = optim_find(t->recipe->optimizer.kind.owner->name);
    const struct exchange_algorithm *exchange =
        exchange_find(t->recipe->exchange.algorithm.owner->name);
    convoy_memory m = {
        .lanes = lanes,
        .weights = sizeof(float) *
                   (store->param_floats + store->frozen_floats + store->buffer_floats),
        .prepared = resolutions_prepared_bytes(t),
        .optimizer = sizeof(float) * (size_t)optim->n_slots * store->param_floats,
        .averages =
            average_bytes(t) + evaluate_bytes(t, part->rank, part->n_ranks, lanes),
        .activations = resolutions_arena_bytes(t),
        .gradients = sizeof(float) * guard_leaf_floats(t->net),
        .n_gradients = exchange_n_vectors(t->n_microbatches, part->rank, part->n_ranks,
                                          lanes, exchange),
        .exchange = exchange_bytes(part, lanes),
        .input = ring_bytes(part, lanes) + held_bytes(part),
    };
    m.saving = m.weights + m.optimizer + average_bytes(t);
    m.total = m.weights + m.prepared + m.optimizer + m.averages + m.saving + m.input +
              m.exchange + (uint64_t)lanes * m.activations +
              (uint64_t)m.n_gradients * m.gradients;
    return m;
}

static uint64_t bytes_of(const void *context, int lanes)
{
    return memory_of(context, lanes).total;
}

/* Sets choice and memory. left: bytes that the rank may take; 0: not known. */
static convoy_status choose(convoy_trainer *t, int rank, int n_ranks, uint64_t left)
{
    const struct part part = {t, rank, n_ranks};
    int first = 0, count = 0;
    tree_range(t->n_microbatches, rank, n_ranks, &first, &count);
    const struct lane_facts facts = {.wanted = t->recipe->lanes,
                                     .threads = t->threads,
                                     .cores = t->cores.n,
                                     .sharers = t->cores.crowd.sharers,
                                     .shared_cores = t->cores.crowd.cores,
                                     .microbatches = count,
                                     .microbatch = t->recipe->batch.microbatch,
                                     .batch = t->recipe->batch.size,
                                     .ranks = n_ranks,
                                     .bytes = bytes_of,
                                     .context = &part,
                                     .left_bytes = left};
    const convoy_status status = setup_lanes(&facts, &t->choice);
    if (status == CONVOY_OK) {
        t->memory = memory_of(&part, t->choice.lanes);
        t->memory.left = left;
    }
    return status;
}

/* Rank 0 speaks, of whichever rank. Collective. */
static convoy_status check_launch(convoy_trainer *t, bool oversubscribe)
{
    convoy_status status = CONVOY_OK;
    struct launch own;
    launch_here(t->world, &t->cores, &t->use, &own);
    TRY(launch_worst(t->world, &own, &t->launch));
    if (!oversubscribe && convoy_world_rank(t->world) == 0)
        status = launch_check(&t->launch);
    TRY(convoy_world_agree(t->world, status));
cleanup:
    return status;
}

convoy_status trainer_lanes(convoy_trainer *t, bool oversubscribe)
{
    convoy_status status = CONVOY_OK;
    uint64_t left = 0;
    TRY(cores_share(t->world, &t->cores));
    TRY(world_memory_left(t->world, &left));
    TRY(convoy_world_agree(t->world, choose(t, convoy_world_rank(t->world),
                                            convoy_world_size(t->world), left)));
    t->use = (struct cores_use){.lanes = t->choice.lanes,
                                .threads = t->threads,
                                .exchanges = convoy_world_size(t->world) > 1};
    TRY(check_launch(t, oversubscribe));
    t->loading.n =
        cores_loader_place(&t->cores, &t->use, &t->loading.first, &t->loading.others);
    t->has_place = t->use.exchanges &&
                   cores_exchange_place(&t->cores, &t->use, &t->exchange_place);
    cores_text(&t->cores, &t->use, t->places, sizeof t->places);
    TRY(convoy_world_agree(t->world, cores_start_lanes(&t->cores, &t->use, &t->lanes)));
cleanup:
    return status;
}

convoy_status trainer_foresee(convoy_recipe *recipe, const struct foresight *foresight,
                              convoy_trainer_info *info, uint64_t *least, char *text,
                              size_t text_size)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer_options options = {0};
    const int wanted = recipe->lanes > 0 ? recipe->lanes : 1;
    /* The cores as numbers: no lane is started on them. */
    convoy_trainer t = {
        .recipe = recipe,
        .cores = {.n = foresight->cores->n, .crowd = foresight->cores->crowd}};
    const struct part part = {&t, 0, foresight->ranks};
    TRY(trainer_plan(&t, &options, foresight->ranks));
    TRY(choose(&t, 0, foresight->ranks, foresight->left_bytes));
    if (least)
        *least = memory_of(&part, wanted).total;
    convoy_trainer_describe(&t, info);
    if (text)
        snprintf(text, text_size, "%s", t.choice.text);
cleanup:
    trainer_free(&t);
    return status;
}

convoy_status convoy_trainer_foresee(convoy_recipe *recipe, int ranks,
                                     convoy_trainer_info *info, char *text,
                                     size_t text_size)
{
    convoy_status status = CONVOY_OK;
    struct cores cores = {0};
    TRY(cores_here(&cores));
    const struct foresight foresight = {ranks, &cores, limits_memory_left()};
    TRY(trainer_foresee(recipe, &foresight, info, NULL, text, text_size));
cleanup:
    cores_free(&cores);
    return status;
}
