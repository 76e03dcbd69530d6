/* Several sizes of images, one net: it is compiled once for each size, on the same
 * parameters. Only one of these compilations is at work at a time, so the largest lends
 * its memory to the others, as it does to the evaluator: a change of size allocates
 * nothing and creates no primitive.
 *
 * Layouts of parameters are those that the first plan wants, and bits depend on them:
 * so the plan of the largest size comes first, then the others from large to small,
 * whatever the step from which a run goes on. */
#include "train/resolutions.h"

#include "load/sample.h"
#include "setup/setup.h"

#include <limits.h>
#include <string.h>

/* The sizes, each once, the largest first; and what the loader is told. */
static void find_sizes(convoy_trainer *t)
{
    const struct recipe_crops *crops = &t->recipe->data.crop;
    t->n_resolutions = 0;
    for (int below = INT_MAX;;) {
        int side = 0;
        for (int i = 0; i < crops->n; i++)
            if (crops->list[i].crop < below && crops->list[i].crop > side)
                side = crops->list[i].crop;
        if (side == 0)
            break;
        int *shape = t->resolutions[t->n_resolutions++].shape;
        shape[0] = t->shape[0];
        shape[1] = shape[2] = below = side;
    }
    if (t->n_resolutions == 0) /* a raw pack's own, which is not square */
        memcpy(t->resolutions[t->n_resolutions++].shape, t->shape, sizeof t->shape);
    t->n_crops = t->n_resolutions > 1 ? crops->n : 0;
    for (int i = 0; i < t->n_crops; i++)
        t->crops[i] =
            (struct loader_crop){(uint64_t)crops->list[i].epoch, crops->list[i].crop};
}

/* A failure that the size is to blame for names its key, as the user can change it. */
static convoy_status blame(const convoy_trainer *t, convoy_status status,
                           const char *key, const int shape[3])
{
    if (status != CONVOY_ERROR_ARGUMENT)
        return status;
    return recipe_reject(t->recipe, key, "does not fit at %d x %d pixels: %s", shape[1],
                         shape[2], convoy_status_text());
}

convoy_status resolutions_find(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    struct sample_rules rules;
    find_sizes(t);
    struct loader_options options = trainer_loading(t, 0, 1);
    for (int i = 0; i < t->n_resolutions; i++) {
        memcpy(options.shape, t->resolutions[i].shape, sizeof options.shape);
        TRY(blame(t, sample_rules_init(t->train_pack, &options, &rules), "data.crop",
                  options.shape));
    }
    if (!t->val_pack)
        return CONVOY_OK;
    options.evaluate = true;
    memcpy(options.shape, t->val_shape, sizeof options.shape);
    TRY(blame(t, sample_rules_init(t->val_pack, &options, &rules), "data.val_crop",
              options.shape));
cleanup:
    return status;
}

/* The key is to blame for what the size of the first does not share. */
static convoy_status plan_training(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    const struct recipe_augment *augment = &t->recipe->data.augment;
    const bool mixes = augment->mixup > 0 || augment->cutmix > 0;
    for (int i = 0; i < t->n_resolutions; i++) {
        struct resolution *r = &t->resolutions[i];
        const struct compile_options compiling = {.n = t->recipe->batch.microbatch,
                                                  .height = r->shape[1],
                                                  .width = r->shape[2],
                                                  .type = setup_type(t->recipe),
                                                  .training = true,
                                                  .threads = t->threads,
                                                  .recompute =
                                                      t->recipe->train.recompute,
                                                  .mixes = mixes};
        status = net_plan(t->net, &compiling, &r->plan);
        TRY(i > 0 ? blame(t, status, "data.crop", r->shape) : status);
    }
cleanup:
    return status;
}

static convoy_status plan_evaluation(convoy_trainer *t)
{
    const struct loader_options options =
        setup_loading(t->recipe, t->val_shape, t->mean, t->std);
    if (!t->val_pack)
        return CONVOY_OK;
    return blame(t, evaluator_plan(t->net, &options, t->threads, &t->eval_plan),
                 "data.val_crop", t->val_shape);
}

convoy_status resolutions_plan(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(plan_training(t));
    TRY(plan_evaluation(t));
cleanup:
    return status;
}

/* Which needs most memory for activations; the first of several. */
static int find_lender(const convoy_trainer *t)
{
    int most = 0;
    for (int i = 1; i < t->n_resolutions; i++)
        if (program_arena_bytes(t->resolutions[i].plan->program) >
            program_arena_bytes(t->resolutions[most].plan->program))
            most = i;
    return most;
}

convoy_status resolutions_create(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    t->lender = find_lender(t);
    for (int k = -1; k < t->n_resolutions; k++) {
        const int i = k < 0 ? t->lender : k;
        struct resolution *r = &t->resolutions[i];
        struct compiled *plan = r->plan;
        if (k == t->lender)
            continue;
        r->plan = NULL;
        TRY(net_lanes_create(t->lanes, plan, k < 0 ? NULL : resolutions_lender(t),
                             &r->net_lanes));
    }
    resolutions_turn(t, t->step);
cleanup:
    return status;
}

static int find_turn(const convoy_trainer *t, uint64_t step)
{
    const uint64_t epoch = step / t->steps_per_epoch;
    const int side = recipe_crop_at(&t->recipe->data.crop, epoch);
    int i = t->n_resolutions - 1;
    while (i > 0 && t->resolutions[i].shape[1] != side)
        i--;
    return i;
}

void resolutions_turn(convoy_trainer *t, uint64_t step)
{
    t->net_lanes = t->resolutions[find_turn(t, step)].net_lanes;
}

const int *resolutions_shape(const convoy_trainer *t)
{
    return t->resolutions[find_turn(t, t->step)].shape;
}

const struct net_lanes *resolutions_lender(const convoy_trainer *t)
{
    return t->resolutions[t->lender].net_lanes;
}

uint64_t resolutions_arena_bytes(const convoy_trainer *t)
{
    const size_t lent =
        program_arena_bytes(t->resolutions[find_lender(t)].plan->program);
    const size_t eval = t->eval_plan ? program_arena_bytes(t->eval_plan->program) : 0;
    return lent + (eval > lent ? eval : 0);
}

/* What is more than the lender has is a memory of its own. */
uint64_t resolutions_prepared_bytes(const convoy_trainer *t)
{
    const size_t lent =
        program_prepared_bytes(t->resolutions[find_lender(t)].plan->program);
    uint64_t bytes = lent;
    for (int i = 0; i <= t->n_resolutions; i++) {
        const struct compiled *plan =
            i < t->n_resolutions ? t->resolutions[i].plan : t->eval_plan;
        const size_t own = plan ? program_prepared_bytes(plan->program) : 0;
        bytes += own > lent ? own : 0;
    }
    return bytes;
}

void resolutions_free(convoy_trainer *t)
{
    compiled_destroy(t->eval_plan);
    for (int i = 0; i < t->n_resolutions; i++) {
        if (i != t->lender)
            net_lanes_destroy(t->resolutions[i].net_lanes);
        compiled_destroy(t->resolutions[i].plan);
    }
    if (t->n_resolutions > 0)
        net_lanes_destroy(t->resolutions[t->lender].net_lanes);
}
