/* The table of all metrics, and their way to a line of text. The order of the rows is
 * that of the keys in the file and of the rows in docs/run-directory.md, where the
 * texts stand as they are here (a test compares them). */
#include "metrics/metric.h"

#include <convoy/json.h>

#include <string.h>

#define COUNT(kind, field) METRIC_COUNT, offsetof(struct metric_##kind, field)
#define REAL(kind, field) METRIC_REAL, offsetof(struct metric_##kind, field)
#define TEXT(kind, field) METRIC_TEXT, offsetof(struct metric_##kind, field)
#define NUMBERS(kind, field) METRIC_NUMBERS, offsetof(struct metric_##kind, field)
#define NORMED offsetof(struct metric_step, normed_steps)
#define LAYERED offsetof(struct metric_step, grad_norms.n)
#define VALIDATED offsetof(struct metric_epoch, val_samples)
#define RESIZED offsetof(struct metric_step, crop)
#define AVERAGED offsetof(struct metric_epoch, ema_samples)
#define MEASURED offsetof(struct metric_epoch, energy_nodes)

static const struct metric_column of_start[] = {
    {"step", "", COUNT(start, step), "steps done before; 0 of a new run", 0},
    {"time", "s", COUNT(start, time), "since 1970-01-01, UTC", 0},
    {"nodes", "", COUNT(start, nodes), "machines", 0},
    {"ranks", "", COUNT(start, ranks), "on all of them", 0},
    {"lanes", "", COUNT(start, lanes),
     "microbatches computed side by side, of all ranks", 0},
    {"cores", "", COUNT(start, cores), "that the ranks may compute on, of all ranks",
     0},
    {"threads", "", COUNT(start, threads), "of a lane", 0},
    {"batch", "samples", COUNT(start, batch), "of a step, on all ranks", 0},
    {"microbatch", "samples", COUNT(start, microbatch), "of a lane at a time", 0},
};

static const struct metric_column of_step[] = {
    {"step", "", COUNT(step, step), "steps done", 0},
    {"epoch", "", REAL(step, epoch), "epochs done, with their fraction", 0},
    {"crop", "pixels", COUNT(step, crop),
     "height and width of this step's images, where they depend on the epoch", RESIZED},
    {"loss", "", REAL(step, loss),
     "mean over the samples since the last such line or the epoch's start, label "
     "smoothing included",
     0},
    {"top1", "share", REAL(step, top1),
     "of these samples, what the net had right while it trained on them", 0},
    {"top5", "share", REAL(step, top5), "of these, right among the first five", 0},
    {"lr", "", REAL(step, lr), "learning rate of this step", 0},
    {"grad_norm", "", REAL(step, grad_norm),
     "the gradient's length before `optimizer.clip_norm`, without which there is no "
     "such value; mean over the steps since the last line",
     NORMED},
    {"clipped_steps", "", COUNT(step, clipped_steps),
     "of these, in how many it was too long and scaled down; likewise", NORMED},
    {"grad_norms", "", NUMBERS(step, grad_norms),
     "with `metrics.grad_norms`, an object: of each weight that learns, by its name, "
     "in "
     "the order of the layers, the length of this step's gradient, before it is "
     "clipped",
     LAYERED},
    {"skipped", "samples", COUNT(step, skipped),
     "damaged and left out since the last line (`data.on_bad_record: skip`)", 0},
    {"skipped_steps", "", COUNT(step, skipped_steps),
     "of `steps`, those that changed nothing, since their loss or a gradient was no "
     "finite number (`guard.on_nonfinite: skip`); they count neither for `loss` nor "
     "for "
     "`top1`",
     0},
    {"images_per_s", "1/s", REAL(step, images_per_s),
     "over all ranks, since the last line; evaluating and saving are left out", 0},
    {"input_wait", "share", REAL(step, input_wait),
     "of that time, what rank 0 waited for input, its lanes in the mean", 0},
    {"loader_threads", "", COUNT(step, loader_threads),
     "threads with which rank 0 loads now", 0},
    {"steps", "", COUNT(step, steps), "taken since the last line, or epoch's end", 0},
    {"step_s", "s", REAL(step, step_s),
     "a step, from end to end; mean over these steps", 0},
    {"compute_s", "s", REAL(step, compute_s),
     "a step's forward and backward passes on rank 0, with the sum over its own "
     "microbatches; mean since the last line",
     0},
    {"exchange_s", "s", REAL(step, exchange_s),
     "its wait for other ranks' sums with nothing left to compute: the exchange that "
     "is exposed, slower ranks included; likewise",
     0},
    {"hidden_s", "s", REAL(step, hidden_s),
     "the rest of the exchange, beside compute_s or optimizer_s; likewise", 0},
    {"input_s", "s", REAL(step, input_s),
     "its lanes' wait for samples, and the way of these between ranks; likewise", 0},
    {"optimizer_s", "s", REAL(step, optimizer_s), "its optimizer; likewise", 0},
};

