/* Lines are flushed as they are written, so that a run that is killed leaves whole
 * lines; a resumed run drops those that it will write again. */
#include "train/metrics.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keeps the lines of text up to and including step; returns the new length. */
static size_t keep_until(char *text, uint64_t step)
{
    size_t kept = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const size_t n = (size_t)(end - line) + 1;
        const char *key = strstr(line, "\"step\": ");
        if (!key || key > end || strtoull(key + 8, NULL, 10) > step)
            continue;
        memmove(text + kept, line, n);
        kept += n;
    }
    return kept;
}

static convoy_status drop_later(const char *path, uint64_t step)
{
    char *text = NULL;
    size_t n = 0;
    if (!file_exists(path))
        return CONVOY_OK;
    convoy_status status = file_read_all(path, &text, &n);
    if (status == CONVOY_OK)
        status = file_write_whole(path, text, keep_until(text, step));
    mem_free(text);
    return status;
}

convoy_status metrics_open(struct metrics *metrics, const char *folder, int every_steps,
                           uint64_t step)
{
    convoy_status status = CONVOY_OK;
    memset(metrics, 0, sizeof *metrics);
    metrics->every_steps = every_steps;
    TRY(file_join(folder, "metrics.jsonl", metrics->path, sizeof metrics->path));
    TRY(drop_later(metrics->path, step));
    metrics->file = fopen(metrics->path, "a");
    if (!metrics->file)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", metrics->path,
                 strerror(errno)));
    metrics_restart(metrics);
cleanup:
    return status;
}

void metrics_restart(struct metrics *metrics)
{
    metrics->since_s = clock_now_s();
    metrics->n_steps = metrics->n_skipped = 0;
    metrics->loss_sum = metrics->top1_sum = 0;
    metrics->seconds = (convoy_step_seconds){0};
}

static void add_seconds(convoy_step_seconds *sum, const convoy_step_seconds *step)
{
    sum->compute += step->compute;
    sum->exchange += step->exchange;
    sum->input += step->input;
    sum->optimizer += step->optimizer;
}

static convoy_status flush(struct metrics *metrics)
{
    if (fflush(metrics->file) != 0 || ferror(metrics->file))
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", metrics->path,
                    strerror(errno));
    return CONVOY_OK;
}

convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *t,
                           const convoy_step_result *result)
{
    const double now = clock_now_s(), seconds = now - metrics->since_s;
    metrics->n_steps++;
    metrics->n_skipped += result->n_skipped;
    metrics->loss_sum += result->loss;
    metrics->top1_sum += result->top1;
    add_seconds(&metrics->seconds, &result->seconds);
    metrics->images_per_s = metrics->n_steps * t->recipe->batch.size / seconds;
    metrics->input_wait = metrics->seconds.input / seconds;
    if (t->step % (uint64_t)metrics->every_steps != 0)
        return CONVOY_OK;
    fprintf(metrics->file,
            "{\"event\": \"step\", \"step\": %llu, \"epoch\": %.6g, \"loss\": %.9g, "
            "\"top1\": %.6g, \"lr\": %.9g, \"skipped\": %d, \"images_per_s\": %.6g, "
            "\"input_wait\": %.4g, \"loader_threads\": %d}\n",
            (unsigned long long)t->step, (double)t->step / (double)t->steps_per_epoch,
            metrics->loss_sum / metrics->n_steps, metrics->top1_sum / metrics->n_steps,
            result->lr, metrics->n_skipped, metrics->images_per_s, metrics->input_wait,
            loader_threads(t->loader));
    metrics_restart(metrics);
    return flush(metrics);
}

convoy_status metrics_epoch(struct metrics *metrics, const convoy_trainer *t,
                            double seconds, const convoy_eval_result *eval)
{
    fprintf(metrics->file,
            "{\"event\": \"epoch\", \"step\": %llu, \"epoch\": %llu, \"seconds\": %.6g",
            (unsigned long long)t->step,
            (unsigned long long)(t->step / t->steps_per_epoch), seconds);
    if (eval)
        fprintf(metrics->file,
                ", \"val_loss\": %.9g, \"val_top1\": %.6g, \"val_top5\": %.6g, "
                "\"val_samples\": %llu",
                eval->loss, eval->top1, eval->top5,
                (unsigned long long)eval->n_samples);
    fprintf(metrics->file, "}\n");
    return flush(metrics);
}

void metrics_close(struct metrics *metrics)
{
    if (metrics->file)
        fclose(metrics->file);
    metrics->file = NULL;
}
