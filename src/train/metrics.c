/* What steps came to, gathered for a line. A life's lines stand in new files, behind
 * those of earlier lives that still count. */
#include "train/metrics.h"

#include "base/clock.h"
#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Ranks add what they have: lanes and cores may differ from rank to rank. */
convoy_status metrics_describe(convoy_trainer *t, struct metric_start *start)
{
    convoy_status status = CONVOY_OK;
    const int size = convoy_world_size(t->world), rank = convoy_world_rank(t->world);
    double *counts = t->of_ranks;
    double *own = counts + (size_t)2 * (size_t)rank;
    *start = (struct metric_start){
        .step = t->step,
        .time = (uint64_t)time(NULL),
        .nodes = (uint64_t)convoy_world_nodes(t->world),
        .ranks = (uint64_t)size,
        .threads = (uint64_t)t->threads,
        .batch = (uint64_t)t->recipe->batch.size,
        .microbatch = (uint64_t)t->recipe->batch.microbatch,
    };
    own[0] = t->choice.lanes;
    own[1] = t->cores.n;
    TRY(exchange_share(t->world, counts, size, 2));
    for (int i = 0; i < size; i++, counts += 2) {
        start->lanes += (uint64_t)counts[0];
        start->cores += (uint64_t)counts[1];
    }
cleanup:
    return status;
}

convoy_status metrics_flush(struct metrics *metrics)
{
    struct failure failure;
    struct log_file *const logs[] = {&metrics->log, &metrics->board.log};
    failure.status = CONVOY_OK;
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        const convoy_status status = log_file_flush(logs[i]);
        if (status == CONVOY_OK || failure.status != CONVOY_OK)
            continue;
        status_save(status, &failure);
        metrics->failed = logs[i]->path;
    }
    return failure.status == CONVOY_OK ? CONVOY_OK : status_restore(&failure);
}

/* A line for every file, which is written at once. */
static convoy_status add_line(struct metrics *metrics, enum metric_kind kind,
                              const void *values)
{
    metric_write(metrics->log.added, kind, values);
    const convoy_status status = tensorboard_line(&metrics->board, kind, values);
    return status == CONVOY_OK ? metrics_flush(metrics) : status;
}

convoy_status metrics_open(struct metrics *metrics, const struct run_life *life,
                           const struct recipe_metrics *what,
                           const struct metric_start *start)
{
    convoy_status status = CONVOY_OK;
    char path[RUN_LIFE_PATH_SIZE];
    memset(metrics, 0, sizeof *metrics);
    metrics->every_steps = what->every_steps;
    metrics->every_time = 1;
    metrics->failed = metrics->log.path;
    TRY(file_join(life->folder, "metrics.jsonl", path, sizeof path));
    TRY(log_file_open(&metrics->log, life, path));
    TRY(metric_copy_earlier(path, start->step, metrics->log.earlier));
    metric_write(metrics->log.added, METRIC_START, start);
    TRY(log_file_begin(&metrics->log, life));
    TRY(tensorboard_open(&metrics->board, life, what->tensorboard, start->step));
cleanup:
    return status;
}

convoy_status metrics_kernels(struct metrics *metrics, const convoy_trainer *t)
{
    const convoy_status status = tensorboard_kernels(&metrics->board, t);
    return status == CONVOY_OK ? metrics_flush(metrics) : status;
}

static void begin_line(struct metrics *metrics)
{
    metrics->since_s = clock_now_s();
    metrics->n_steps = 0;
    metrics->sum = (struct metric_step){.images_per_s = metrics->sum.images_per_s,
                                        .input_wait = metrics->sum.input_wait};
}

static void begin_steps(struct metrics *metrics, int n_unsteady)
{
    begin_line(metrics);
    metrics->step_since_s = metrics->since_s;
    if (metrics->n_unsteady < n_unsteady)
        metrics->n_unsteady = n_unsteady;
}

void metrics_begin(struct metrics *metrics)
{
    begin_steps(metrics, METRIC_STARTING_STEPS);
}

void metrics_restart(struct metrics *metrics)
{
    begin_steps(metrics, METRIC_RESTARTING_STEPS);
}

void metrics_leave_out(struct metrics *metrics, double seconds)
{
    metrics->since_s += seconds;
    metrics->step_since_s += seconds;
}

/* Keeps the times of all of a life's steady steps, as evenly as there is room. */
static void keep_time(struct metrics *metrics)
{
    const double now_s = clock_now_s(), step_s = now_s - metrics->step_since_s;
    metrics->step_since_s = now_s;
    if (metrics->n_unsteady > 0) {
        metrics->n_unsteady--;
        return;
    }
    if (metrics->n_times == METRICS_MAX_TIMES) {
        metrics->n_times /= 2;
        metrics->every_time *= 2;
        for (size_t i = 0; i < (size_t)metrics->n_times; i++)
            metrics->times[i] = metrics->times[2 * i];
    }
    if (metrics->n_steady++ % metrics->every_time == 0)
        metrics->times[metrics->n_times++] = step_s;
}

