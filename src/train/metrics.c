/* Lines go to the file as they come, so that a run that is killed leaves whole lines; a
 * resumed run drops those that it will write again. A line that cannot be written, or
 * only in part, waits in memory for the next one: on a disk that was full for a while
 * none is lost. */
#include "train/metrics.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

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
    if (fflush(metrics->lines) != 0 || ferror(metrics->lines))
        return FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its lines",
                    metrics->path);
    while (metrics->n_written < metrics->n_text) {
        const ssize_t n =
            write(fileno(metrics->file), metrics->text + metrics->n_written,
                  metrics->n_text - metrics->n_written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", metrics->path,
                        strerror(n < 0 ? errno : ENOSPC));
        metrics->n_written += (size_t)n;
    }
    rewind(metrics->lines);
    metrics->n_written = 0;
    return CONVOY_OK;
}

/* A new empty file, which lines are added to. */
static convoy_status open_new(const char *path, FILE **file)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int fd = open(path, flags, 0666);
    *file = fd < 0 ? NULL : fdopen(fd, "a");
    if (*file)
        return CONVOY_OK;
    const int why = errno;
    if (fd >= 0)
        close(fd);
    return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(why));
}

convoy_status metrics_open(struct metrics *metrics, const struct run_life *life,
                           int every_steps, const struct metric_start *start)
{
    convoy_status status = CONVOY_OK;
    char temporary[sizeof metrics->path] = "";
    memset(metrics, 0, sizeof *metrics);
    metrics->every_steps = every_steps;
    metrics->every_time = 1;
    TRY(file_join(life->folder, "metrics.jsonl", metrics->path, sizeof metrics->path));
    TRY(run_life_temporary(life, metrics->path, temporary, sizeof temporary));
    TRY(open_new(temporary, &metrics->file));
    TRY(metric_copy_earlier(metrics->path, start->step, metrics->file));
    if (fflush(metrics->file) != 0 || ferror(metrics->file))
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", metrics->path,
                 strerror(errno)));
    metrics->lines = open_memstream(&metrics->text, &metrics->n_text);
    if (!metrics->lines)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its lines", metrics->path));
    metric_write(metrics->lines, METRIC_START, start);
    TRY(metrics_flush(metrics));
    TRY(run_life_commit(life, temporary, metrics->path));
cleanup:
    if (status != CONVOY_OK && *temporary)
        unlink(temporary);
    return run_life_tell(life, status);
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
    }
    sum->skipped_steps += result->left_out != NULL;
    sum->compute_s += result->seconds.compute;
    sum->exchange_s += result->seconds.exchange;
    sum->hidden_s += result->seconds.hidden;
    sum->input_s += result->seconds.input;
    sum->optimizer_s += result->seconds.optimizer;
    sum->step_s = seconds / metrics->n_steps;
    sum->images_per_s = t->recipe->batch.size / sum->step_s;
    sum->input_wait = sum->input_s / seconds;
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
        .loss = sum->loss / n_taken,
        .top1 = sum->top1 / n_taken,
        .lr = result->lr,
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
    metric_write(metrics->lines, METRIC_STEP, &line);
    begin_line(metrics);
    return metrics_flush(metrics);
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

convoy_status metrics_epoch(struct metrics *metrics, const convoy_trainer *t,
                            double seconds, uint64_t peak_memory_bytes,
                            const convoy_eval_result *eval, double energy_j,
                            uint64_t energy_nodes)
{
    struct metric_epoch line = {
        .step = t->step,
        .epoch = t->step / t->steps_per_epoch,
        .seconds = seconds,
        .peak_memory_bytes = peak_memory_bytes,
        .energy_j = energy_j,
        .energy_nodes = energy_nodes,
    };
    if (eval) {
        line.val_loss = eval->loss;
        line.val_top1 = eval->top1;
        line.val_top5 = eval->top5;
        line.val_samples = eval->n_samples;
    }
    metric_write(metrics->lines, METRIC_EPOCH, &line);
    return metrics_flush(metrics);
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
    metric_write(metrics->lines, METRIC_RANKS, &line);
    return metrics_flush(metrics);
}

convoy_status metrics_save(struct metrics *metrics, const struct metric_save *line)
{
    metric_write(metrics->lines, METRIC_SAVE, line);
    return metrics_flush(metrics);
}

void metrics_close(struct metrics *metrics)
{
    if (metrics->lines)
        fclose(metrics->lines);
    free(metrics->text);
    if (metrics->file)
        fclose(metrics->file);
    metrics->file = metrics->lines = NULL;
    metrics->text = NULL;
}
