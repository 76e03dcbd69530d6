/* A step on a number of nodes. Local, all of it. */
#ifndef PLAN_PLAN_STEP_H
#define PLAN_PLAN_STEP_H

#include <convoy/plan.h>

#include "plan/plan_input.h"

/* On what, and how. */
struct plan_setting {
    int nodes, node_ranks;
    int64_t batch;
    int microbatch;
    int bucket_mib; /* 0: auto */
};

/* The run's own, but for what the options say. */
struct plan_setting plan_setting_of(const struct plan_input *input,
                                    const convoy_plan_options *options, int nodes);

/* What stands against it, as a text in why; false: nothing. */
bool plan_refuses(const struct plan_input *input, const struct plan_setting *setting,
                  bool is_weak, char *why, size_t size);

/* What a prediction may leave out, to see what that costs. */
enum plan_without {
    PLAN_WITHOUT_NOTHING,
    PLAN_WITHOUT_IDLE_LANES,
    PLAN_WITHOUT_BANDWIDTH,
    PLAN_WITHOUT_LATENCY,
    PLAN_WITHOUT_OVERHEAD,
    PLAN_WITHOUT_SUMS,
    PLAN_WITHOUT_OPTIMIZER,
    PLAN_WITHOUT_READING,
    N_PLAN_WITHOUT
};

/* Fills in what of the row is a step's: of a setting that is not refused.
 * read_bytes_per_s: 0: no limit. */
void plan_step(const struct plan_input *input, const struct plan_network *network,
               const struct plan_setting *setting, double read_bytes_per_s,
               enum plan_without without, convoy_plan_row *row);

/* The name of what costs most, and what a step would gain without it. "compute":
 * nothing else costs a fiftieth of a step. */
const char *plan_limit(const struct plan_input *input,
                       const struct plan_network *network,
                       const struct plan_setting *setting, double read_bytes_per_s,
                       double *gain_s);

#endif
