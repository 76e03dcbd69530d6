/* Philox 4x32-10, a counter-based generator (Salmon et al., "Parallel random numbers:
 * as easy as 1, 2, 3", SC 2011, section 3). A draw is a pure function of a key (what
 * the draw is for) and a counter (which one), with no state to keep, share or save. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* What a draw is for: two purposes never share a stream. */
enum rng_purpose {
    RNG_PERMUTATION = 1, /* a: epoch              b: 0             */
    RNG_AUGMENT = 2,     /* a: epoch              b: sample, repetition << 32 */
    RNG_DROPOUT = 3,     /* a: step << 16 | layer b: sample of the global batch */
    RNG_INIT = 4,        /* a: hash of the parameter's name, b: 0  */
    RNG_MIXING = 5,      /* a: epoch              b: microbatch of the epoch */
    RNG_LANDSCAPE = 6,   /* a: hash of the parameter's name, b: axis */
    RNG_REFLECTIVITY = 7 /* a: 0                  b: 0             */
};

/* A stream of draws for (seed, purpose, a, b); plain data, made by rng_stream. */
struct rng {
    uint32_t key[2];
    uint32_t counter[3]; /* words 1..3 of the counter; word 0 is the block's number */
};

struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint64_t a, uint64_t b);

/* Four independent uniform 32-bit words: block number block of the stream. */
void rng_block(const struct rng *rng, uint32_t block, uint32_t out[4]);

/* Word number i of the stream (word i % 4 of block i / 4). */
uint32_t rng_word(const struct rng *rng, uint64_t i);

/* A float in [0, 1) with 24 random bits. */
float rng_to_unit(uint32_t word);

/* A double in [0, 1) with 53 random bits from words 2i and 2i + 1. */
double rng_unit(const struct rng *rng, uint64_t i);

/* A standard normal value from words 2i and 2i + 1 (Box and Muller 1958). */
double rng_normal(const struct rng *rng, uint64_t i);

/* Writes a uniform permutation of 0..n-1 (Fisher and Yates; Lemire 2019 for the bounded
 * draws, with rejection, so no order is favoured). */
void rng_permutation(const struct rng *rng, uint32_t n, uint32_t *out);

#endif
