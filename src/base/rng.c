/* Philox 4x32-10 and what is drawn with it. The key mixes seed and purpose; words 1..3
 * of the counter hold a and b, folded so that every bit of both takes part. */
#include "base/rng.h"

#include <math.h>

/* SplitMix64's finaliser (Steele et al. 2014): a bijection of 64 bits. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b)
{
    uint64_t key = mix(mix(seed) ^ (uint64_t)purpose ^ mix(a));
    return (struct rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .counter = {(uint32_t)b, (uint32_t)(b >> 32), (uint32_t)a},
    };
}

void rng_block(const struct rng *rng, uint32_t block, uint32_t out[4])
{
    uint32_t k0 = rng->key[0], k1 = rng->key[1];
    const uint32_t *counter = rng->counter;
    uint32_t c0 = block, c1 = counter[0], c2 = counter[1], c3 = counter[2];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53U * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57U * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t rng_word(const struct rng *rng, uint64_t i)
{
    uint32_t block[4];
    rng_block(rng, (uint32_t)(i / 4), block);
    return block[i % 4];
}

float rng_to_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24F;
}

double rng_unit(const struct rng *rng, uint64_t i)
{
    uint32_t block[4];
    rng_block(rng, (uint32_t)(i / 2), block);
    const uint32_t *pair = block + i % 2 * 2;
    uint64_t bits = (uint64_t)pair[0] << 32 | pair[1];
    return (double)(bits >> 11) * 0x1p-53;
}

double rng_normal(const struct rng *rng, uint64_t i)
{
    const double two_pi = 6.283185307179586476925286766559;
    uint32_t block[4];
    rng_block(rng, (uint32_t)(i / 2), block);
    const uint32_t *pair = block + i % 2 * 2;
    double u = ((double)pair[0] + 0.5) * 0x1p-32; /* never 0: the logarithm is finite */
    double v = (double)pair[1] * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

void rng_permutation(const struct rng *rng, uint32_t n, uint32_t *out)
{
    uint64_t drawn = 0;
    for (uint32_t i = 0; i < n; i++) {
        /* A uniform j in [0, i]: the high half of a 32 x 32 bit product. */
        uint32_t bound = i + 1;
        uint32_t reject_below = (uint32_t)(-bound) % bound;
        uint64_t product;
        do
            product = (uint64_t)rng_word(rng, drawn++) * bound;
        while ((uint32_t)product < reject_below);
        uint32_t j = (uint32_t)(product >> 32);
        out[i] = out[j];
        out[j] = i;
    }
}
