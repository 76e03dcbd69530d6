/* Edits to a sound HDF5 file, through HDF5 itself: objects and attributes go
 * away, get other types, shapes, layouts and values, or become links. What an
 * edit is, is read off the input byte by byte; behind its end all bytes are 0.
 */
#include "fuzz/h5_edit.h"

#include "fuzz/fuzz.h"
#include "support/scratch.h"

#include <hdf5.h>

enum { MAX_NAMES = 64, NAME = 128, MAX_EDITS = 6, ROOM = 4096, MAX_DIMS = 3 };

struct input {
    const uint8_t *at;
    size_t n;
};

struct names {
    int n;
    char texts[MAX_NAMES][NAME];
};

static const uint64_t sizes[] = {
    0, 1, 2, 3, 4, 5, 7, 8, 64, 65, 500, 1000, 65536, 1U << 31, UINT64_C(1) << 40};

enum { N_SIZES = sizeof sizes / sizeof *sizes, N_SMALL = 8 };

static uint8_t next(struct input *input)
{
    if (input->n == 0)
        return 0;
    input->n--;
    return *input->at++;
}

/* Up to n bytes of the input, with zeros behind them. */
static void next_bytes(struct input *input, void *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = next(input);
}

static herr_t add_name(hid_t file, const char *name, const H5L_info_t *info, void *out)
{
    struct names *names = out;
    (void)file;
    (void)info;
    if (names->n < MAX_NAMES)
        snprintf(names->texts[names->n++], NAME, "%s", name);
    return 0;
}

static herr_t add_attribute(hid_t file, const char *name, const H5A_info_t *info,
                            void *out)
{
    (void)info;
    return add_name(file, name, NULL, out);
}

/* A new type. */
static hid_t choose_type(uint8_t choice)
{
    const hid_t plain[] = {
        H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_U8LE,   H5T_STD_U16LE, H5T_STD_I32LE,
        H5T_STD_U64LE,  H5T_STD_I64LE,  H5T_IEEE_F32BE, H5T_STD_U64BE, H5T_STD_I16BE};
    const size_t n = sizeof plain / sizeof *plain;
    const hsize_t two = 2;
    hid_t type = H5I_INVALID_HID;
    switch (choice % (n + 4)) {
    case 0:
        type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, 5);
        return type;
    case 1:
        type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, H5T_VARIABLE);
        return type;
    case 2:
        return H5Tcreate(H5T_OPAQUE, 3);
    case 3:
        return H5Tarray_create2(H5T_IEEE_F32LE, 1, &two);
    default:
        return H5Tcopy(plain[choice % (n + 4) - 4]);
    }
}

/* Sizes are the first n_sizes of the table: HDF5 writes out what an attribute
 * holds. */
static hid_t choose_space(struct input *input, int n_sizes)
{
    hsize_t dims[MAX_DIMS];
    const int n_dims = next(input) % (MAX_DIMS + 1);
    for (int d = 0; d < n_dims; d++)
        dims[d] = sizes[next(input) % n_sizes];
    return n_dims == 0 && next(input) & 1 ? H5Screate(H5S_NULL)
                                          : H5Screate_simple(n_dims, dims, NULL);
}

/* Creation properties: contiguous, compact, or in chunks, packed or not. */
static hid_t choose_layout(struct input *input, hid_t space)
{
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t dims[MAX_DIMS] = {0};
    const int n_dims = H5Sget_simple_extent_dims(space, dims, NULL);
    const uint8_t choice = next(input) % 4;
    if (choice == 1)
        H5Pset_layout(list, H5D_COMPACT);
    for (int d = 0; d < n_dims; d++)
        dims[d] = dims[d] < 1 ? 1 : dims[d] < 16 ? dims[d] : 16;
    if (choice > 1 && n_dims > 0)
        H5Pset_chunk(list, n_dims, dims);
    if (choice == 3 && n_dims > 0)
        H5Pset_deflate(list, 1);
    return list;
}

/* Fills buffer with values for the space, unless these are too many. */
static bool fill(struct input *input, hid_t type, hid_t space, uint8_t buffer[ROOM])
{
    static char text[32];
    static char *texts[ROOM / sizeof(char *)];
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    if (n < 0 || size == 0 || (uint64_t)n > ROOM / size)
        return false;
    memset(buffer, 0, ROOM);
    if (H5Tis_variable_str(type) > 0) {
        next_bytes(input, text, sizeof text - 1);
        for (hssize_t i = 0; i < n; i++)
            texts[i] = text;
        memcpy(buffer, texts, (size_t)n * sizeof *texts);
    } else {
        next_bytes(input, buffer, (size_t)n * size < 64 ? (size_t)n * size : 64);
    }
    return true;
}

