/* What a report takes from one run directory. Local, all of it. */
#ifndef REPORT_REPORT_RUN_H
#define REPORT_REPORT_RUN_H

#include "metrics/metric.h"
#include "report/samples.h"

#include <stdbool.h>

/* The steady steps of those lives of a run that were on the same ranks and cores. */
struct report_part {
    struct metric_start place; /* step and time are the first life's */
    struct samples steps;      /* seconds, sorted */
    uint64_t n_dropped;        /* steps that are not steady */
};

struct report_run {
    char *path;
    char *facts; /* what decides how fast it can be, lines "name: value" */
    char *model; /* its name */
    struct report_part *parts; /* [n_parts], each with steady steps */
    int n_parts;
};

/* Whether folder is a run directory. */
bool report_run_is(const char *folder);

/* Reads a run directory. *run: to be freed with report_run_free, on error, too.
 * Errors: IO, MEMORY; FORMAT (damaged, of an older convoy, or without steady steps). */
convoy_status report_run_read(const char *folder, struct report_run *run);

/* Takes {0}. */
void report_run_free(struct report_run *run);

#endif
