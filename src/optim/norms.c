/* Sums of squares whose order is a function of n alone. Many values are cut into PARTS
 * parts of equal length, few are one part; a part is added up in LANES running sums,
 * element i in lane i mod LANES; lanes and then parts are added one after another.
 * Threads share out parts, so they decide nothing.
 *
 * In double the square of an f32 is exact, and a sum of n of them, if many, is off by n
 * / LANES / PARTS + LANES + PARTS roundings of 2^-53 at most: exact, for an f32 that is
 * made of it.
 */
#include "optim/optim.h"

enum {
    PARTS = 64,
    LANES = 16,
    PARALLEL_FROM = 1 << 15 /* floats that are worth waking threads for */
};

static double sum_part(const float *values, size_t n)
{
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int lane = 0; lane < LANES; lane++) {
            const double value = values[i + (size_t)lane];
            lanes[lane] += value * value;
        }
    }
    for (; i < n; i++)
        lanes[i % LANES] += (double)values[i] * (double)values[i];
    for (int lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

double optim_sum_squares(const float *values, size_t n)
{
    double sums[PARTS], sum = 0;
    if (n < PARALLEL_FROM)
        return sum_part(values, n);
    const size_t part_n = (n / PARTS / LANES + 1) * LANES;
#pragma omp parallel for schedule(static)
    for (size_t part = 0; part < PARTS; part++) {
        const size_t begin = part * part_n;
        const size_t left = begin < n ? n - begin : 0;
        sums[part] = sum_part(values + (n - left), left < part_n ? left : part_n);
    }
    for (int part = 0; part < PARTS; part++)
        sum += sums[part];
    return sum;
}