static const struct metric_column of_ranks[] = {
    {"step", "", COUNT(ranks, step), "steps done", 0},
    {"steps", "", COUNT(ranks, steps),
     "steady ones since the last such line: all but the first five of a life and the "
     "first of an epoch; what follows is a step's, in the mean over them",
     0},
    {"compute_s", "s", REAL(ranks, compute_s), "as in a step's line; mean over ranks",
     0},
    {"compute_s_least", "s", REAL(ranks, compute_s_least),
     "of the rank with the least of it", 0},
    {"compute_s_most", "s", REAL(ranks, compute_s_most),
     "of the rank with the most of it", 0},
    {"exchange_s", "s", REAL(ranks, exchange_s),
     "exposed exchange; mean over ranks. Waiting for slower ranks is in it", 0},
    {"exchange_s_least", "s", REAL(ranks, exchange_s_least),
     "of the rank with the least of it, which waits least for others: about what "
     "messages cost",
     0},
    {"exchange_s_most", "s", REAL(ranks, exchange_s_most),
     "of the rank with the most of it", 0},
    {"hidden_s", "s", REAL(ranks, hidden_s), "hidden exchange; mean over ranks", 0},
    {"hidden_share", "share", REAL(ranks, hidden_share),
     "`hidden_s` / (`hidden_s` + `exchange_s`)", 0},
    {"input_s", "s", REAL(ranks, input_s), "wait for samples; mean over ranks", 0},
    {"input_s_most", "s", REAL(ranks, input_s_most), "of the rank with the most of it",
     0},
    {"optimizer_s", "s", REAL(ranks, optimizer_s), "optimizer; mean over ranks", 0},
    {"optimizer_s_most", "s", REAL(ranks, optimizer_s_most),
     "of the rank with the most of it", 0},
    {"busy_s", "s", REAL(ranks, busy_s),
     "compute, optimizer and the wait for the rank's own loader, which is all that no "
     "other rank causes; mean over ranks",
     0},
    {"busy_s_most", "s", REAL(ranks, busy_s_most),
     "of the slowest rank: the one with the most of it", 0},
    {"working_s", "s", REAL(ranks, working_s),
     "what a lane really computes or adds up: mean over the lanes of a rank, and over "
     "ranks",
     0},
    {"working_s_most", "s", REAL(ranks, working_s_most),
     "of the rank with the most of it", 0},
    {"step_s", "s", REAL(ranks, step_s),
     "these steps from end to end, on each rank; mean over ranks", 0},
    {"ideal_s", "s", REAL(ranks, ideal_s),
     "of each step what its busiest rank was busy: a step whose messages take no time; "
     "mean over steps",
     0},
    {"slowest_rank", "", COUNT(ranks, slowest_rank), "which that is", 0},
    {"slowest_host", "", TEXT(ranks, slowest_host), "the machine that it is on", 0},
};

static const struct metric_column of_save[] = {
    {"step", "", COUNT(save, step), "steps done in what was saved", 0},
    {"seconds", "s", REAL(save, seconds),
     "to write it, beside the training, until it was whole on the disk", 0},
    {"waited_s", "s", REAL(save, waited_s),
     "that training stood still for it: while the state was copied, and where the next "
     "save, or the end, waited for this one",
     0},
};

