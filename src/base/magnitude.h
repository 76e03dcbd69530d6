/* Whether many numbers are all small enough, which no infinity is and nothing that is
 * no number. */
#ifndef BASE_MAGNITUDE_H
#define BASE_MAGNITUDE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the magnitudes of all values [n] are below limit, which is positive;
 * INFINITY: whether all are finite. OpenMP inside for large n. Local. */
bool magnitudes_below(const float *values, size_t n, float limit);

/* The same of bf16 values, [n]. Local. */
bool magnitudes_below_bf16(const void *values, size_t n, float limit);

#endif
