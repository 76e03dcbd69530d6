/* Datasets: whole arrays, lists of strings, and one piece of bytes whose place in the
 * file is known.
 *
 * Numbers are stored little-endian and contiguous; HDF5 converts on machines that
 * differ. Strings are stored with one fixed length, padded with zeros: simple and
 * without HDF5's heap. Reading also takes strings of variable length, as h5py writes
 * them. */
#include "h5/h5_internal.h"

#include "base/memory.h"
#include "base/pulse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Room for "u64[1000000, 3, 224, 224]" with H5_MAX_DIMS dimensions. */
enum { SHAPE_TEXT = 32 + 22 * H5_MAX_DIMS };

static const struct {
    const char *name;
    H5T_class_t kind;
    size_t size;
    bool is_signed;
} type_table[] = {
    [H5_TYPE_F32] = {"f32", H5T_FLOAT, 4, true},
    [H5_TYPE_F64] = {"f64", H5T_FLOAT, 8, true},
    [H5_TYPE_U8] = {"u8", H5T_INTEGER, 1, false},
    [H5_TYPE_U16] = {"u16", H5T_INTEGER, 2, false},
    [H5_TYPE_I32] = {"i32", H5T_INTEGER, 4, true},
    [H5_TYPE_U64] = {"u64", H5T_INTEGER, 8, false},
    [H5_TYPE_TEXT] = {"text", H5T_STRING, 0, false},
    [H5_TYPE_OTHER] = {"another type", H5T_NO_CLASS, 0, false},
};

static hid_t stored_type(enum h5_type type)
{
    switch (type) {
    case H5_TYPE_F32:
        return H5T_IEEE_F32LE;
    case H5_TYPE_F64:
        return H5T_IEEE_F64LE;
    case H5_TYPE_U8:
        return H5T_STD_U8LE;
    case H5_TYPE_U16:
        return H5T_STD_U16LE;
    case H5_TYPE_I32:
        return H5T_STD_I32LE;
    case H5_TYPE_U64:
        return H5T_STD_U64LE;
    default:
        return H5I_INVALID_HID;
    }
}

static hid_t memory_type(enum h5_type type)
{
    switch (type) {
    case H5_TYPE_F32:
        return H5T_NATIVE_FLOAT;
    case H5_TYPE_F64:
        return H5T_NATIVE_DOUBLE;
    case H5_TYPE_U8:
        return H5T_NATIVE_UINT8;
    case H5_TYPE_U16:
        return H5T_NATIVE_UINT16;
    case H5_TYPE_I32:
        return H5T_NATIVE_INT32;
    case H5_TYPE_U64:
        return H5T_NATIVE_UINT64;
    default:
        return H5I_INVALID_HID;
    }
}

static enum h5_type type_of(hid_t id)
{
    H5T_class_t kind = H5Tget_class(id);
    if (kind == H5T_STRING)
        return H5_TYPE_TEXT;
    for (int t = 0; t < H5_TYPE_TEXT; t++) {
        if (type_table[t].kind != kind || type_table[t].size != H5Tget_size(id))
            continue;
        if (kind == H5T_FLOAT ||
            (H5Tget_sign(id) == H5T_SGN_2) == type_table[t].is_signed)
            return (enum h5_type)t;
    }
    return H5_TYPE_OTHER;
}

static void shape_text(enum h5_type type, int n_dims, const uint64_t *dims,
                       char out[SHAPE_TEXT])
{
    size_t at = (size_t)snprintf(out, SHAPE_TEXT, "%s[", type_table[type].name);
    for (int d = 0; d < n_dims; d++)
        at += (size_t)snprintf(out + at, SHAPE_TEXT - at, "%s%" PRIu64, d ? ", " : "",
                               dims[d]);
    snprintf(out + at, SHAPE_TEXT - at, "]");
}

convoy_status h5_open_dataset(const struct h5_file *file, const char *name, hid_t *out)
{
    convoy_status status = CONVOY_OK;
    bool exists = false;
    TRY(h5_exists(file, name, &exists));
    if (!exists)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: has no dataset %s", file->path, name);
    hid_t dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    TRY_H5(dataset, file, name, "open the dataset");
    *out = dataset;
cleanup:
    return status;
}

/* What a dataset claims to hold must lie in the file, in one piece. Other layouts let a
 * few bytes claim any size: chunks that were never written, an array without a place,
 * another file's contents. */