static const struct metric_column of_epoch[] = {
    {"step", "", COUNT(epoch, step), "steps done", 0},
    {"epoch", "", COUNT(epoch, epoch), "epochs done", 0},
    {"seconds", "s", REAL(epoch, seconds),
     "of training, without evaluating, in this epoch and since the program started", 0},
    {"peak_memory_bytes", "bytes", COUNT(epoch, peak_memory_bytes),
     "the most memory that a rank has had so far, of the rank that had most", 0},
    {"val_loss", "", REAL(epoch, val_loss),
     "mean cross-entropy over every sample of the validation pack, without label "
     "smoothing",
     VALIDATED},
    {"val_top1", "share", REAL(epoch, val_top1), "of these samples, right at first",
     VALIDATED},
    {"val_top5", "share", REAL(epoch, val_top5), "right among the first five",
     VALIDATED},
    {"val_seconds", "s", REAL(epoch, val_seconds),
     "that this evaluation took, and that of averaged weights; they are in no other "
     "seconds",
     VALIDATED},
    {"val_samples", "samples", COUNT(epoch, val_samples), "how many these are",
     VALIDATED},
    {"ema_loss", "", REAL(epoch, ema_loss),
     "as `val_loss`, of the averaged weights (`ema.decay`)", AVERAGED},
    {"ema_top1", "share", REAL(epoch, ema_top1), "of these samples, right at first",
     AVERAGED},
    {"ema_top5", "share", REAL(epoch, ema_top5), "right among the first five",
     AVERAGED},
    {"ema_samples", "samples", COUNT(epoch, ema_samples), "how many these are",
     AVERAGED},
    {"energy_j", "J", REAL(epoch, energy_j),
     "that the processors' packages of all nodes that tell it took since the last such "
     "line, or since the first step of the life, evaluating included",
     MEASURED},
    {"energy_nodes", "", COUNT(epoch, energy_nodes), "how many nodes these are",
     MEASURED},
};

const struct metric_table metric_tables[N_METRIC_KINDS] = {
    [METRIC_START] = {"start", of_start, sizeof of_start / sizeof *of_start},
    [METRIC_STEP] = {"step", of_step, sizeof of_step / sizeof *of_step},
    [METRIC_RANKS] = {"ranks", of_ranks, sizeof of_ranks / sizeof *of_ranks},
    [METRIC_SAVE] = {"save", of_save, sizeof of_save / sizeof *of_save},
    [METRIC_EPOCH] = {"epoch", of_epoch, sizeof of_epoch / sizeof *of_epoch},
};

static uint64_t count_at(const void *values, size_t offset)
{
    uint64_t count;
    memcpy(&count, (const char *)values + offset, sizeof count);
    return count;
}

static double real_at(const void *values, size_t offset)
{
    double real;
    memcpy(&real, (const char *)values + offset, sizeof real);
    return real;
}

static void write_numbers(convoy_json *json, const char *name, const void *at)
{
    struct metric_numbers numbers;
    memcpy(&numbers, at, sizeof numbers);
    convoy_json_begin_object(json, name);
    for (uint64_t i = 0; i < numbers.n; i++)
        convoy_json_number(json, numbers.names[i], numbers.values[i]);
    convoy_json_end(json);
}

void metric_write(FILE *stream, enum metric_kind kind, const void *values)
{
    const struct metric_table *table = &metric_tables[kind];
    convoy_json json = {.stream = stream};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "event", table->event);
    for (int i = 0; i < table->n_columns; i++) {
        const struct metric_column *column = &table->columns[i];
        if (column->with > 0 && count_at(values, column->with) == 0)
            continue;
        if (column->type == METRIC_COUNT)
            convoy_json_count(&json, column->name, count_at(values, column->offset));
        else if (column->type == METRIC_REAL)
            convoy_json_number(&json, column->name, real_at(values, column->offset));
        else if (column->type == METRIC_NUMBERS)
            write_numbers(&json, column->name, (const char *)values + column->offset);
        else
            convoy_json_text(&json, column->name,
                             (const char *)values + column->offset);
    }
    convoy_json_end(&json);
}
