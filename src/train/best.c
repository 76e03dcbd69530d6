/* The figures stand in metrics.jsonl, so nothing else needs to remember them, and a run
 * that goes on knows which file is not to be pruned, whether or not there are links. */
#include "train/best.h"

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "metrics/metric.h"

#include <math.h>

enum { PATH_SIZE = 4096 };

bool best_is_below(const struct best *best, double top1, double loss)
{
    if (!isfinite(top1) || !isfinite(loss))
        return false;
    return !best->is_known || top1 > best->top1 ||
           (top1 == best->top1 && loss < best->loss);
}

void best_take(struct best *best, uint64_t step, double top1, double loss)
{
    if (best_is_below(best, top1, loss))
        *best = (struct best){true, step, top1, loss};
}

struct search {
    const char *folder;
    struct best best;
};

static bool is_saved(const char *folder, uint64_t step)
{
    char file[sizeof "checkpoints/" + CHECKPOINT_NAME_SIZE], path[PATH_SIZE];
    char name[CHECKPOINT_NAME_SIZE];
    checkpoint_name(step, name);
    snprintf(file, sizeof file, "checkpoints/%s", name);
    return file_join(folder, file, path, sizeof path) == CONVOY_OK && file_exists(path);
}

static void look(void *context, const struct metric_line *line)
{
    struct search *search = context;
    const struct metric_epoch *epoch = &line->of_epoch;
    struct best found = {0};
    if (line->kind != METRIC_EPOCH || epoch->val_samples == 0)
        return;
    best_take(&found, epoch->step, epoch->val_top1, epoch->val_loss);
    best_take(&found, epoch->step, epoch->ema_top1, epoch->ema_loss);
    if (found.is_known && best_is_below(&search->best, found.top1, found.loss) &&
        is_saved(search->folder, epoch->step))
        search->best = found;
}

convoy_status best_read(const char *folder, struct best *best)
{
    convoy_status status = CONVOY_OK;
    struct search search = {.folder = folder};
    char path[PATH_SIZE];
    TRY(file_join(folder, "metrics.jsonl", path, sizeof path));
    if (file_exists(path))
        TRY(metric_read_file(path, look, &search));
    *best = search.best;
cleanup:
    return status;
}
