/* bfloat16: the upper half of an f32, so its range with 8 bits of precision; kept in a
 * uint16_t. */
#ifndef BASE_BF16_H
#define BASE_BF16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Exact. */
static inline float bf16_to_f32(uint16_t value)
{
    const uint32_t bits = (uint32_t)value << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To the nearest, of two as near the even one, as oneDNN and PyTorch round; a NaN stays
 * one. Written without branches, for loops to be vectorized. */
static inline uint16_t bf16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* to [n] may not overlap from [n]. */
void bf16_from_floats(uint16_t *restrict to, const float *restrict from, size_t n);

#endif