static int compare_times(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double metrics_step_s(struct metrics *metrics)
{
    const int n = metrics->n_times;
    const double *times = metrics->times;
    qsort(metrics->times, (size_t)n, sizeof *times, compare_times);
    return n > 0 ? (times[(n - 1) / 2] + times[n / 2]) / 2 : (double)NAN;
}

static void add(struct metrics *metrics, const convoy_trainer *t,
                const convoy_step_result *result)
{
    struct metric_step *sum = &metrics->sum;
    const double seconds = clock_now_s() - metrics->since_s;
    metrics->n_steps++;
    sum->skipped += (uint64_t)result->n_skipped;
    if (!result->left_out) {
        sum->loss += result->loss;
        sum->top1 += result->top1;
        sum->top5 += result->top5;
    }
    sum->skipped_steps += result->left_out != NULL;
    if (isfinite(result->grad_norm)) {
        sum->grad_norm += result->grad_norm;
        sum->clipped_steps += result->clipped;
        sum->normed_steps++;
    }
    sum->compute_s += result->seconds.compute;
    sum->exchange_s += result->seconds.exchange;
    sum->hidden_s += result->seconds.hidden;
    sum->input_s += result->seconds.input;
    sum->optimizer_s += result->seconds.optimizer;
    sum->step_s = seconds / metrics->n_steps;
    sum->images_per_s = t->recipe->batch.size / sum->step_s;
    sum->input_wait = sum->input_s / seconds;
}

/* Of the step that was taken last; 0: all have the same. */
static uint64_t crop_of_last(const convoy_trainer *t)
{
    const uint64_t epoch = (t->step - 1) / t->steps_per_epoch;
    return t->n_crops == 0 ? 0 : (uint64_t)recipe_crop_at(&t->recipe->data.crop, epoch);
}

convoy_status metrics_step(struct metrics *metrics, const convoy_trainer *t,
                           const convoy_step_result *result)
{
    const struct metric_step *sum = &metrics->sum;
    keep_time(metrics);
    add(metrics, t, result);
    if (t->step % (uint64_t)metrics->every_steps != 0)
        return CONVOY_OK;
    const int n = metrics->n_steps;
    const double n_taken = n - (double)sum->skipped_steps;
    const struct metric_step line = {
        .step = t->step,
        .epoch = (double)t->step / (double)t->steps_per_epoch,
        .crop = crop_of_last(t),
        .loss = sum->loss / n_taken,
        .top1 = sum->top1 / n_taken,
        .top5 = sum->top5 / n_taken,
        .lr = result->lr,
        .grad_norm = sum->grad_norm / (double)sum->normed_steps,
        .clipped_steps = sum->clipped_steps,
        .normed_steps = sum->normed_steps,
        .grad_norms = {(uint64_t)result->n_grad_norms, result->grad_names,
                       result->grad_norms},
        .skipped = sum->skipped,
        .skipped_steps = sum->skipped_steps,
        .images_per_s = sum->images_per_s,
        .input_wait = sum->input_wait,
        .loader_threads = (uint64_t)loader_threads(t->loader),
        .steps = (uint64_t)n,
        .step_s = sum->step_s,
        .compute_s = sum->compute_s / n,
        .exchange_s = sum->exchange_s / n,
        .hidden_s = sum->hidden_s / n,
        .input_s = sum->input_s / n,
        .optimizer_s = sum->optimizer_s / n,
    };
    begin_line(metrics);
    return add_line(metrics, METRIC_STEP, &line);
}

convoy_status metrics_peak_memory(convoy_trainer *t, uint64_t *bytes)
{
    convoy_status status = CONVOY_OK;
    const int size = convoy_world_size(t->world);
    double *peaks = t->of_ranks;
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

convoy_status metrics_epoch(struct metrics *metrics, const struct metric_epoch *epoch,
                            const convoy_eval_result *eval,
                            const convoy_eval_result *ema)
{
    struct metric_epoch line = *epoch;
    if (eval) {
        line.val_loss = eval->loss;
        line.val_top1 = eval->top1;
        line.val_top5 = eval->top5;
        line.val_samples = eval->n_samples;
    }
    if (ema) {
        line.ema_loss = ema->loss;
        line.ema_top1 = ema->top1;
        line.ema_top5 = ema->top5;
        line.ema_samples = ema->n_samples;
    }
    return add_line(metrics, METRIC_EPOCH, &line);
}

convoy_status metrics_ranks(struct metrics *metrics, uint64_t step,
                            const convoy_rank_seconds *s)
{
    struct metric_ranks line = {
        .step = step,
        .steps = s->steps,
        .compute_s = s->compute.mean,
        .compute_s_least = s->compute.least,
        .compute_s_most = s->compute.most,
        .exchange_s = s->exchange.mean,
        .exchange_s_least = s->exchange.least,
        .exchange_s_most = s->exchange.most,
        .hidden_s = s->hidden.mean,
        .hidden_share = s->hidden_share,
        .input_s = s->input.mean,
        .input_s_most = s->input.most,
        .optimizer_s = s->optimizer.mean,
        .optimizer_s_most = s->optimizer.most,
        .busy_s = s->busy.mean,
        .busy_s_most = s->busy.most,
        .working_s = s->working.mean,
        .working_s_most = s->working.most,
        .step_s = s->step,
        .ideal_s = s->ideal,
        .slowest_rank = (uint64_t)s->slowest,
    };
    if (s->steps == 0)
        return CONVOY_OK;
    snprintf(line.slowest_host, sizeof line.slowest_host, "%s", s->slowest_host);
    return add_line(metrics, METRIC_RANKS, &line);
}

convoy_status metrics_save(struct metrics *metrics, const struct metric_save *line)
{
    return add_line(metrics, METRIC_SAVE, line);
}

void metrics_close(struct metrics *metrics)
{
    log_file_close(&metrics->log);
    log_file_close(&metrics->board.log);
}
