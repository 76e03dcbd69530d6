/* Which metrics TensorBoard shows, and where: it makes a group of all tags with the
 * same beginning. The order is that of the rows in docs/run-directory.md. */
#include "metrics/event.h"

#include <string.h>

const struct event_tag event_tags[] = {
    {METRIC_STEP, "loss", "train/loss"},
    {METRIC_STEP, "top1", "train/top1"},
    {METRIC_STEP, "top5", "train/top5"},
    {METRIC_STEP, "lr", "train/learning_rate"},
    {METRIC_STEP, "grad_norm", "train/grad_norm"},
    {METRIC_STEP, "clipped_steps", "train/clipped_steps"},
    {METRIC_STEP, "epoch", "train/epoch"},
    {METRIC_STEP, "crop", "train/crop"},
    {METRIC_STEP, "skipped_steps", "train/skipped_steps"},
    {METRIC_STEP, "images_per_s", "speed/images_per_s"},
    {METRIC_STEP, "input_wait", "speed/input_wait"},
    {METRIC_STEP, "loader_threads", "speed/loader_threads"},
    {METRIC_STEP, "step_s", "time/step_s"},
    {METRIC_STEP, "compute_s", "time/compute_s"},
    {METRIC_STEP, "exchange_s", "time/exchange_s"},
    {METRIC_STEP, "hidden_s", "time/hidden_s"},
    {METRIC_STEP, "input_s", "time/input_s"},
    {METRIC_STEP, "optimizer_s", "time/optimizer_s"},
    {METRIC_RANKS, "compute_s", "ranks/compute_s"},
    {METRIC_RANKS, "compute_s_most", "ranks/compute_s_most"},
    {METRIC_RANKS, "exchange_s", "ranks/exchange_s"},
    {METRIC_RANKS, "exchange_s_least", "ranks/exchange_s_least"},
    {METRIC_RANKS, "hidden_share", "ranks/hidden_share"},
    {METRIC_RANKS, "busy_s", "ranks/busy_s"},
    {METRIC_RANKS, "busy_s_most", "ranks/busy_s_most"},
    {METRIC_RANKS, "working_s", "ranks/working_s"},
    {METRIC_RANKS, "step_s", "ranks/step_s"},
    {METRIC_RANKS, "ideal_s", "ranks/ideal_s"},
    {METRIC_RANKS, "slowest_rank", "ranks/slowest_rank"},
    {METRIC_SAVE, "seconds", "save/seconds"},
    {METRIC_SAVE, "waited_s", "save/waited_s"},
    {METRIC_EPOCH, "val_loss", "validation/loss"},
    {METRIC_EPOCH, "val_top1", "validation/top1"},
    {METRIC_EPOCH, "val_top5", "validation/top5"},
    {METRIC_EPOCH, "ema_loss", "validation/ema_loss"},
    {METRIC_EPOCH, "ema_top1", "validation/ema_top1"},
    {METRIC_EPOCH, "ema_top5", "validation/ema_top5"},
    {METRIC_EPOCH, "seconds", "epoch/seconds"},
    {METRIC_EPOCH, "val_seconds", "epoch/val_seconds"},
    {METRIC_EPOCH, "peak_memory_bytes", "epoch/peak_memory_bytes"},
    {METRIC_EPOCH, "energy_j", "epoch/energy_j"},
};

const int n_event_tags = sizeof event_tags / sizeof *event_tags;

static const struct metric_column *find_column(enum metric_kind kind, const char *name)
{
    const struct metric_table *table = &metric_tables[kind];
    for (int i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

static uint64_t count_at(const void *values, size_t offset)
{
    uint64_t count;
    memcpy(&count, (const char *)values + offset, sizeof count);
    return count;
}

/* False where this line does not have it. */
static bool take_value(const struct metric_column *column, const void *values,
                       double *value)
{
    if (!column || (column->type != METRIC_COUNT && column->type != METRIC_REAL) ||
        (column->with > 0 && count_at(values, column->with) == 0))
        return false;
    if (column->type == METRIC_COUNT)
        *value = (double)count_at(values, column->offset);
    else
        memcpy(value, (const char *)values + column->offset, sizeof *value);
    return true;
}

int event_scalars_of(enum metric_kind kind, const void *values,
                     struct event_scalar scalars[EVENT_MAX_SCALARS])
{
    int n = 0;
    for (int i = 0; i < n_event_tags && n < EVENT_MAX_SCALARS; i++) {
        const struct event_tag *tag = &event_tags[i];
        if (tag->kind != kind)
            continue;
        scalars[n].tag = tag->tag;
        if (take_value(find_column(kind, tag->column), values, &scalars[n].value))
            n++;
    }
    return n;
}
