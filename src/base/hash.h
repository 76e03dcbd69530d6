/* XXH3, for checksums of records and hashes of weights (not against an attacker). */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* 64-bit XXH3 of n bytes. */
uint64_t hash_64(const void *bytes, size_t n);

/* A 128-bit XXH3 of data that comes in pieces. */
struct hash;

/* New; free with hash_destroy. */
convoy_status hash_create(struct hash **hash);
void hash_update(struct hash *hash, const void *bytes, size_t n);
/* Writes 32 hex digits and a 0 for what was fed so far. */
void hash_hex(const struct hash *hash, char hex[33]);
/* Takes NULL. */
void hash_destroy(struct hash *hash);

#endif
