/* Whole arrays as bf16. */
#include "base/bf16.h"

void bf16_from_floats(uint16_t *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = bf16_from_f32(from[i]);
}
