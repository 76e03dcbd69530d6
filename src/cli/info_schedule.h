/* The part of convoy info that draws a recipe's schedule. */
#ifndef CLI_INFO_SCHEDULE_H
#define CLI_INFO_SCHEDULE_H

#include <convoy/json.h>
#include <convoy/trainer.h>

enum { INFO_PLOT_WIDTH = 64 };

struct info_schedule {
    const convoy_trainer_info *info; /* borrowed */
    convoy_epoch_plan *epochs;       /* [info->epochs], owned */
    double lr[INFO_PLOT_WIDTH];      /* of steps from the first to the last */
};

/* Of a recipe that convoy_trainer_foresee has resolved. An exit status, after a message
 * if it is not CLI_DONE; to be freed in any case. */
int info_schedule_make(const convoy_recipe *recipe, const convoy_trainer_info *info,
                       struct info_schedule *schedule);
void info_schedule_free(struct info_schedule *schedule);

/* A plot of the learning rate, and a table of epochs with rates, size of samples and
 * work. */
void info_schedule_print(const struct info_schedule *schedule);

/* The same as a list of all epochs, and the work of all. */
void info_schedule_json(convoy_json *json, const struct info_schedule *schedule);

#endif
