/* What metrics.jsonl holds: one JSON object a line, of one of these kinds. Writer,
 * reader and docs/run-directory.md go by one table; a new metric is a field here and
 * its row there (metric.c). */
#ifndef METRICS_METRIC_H
#define METRICS_METRIC_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum metric_kind {
    METRIC_START,
    METRIC_STEP,
    METRIC_RANKS,
    METRIC_SAVE,
    METRIC_EPOCH,
    N_METRIC_KINDS
};

/* Steps that are slower than those of the steady state: so many after the start of a
 * life (pages are touched first, connections made, input is awaited), and after an
 * epoch's end, with its evaluation and checkpoint. */
enum { METRIC_STARTING_STEPS = 5, METRIC_RESTARTING_STEPS = 1 };

/* Numbers with names, an object in the file. Of a line that was read n is 0 or 1, and
 * the rest NULL: they are in its text. */
struct metric_numbers {
    uint64_t n;               /* 0: there are none */
    const char *const *names; /* [n] borrowed */
    const double *values;     /* [n] borrowed */
};

/* Fields are as the table's help says. */
struct metric_start {
    uint64_t step, time, nodes, ranks, lanes, cores, threads, batch, microbatch;
};

struct metric_step {
    uint64_t step;
    double epoch;
    uint64_t crop; /* 0: the same in all epochs */
    double loss, top1, top5, lr;
    double grad_norm;
    uint64_t clipped_steps;
    uint64_t normed_steps; /* 0: no norms are taken. In no column */
    struct metric_numbers grad_norms;
    uint64_t skipped, skipped_steps;
    double images_per_s, input_wait;
    uint64_t loader_threads;
    uint64_t steps;
    double step_s, compute_s, exchange_s, hidden_s, input_s, optimizer_s;
};

enum { METRIC_TEXT_SIZE = 256 };

struct metric_ranks {
    uint64_t step, steps;
    double compute_s, compute_s_least, compute_s_most;
    double exchange_s, exchange_s_least, exchange_s_most;
    double hidden_s, hidden_share;
    double input_s, input_s_most;
    double optimizer_s, optimizer_s_most;
    double busy_s, busy_s_most;
    double working_s, working_s_most;
    double step_s, ideal_s;
    uint64_t slowest_rank;
    char slowest_host[METRIC_TEXT_SIZE];
};

struct metric_save {
    uint64_t step;
    double seconds, waited_s;
};

struct metric_epoch {
    uint64_t step;
    uint64_t epoch;
    double seconds;
    uint64_t peak_memory_bytes;
    double val_loss, val_top1, val_top5, val_seconds;
    uint64_t val_samples; /* 0: there was no validation */
    double ema_loss, ema_top1, ema_top5;
    uint64_t ema_samples; /* 0: there is no average */
    double energy_j;
    uint64_t energy_nodes; /* 0: none tells it */
};

enum metric_type {
    METRIC_COUNT,  /* uint64_t */
    METRIC_REAL,   /* double */
    METRIC_TEXT,   /* char [METRIC_TEXT_SIZE] */
    METRIC_NUMBERS /* struct metric_numbers */
};

struct metric_column {
    const char *name;
    const char *unit; /* "": none */
    enum metric_type type;
    size_t offset; /* in the kind's struct */
    const char *help;
    size_t with; /* offset of a count without which the value is left out; 0: none. The
                    count may be in no column: when read it is 0 or 1 */
};

struct metric_table {
    const char *event; /* what "event" says in the file */
    const struct metric_column *columns;
    int n_columns;
};

extern const struct metric_table metric_tables[N_METRIC_KINDS];

/* A line that was read. */
struct metric_line {
    enum metric_kind kind; /* N_METRIC_KINDS: of an event that is not known here */
    union {
        struct metric_start of_start;
        struct metric_step of_step;
        struct metric_ranks of_ranks;
        struct metric_save of_save;
        struct metric_epoch of_epoch;
    };
    uint64_t step;    /* of every kind */
    const char *text; /* [n] with the new line at its end; borrowed */
    size_t n;
};

/* A line with values, a struct of that kind; what is not finite is null. Whether it was
 * written, the stream's ferror tells. Local. */
void metric_write(FILE *stream, enum metric_kind kind, const void *values);

/* Calls take with the lines of the file in their order, but for those that are none of
 * these: the end of one that was being written when its run was killed. Counts that a
 * line lacks are 0, texts empty, other values not a number. Local. Errors: IO, MEMORY.
 */
convoy_status metric_read_file(const char *path,
                               void (*take)(void *context,
                                            const struct metric_line *line),
                               void *context);

/* Writes the file's lines up to those of step to the stream, without what is no line;
 * of a file that is missing, nothing. Whether they were written, the stream's ferror
 * tells. Local. Errors: IO, MEMORY. */
convoy_status metric_copy_earlier(const char *path, uint64_t step, FILE *stream);

#endif
