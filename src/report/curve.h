/* Points of a curve, of which a page shows only so many. Local, all of it. */
#ifndef REPORT_CURVE_H
#define REPORT_CURVE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* A value that is not finite is a gap. */
struct curve_point {
    double x, y;
    double low, high; /* of what it stands for, or of its error */
};

/* Begin with {0}. */
struct curve {
    struct curve_point *points; /* [n] */
    size_t n, capacity;         /* capacity: bytes */
    bool is_thinned;            /* points are means of several */
};

/* What no plot could show becomes a gap: values of more than 1e300. MEMORY. */
convoy_status curve_add(struct curve *curve, double x, double y);
convoy_status curve_add_range(struct curve *curve, double x, double y, double low,
                              double high);

/* Leaves at most most points: each the mean of as many neighbours, with the least and
 * the most of them. A gap among others does not count. */
void curve_thin(struct curve *curve, size_t most);

/* Points that are no gaps. */
size_t curve_count(const struct curve *curve);

void curve_free(struct curve *curve);

#endif
