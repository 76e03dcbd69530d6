/* Rules between the keys of the schedule, and what it asks of the optimizer: a momentum
 * can only be warmed up or cycled where there is one. Which owners have one follows
 * from their tables of options.
 *
 * Milestones behind the last epoch are not looked for here, since a run that is done
 * may have them and must still load: the trainer does, before it begins one.
 */
#include "recipe/recipe_check.h"

#include "recipe/recipe_keys.h"

#include <math.h>

double recipe_momentum(const convoy_recipe *recipe)
{
    /* beta1 is Adam's: the mean of gradients is its momentum. */
    static const char *const names[] = {"optimizer.momentum", "optimizer.beta1"};
    for (int n = 0; n < 2; n++) {
        const int i = recipe_key_find(recipe, names[n]);
        const struct option *key = i < 0 ? NULL : recipe_key_at(recipe, i);
        if (key && key->type == OPTION_FLOAT)
            return *(const double *)((const char *)recipe + key->offset);
    }
    return (double)NAN;
}

static convoy_status check_epochs(const convoy_recipe *recipe)
{
    const struct recipe_schedule *schedule = &recipe->schedule;
    const struct recipe_numbers *at = &schedule->milestones;
    if (schedule->warmup_epochs > schedule->epochs)
        return recipe_reject(
            recipe, recipe_blame(recipe, "schedule.warmup_epochs", "schedule.epochs"),
            "does not fit: schedule.warmup_epochs %g is more than schedule.epochs %d; "
            "shorten the warmup, or train longer",
            schedule->warmup_epochs, schedule->epochs);
    for (int i = 1; i < at->n; i++)
        if (at->values[i] <= at->values[i - 1])
            return recipe_reject(recipe, "schedule.milestones",
                                 "has %g after %g, expected ascending epochs",
                                 at->values[i], at->values[i - 1]);
    return CONVOY_OK;
}

static convoy_status check_one_cycle(const convoy_recipe *recipe)
{
    const struct recipe_schedule *schedule = &recipe->schedule;
    if (schedule->decay != RECIPE_DECAY_ONE_CYCLE)
        return CONVOY_OK;
    if (schedule->warmup_epochs == 0)
        return recipe_reject(recipe, "schedule.warmup_epochs",
                             "is 0, but schedule.decay one_cycle begins with a rise of "
                             "so many epochs; set it, to 0.3 of schedule.epochs "
                             "perhaps, or take another decay");
    if (schedule->cycle_momentum && schedule->base_momentum > schedule->max_momentum)
        return recipe_reject(
            recipe,
            recipe_blame(recipe, "schedule.base_momentum", "schedule.max_momentum"),
            "does not fit: schedule.base_momentum %g is more than "
            "schedule.max_momentum %g",
            schedule->base_momentum, schedule->max_momentum);
    return CONVOY_OK;
}

static convoy_status check_momentum(const convoy_recipe *recipe)
{
    static const char warmup_key[] = "schedule.warmup_momentum";
    static const char cycle_key[] = "schedule.cycle_momentum";
    const struct recipe_schedule *schedule = &recipe->schedule;
    const bool warms = schedule->warmup_momentum >= 0;
    const bool cycles =
        schedule->decay == RECIPE_DECAY_ONE_CYCLE && schedule->cycle_momentum;
    const char *optimizer = recipe->optimizer.kind.owner->name;
    if (warms && schedule->warmup_epochs == 0)
        return recipe_reject(recipe, warmup_key,
                             "is %g, but there is no warmup; set "
                             "schedule.warmup_epochs, or leave it out",
                             schedule->warmup_momentum);
    if (warms && cycles)
        return recipe_reject(recipe, warmup_key,
                             "is %g, but schedule.decay one_cycle has a momentum of "
                             "its own; leave it out, or set schedule.cycle_momentum to "
                             "false",
                             schedule->warmup_momentum);
    if (!isnan(recipe_momentum(recipe)) || (!warms && !cycles))
        return CONVOY_OK;
    if (warms)
        return recipe_reject(recipe, warmup_key,
                             "is %g, but the optimizer %s has no momentum to warm up; "
                             "leave it out",
                             schedule->warmup_momentum, optimizer);
    return recipe_reject(recipe, cycle_key,
                         "is true, but the optimizer %s has no momentum to cycle; set "
                         "it to false",
                         optimizer);
}

convoy_status recipe_check_schedule(const convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    TRY(check_epochs(recipe));
    TRY(check_one_cycle(recipe));
    TRY(check_momentum(recipe));
cleanup:
    return status;
}
