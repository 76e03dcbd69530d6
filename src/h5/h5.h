/* HDF5 files with typed, whole-array access. The only folder that includes <hdf5.h>.
 *
 * Works with HDF5 1.10 to 2.x. One thread at a time may be inside these functions:
 * callers guarantee it. HDF5's own printing of errors is switched off for each thread
 * that calls. Objects are named by their path from the root ("/params/fc.weight"); the
 * leading slash may be left out. Missing parent groups are made when something is
 * written. The same calls with the same values write the same bytes: nothing in a file
 * tells when it was made. Every error names the file and the object. Errors while
 * reading are FORMAT (the file does not hold what it should) or IO (the operating
 * system cannot open or read it); errors while writing are IO.
 *
 * A file that is read is not believed: an array must lie in it in one piece, as
 * h5_write and h5_reserve_bytes place it, so that no file claims more than it holds.
 */
#ifndef H5_H5_H
#define H5_H5_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { H5_MAX_DIMS = 8 };

enum h5_type {
    H5_TYPE_F32,
    H5_TYPE_F64,
    H5_TYPE_U8,
    H5_TYPE_U16,
    H5_TYPE_I32,
    H5_TYPE_U64,
    H5_TYPE_TEXT, /* strings, as h5_write_texts writes them */
    H5_TYPE_OTHER /* anything else: can be described and listed, not read */
};

/* What a dataset holds. */
struct h5_shape {
    enum h5_type type;
    int n_dims; /* 0: a single value */
    uint64_t dims[H5_MAX_DIMS];
    uint64_t n_values; /* product of dims */
};

struct h5_file;

/* Makes a new file at path (an old one is emptied, a symbolic link refused) and opens
 * it for writing. Datasets of a page and more start on a page of 4096 bytes. *file is
 * new; free with h5_close.
 */
convoy_status h5_create(const char *path, struct h5_file **file);

/* Opens a file for reading only, without locking it. *file is new; free with h5_close.
 * Errors: IO (cannot be opened), FORMAT (empty, no HDF5 file, cut short). */
convoy_status h5_open(const char *path, struct h5_file **file);

/* Hands everything written to the operating system and closes the file inside HDF5;
 * only h5_close and h5_path may follow. An error (a full disk) means the file is not
 * whole. */
convoy_status h5_finish(struct h5_file *file);

/* Takes NULL. Without h5_finish before, what a written file then holds is not known. */
void h5_close(struct h5_file *file);

/* As it was given; borrowed until close. */
const char *h5_path(const struct h5_file *file);

/* Whether name is a dataset or group. */
convoy_status h5_exists(const struct h5_file *file, const char *name, bool *exists);

/* Makes the group and its parents; those that exist are fine. */
convoy_status h5_make_group(struct h5_file *file, const char *name);

/* The names of all datasets below group, at any depth, relative to it ("fc.weight",
 * "momentum/fc.weight"), in byte order. *names is new; free with h5_free_texts. */
convoy_status h5_list(const struct h5_file *file, const char *group, char ***names,
                      size_t *n);

/* Type and shape of the dataset. FORMAT where it does not exist, or is not stored in
 * one piece within the file. */
convoy_status h5_describe(const struct h5_file *file, const char *name,
                          struct h5_shape *shape);

/* Writes a new dataset. dims: [n_dims], values: all of it, row-major, in memory's type.
 */
convoy_status h5_write(struct h5_file *file, const char *name, enum h5_type type,
                       int n_dims, const uint64_t *dims, const void *values);

/* Reads the whole dataset, which must have exactly this type and shape: else FORMAT,
 * with both in the text. */
convoy_status h5_read(const struct h5_file *file, const char *name, enum h5_type type,
                      int n_dims, const uint64_t *dims, void *values);

/* Reads a whole one-dimensional dataset of this type and any length. *values is new;
 * free with mem_free. */
convoy_status h5_read_vector(const struct h5_file *file, const char *name,
                             enum h5_type type, void **values, uint64_t *n);

/* A one-dimensional dataset of n strings (UTF-8 or any bytes but 0; n may be 0). */
convoy_status h5_write_texts(struct h5_file *file, const char *name,
                             const char *const *texts, size_t n);

/* *texts is new: n strings, free with h5_free_texts. */
convoy_status h5_read_texts(const struct h5_file *file, const char *name, char ***texts,
                            size_t *n);

/* Frees n strings and their array. Takes NULL. */
void h5_free_texts(char **texts, size_t n);

/* Makes a u8 dataset of n_bytes > 0 in one piece, with its place in the file fixed and
 * its contents undefined until h5_write_bytes. */
convoy_status h5_reserve_bytes(struct h5_file *file, const char *name,
                               uint64_t n_bytes);

/* Writes n bytes at position start of a u8 dataset. */
convoy_status h5_write_bytes(struct h5_file *file, const char *name, uint64_t start,
                             const void *bytes, size_t n);

/* Where a u8 dataset lies in the file: with it bytes can be read without HDF5. FORMAT
 * where it is empty or not stored in one piece within the file. */
convoy_status h5_locate_bytes(const struct h5_file *file, const char *name,
                              uint64_t *offset, uint64_t *n_bytes);

/* Attributes of a group or dataset; "/" is the file's own. Writing replaces. Reading an
 * attribute that does not exist or has another type is FORMAT. */
convoy_status h5_has_attribute(const struct h5_file *file, const char *object,
                               const char *name, bool *has);
convoy_status h5_write_text(struct h5_file *file, const char *object, const char *name,
                            const char *text);
convoy_status h5_write_i64(struct h5_file *file, const char *object, const char *name,
                           int64_t value);
convoy_status h5_write_f64(struct h5_file *file, const char *object, const char *name,
                           double value);
/* *text is new; free with mem_free. */
convoy_status h5_read_text(const struct h5_file *file, const char *object,
                           const char *name, char **text);
/* Any integer type that fits. */
convoy_status h5_read_i64(const struct h5_file *file, const char *object,
                          const char *name, int64_t *value);
convoy_status h5_read_f64(const struct h5_file *file, const char *object,
                          const char *name, double *value);

/* "1.10.8": of the library that is loaded. */
void h5_version(char text[32]);

#endif
