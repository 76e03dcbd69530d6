/* Rows and tables of a report, from the parts of its runs. Local, all of it. */
#ifndef REPORT_REPORT_TABLE_H
#define REPORT_REPORT_TABLE_H

#include <convoy/report.h>

#include "report/report_run.h"
#include "report/run_view.h"

/* An efficiency that is taken for good (POP's metrics have the same border). */
#define REPORT_GOOD_EFFICIENCY 0.8

/* Runs of the same on the same ranks and cores, with all their steps. */
struct report_row {
    int group; /* of runs with the same facts */
    struct metric_start place;
    struct samples steps; /* sorted */
    int n_runs;
    double least_s, most_s; /* of the runs' medians */
    uint64_t n_dropped;
    struct report_ranks ranks;
    double step_s, step_s_q1, step_s_q3, images_per_s;
};

enum report_kind {
    REPORT_STRONG, /* one batch size, several numbers of cores */
    REPORT_WEAK,   /* one batch size a core, several numbers of cores */
    REPORT_SINGLE  /* a row that is in no other table */
};

struct report_table {
    enum report_kind kind;
    int group;
    int *rows; /* [n_rows] indices; from few cores to many. The first is the base */
    int n_rows;
};

struct report_group {
    const char *facts, *model; /* its first run's */
};

struct convoy_report {
    struct run_view *views;  /* [n_views] every run directory that was found */
    int n_views, n_shown;    /* n_shown: of them, those with something to show */
    struct report_run *runs; /* [n_runs] */
    int n_runs;
    struct report_group *groups; /* [n_groups] */
    int n_groups;
    struct report_row *rows; /* [n_rows], by group and size */
    int n_rows;
    struct report_table *tables; /* [n_tables] */
    int n_tables;
    char **passed; /* [n_passed] why folders were passed over */
    int n_passed;
    int missing; /* 1 + the first of passed that is a named folder without a run; 0 */
};

/* How a row compares with the first of its table: by images a second and by cores. */
struct report_scaling {
    double speedup, ideal, efficiency;
};
struct report_scaling report_scale(const struct report_row *base,
                                   const struct report_row *row);

/* From the report's runs to groups, rows and tables; on error the report is to be
 * destroyed all the same. MEMORY. */
convoy_status report_arrange(convoy_report *report);

/* OK, or why no run has steady steps to tell its speed by. FORMAT. */
convoy_status report_need_rows(const convoy_report *report);

/* The last row of the table whose efficiency is good; never NULL. */
const struct report_row *report_largest(const convoy_report *report,
                                        const struct report_table *table);

#endif
