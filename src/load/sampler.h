/* Which record stands at which position of an epoch. */
#ifndef LOAD_SAMPLER_H
#define LOAD_SAMPLER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sampler;

/* Writes the order of a shuffled epoch, out: [n_records]. */
void sampler_order(uint32_t n_records, uint64_t seed, uint64_t epoch, uint32_t *out);

/* New; free with sampler_destroy. Without shuffle every epoch's order is the identity.
 * Errors: MEMORY. */
convoy_status sampler_create(uint32_t n_records, uint64_t seed, bool shuffle,
                             struct sampler **sampler);

/* Writes the records at positions first … first + n - 1 of epoch, out: [n]. Works out
 * the epoch's order when epoch is not the one of the last call (tens of milliseconds
 * for a million records); one thread at a time. */
void sampler_records(struct sampler *sampler, uint64_t epoch, uint64_t first, int n,
                     uint32_t *out);

/* A step of an epoch, and its batch. With repeats R, which divides batch, the batch is
 * R times the same batch / R records, one round of them after the other; the steps of
 * an epoch take batch / R records each. */
struct sampler_step {
    uint64_t epoch, step; /* step: within the epoch */
    uint64_t batch;       /* samples a step */
    int repeats;
};

/* Writes the records at positions first … first + n - 1 of a step's batch, out: [n]. As
 * sampler_records. */
void sampler_batch(struct sampler *sampler, const struct sampler_step *of,
                   uint64_t first, int n, uint32_t *out);

/* The number of repeats where 0 stands for 1. */
int sampler_repeats(int repeats);

/* Takes NULL. */
void sampler_destroy(struct sampler *sampler);

#endif