static convoy_status check_stored(const struct h5_file *file, const char *name,
                                  hid_t dataset, size_t value_bytes, uint64_t n_values)
{
    convoy_status status = CONVOY_OK;
    uint64_t bytes = 0;
    if (file->writing)
        return CONVOY_OK;
    hid_t list = H5Dget_create_plist(dataset);
    TRY_H5(list, file, name, "read how it is stored");
    const haddr_t at = H5Dget_offset(dataset);
    const bool is_placed = n_values == 0 || at != HADDR_UNDEF;
    if (H5Pget_layout(list) != H5D_CONTIGUOUS || H5Pget_external_count(list) != 0 ||
        !is_placed)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: is not stored in one piece (contiguous, allocated early, "
                 "without filters), as convoy's files are",
                 file->path, name));
    if (n_values == 0)
        goto cleanup;
    if (__builtin_mul_overflow(n_values, (uint64_t)value_bytes, &bytes) ||
        H5Dget_storage_size(dataset) < bytes || at > file->n_bytes ||
        bytes > file->n_bytes - at)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: claims %" PRIu64 " values of %zu bytes, which reach beyond "
                 "what the file holds (%" PRIu64 " bytes): it was cut short or damaged",
                 file->path, name, n_values, value_bytes, file->n_bytes));
cleanup:
    h5_drop_list(list);
    return status;
}

static convoy_status describe(const struct h5_file *file, const char *name,
                              hid_t dataset, struct h5_shape *out)
{
    convoy_status status = CONVOY_OK;
    struct h5_shape shape = {.n_values = 1};
    hsize_t dims[H5_MAX_DIMS] = {0};
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    TRY_H5(type, file, name, "read its type");
    TRY_H5(space, file, name, "read its shape");
    shape.type = type_of(type);
    shape.n_dims = H5Sget_simple_extent_ndims(space);
    TRY_H5(shape.n_dims, file, name, "read its shape");
    if (shape.n_dims > H5_MAX_DIMS || H5Sget_simple_extent_type(space) == H5S_NULL)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: has %d dimensions, 0 to %d are expected",
                 file->path, name, shape.n_dims, H5_MAX_DIMS));
    TRY_H5(H5Sget_simple_extent_dims(space, dims, NULL), file, name, "read its shape");
    for (int d = 0; d < shape.n_dims; d++) {
        shape.dims[d] = dims[d];
        if (__builtin_mul_overflow(shape.n_values, dims[d], &shape.n_values))
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: its dimensions overflow", file->path,
                     name));
    }
    TRY(check_stored(file, name, dataset, H5Tget_size(type), shape.n_values));
    *out = shape;
cleanup:
    h5_drop_space(space);
    h5_drop_type(type);
    return status;
}

convoy_status h5_describe(const struct h5_file *file, const char *name,
                          struct h5_shape *shape)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID;
    h5_quiet();
    TRY(h5_open_dataset(file, name, &dataset));
    TRY(describe(file, name, dataset, shape));
cleanup:
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

/* Properties of a dataset in one piece that has its place from the start. */
static convoy_status early_list(const struct h5_file *file, const char *name,
                                hid_t *out)
{
    convoy_status status = CONVOY_OK;
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    TRY(h5_forget_times(file, list));
    TRY_H5(H5Pset_layout(list, H5D_CONTIGUOUS), file, name, "prepare");
    TRY_H5(H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY), file, name, "prepare");
    TRY_H5(H5Pset_fill_time(list, H5D_FILL_TIME_NEVER), file, name, "prepare");
    *out = list;
    list = H5I_INVALID_HID;
cleanup:
    h5_drop_list(list);
    return status;
}

static convoy_status create_dataset(struct h5_file *file, const char *name, hid_t type,
                                    int n_dims, const uint64_t *dims, hid_t *out)
{
    convoy_status status = CONVOY_OK;
    hid_t list = H5I_INVALID_HID, space = H5I_INVALID_HID;
    hsize_t extent[H5_MAX_DIMS] = {0};
    h5_quiet();
    if (n_dims < 0 || n_dims > H5_MAX_DIMS)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: %s: %d dimensions, at most %d can be written", file->path,
                    name, n_dims, H5_MAX_DIMS);
    for (int d = 0; d < n_dims; d++)
        extent[d] = dims[d];
    TRY(h5_make_parents(file, name));
    TRY(early_list(file, name, &list));
    space = n_dims ? H5Screate_simple(n_dims, extent, NULL) : H5Screate(H5S_SCALAR);
    TRY_H5(space, file, name, "prepare");
    hid_t dataset =
        H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    TRY_H5(dataset, file, name, "create the dataset");
    *out = dataset;
cleanup:
    h5_drop_space(space);
    h5_drop_list(list);
    return status;
}

/* Closes a dataset that was written to, if it is open: HDF5 writes what it still holds
 * of it only now, and never again if that fails. */
static convoy_status close_written(const struct h5_file *file, const char *name,
                                   hid_t dataset, convoy_status status)
{
    if (dataset < 0 || H5Dclose(dataset) >= 0 || status != CONVOY_OK)
        return status;
    return h5_fail(__FILE__, __LINE__, file, name, "write");
}

