/* What a pack's id covers. Numbers go into the hash as 8 little-endian bytes each,
 * names with their final 0, so the id is the same on every machine. */
#include "pack/pack_index.h"

#include "base/hash.h"

#include <string.h>

static const char *const encodings[] = {[CONVOY_ENCODING_RAW] = "raw",
                                        [CONVOY_ENCODING_JPEG] = "jpeg",
                                        [CONVOY_ENCODING_PNG] = "png"};

enum { N_ENCODINGS = sizeof encodings / sizeof *encodings };

const char *pack_encoding_name(convoy_encoding encoding)
{
    return encodings[encoding];
}

convoy_status pack_encoding_of(const char *path, const char *text, convoy_encoding *out)
{
    for (int e = 0; e < N_ENCODINGS; e++)
        if (strcmp(text, encodings[e]) == 0) {
            *out = (convoy_encoding)e;
            return CONVOY_OK;
        }
    return FAIL(
        CONVOY_ERROR_FORMAT,
        "%s: its records have the unknown encoding '%.40s'; raw, jpeg or png is "
        "expected",
        path, text);
}

static void add_number(struct hash *hash, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    hash_update(hash, bytes, sizeof bytes);
}

convoy_status pack_index_hash(const convoy_pack_info *info,
                              const struct pack_index *index,
                              const char *const *class_names, char id[33])
{
    struct hash *hash = NULL;
    convoy_status status = hash_create(&hash);
    if (status != CONVOY_OK)
        return status;
    add_number(hash, (uint64_t)info->encoding);
    for (int d = 0; d < 3; d++)
        add_number(hash, (uint64_t)info->shape[d]);
    add_number(hash, info->n_records);
    for (uint64_t i = 0; i < info->n_records; i++) {
        add_number(hash, index->checksums[i]);
        add_number(hash, index->offsets[i + 1]);
        add_number(hash, (uint64_t)index->labels[i]);
        add_number(hash, (uint64_t)index->width[i] << 16 | index->height[i]);
    }
    add_number(hash, (uint64_t)info->n_classes);
    for (int c = 0; c < info->n_classes; c++)
        hash_update(hash, class_names[c], strlen(class_names[c]) + 1);
    hash_hex(hash, id);
    hash_destroy(hash);
    return CONVOY_OK;
}
