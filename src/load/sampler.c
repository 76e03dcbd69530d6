/* The order of an epoch: a uniform permutation drawn from (seed, epoch) alone, so it
 * can be worked out anywhere and at any time. A sampler keeps the one order it was last
 * asked for: the loader asks for positions in rising order, so an order is worked out
 * once an epoch. Memory is allocated once; 4 bytes a record. */
#include "load/sampler.h"

#include "base/memory.h"
#include "base/rng.h"

struct sampler {
    uint32_t n_records;
    uint64_t seed;
    uint64_t epoch; /* of order, once filled */
    bool filled;
    uint32_t *order; /* [n_records]; NULL: the identity */
};

void sampler_order(uint32_t n_records, uint64_t seed, uint64_t epoch, uint32_t *out)
{
    struct rng rng = rng_stream(seed, RNG_PERMUTATION, epoch, 0);
    rng_permutation(&rng, n_records, out);
}

convoy_status sampler_create(uint32_t n_records, uint64_t seed, bool shuffle,
                             struct sampler **sampler)
{
    convoy_status status = CONVOY_OK;
    struct sampler *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->n_records = n_records;
    made->seed = seed;
    if (shuffle)
        TRY(mem_alloc_array(n_records, sizeof *made->order, (void **)&made->order));
    *sampler = made;
    made = NULL;
cleanup:
    sampler_destroy(made);
    return status;
}

void sampler_records(struct sampler *sampler, uint64_t epoch, uint64_t first, int n,
                     uint32_t *out)
{
    bool stale = !sampler->filled || sampler->epoch != epoch;
    if (sampler->order && stale) {
        sampler_order(sampler->n_records, sampler->seed, epoch, sampler->order);
        sampler->epoch = epoch;
        sampler->filled = true;
    }
    for (int i = 0; i < n; i++) {
        uint64_t position = first + (uint64_t)i;
        out[i] = sampler->order ? sampler->order[position] : (uint32_t)position;
    }
}

int sampler_repeats(int repeats)
{
    return repeats > 0 ? repeats : 1;
}

void sampler_batch(struct sampler *sampler, const struct sampler_step *of,
                   uint64_t first, int n, uint32_t *out)
{
    const uint64_t different = of->batch / (uint64_t)of->repeats;
    for (int done = 0, length = 0; done < n; done += length) {
        const uint64_t at = (first + (uint64_t)done) % different;
        const uint64_t rest = (uint64_t)(n - done);
        length = (int)(different - at < rest ? different - at : rest);
        sampler_records(sampler, of->epoch, of->step * different + at, length,
                        out + done);
    }
}

void sampler_destroy(struct sampler *sampler)
{
    if (!sampler)
        return;
    mem_free(sampler->order);
    mem_free(sampler);
}
