/* schedule_tool DECAY [KEY VALUE]...     the learning rate and momentum of each step,
 * a line each, to 17 digits, for comparison with PyTorch's schedulers. DECAY: number of
 * enum schedule_decay. KEY: a number of struct schedule_options, or milestone.
 */
#include "optim/schedule.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} keys[] = {
    {"epochs", offsetof(struct schedule_options, epochs)},
    {"lr", offsetof(struct schedule_options, lr)},
    {"warmup_epochs", offsetof(struct schedule_options, warmup_epochs)},
    {"warmup_lr", offsetof(struct schedule_options, warmup_lr)},
    {"gamma", offsetof(struct schedule_options, gamma)},
    {"final_lr", offsetof(struct schedule_options, final_lr)},
    {"power", offsetof(struct schedule_options, power)},
    {"warmup_momentum", offsetof(struct schedule_options, warmup_momentum)},
    {"momentum", offsetof(struct schedule_options, momentum)},
    {"base_momentum", offsetof(struct schedule_options, base_momentum)},
    {"max_momentum", offsetof(struct schedule_options, max_momentum)},
};

static int set(struct schedule_options *options, double *milestones, const char *name,
               double value)
{
    if (strcmp(name, "milestone") == 0 &&
        options->n_milestones < SCHEDULE_MAX_MILESTONES) {
        milestones[options->n_milestones++] = value;
        return 0;
    }
    if (strcmp(name, "steps_per_epoch") == 0) {
        options->steps_per_epoch = (uint64_t)value;
        return 0;
    }
    options->warms_momentum |= strcmp(name, "warmup_momentum") == 0;
    options->cycles_momentum |= strcmp(name, "base_momentum") == 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(name, keys[i].name) == 0) {
            memcpy((char *)options + keys[i].offset, &value, sizeof value);
            return 0;
        }
    return 1;
}

int main(int argc, char **argv)
{
    double milestones[SCHEDULE_MAX_MILESTONES];
    struct schedule_options options = {.milestones = milestones};
    struct schedule schedule;
    if (argc < 2)
        return 2;
    options.decay = (enum schedule_decay)atoi(argv[1]);
    for (int i = 2; i + 1 < argc; i += 2)
        if (set(&options, milestones, argv[i], strtod(argv[i + 1], NULL)))
            return 2;
    if (schedule_init(&options, &schedule) != CONVOY_OK)
        return 1;
    for (uint64_t t = 0; t < schedule.total_steps + 2; t++)
        printf("%.17g %.17g\n", schedule_lr(&schedule, t),
               schedule_momentum(&schedule, t));
    return 0;
}