convoy_status h5_write(struct h5_file *file, const char *name, enum h5_type type,
                       int n_dims, const uint64_t *dims, const void *values)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID;
    TRY(create_dataset(file, name, stored_type(type), n_dims, dims, &dataset));
    for (int d = 0; d < n_dims; d++)
        if (dims[d] == 0)
            goto cleanup;
    pulse();
    TRY_H5(H5Dwrite(dataset, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
           file, name, "write");
cleanup:
    return close_written(file, name, dataset, status);
}

static convoy_status read_values(const struct h5_file *file, const char *name,
                                 enum h5_type type, hid_t dataset, void *values)
{
    convoy_status status = CONVOY_OK;
    TRY_H5(H5Dread(dataset, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
           file, name, "read");
cleanup:
    return status;
}

convoy_status h5_read(const struct h5_file *file, const char *name, enum h5_type type,
                      int n_dims, const uint64_t *dims, void *values)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID;
    struct h5_shape found;
    char expected_text[SHAPE_TEXT], found_text[SHAPE_TEXT];
    h5_quiet();
    TRY(h5_open_dataset(file, name, &dataset));
    TRY(describe(file, name, dataset, &found));
    if (found.type != type || found.n_dims != n_dims ||
        (n_dims > 0 && memcmp(found.dims, dims, (size_t)n_dims * sizeof *dims) != 0)) {
        shape_text(type, n_dims, dims, expected_text);
        shape_text(found.type, found.n_dims, found.dims, found_text);
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: is %s, %s is expected", file->path, name,
                 found_text, expected_text));
    }
    if (found.n_values > 0)
        TRY(read_values(file, name, type, dataset, values));
cleanup:
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

convoy_status h5_read_vector(const struct h5_file *file, const char *name,
                             enum h5_type type, void **values, uint64_t *n)
{
    convoy_status status = CONVOY_OK;
    struct h5_shape found;
    char text[SHAPE_TEXT];
    void *read = NULL;
    TRY(h5_describe(file, name, &found));
    if (found.type != type || found.n_dims != 1) {
        shape_text(found.type, found.n_dims, found.dims, text);
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: is %s, %s[n] is expected", file->path,
                 name, text, type_table[type].name));
    }
    TRY(mem_alloc_array(found.n_values, type_table[type].size, &read));
    TRY(h5_read(file, name, type, 1, found.dims, read));
    *values = read;
    *n = found.n_values;
    read = NULL;
cleanup:
    mem_free(read);
    return status;
}

convoy_status h5_text_type(size_t size, hid_t *out)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, size) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
        H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0) {
        *out = type;
        return CONVOY_OK;
    }
    h5_drop_type(type);
    return FAIL(CONVOY_ERROR_LIBRARY,
                "HDF5 cannot make a type for strings of %zu bytes", size);
}

convoy_status h5_write_texts(struct h5_file *file, const char *name,
                             const char *const *texts, size_t n)
{
    convoy_status status = CONVOY_OK;
    hid_t type = H5I_INVALID_HID, dataset = H5I_INVALID_HID;
    char *table = NULL;
    size_t longest = 1; /* a type of no bytes does not exist */
    h5_quiet();
    for (size_t i = 0; i < n; i++)
        longest = strlen(texts[i]) > longest ? strlen(texts[i]) : longest;
    TRY(mem_alloc_array(n, longest, (void **)&table));
    for (size_t i = 0; i < n; i++)
        memcpy(table + i * longest, texts[i], strlen(texts[i]));
    TRY(h5_text_type(longest, &type));
    TRY(create_dataset(file, name, type, 1, &(uint64_t){n}, &dataset));
    if (n > 0)
        TRY_H5(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, table), file,
               name, "write");
cleanup:
    status = close_written(file, name, dataset, status);
    h5_drop_type(type);
    mem_free(table);
    return status;
}

/* Reads n strings of variable length. */
static convoy_status read_variable(const struct h5_file *file, const char *name,
                                   hid_t dataset, size_t n, char **texts)
{
    convoy_status status = CONVOY_OK;
    hid_t type = H5I_INVALID_HID, stored = H5Dget_type(dataset),
          space = H5Dget_space(dataset);
    hsize_t n_bytes = 0;
    char **read = NULL;
    TRY(h5_text_type(H5T_VARIABLE, &type));
    TRY_H5(H5Tset_cset(type, H5Tget_cset(stored)), file, name, "read");
    TRY_H5(H5Dvlen_get_buf_size(dataset, type, space, &n_bytes), file, name, "read");
    /* Each may point to the same long text. */
    if (!file->writing && n_bytes > file->n_bytes)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: claims texts of %" PRIu64 " bytes, more than the file has",
                 file->path, name, (uint64_t)n_bytes));
    TRY(mem_alloc_array(n, sizeof *read, (void **)&read));
    TRY_H5(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, read), file, name,
           "read");
    for (size_t i = 0; i < n; i++)
        TRY(mem_copy_text(read[i] ? read[i] : "", &texts[i]));
