/* Memory and lanes: what a rank will need is known from the plan of its net, before
 * anything of that size is allocated, and decides with the cores how many lanes there
 * are. */
#include "train/trainer_lanes.h"

#include "base/cpus.h"
#include "base/limits.h"
#include "base/memory.h"
#include "comm/leaves.h"
#include "comm/world.h"
#include "comm/tree.h"

#include <stdio.h>

/* What rank of n_ranks needs with so many lanes. */
static convoy_memory memory_of(const convoy_trainer *t, int rank, int n_ranks,
                               int lanes)
{
    const struct param_store *store = &t->net->store;
    const struct optim_kind *optim = optim_find(t->recipe->optimizer.kind.owner->name);
    const size_t leaf = net_leaf_floats(t->net);
    struct loader_options loading = trainer_loading(t, rank, n_ranks);
    loading.consumers = lanes;
    const struct leaves_options leaves = {.n_leaves = t->n_microbatches,
                                          .first = loading.first,
                                          .count = loading.count,
                                          .n = leaf,
                                          .lanes = lanes};
    convoy_memory m = {
        .lanes = lanes,
        .weights = sizeof(float) *
                   (store->param_floats + store->frozen_floats + store->buffer_floats),
        .prepared = program_prepared_bytes(t->plan->program),
        .optimizer = sizeof(float) * (size_t)optim->n_slots * store->param_floats,
        .activations = program_arena_bytes(t->plan->program),
        .gradients = sizeof(float) * leaf,
        .n_gradients = leaves_n_slots(&leaves),
        .input = loader_bytes(&loading),
    };
    m.total = m.weights + m.prepared + m.optimizer + m.input +
              (uint64_t)lanes * m.activations + (uint64_t)m.n_gradients * m.gradients;
    return m;
}

/* Sets choice and memory. left: bytes that the rank may take; 0: not known. */
static convoy_status choose(convoy_trainer *t, int rank, int n_ranks, uint64_t left)
{
    const uint64_t one = memory_of(t, rank, n_ranks, 1).total,
                   lane = memory_of(t, rank, n_ranks, 2).total - one;
    int first = 0, count = 0;
    tree_range(t->n_microbatches, rank, n_ranks, &first, &count);
    const struct lane_facts facts = {.wanted = t->recipe->lanes,
                                     .threads = t->threads,
                                     .cores = t->cores.n,
                                     .microbatches = count,
                                     .microbatch = t->recipe->batch.microbatch,
                                     .batch = t->recipe->batch.size,
                                     .ranks = n_ranks,
                                     .fixed_bytes = one - lane,
                                     .lane_bytes = lane,
                                     .left_bytes = left};
    const convoy_status status = setup_lanes(&facts, &t->choice);
    if (status == CONVOY_OK) {
        t->memory = memory_of(t, rank, n_ranks, t->choice.lanes);
        t->memory.left = left;
    }
    return status;
}

convoy_status trainer_lanes(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    uint64_t left = 0;
    TRY(cores_share(t->world, &t->cores));
    TRY(world_memory_left(t->world, &left));
    TRY(convoy_world_agree(t->world, choose(t, convoy_world_rank(t->world),
                                            convoy_world_size(t->world), left)));
    TRY(convoy_world_agree(t->world, cores_start_lanes(&t->cores, t->choice.lanes,
                                                       t->threads, &t->lanes)));
cleanup:
    return status;
}

convoy_status convoy_trainer_foresee(convoy_recipe *recipe, int ranks,
                                     convoy_trainer_info *info, char *text,
                                     size_t text_size)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer_options options = {0};
    convoy_trainer t = {.recipe = recipe};
    TRY(trainer_plan(&t, &options, ranks));
    TRY(cores_here(&t.cores));
    TRY(choose(&t, 0, ranks, limits_memory_left()));
    convoy_trainer_describe(&t, info);
    if (text)
        snprintf(text, text_size, "%s", t.choice.text);
cleanup:
    trainer_free(&t);
    return status;
}
