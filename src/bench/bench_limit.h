/* What a training step would take if it were nothing but its primitives, each alone and
 * in the layouts that it likes best: the limit that a step is held against. */
#ifndef BENCH_BENCH_LIMIT_H
#define BENCH_BENCH_LIMIT_H

#include "bench/bench_rows.h"

struct limit;

/* Makes the primitives of net_lanes' net, compiled with rivals, on its lanes.
 * microbatches: of a step, on all lanes. rounds: of limit_measure. rows and net_lanes
 * are borrowed. *limit is new; free with limit_destroy. LIBRARY, MEMORY. */
convoy_status limit_create(const struct net_lanes *net_lanes,
                           const struct bench_rows *rows, int microbatches, int rounds,
                           struct limit **limit);
/* Takes NULL. */
void limit_destroy(struct limit *limit);

/* A round: runs each primitive on all lanes at once, a lane on memory of its own; and
 * notes what the rows have taken since the last round, or since program_time. To be
 * called after each step, so that both are measured under the same load. */
convoy_status limit_measure(struct limit *limit);

/* Of a step, in the median of the rounds: of one row's primitives and of the row
 * itself, by the CPU time of lanes' first threads, in the mean; and of all primitives,
 * by the clock, and as the sum of all rows. */
double limit_row_cpu_s(struct limit *limit, int row);
double limit_row_ours_cpu_s(struct limit *limit, int row);
struct bench_seconds limit_seconds(struct limit *limit);

#endif
