/* Attributes: single strings, whole numbers and reals on a group or dataset. */
#include "h5/h5_internal.h"

#include "base/memory.h"

#include <string.h>

convoy_status h5_has_attribute(const struct h5_file *file, const char *object,
                               const char *name, bool *has)
{
    convoy_status status = CONVOY_OK;
    bool exists = false;
    htri_t found = 0;
    TRY(h5_exists(file, object, &exists));
    if (exists)
        found = H5Aexists_by_name(file->id, object, name, H5P_DEFAULT);
    TRY_H5(found, file, name, "look up the attribute");
    *has = found > 0;
cleanup:
    return status;
}

static convoy_status write_attribute(struct h5_file *file, const char *object,
                                     const char *name, hid_t stored, hid_t memory,
                                     const void *value)
{
    convoy_status status = CONVOY_OK;
    hid_t space = H5I_INVALID_HID, attribute = H5I_INVALID_HID;
    bool has = false;
    TRY(h5_has_attribute(file, object, name, &has));
    if (has)
        TRY_H5(H5Adelete_by_name(file->id, object, name, H5P_DEFAULT), file, name,
               "replace the attribute");
    space = H5Screate(H5S_SCALAR);
    TRY_H5(space, file, name, "prepare");
    attribute = H5Acreate_by_name(file->id, object, name, stored, space, H5P_DEFAULT,
                                  H5P_DEFAULT, H5P_DEFAULT);
    TRY_H5(attribute, file, name, "create the attribute");
    TRY_H5(H5Awrite(attribute, memory, value), file, name, "write the attribute");
cleanup:
    if (attribute >= 0)
        H5Aclose(attribute);
    h5_drop_space(space);
    return status;
}

convoy_status h5_write_text(struct h5_file *file, const char *object, const char *name,
                            const char *text)
{
    convoy_status status = CONVOY_OK;
    hid_t type = H5I_INVALID_HID;
    h5_quiet();
    TRY(h5_text_type(strlen(text) ? strlen(text) : 1, &type));
    TRY(write_attribute(file, object, name, type, type, text));
cleanup:
    h5_drop_type(type);
    return status;
}

convoy_status h5_write_i64(struct h5_file *file, const char *object, const char *name,
                           int64_t value)
{
    h5_quiet();
    return write_attribute(file, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

convoy_status h5_write_f64(struct h5_file *file, const char *object, const char *name,
                           double value)
{
    h5_quiet();
    return write_attribute(file, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                           &value);
}

/* Opens a single-valued attribute of the class kind. Close with H5Aclose. */
static convoy_status open_attribute(const struct h5_file *file, const char *object,
                                    const char *name, H5T_class_t kind, hid_t *out)
{
    convoy_status status = CONVOY_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID, space = H5I_INVALID_HID;
    bool has = false;
    TRY(h5_has_attribute(file, object, name, &has));
    if (!has)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: %s: has no attribute '%s'", file->path,
                    object, name);
    attribute = H5Aopen_by_name(file->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    TRY_H5(attribute, file, name, "open the attribute");
    type = H5Aget_type(attribute);
    space = H5Aget_space(attribute);
    if (H5Tget_class(type) != kind || H5Sget_simple_extent_npoints(space) != 1)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: attribute '%s' is not a single %s",
                 file->path, object, name,
                 kind == H5T_STRING    ? "text"
                 : kind == H5T_INTEGER ? "whole number"
                                       : "real number"));
    *out = attribute;
    attribute = H5I_INVALID_HID;
cleanup:
    h5_drop_space(space);
    h5_drop_type(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return status;
}

/* Text of variable length, as h5py writes it: HDF5 allocates it. */
static convoy_status read_variable_text(const struct h5_file *file, const char *name,
                                        hid_t attribute, hid_t stored, char **text)
{
    convoy_status status = CONVOY_OK;
    hid_t type = H5I_INVALID_HID;
    char *read = NULL;
    TRY(h5_text_type(H5T_VARIABLE, &type));
    TRY_H5(H5Tset_cset(type, H5Tget_cset(stored)), file, name, "read the attribute");
    TRY_H5(H5Aread(attribute, type, &read), file, name, "read the attribute");
    TRY(mem_copy_text(read ? read : "", text));
cleanup:
    if (read)
        H5free_memory(read);
    h5_drop_type(type);
    return status;
}

convoy_status h5_read_text(const struct h5_file *file, const char *object,
                           const char *name, char **text)
{
    convoy_status status = CONVOY_OK;
    hid_t attribute = H5I_INVALID_HID, type = H5I_INVALID_HID;
    char *read = NULL;
    h5_quiet();
    TRY(open_attribute(file, object, name, H5T_STRING, &attribute));
    type = H5Aget_type(attribute);
    TRY_H5(type, file, name, "read the attribute");
    if (H5Tis_variable_str(type) > 0) {
        TRY(read_variable_text(file, name, attribute, type, &read));
    } else {
        const size_t n_bytes = H5Tget_size(type);
        if (!file->writing && n_bytes > file->n_bytes)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: %s: attribute '%s' claims %zu bytes, more than the file has: "
                     "the file is damaged",
                     file->path, object, name, n_bytes));
        TRY(mem_alloc(n_bytes + 1, (void **)&read));
        TRY_H5(H5Aread(attribute, type, read), file, name, "read the attribute");
    }
    *text = read;
    read = NULL;
cleanup:
    mem_free(read);
    h5_drop_type(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return status;
}

static convoy_status read_number(const struct h5_file *file, const char *object,
                                 const char *name, H5T_class_t kind, void *value)
{
    convoy_status status = CONVOY_OK;
    hid_t attribute = H5I_INVALID_HID;
    h5_quiet();
    TRY(open_attribute(file, object, name, kind, &attribute));
    TRY_H5(H5Aread(attribute, kind == H5T_FLOAT ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64,
                   value),
           file, name, "read the attribute");
cleanup:
    if (attribute >= 0)
        H5Aclose(attribute);
    return status;
}

convoy_status h5_read_i64(const struct h5_file *file, const char *object,
                          const char *name, int64_t *value)
{
    return read_number(file, object, name, H5T_INTEGER, value);
}

convoy_status h5_read_f64(const struct h5_file *file, const char *object,
                          const char *name, double *value)
{
    return read_number(file, object, name, H5T_FLOAT, value);
}
