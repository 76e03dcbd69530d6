/* A schedule as text: the learning rate as a plot of characters, then a table with a
 * row an epoch, or, of long trainings, a row for some with the same size of samples.
 * Work is multiply-adds: forward, and for training three times that, since each
 * convolution and inner product has two products of the same size in the backward pass.
 */
#include "cli/info_schedule.h"

#include "cli/cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLOT_WIDTH = INFO_PLOT_WIDTH,
    PLOT_HEIGHT = 9,
    MAX_ROWS = 20,
    WORK_OF_TRAINING = 3
};

static int64_t images_of_epoch(const convoy_trainer_info *info)
{
    return (int64_t)info->steps_per_epoch * info->microbatch * info->n_microbatches;
}

static double gmacs_of_epoch(const convoy_trainer_info *info,
                             const convoy_epoch_plan *epoch)
{
    return 1e-9 * (double)images_of_epoch(info) * (double)epoch->n_macs;
}

static double gmacs_of_all(const convoy_trainer_info *info,
                           const convoy_epoch_plan *epochs)
{
    double sum = 0;
    for (int i = 0; i < info->epochs; i++)
        sum += gmacs_of_epoch(info, &epochs[i]);
    return sum;
}

/* One character a column; the largest rate is in the top row, 0 in the lowest. */
static void print_plot(const double lr[PLOT_WIDTH], int epochs)
{
    double most = 0;
    for (int i = 0; i < PLOT_WIDTH; i++)
        most = fmax(most, lr[i]);
    if (!(most > 0))
        return;
    puts("\nlearning rate");
    for (int row = PLOT_HEIGHT - 1; row >= 0; row--) {
        char line[PLOT_WIDTH + 1] = "";
        for (int i = 0; i < PLOT_WIDTH; i++)
            line[i] = lround(lr[i] / most * (PLOT_HEIGHT - 1)) == row ? '*' : ' ';
        for (int i = PLOT_WIDTH - 1; i >= 0 && line[i] == ' '; i--)
            line[i] = '\0';
        if (row == PLOT_HEIGHT - 1 || row == 0)
            printf("  %9.4g |%s\n", row > 0 ? most : 0.0, line);
        else
            printf("  %9s |%s\n", "", line);
    }
    printf("  %9s 0%*d epoch%s\n", "", PLOT_WIDTH - 1, epochs, epochs == 1 ? "" : "s");
}

/* "160", or "96 x 128". */
static void print_crop(const int shape[3])
{
    char text[32];
    if (shape[1] == shape[2])
        snprintf(text, sizeof text, "%d", shape[1]);
    else
        snprintf(text, sizeof text, "%d x %d", shape[1], shape[2]);
    printf(" %9s", text);
}

static bool has_momentum(const convoy_trainer_info *info,
                         const convoy_epoch_plan *epochs)
{
    for (int i = 0; i < info->epochs; i++)
        if (epochs[i].momentum >= 0)
            return true;
    return false;
}

/* Of a first step; where it is the optimizer's own at times, also that. */
static void print_momentum(double momentum)
{
    if (momentum >= 0)
        printf(" %10.4g", momentum);
    else
        printf(" %10s", "own");
}

/* Epochs [first, end), which have one size of samples. */
static void print_row(const convoy_trainer_info *info, const convoy_epoch_plan *epochs,
                      int first, int end)
{
    char span[32];
    const int64_t n = end - first;
    const double gmacs = (double)n * gmacs_of_epoch(info, &epochs[first]);
    if (n > 1)
        snprintf(span, sizeof span, "%d-%d", first + 1, end);
    else
        snprintf(span, sizeof span, "%d", end);
    printf("  %-9s %10.4g %10.4g", span, epochs[first].lr, epochs[end - 1].last_lr);
    if (has_momentum(info, epochs))
        print_momentum(epochs[first].momentum);
    print_crop(epochs[first].shape);
    printf(" %9" PRId64 " %11" PRId64 " %13.5g %13.5g\n",
           n * (int64_t)info->steps_per_epoch, n * images_of_epoch(info), gmacs,
           WORK_OF_TRAINING * gmacs);
}

