/* The layout of a pack file (docs/pack-format.md): names, and the index of its records.
 */
#ifndef PACK_PACK_INDEX_H
#define PACK_PACK_INDEX_H

#include <convoy/pack.h>

#define PACK_FORMAT "convoy pack" /* attribute "format" of the root */
#define PACK_EMPTY "empty"        /* attribute of a part without records */

enum { PACK_VERSION = 1, PACK_MAX_PARTS = 512 };

/* One entry a record, except offsets with one more. */
struct pack_index {
    uint64_t *offsets; /* [n + 1] in /bytes; the first 0, rising */
    int32_t *labels;
    uint64_t *checksums; /* XXH3-64 of the record */
    uint16_t *width, *height;
};

/* "raw", "jpeg", "png" */
const char *pack_encoding_name(convoy_encoding encoding);

/* FORMAT where text names no encoding; path is for the message. */
convoy_status pack_encoding_of(const char *path, const char *text,
                               convoy_encoding *out);

/* The id of a pack: over its records, labels, class names, encoding and shape, so the
 * same records in the same order have the same id however they were packed.
 * class_names: [n_classes]. info->id itself is not looked at. */
convoy_status pack_index_hash(const convoy_pack_info *info,
                              const struct pack_index *index,
                              const char *const *class_names, char id[33]);

#endif
