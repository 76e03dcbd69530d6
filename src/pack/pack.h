/* An open pack, from the inside: reading records from any thread. */
#ifndef PACK_PACK_H
#define PACK_PACK_H

#include <convoy/pack.h>

#include <stddef.h>

struct pack_record {
    const uint8_t *bytes; /* in the caller's buffer */
    size_t n_bytes;
    int32_t label; /* 0 <= label < n_classes: checked at open */
};

/* Reads record index (0 <= index < n_records) into *buffer, which grows as needed
 * (start with NULL and 0; free with mem_free), and checks its checksum. Local; any
 * number of threads at once, no HDF5 call, no lock. Errors: IO, FORMAT (the text names
 * pack and record). */
convoy_status pack_read(const convoy_pack *pack, uint64_t index, void **buffer,
                        size_t *capacity, struct pack_record *record);

/* How many bytes record index has. */
size_t pack_record_bytes(const convoy_pack *pack, uint64_t index);

/* A record whose pack_record_bytes bytes were read before and are at bytes: checks its
 * checksum. Local; any number of threads at once. Errors: FORMAT, as pack_read. */
convoy_status pack_take(const convoy_pack *pack, uint64_t index, const uint8_t *bytes,
                        struct pack_record *record);

/* The path it was opened with; borrowed until close. */
const char *pack_path(const convoy_pack *pack);

/* The size in pixels that the index gives for record index. */
void pack_record_size(const convoy_pack *pack, uint64_t index, int *width, int *height);

#endif
