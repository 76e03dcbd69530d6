/* Without its sign, a float's bits order as an integer does: by magnitude, then
 * infinity, then what is no number. What is at least limit becomes negative when the
 * distance from limit to the sign is added. So a value costs three operations on
 * integers, of vectors, without a branch; a comparison of floats would have to stay
 * true to what is no number. */
#include "base/magnitude.h"

#include <stdint.h>
#include <string.h>

enum {
    RANGE = 1 << 14,        /* floats that a thread takes at a time */
    PARALLEL_FROM = 1 << 16 /* floats that are worth waking threads for */
};

static const uint32_t sign_bit = UINT32_C(1) << 31;

/* From limit to the sign. */
static uint32_t distance(float limit)
{
    uint32_t bits;
    memcpy(&bits, &limit, sizeof bits);
    return sign_bit - bits;
}

/* With the sign bit, if some value's magnitude is not below. */
static uint32_t too_large(const float *values, size_t n, uint32_t distance)
{
    uint32_t found = 0;
#pragma omp simd reduction(| : found)
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        found |= (bits & ~sign_bit) + distance;
    }
    return found;
}

bool magnitudes_below(const float *values, size_t n, float limit)
{
    const uint32_t to_sign = distance(limit);
    uint32_t found = 0;
    if (n <= PARALLEL_FROM)
        return !(too_large(values, n, to_sign) & sign_bit);
#pragma omp parallel for reduction(| : found)
    for (size_t at = 0; at < n; at += RANGE)
        found |= too_large(values + at, n - at < RANGE ? n - at : RANGE, to_sign);
    return !(found & sign_bit);
}

/* Each is the upper half of a float. */
bool magnitudes_below_bf16(const void *values, size_t n, float limit)
{
    const uint16_t *halves = values;
    const uint32_t to_sign = distance(limit);
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++)
        found |= (((uint32_t)halves[i] << 16) & ~sign_bit) + to_sign;
    return !(found & sign_bit);
}
