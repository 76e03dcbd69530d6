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

/* Takes NULL. */
void sampler_destroy(struct sampler *sampler);

#endif
