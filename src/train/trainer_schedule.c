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

/* Not a rule of the recipe alone (recipe_check): runs that are done may have such
 * milestones, and stay readable. */
convoy_status trainer_check_milestones(const convoy_recipe *recipe)
{
    const struct recipe_numbers *at = &recipe->schedule.milestones;
    const int epochs = recipe->schedule.epochs;
    for (int i = 0; recipe->schedule.decay == RECIPE_DECAY_STEP && i < at->n; i++)
        if (at->values[i] >= epochs)
            return recipe_reject(recipe, "schedule.milestones",
                                 "has %g, but the last of schedule.epochs %d ends at "
                                 "%d: the learning rate would never fall there; leave "
                                 "it out, or train longer",
                                 at->values[i], epochs, epochs);
    return CONVOY_OK;
}
