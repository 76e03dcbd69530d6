/* Vectors of LANES floats, which every x86-64 and ARMv8 has registers for, and loading
 * and storing them as f32 or bf16: for loops over channels that lie side by side. Told
 * a constant n, the copies are single instructions. */
#ifndef LAYER_VECTORS_H
#define LAYER_VECTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 4 };

typedef float floats __attribute__((vector_size(LANES * 4)));
typedef int32_t words __attribute__((vector_size(LANES * 4)));
typedef uint32_t bits __attribute__((vector_size(LANES * 4)));
typedef uint16_t halves __attribute__((vector_size(LANES * 2)));

/* n values, LANES or fewer, from[at …] of either type. */
INLINE floats load_floats(const void *from, int64_t at, int n, bool bf16)
{
    floats v = {0};
    halves half = {0};
    if (!bf16) {
        memcpy(&v, (const float *)from + at, (size_t)n * sizeof(float));
        return v;
    }
    memcpy(&half, (const uint16_t *)from + at, (size_t)n * sizeof(uint16_t));
    return (floats)(__builtin_convertvector(half, words) << 16);
}

INLINE void store_halves(void *to, int64_t at, bits v, int n)
{
    const halves half = __builtin_convertvector(v, halves);
    memcpy((uint16_t *)to + at, &half, (size_t)n * sizeof(uint16_t));
}

/* Values that were loaded, or 0: nothing is rounded. */
INLINE void store_floats(void *to, int64_t at, floats v, int n, bool bf16)
{
    if (bf16)
        store_halves(to, at, (bits)v >> 16, n);
    else
        memcpy((float *)to + at, &v, (size_t)n * sizeof(float));
}

/* Any values; bf16 is rounded as by bf16_from_f32. */
INLINE void store_rounded(void *to, int64_t at, floats v, int n, bool bf16)
{
    const bits whole = (bits)v, nan = (bits)(v != v);
    const bits rounded = (whole + 0x7fff + (whole >> 16 & 1)) >> 16;
    if (bf16)
        store_halves(to, at, (rounded & ~nan) | ((whole >> 16 | 0x40) & nan), n);
    else
        memcpy((float *)to + at, &v, (size_t)n * sizeof(float));
}

#endif
