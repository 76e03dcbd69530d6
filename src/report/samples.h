/* Times with weights: the mean time of k steps stands for k steps. Local, all of it. */
#ifndef REPORT_SAMPLES_H
#define REPORT_SAMPLES_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct sample {
    double value;
    uint64_t weight;
};

/* Begin with {0}. */
struct samples {
    struct sample *values; /* [n] */
    size_t n, capacity;    /* capacity: bytes */
    uint64_t weight;       /* of all */
};

/* weight 0 adds nothing. MEMORY. */
convoy_status samples_add(struct samples *samples, double value, uint64_t weight);
convoy_status samples_add_all(struct samples *samples, const struct samples *others);

/* In ascending order, as samples_quantile needs them. */
void samples_sort(struct samples *samples);

/* The quantile q (0 to 1) of the list in which each value stands as often as its weight
 * says, between two of its values linearly (NumPy's default). Not a number: no samples.
 */
double samples_quantile(const struct samples *samples, double q);

void samples_free(struct samples *samples);

#endif
