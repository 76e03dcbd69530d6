/* Feeding hashes of checkpoints: every piece begins with its length, so that two
 * different sequences of pieces never feed the same bytes. All little-endian. */
#ifndef CHECKPOINT_CHECKPOINT_HASH_H
#define CHECKPOINT_CHECKPOINT_HASH_H

#include "base/hash.h"
#include "checkpoint/checkpoint.h"

void checkpoint_hash_u64(struct hash *hash, uint64_t value);
void checkpoint_hash_text(struct hash *hash, const char *text);
/* path, shape and values. */
void checkpoint_hash_tensor(struct hash *hash, const char *path,
                            const struct tensor_view *shape, const float *values);

/* Product of the dims. */
size_t checkpoint_n_values(const struct tensor_view *tensor);

#endif
