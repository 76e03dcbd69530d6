/* Files in the safetensors format, in which PyTorch's world exchanges weights:
 *
 *     u64, little-endian: bytes of the header, at most 100,000,000
 *     the header, JSON:   {"__metadata__": {"format": "pt"},
 *                          "fc.bias": {"dtype": "F32", "shape": [10],
 *                                      "data_offsets": [0, 40]}, …}
 *     the values of all tensors, row-major and little-endian, without a gap
 *
 * The reader is as strict as the format's own library and reads a tensor at a time; it
 * never holds the whole file. Local, all of it.
 */
#ifndef SAFETENSORS_SAFETENSORS_H
#define SAFETENSORS_SAFETENSORS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAFETENSORS_MAX_DIMS = 8,
    SAFETENSORS_MAX_HEADER = 100000000,
    SAFETENSORS_SHAPE_SIZE = 192
};

enum safetensors_type {
    SAFETENSORS_F32,
    SAFETENSORS_F64,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    SAFETENSORS_I64,
    SAFETENSORS_OTHER /* a known type whose values cannot be read here */
};

struct safetensors_tensor {
    const char *name;
    enum safetensors_type type;
    const char *type_name; /* "F32"; the writer does not look at it */
    int n_dims;            /* 0: a single value */
    uint64_t dims[SAFETENSORS_MAX_DIMS];
    uint64_t begin, end; /* bytes, from the first tensor's on; set by the writer */
};

struct safetensors;

/* Opens a file and checks everything but the values. *file is new; free with
 * safetensors_close. Errors: IO (cannot open), FORMAT (no regular file, no safetensors,
 * cut short, or a header that does not fit the file; the text names the tensor),
 * UNSUPPORTED (more than SAFETENSORS_MAX_DIMS dimensions), MEMORY. */
convoy_status safetensors_open(const char *path, struct safetensors **file);

/* Takes NULL. */
void safetensors_close(struct safetensors *file);

/* All n tensors in byte order of their names, in which there are no control characters;
 * borrowed until safetensors_close. */
const struct safetensors_tensor *safetensors_tensors(const struct safetensors *file,
                                                     size_t *n);

/* The tensor with this name, or NULL. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *file,
                                                  const char *name);

/* Whether safetensors_read_f32 reads this type. */
bool safetensors_is_float(enum safetensors_type type);

/* Reads a tensor's values as f32: F32 as they are, F16 and BF16 exactly, F64 rounded.
 * values: [product of dims]. Errors: IO, FORMAT (the file was cut short meanwhile),
 * UNSUPPORTED (another type, or an F64 that no f32 can hold). */
convoy_status safetensors_read_f32(const struct safetensors *file,
                                   const struct safetensors_tensor *tensor,
                                   float *values);

/* "[64, 3, 7, 7]" */
void safetensors_shape_text(const struct safetensors_tensor *tensor,
                            char out[SAFETENSORS_SHAPE_SIZE]);

/* An entry of "__metadata__". */
struct safetensors_note {
    const char *key, *text;
};

struct safetensors_writer;

/* Starts a file of n tensors under a temporary name beside path; their values must
 * follow by safetensors_write, in this order. Types: F32 and I64. *writer is new; free
 * with safetensors_writer_destroy. Errors: IO, MEMORY, ARGUMENT (the path is too long).
 */
convoy_status safetensors_create(const char *path,
                                 const struct safetensors_tensor *tensors, size_t n,
                                 const struct safetensors_note *notes, size_t n_notes,
                                 struct safetensors_writer **writer);

/* Appends values. Error: IO. */
convoy_status safetensors_write(struct safetensors_writer *writer, const void *values,
                                size_t bytes);

/* Syncs the file, which must be complete, and renames it to its path. Error: IO. */
convoy_status safetensors_commit(struct safetensors_writer *writer);

/* Takes NULL. Removes what was not committed. */
void safetensors_writer_destroy(struct safetensors_writer *writer);

#endif
