/* Predictions: how long a step of a training takes on other numbers of nodes, from what
 * a run measured about itself and what messages cost on a network (docs/scaling.md has
 * the formulas). No MPI. */
#ifndef CONVOY_PLAN_H
#define CONVOY_PLAN_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_plan convoy_plan;

enum { CONVOY_PLAN_MAX_NODES = 1 << 16, CONVOY_PLAN_MAX_ROWS = 256 };

/* {0} is the default, but for nodes. All is borrowed for the call. */
typedef struct convoy_plan_options {
    const int *nodes; /* [n_nodes] numbers of nodes, 1 to CONVOY_PLAN_MAX_NODES */
    int n_nodes;      /* 1 to CONVOY_PLAN_MAX_ROWS */
    /* A name (docs/scaling.md has them); "measured", from benches; or
     * "GBIT:LATENCY" or "GBIT:LATENCY:OVERHEAD": Gbit/s, microseconds. NULL:
     * "measured" where there are benches, else "hdr100". */
    const char *network;
    const char *const *benches; /* [n_benches] files of convoy bench exchange --json */
    int n_benches;
    bool weak;               /* the batch grows with the nodes */
    int node_ranks;          /* ranks of a node; 0: as in the run */
    int microbatch;          /* 0: as in the run */
    int bucket_mib;          /* 0: as in the run */
    double read_bytes_per_s; /* that all nodes together can read; 0: no limit */
} convoy_plan_options;

typedef struct convoy_plan_row {
    int nodes, ranks;
    /* Why it cannot run so; then what follows is 0. NULL: it can. Borrowed. */
    const char *refused;
    int64_t batch;
    int rounds; /* microbatches one after another on the busiest lane */
    double step_s, images_per_s;
    double speedup, efficiency; /* against the first row that can run */
    double compute_s;           /* of a step, until the last gradient is there */
    double exposed_s;           /* of a step, then until all sums are there */
    double after_s;             /* of a step, then: the optimizer */
    double epoch_s;
    double node_hours;       /* of all epochs of the recipe */
    double read_bytes_per_s; /* of all nodes; 0: not known */
    const char *limit;       /* what costs most time; borrowed */
    double limit_s;          /* that a step would be shorter without it */
    /* Of the step as played: what goes into the network */
    int n_buckets, flights;
    int64_t bucket_bytes;           /* of the largest */
    double first_ready_s, scores_s; /* when the first may leave */
} convoy_plan_row;

/* Reads the run directory folder and predicts. Local. *plan is new; free with
 * convoy_plan_destroy. Errors: IO; FORMAT (no run directory, one without steady steps,
 * a damaged file; a bench that is none), ARGUMENT (a number of nodes, an unknown
 * network; the text lists those that there are), MEMORY. */
convoy_status convoy_plan_create(const char *folder, const convoy_plan_options *options,
                                 convoy_plan **plan);

/* Takes NULL. Local. */
void convoy_plan_destroy(convoy_plan *plan);

/* A row for each number of nodes, from few to many, each once. */
int convoy_plan_n_rows(const convoy_plan *plan);
const convoy_plan_row *convoy_plan_row_at(const convoy_plan *plan, int i);

/* What the network is called and costs, as a text; borrowed. */
const char *convoy_plan_network(const convoy_plan *plan);

/* A table for people, with what was taken from where, and what would be faster. Local.
 * Error: IO. */
convoy_status convoy_plan_write_text(const convoy_plan *plan, FILE *stream);
/* A line of names, then a line each row. Local. Error: IO. */
convoy_status convoy_plan_write_csv(const convoy_plan *plan, FILE *stream);
/* One object. Local. Error: IO. */
convoy_status convoy_plan_write_json(const convoy_plan *plan, FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
