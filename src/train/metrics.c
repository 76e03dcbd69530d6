/* Lines are flushed as they are written, so that a run that is killed leaves whole
 * lines; a resumed run drops those that it will write again. */
#include "train/metrics.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

convoy_status metrics_open(struct metrics *metrics, const char *folder, int every_steps,
                           uint64_t step)
{
    convoy_status status = CONVOY_OK;
    memset(metrics, 0, sizeof *metrics);
    metrics->every_steps = every_steps;
    TRY(file_join(folder, "metrics.jsonl", metrics->path, sizeof metrics->path));
    TRY(metric_drop_later(metrics->path, step));
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
    metrics->n_steps = 0;
    metrics->sum = (struct metric_step){.images_per_s = metrics->sum.images_per_s,
                                        .input_wait = metrics->sum.input_wait};
}

static convoy_status flush(struct metrics *metrics)
{
    if (fflush(metrics->file) != 0 || ferror(metrics->file))
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", metrics->path,
                    strerror(errno));
    return CONVOY_OK;
}

static void add(struct metrics *metrics, const convoy_trainer *t,
                const convoy_step_result *result)
{
    struct metric_step *sum = &metrics->sum;
    const double seconds = clock_now_s() - metrics->since_s;
    metrics->n_steps++;
    sum->skipped += (uint64_t)result->n_skipped;
    sum->loss += result->loss;
    sum->top1 += result->top1;
    sum->compute_s += result->seconds.compute;
    sum->exchange_s += result->seconds.exchange;
    sum->input_s += result->seconds.input;
    sum->optimizer_s += result->seconds.optimizer;
    sum->images_per_s = metrics->n_steps * t->recipe->batch.size / seconds;
    sum->input_wait = sum->input_s / seconds;
}

convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *t,
                           const convoy_step_result *result)
{
    const struct metric_step *sum = &metrics->sum;
    add(metrics, t, result);
    if (t->step % (uint64_t)metrics->every_steps != 0)
        return CONVOY_OK;
    const int n = metrics->n_steps;
    const struct metric_step line = {
        .step = t->step,
        .epoch = (double)t->step / (double)t->steps_per_epoch,
        .loss = sum->loss / n,
        .top1 = sum->top1 / n,
        .lr = result->lr,
        .skipped = sum->skipped,
        .images_per_s = sum->images_per_s,
        .input_wait = sum->input_wait,
        .loader_threads = (uint64_t)loader_threads(t->loader),
        .compute_s = sum->compute_s / n,
        .exchange_s = sum->exchange_s / n,
        .input_s = sum->input_s / n,
        .optimizer_s = sum->optimizer_s / n,
    };
    metric_write(metrics->file, METRIC_STEP, &line);
    metrics_restart(metrics);
    return flush(metrics);
}

convoy_status metrics_peak_memory(convoy_trainer *t, uint64_t *bytes)
{
    convoy_status status = CONVOY_OK;
    const int size = convoy_world_size(t->world);
    double *peaks = t->shared; /* [size]: there are no more ranks than microbatches */
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    peaks[convoy_world_rank(t->world)] = 1024.0 * (double)usage.ru_maxrss;
    TRY(exchange_share(t->world, peaks, size, 1));
    double most = 0;
    for (int rank = 0; rank < size; rank++)
        most = peaks[rank] > most ? peaks[rank] : most;
    *bytes = (uint64_t)most;
cleanup:
    return status;
}

convoy_status metrics_epoch(struct metrics *metrics, const convoy_trainer *t,
                            double seconds, uint64_t peak_memory_bytes,
                            const convoy_eval_result *eval)
{
    struct metric_epoch line = {
        .step = t->step,
        .epoch = t->step / t->steps_per_epoch,
        .seconds = seconds,
        .peak_memory_bytes = peak_memory_bytes,
    };
    if (eval) {
        line.val_loss = eval->loss;
        line.val_top1 = eval->top1;
        line.val_top5 = eval->top5;
        line.val_samples = eval->n_samples;
    }
    metric_write(metrics->file, METRIC_EPOCH, &line);
    return flush(metrics);
}

void metrics_close(struct metrics *metrics)
{
    if (metrics->file)
        fclose(metrics->file);
    metrics->file = NULL;
}
