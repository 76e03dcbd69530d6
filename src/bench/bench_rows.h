/* The ops of a program by what work they are, a row each. */
#ifndef BENCH_BENCH_ROWS_H
#define BENCH_BENCH_ROWS_H

#include "net/net_lanes.h"

struct bench_rows {
    int n_ops, n_rows;
    int *row_of;   /* [n_ops] */
    int *first_op; /* [n_rows], which has the row's kind and phase */
};

/* *rows is {0} before; free with bench_rows_free. MEMORY. */
convoy_status bench_rows_make(const struct program *program, struct bench_rows *rows);
void bench_rows_free(struct bench_rows *rows);

/* Of a row's ops since times were last reset, in the mean of all lanes, which is the
 * time of one of them where all have as much. */
struct bench_seconds {
    double seconds, cpu_seconds;
};
struct bench_seconds bench_rows_time(const struct bench_rows *rows,
                                     const struct net_lanes *net_lanes, int row);

#endif
