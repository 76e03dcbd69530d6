/* What the hashes of checkpoints and weights are made of. The hash of a file is a
 * promise across machines and versions: changing anything here changes every hash.
 */
#include "checkpoint/checkpoint_hash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "values are hashed as they lie in memory");
_Static_assert(sizeof(float) == 4, "values are hashed as f32");

void checkpoint_hash_u64(struct hash *hash, uint64_t value)
{
    hash_update(hash, &value, sizeof value);
}

void checkpoint_hash_text(struct hash *hash, const char *text)
{
    size_t n = strlen(text);
    checkpoint_hash_u64(hash, n);
    hash_update(hash, text, n);
}

size_t checkpoint_n_values(const struct tensor_view *tensor)
{
    size_t n = 1;
    for (int i = 0; i < tensor->n_dims; i++)
        n *= (size_t)tensor->dims[i];
    return n;
}

void checkpoint_hash_tensor(struct hash *hash, const char *path,
                            const struct tensor_view *shape, const float *values)
{
    checkpoint_hash_text(hash, path);
    checkpoint_hash_u64(hash, (uint64_t)shape->n_dims);
    for (int i = 0; i < shape->n_dims; i++)
        checkpoint_hash_u64(hash, (uint64_t)shape->dims[i]);
    hash_update(hash, values, checkpoint_n_values(shape) * sizeof *values);
}
