/* What a prediction takes from a run directory. Local, all of it. */
#ifndef PLAN_PLAN_INPUT_H
#define PLAN_PLAN_INPUT_H

#include "base/status.h"
#include "plan/plan_exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_MAX_POINTS = 512 };

/* So many bytes of gradients, counted in the order in which they leave, are summed on a
 * rank so long before the last ones. */
struct plan_point {
    double bytes, before_s;
};

struct plan_input {
    int nodes, ranks;
    int lanes;   /* of a rank */
    int cores;   /* of a node */
    int threads; /* of a lane */
    int64_t batch;
    int microbatch;
    enum plan_algorithm algorithm;
    bool is_auto;     /* the algorithm goes by the ranks of a node */
    int bucket_mib;   /* 0: auto */
    size_t n;         /* floats of gradients */
    double step_s;    /* as measured */
    double compute_s; /* of a step, until the last gradient is there, on the slowest
                         rank */
    double round_s;   /* of it: a microbatch on each lane */
    double optimizer_s, rest_s; /* after all sums are there: rest does not depend on
                                   anything */
    struct plan_point points[PLAN_MAX_POINTS]; /* [n_points], the last is {all, 0} */
    int n_points;
    bool has_timeline; /* else points are spread evenly */
    int64_t steps_per_epoch, total_steps;
    double image_bytes; /* read for an image; 0: not known */
};

/* Reads it. Errors: IO; FORMAT (no run directory, no line of "ranks", damaged); MEMORY.
 */
convoy_status plan_input_read(const char *folder, struct plan_input *input);

/* Of the run's batch. */
int plan_input_rounds(const struct plan_input *input);

/* How long before the last gradient the first so many bytes are there. */
double plan_input_before_s(const struct plan_input *input, double bytes);

#endif
