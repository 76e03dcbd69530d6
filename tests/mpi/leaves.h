/* Leaves with values of wildly different magnitudes, and their tree sums by the
 * definition: sums in another order have other bits. */
#ifndef TESTS_LEAVES_H
#define TESTS_LEAVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Element i of leaf number leaf: 24 random bits, a random sign, 2^-30 to 2^29. */
static inline float leaf_value(uint32_t seed, int leaf, size_t i)
{
    uint64_t x = ((uint64_t)seed << 56) ^ ((uint64_t)leaf << 40) ^ (uint64_t)i;
    x = (x + 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 29)) * 0x94d049bb133111ebU;
    x ^= x >> 32;
    uint32_t exponent = 127 - 30 + (uint32_t)(x >> 32) % 60;
    uint32_t bits = (exponent << 23) | ((uint32_t)x & 0x807fffffU);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Element i of the sum of leaves [lo, hi), at most 32 of them. */
static inline float leaf_sum(uint32_t seed, int lo, int hi, size_t i)
{
    if (hi - lo == 1)
        return leaf_value(seed, lo, i);
    int left = 16;
    while (left >= hi - lo)
        left /= 2;
    return leaf_sum(seed, lo, lo + left, i) + leaf_sum(seed, lo + left, hi, i);
}

static inline bool same_bits(float a, float b)
{
    uint32_t a_bits, b_bits;
    memcpy(&a_bits, &a, sizeof a);
    memcpy(&b_bits, &b, sizeof b);
    return a_bits == b_bits;
}

#endif
