/* What a report takes from one run directory. Local, all of it. */
#ifndef REPORT_REPORT_RUN_H
#define REPORT_REPORT_RUN_H

#include "metrics/metric.h"
#include "report/pop.h"
#include "report/samples.h"

#include <stdbool.h>

/* Where the time of a step went on the ranks: means over steady steps, of what lines of
 * "ranks" say. */
struct report_ranks {
    uint64_t steps; /* 0: no line says */
    double compute_s, compute_s_least, compute_s_most;
    double exchange_s, hidden_s, input_s, optimizer_s;
    double busy_s, busy_s_most;
    uint64_t slowest_rank;               /* of the first line */
    char slowest_host[METRIC_TEXT_SIZE]; /* "": not always the same */
    struct pop_times pop;                /* of steps that tell it, which are: */
    uint64_t pop_steps;                  /* 0: none do (older lines) */
};

/* From a line; false: it lacks a value, and is none to count on. */
bool report_ranks_of(const struct metric_ranks *line, struct report_ranks *out);

/* Takes what others says into mean. */
void report_ranks_add(struct report_ranks *mean, const struct report_ranks *other);

/* The share of the exchange that is hidden; of the ranks' time, what they would all be
 * busy if none was slower than the mean: the load balance. */
double report_ranks_hidden_share(const struct report_ranks *ranks);
double report_ranks_balance(const struct report_ranks *ranks);

/* The steady steps of those lives of a run that were on the same ranks and cores. */
struct report_part {
    struct metric_start place; /* step and time are the first life's */
    struct samples steps;      /* seconds, sorted */
    uint64_t n_dropped;        /* steps that are not steady */
    struct report_ranks ranks;
};

struct report_run {
    char *path;
    char *facts; /* what decides how fast it can be, lines "name: value" */
    char *model; /* its name */
    struct report_part *parts; /* [n_parts], each with steady steps */
    int n_parts;
};

/* Whether folder is a run directory: what a run leaves first is in it. */
bool report_run_is(const char *folder);

/* Reads a run directory. *run: to be freed with report_run_free, on error, too.
 * Errors: IO, MEMORY; FORMAT (damaged, of an older convoy, or without steady steps). */
convoy_status report_run_read(const char *folder, struct report_run *run);

/* Takes {0}. */
void report_run_free(struct report_run *run);

#endif
