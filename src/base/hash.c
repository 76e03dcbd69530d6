/* XXH3 behind one file: no other includes xxhash.h. */
#include "base/hash.h"

#include "base/pulse.h"

#include <stdio.h>
#include <xxhash.h>

uint64_t hash_64(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

convoy_status hash_create(struct hash **hash)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a hash state");
    XXH3_128bits_reset(state);
    *hash = (struct hash *)state;
    return CONVOY_OK;
}

void hash_update(struct hash *hash, const void *bytes, size_t n)
{
    pulse();
    XXH3_128bits_update((XXH3_state_t *)hash, bytes, n);
}

void hash_hex(const struct hash *hash, char hex[33])
{
    XXH128_hash_t digest = XXH3_128bits_digest((const XXH3_state_t *)hash);
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)digest.high64,
             (unsigned long long)digest.low64);
}

void hash_destroy(struct hash *hash)
{
    XXH3_freeState((XXH3_state_t *)hash);
}
