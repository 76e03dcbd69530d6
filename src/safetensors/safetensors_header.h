/* The JSON header of a safetensors file. */
#ifndef SAFETENSORS_SAFETENSORS_HEADER_H
#define SAFETENSORS_SAFETENSORS_HEADER_H

#include "safetensors/safetensors.h"

#include <stdio.h>

struct json_value;

/* A header that was read: tensors in byte order of their names, which it owns. */
struct safetensors_header {
    struct json_value *json; /* what the names point into */
    struct safetensors_tensor *tensors;
    size_t n;
};

/* Reads the n bytes of a header and checks it against the data_bytes of the file that
 * follow it; path is for messages. *header: {0} before; on error, too, to be freed with
 * safetensors_header_free. */
convoy_status safetensors_header_read(const char *path, const char *text, size_t n,
                                      uint64_t data_bytes,
                                      struct safetensors_header *header);
void safetensors_header_free(struct safetensors_header *header);

/* Sets the offsets of tensors and writes their header, padded to 8 bytes. */
void safetensors_header_write(FILE *stream, struct safetensors_tensor *tensors,
                              size_t n, const struct safetensors_note *notes,
                              size_t n_notes);

/* Bytes of one value: 4 for F32, 8 for I64. */
size_t safetensors_type_bytes(enum safetensors_type type);

#endif