static void replace_dataset(struct input *input, hid_t file, const char *name)
{
    static uint8_t buffer[ROOM];
    const hid_t type = choose_type(next(input)), space = choose_space(input, N_SIZES);
    const hid_t list = choose_layout(input, space);
    H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t dataset =
        H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    if (dataset >= 0 && fill(input, type, space, buffer))
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
    H5Dclose(dataset);
    H5Pclose(list);
    H5Sclose(space);
    H5Tclose(type);
}

static void replace_attribute(struct input *input, hid_t file, const char *name)
{
    static uint8_t buffer[ROOM];
    const hid_t type = choose_type(next(input));
    const hid_t space =
        next(input) & 1 ? choose_space(input, N_SMALL) : H5Screate(H5S_SCALAR);
    H5Adelete(file, name);
    const hid_t attribute =
        H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0 && fill(input, type, space, buffer))
        H5Awrite(attribute, type, buffer);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* Changes some of a dataset's bytes. */
static void poke_dataset(struct input *input, hid_t file, const char *name)
{
    static uint8_t buffer[ROOM];
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0)
        return;
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    const uint64_t n = (uint64_t)H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type), at = next(input) * size + next(input) % 8;
    if (size && n <= ROOM / size && H5Tget_class(type) != H5T_STRING &&
        H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) >= 0) {
        next_bytes(input, buffer + at % (ROOM - 8), 1 + next(input) % 8);
        H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(dataset);
}

/* A link, or a group, where something else was. */
static void replace_by_link(struct input *input, hid_t file, const char *name,
                            const char *other)
{
    const uint8_t choice = next(input) % 5;
    H5Ldelete(file, name, H5P_DEFAULT);
    if (choice == 0)
        H5Lcreate_soft(other, file, name, H5P_DEFAULT, H5P_DEFAULT);
    else if (choice == 1)
        H5Lcreate_soft(name, file, name, H5P_DEFAULT, H5P_DEFAULT);
    else if (choice == 2)
        H5Lcreate_hard(file, other, file, name, H5P_DEFAULT, H5P_DEFAULT);
    else if (choice == 3)
        H5Lcreate_external("/dev/null", other, file, name, H5P_DEFAULT, H5P_DEFAULT);
    else
        H5Gclose(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

static void edit(struct input *input, hid_t file, const struct names *objects,
                 const struct names *attributes)
{
    const uint8_t what = next(input) % 6, which = next(input);
    const char *object = objects->texts[which % objects->n];
    const char *attribute = attributes->texts[which % attributes->n];
    switch (what) {
    case 0:
        H5Ldelete(file, object, H5P_DEFAULT);
        break;
    case 1:
        replace_dataset(input, file, object);
        break;
    case 2:
        poke_dataset(input, file, object);
        break;
    case 3:
        replace_by_link(input, file, object, objects->texts[next(input) % objects->n]);
        break;
    case 4:
        H5Adelete(file, attribute);
        break;
    default:
        replace_attribute(input, file, attribute);
    }
}

static const char *copy_seed(const char *seed)
{
    size_t n = 0;
    unsigned char *bytes = scratch_read(fuzz_seed(seed), &n);
    fuzz_expect(bytes, "a seed that is missing");
    const char *copy = fuzz_file("input.h5", bytes, n);
    free(bytes);
    return copy;
}

const char *h5_edit_make(const char *const *seeds, int n_seeds, const uint8_t *data,
                         size_t size)
{
    struct input input = {data, size};
    static struct names objects, attributes;
    hsize_t first = 0;
    if (size == 0 || data[0] == 0x89)
        return fuzz_file("input.h5", data, size);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const char *path = copy_seed(seeds[next(&input) % n_seeds]);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    fuzz_expect(file >= 0, "a seed that cannot be edited");
    objects.n = attributes.n = 0;
    H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, add_name, &objects);
    H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_NATIVE, &first, add_attribute,
                &attributes);
    fuzz_expect(objects.n > 0 && attributes.n > 0, "a seed without contents");
    for (int i = 0; i < MAX_EDITS && input.n > 0; i++)
        edit(&input, file, &objects, &attributes);
    H5Fclose(file);
    return path;
}
