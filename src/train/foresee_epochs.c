/* What a training will do, epoch by epoch, from its recipe and the number of its steps
 * alone: its net, rates, the size of samples, and the work of a pass, for which a net
 * is built, but not compiled, at each new size.
 */
#include "net/net.h"
#include "setup/setup.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* Of epoch's samples. Only a raw pack's own size, which is no crop, need not be square:
 * data.crop says nothing then. */
static void shape_of(const convoy_recipe *recipe, const convoy_trainer_info *info,
                     int epoch, int shape[3])
{
    const int crop = recipe_crop_at(&recipe->data.crop, (uint64_t)epoch);
    memcpy(shape, info->shape, sizeof info->shape);
    if (crop > 0)
        shape[1] = shape[2] = crop;
}

static convoy_status count_macs(const convoy_recipe *recipe, const int shape[3],
                                int64_t *n_macs)
{
    convoy_net *net = NULL;
    const convoy_status status = setup_net(recipe, shape, &net);
    if (status == CONVOY_OK)
        *n_macs = net_multiply_adds(net);
    convoy_net_destroy(net);
    return status;
}

convoy_status convoy_trainer_foresee_epochs(const convoy_recipe *recipe,
                                            const convoy_trainer_info *info,
                                            convoy_epoch_plan *epochs)
{
    convoy_status status = CONVOY_OK;
    struct schedule schedule;
    TRY(trainer_schedule(recipe, info->steps_per_epoch, &schedule));
    for (int i = 0; i < info->epochs; i++) {
        const uint64_t first = (uint64_t)i * info->steps_per_epoch;
        const uint64_t last = first + info->steps_per_epoch - 1;
        convoy_epoch_plan *epoch = &epochs[i];
        *epoch = (convoy_epoch_plan){
            .lr = schedule_lr(&schedule, first),
            .last_lr = schedule_lr(&schedule, last),
            .momentum = schedule_momentum(&schedule, first),
            .last_momentum = schedule_momentum(&schedule, last),
        };
        shape_of(recipe, info, i, epoch->shape);
        if (i > 0 && memcmp(epoch->shape, epoch[-1].shape, sizeof epoch->shape) == 0)
            epoch->n_macs = epoch[-1].n_macs;
        else
            TRY(count_macs(recipe, epoch->shape, &epoch->n_macs));
    }
cleanup:
    return status;
}

convoy_status convoy_trainer_foresee_net(const convoy_recipe *recipe,
                                         const convoy_trainer_info *info,
                                         convoy_net **net)
{
    return setup_net(recipe, info->shape, net);
}

convoy_status convoy_trainer_foresee_rates(const convoy_recipe *recipe,
                                           const convoy_trainer_info *info, int n,
                                           double *lr)
{
    struct schedule schedule;
    const convoy_status status =
        trainer_schedule(recipe, info->steps_per_epoch, &schedule);
    const double last = (double)(info->total_steps - 1);
    for (int i = 0; status == CONVOY_OK && i < n; i++)
        lr[i] =
            schedule_lr(&schedule, (uint64_t)llround(n > 1 ? last * i / (n - 1) : 0));
    return status;
}
