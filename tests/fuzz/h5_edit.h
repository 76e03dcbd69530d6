/* HDF5 files that are sound, but not what is expected. */
#ifndef FUZZ_H5_EDIT_H
#define FUZZ_H5_EDIT_H

#include <stddef.h>
#include <stdint.h>

/* Writes a file from the input and returns its path. An input that begins as HDF5 files
 * do is the file itself; another one is a list of edits to one of the seeds
 * (fuzz_seed): the metadata of HDF5 carries checksums, so of files that
 * are changed byte by byte hardly one comes as far as convoy. */
const char *h5_edit_make(const char *const *seeds, int n_seeds, const uint8_t *data,
                         size_t size);

#endif
