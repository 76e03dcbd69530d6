/* What the files of this folder share; nobody else includes it. */
#ifndef H5_H5_INTERNAL_H
#define H5_H5_INTERNAL_H

#include "h5/h5.h"

#include <hdf5.h>

struct h5_file {
    hid_t id; /* H5I_INVALID_HID once closed */
    bool writing;
    uint64_t n_bytes; /* of the file when it was opened for reading */
    char *path;
};

/* TRY for a call of HDF5 that answers with a negative number when it fails. doing:
 * "read", "write", … */
#define TRY_H5(call, file, object, doing)                                              \
    do {                                                                               \
        if ((call) < 0)                                                                \
            TRY(h5_fail(__FILE__, __LINE__, (file), (object), (doing)));               \
    } while (0)

/* Records "path: object: cannot doing: why" (without the object where it is "/"), with
 * HDF5's own innermost reason. */
convoy_status h5_fail(const char *source, int line, const struct h5_file *file,
                      const char *object, const char *doing);

/* To be called first by every function that calls HDF5: its error stack and printing
 * are per thread, and it must not clean up at exit. */
void h5_quiet(void);

/* Each takes H5I_INVALID_HID. */
void h5_drop_space(hid_t id);
void h5_drop_type(hid_t id);
void h5_drop_list(hid_t id);

/* What is created with this list will not hold the time of its creation. */
convoy_status h5_forget_times(const struct h5_file *file, hid_t list);

/* Makes the groups that name lies in; those that exist are fine. */
convoy_status h5_make_parents(struct h5_file *file, const char *name);

/* Opens a dataset; FORMAT where there is none. Close with H5Dclose. */
convoy_status h5_open_dataset(const struct h5_file *file, const char *name,
                              hid_t *dataset);

/* A new string type of size bytes (H5T_VARIABLE: of any length), UTF-8. */
convoy_status h5_text_type(size_t size, hid_t *type);

#endif
