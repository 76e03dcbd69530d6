/* The recipe's schedule in steps: where epochs become steps, since only here the pack
 * says how many an epoch has. The rate is then a function of the step alone, and a run
 * that goes on at any step finds its place.
 */
#include "train/trainer.h"

#include "recipe/recipe_check.h"

#include <math.h>

_Static_assert((int)RECIPE_DECAY_CONSTANT == (int)SCHEDULE_CONSTANT &&
                   (int)RECIPE_DECAY_STEP == (int)SCHEDULE_STEP &&
                   (int)RECIPE_DECAY_COSINE == (int)SCHEDULE_COSINE &&
                   (int)RECIPE_DECAY_POLYNOMIAL == (int)SCHEDULE_POLYNOMIAL &&
                   (int)RECIPE_DECAY_LINEAR == (int)SCHEDULE_LINEAR &&
                   (int)RECIPE_DECAY_ONE_CYCLE == (int)SCHEDULE_ONE_CYCLE,
               "the schedule's decays are the recipe's");

convoy_status trainer_schedule(const convoy_recipe *recipe, uint64_t steps_per_epoch,
                               struct schedule *schedule)
{
    const struct recipe_schedule *given = &recipe->schedule;
    const struct schedule_options options = {
        .decay = (enum schedule_decay)given->decay,
        .steps_per_epoch = steps_per_epoch,
        .epochs = given->epochs,
        .lr = given->lr,
        .warmup_epochs = given->warmup_epochs,
        .warmup_lr = given->warmup_lr,
        .n_milestones = given->milestones.n,
        .milestones = given->milestones.values,
        .gamma = given->gamma,
        .final_lr = given->final_lr,
        .power = given->power,
        .warms_momentum = given->warmup_momentum >= 0,
        .warmup_momentum = given->warmup_momentum,
        .momentum = recipe_momentum(recipe),
        .cycles_momentum = given->cycle_momentum,
        .base_momentum = given->base_momentum,
        .max_momentum = given->max_momentum,
    };
    return schedule_init(&options, schedule);
}

/* A warmup rises to lr, and a decay falls from it. */
static convoy_status check_rates(const convoy_recipe *recipe)
{
    const struct recipe_schedule *given = &recipe->schedule;
    const double momentum = recipe_momentum(recipe);
    if (given->warmup_epochs > 0 && given->warmup_lr > given->lr)
        return recipe_reject(
            recipe, recipe_blame(recipe, "schedule.warmup_lr", "schedule.lr"),
            "does not fit: schedule.warmup_lr %g is more than schedule.lr %g, to which "
            "the warmup rises; lower schedule.warmup_lr",
            given->warmup_lr, given->lr);
    if (given->decay != RECIPE_DECAY_CONSTANT && given->decay != RECIPE_DECAY_STEP &&
        given->final_lr > given->lr)
        return recipe_reject(
            recipe, recipe_blame(recipe, "schedule.final_lr", "schedule.lr"),
            "does not fit: schedule.final_lr %g is more than schedule.lr %g, from "
            "which the rate falls; lower schedule.final_lr",
            given->final_lr, given->lr);
    if (given->warmup_momentum > momentum)
        return recipe_reject(
            recipe, "schedule.warmup_momentum",
            "is %g, more than the optimizer's %g, to which the warmup rises; lower it, "
            "or leave it out",
            given->warmup_momentum, momentum);
    return CONVOY_OK;
}

/* At a product above 1 weights would change their signs, step by step. */
static convoy_status check_decay(const convoy_recipe *recipe)
{
    const char *name = recipe->optimizer.kind.owner->name;
    const double lr = recipe->schedule.lr, decay = recipe->optimizer.weight_decay;
    if (!optim_find(name)->shrinks || lr * decay < 1)
        return CONVOY_OK;
    return recipe_reject(
        recipe, recipe_blame(recipe, "optimizer.weight_decay", "schedule.lr"),
        "does not fit: %s takes schedule.lr times optimizer.weight_decay, %g here, of "
        "the weights away in each step; lower optimizer.weight_decay to well below %g",
        name, lr * decay, 1 / lr);
}

/* Of the steps that epochs become, since what is rounded to the last one never comes.
 */
static convoy_status check_milestones(const convoy_recipe *recipe,
                                      uint64_t steps_per_epoch)
{
    const struct recipe_numbers *at = &recipe->schedule.milestones;
    const int epochs = recipe->schedule.epochs;
    struct schedule schedule;
    convoy_status status = trainer_schedule(recipe, steps_per_epoch, &schedule);
    if (status != CONVOY_OK || recipe->schedule.decay != RECIPE_DECAY_STEP)
        return status;
    for (int i = 0; i < at->n; i++) {
        const uint64_t step = schedule.milestones[i];
        if (step >= schedule.total_steps)
            return recipe_reject(recipe, "schedule.milestones",
                                 "has %g, but the last of schedule.epochs %d ends at "
                                 "%d: the learning rate would never fall there; leave "
                                 "it out, or train longer",
                                 at->values[i], epochs, epochs);
        if (schedule.warmup_steps > 0 && step <= schedule.warmup_steps)
            return recipe_reject(recipe, "schedule.milestones",
                                 "has %g, but the warmup of schedule.warmup_epochs %g "
                                 "has to be over before the learning rate falls; take "
                                 "a later milestone, or a shorter warmup",
                                 at->values[i], recipe->schedule.warmup_epochs);
    }
    return CONVOY_OK;
}

/* Not rules of the recipe alone (recipe_check): runs that are done may break them, and
 * stay readable. */
convoy_status trainer_check_schedule(const convoy_recipe *recipe,
                                     uint64_t steps_per_epoch)
{
    convoy_status status = CONVOY_OK;
    TRY(check_rates(recipe));
    TRY(check_decay(recipe));
    TRY(check_milestones(recipe, steps_per_epoch));
cleanup:
    return status;
}