static bool same_size(const convoy_epoch_plan *a, const convoy_epoch_plan *b)
{
    return memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

static void print_table(const convoy_trainer_info *info,
                        const convoy_epoch_plan *epochs)
{
    const int most = (info->epochs + MAX_ROWS - 1) / MAX_ROWS;
    const double gmacs = gmacs_of_all(info, epochs);
    const char *momentum = has_momentum(info, epochs) ? "   momentum" : "";
    printf("\n  %-9s %10s %10s%s %9s %9s %11s %13s %13s\n", "epoch", "first lr",
           "last lr", momentum, "crop", "steps", "images", "GMACs forward",
           "GMACs trained");
    for (int first = 0, end; first < info->epochs; first = end) {
        end = first + 1;
        while (end < info->epochs && end - first < most &&
               same_size(&epochs[first], &epochs[end]))
            end++;
        print_row(info, epochs, first, end);
    }
    printf("  %-9s %10s %10s%*s %9s %9" PRIu64 " %11" PRId64 " %13.5g %13.5g\n", "all",
           "", "", (int)strlen(momentum), "", "", info->total_steps,
           info->epochs * images_of_epoch(info), gmacs, WORK_OF_TRAINING * gmacs);
}

static void print_json_epoch(convoy_json *json, const convoy_trainer_info *info,
                             const convoy_epoch_plan *epoch)
{
    const double gmacs = gmacs_of_epoch(info, epoch);
    convoy_json_begin_object(json, NULL);
    convoy_json_number(json, "lr", epoch->lr);
    convoy_json_number(json, "last_lr", epoch->last_lr);
    if (epoch->momentum >= 0)
        convoy_json_number(json, "momentum", epoch->momentum);
    convoy_json_integers(json, "input", epoch->shape, 3);
    convoy_json_count(json, "steps", info->steps_per_epoch);
    convoy_json_integer(json, "images", images_of_epoch(info));
    convoy_json_number(json, "gmacs_forward", gmacs);
    convoy_json_number(json, "gmacs_training", WORK_OF_TRAINING * gmacs);
    convoy_json_end(json);
}

int info_schedule_make(const convoy_recipe *recipe, const convoy_trainer_info *info,
                       struct info_schedule *schedule)
{
    *schedule = (struct info_schedule){.info = info};
    schedule->epochs = calloc((size_t)info->epochs, sizeof *schedule->epochs);
    if (!schedule->epochs) {
        fprintf(stderr, "convoy: out of memory\n");
        return CLI_FAILED;
    }
    convoy_status status =
        convoy_trainer_foresee_epochs(recipe, info, schedule->epochs);
    if (status == CONVOY_OK)
        status =
            convoy_trainer_foresee_rates(recipe, info, INFO_PLOT_WIDTH, schedule->lr);
    return cli_finish(status);
}

void info_schedule_free(struct info_schedule *schedule)
{
    free(schedule->epochs);
}

void info_schedule_print(const struct info_schedule *schedule)
{
    print_plot(schedule->lr, schedule->info->epochs);
    print_table(schedule->info, schedule->epochs);
}

void info_schedule_json(convoy_json *json, const struct info_schedule *schedule)
{
    const convoy_trainer_info *info = schedule->info;
    const double gmacs = gmacs_of_all(info, schedule->epochs);
    convoy_json_begin_list(json, "schedule");
    for (int i = 0; i < info->epochs; i++)
        print_json_epoch(json, info, &schedule->epochs[i]);
    convoy_json_end(json);
    convoy_json_number(json, "gmacs_forward", gmacs);
    convoy_json_number(json, "gmacs_training", WORK_OF_TRAINING * gmacs);
}