cleanup:
    if (read && type >= 0)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, read);
    h5_drop_type(type);
    h5_drop_type(stored);
    h5_drop_space(space);
    mem_free(read);
    return status;
}

/* Reads n strings of one length. */
static convoy_status read_fixed(const struct h5_file *file, const char *name,
                                hid_t dataset, size_t n, char **texts)
{
    convoy_status status = CONVOY_OK;
    char *table = NULL, *text = NULL;
    hid_t type = H5Dget_type(dataset);
    TRY_H5(type, file, name, "read");
    size_t size = H5Tget_size(type);
    TRY(mem_alloc_array(n, size, (void **)&table));
    TRY(mem_alloc(size + 1, (void **)&text));
    TRY_H5(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, table), file, name,
           "read");
    for (size_t i = 0; i < n; i++) {
        memcpy(text, table + i * size, size);
        TRY(mem_copy_text(text, &texts[i]));
    }
cleanup:
    h5_drop_type(type);
    mem_free(text);
    mem_free(table);
    return status;
}

convoy_status h5_read_texts(const struct h5_file *file, const char *name, char ***out,
                            size_t *n)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID, type = H5I_INVALID_HID;
    struct h5_shape found = {0};
    char **texts = NULL;
    h5_quiet();
    TRY(h5_open_dataset(file, name, &dataset));
    TRY(describe(file, name, dataset, &found));
    if (found.type != H5_TYPE_TEXT || found.n_dims != 1)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: a one-dimensional array of text is expected", file->path,
                 name));
    TRY(mem_alloc_array(found.n_values, sizeof *texts, (void **)&texts));
    type = H5Dget_type(dataset);
    htri_t variable = H5Tis_variable_str(type);
    TRY_H5(variable, file, name, "read its type");
    if (found.n_values > 0 && variable)
        TRY(read_variable(file, name, dataset, found.n_values, texts));
    else if (found.n_values > 0)
        TRY(read_fixed(file, name, dataset, found.n_values, texts));
    *out = texts;
    *n = found.n_values;
    texts = NULL;
cleanup:
    h5_free_texts(texts, found.n_values);
    h5_drop_type(type);
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

convoy_status h5_reserve_bytes(struct h5_file *file, const char *name, uint64_t n_bytes)
{
    hid_t dataset = H5I_INVALID_HID;
    convoy_status status =
        create_dataset(file, name, H5T_STD_U8LE, 1, &n_bytes, &dataset);
    return close_written(file, name, dataset, status);
}

convoy_status h5_write_bytes(struct h5_file *file, const char *name, uint64_t start,
                             const void *bytes, size_t n)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID, space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    hsize_t from = start, count = n;
    h5_quiet();
    if (n == 0)
        return CONVOY_OK;
    TRY(h5_open_dataset(file, name, &dataset));
    space = H5Dget_space(dataset);
    TRY_H5(space, file, name, "write");
    TRY_H5(H5Sselect_hyperslab(space, H5S_SELECT_SET, &from, NULL, &count, NULL), file,
           name, "write");
    memory = H5Screate_simple(1, &count, NULL);
    TRY_H5(memory, file, name, "write");
    pulse();
    TRY_H5(H5Dwrite(dataset, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, bytes), file,
           name, "write");
cleanup:
    h5_drop_space(memory);
    h5_drop_space(space);
    return close_written(file, name, dataset, status);
}

convoy_status h5_locate_bytes(const struct h5_file *file, const char *name,
                              uint64_t *offset, uint64_t *n_bytes)
{
    convoy_status status = CONVOY_OK;
    hid_t dataset = H5I_INVALID_HID;
    struct h5_shape found;
    char text[SHAPE_TEXT];
    h5_quiet();
    TRY(h5_open_dataset(file, name, &dataset));
    TRY(describe(file, name, dataset, &found));
    if (found.type != H5_TYPE_U8 || found.n_dims != 1) {
        shape_text(found.type, found.n_dims, found.dims, text);
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: is %s, u8[n] is expected", file->path,
                 name, text));
    }
    haddr_t at = H5Dget_offset(dataset);
    if (at == HADDR_UNDEF) /* none, or not yet: no bytes */
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: has no place in the file", file->path,
                 name));
    *offset = at;
    *n_bytes = found.n_values;
cleanup:
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}
