/* Files that claim more than they hold, made with HDF5 itself. Some kilobytes each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "h5/h5.h"
#include "support/scratch.h"

#include <hdf5.h>

static char folder[SCRATCH_PATH];
static const hsize_t claimed = 4000000000U;

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

/* How the array is stored. */
static void in_chunks(hid_t list)
{
    const hsize_t chunk = 4096;
    assert_true(H5Pset_chunk(list, 1, &chunk) >= 0);
}

static void without_a_place(hid_t list)
{
    assert_true(H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE) >= 0);
}

static void in_another_file(hid_t list)
{
    assert_true(H5Pset_external(list, "/dev/zero", 0, H5F_UNLIMITED) >= 0);
}

static const struct {
    const char *name;
    void (*store)(hid_t list);
} cases[] = {{"chunks.h5", in_chunks},
             {"late.h5", without_a_place},
             {"external.h5", in_another_file}};

/* A file with "array", of 4 thousand million values, and 3 texts stored the same way.
 */
static const char *make(size_t i)
{
    const hsize_t n_texts = 3;
    const char *path = scratch_path(folder, cases[i].name);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE), text = H5Tcopy(H5T_C_S1);
    hid_t many = H5Screate_simple(1, &claimed, NULL),
          few = H5Screate_simple(1, &n_texts, NULL);
    cases[i].store(list);
    H5Tset_size(text, 1 << 30);
    hid_t array =
        H5Dcreate2(file, "array", H5T_IEEE_F32LE, many, H5P_DEFAULT, list, H5P_DEFAULT);
    hid_t texts = H5Dcreate2(file, "texts", text, few, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(array >= 0);
    H5Dclose(array);
    if (texts >= 0)
        H5Dclose(texts);
    H5Sclose(many);
    H5Sclose(few);
    H5Tclose(text);
    H5Pclose(list);
    assert_true(H5Fclose(file) >= 0);
    return path;
}

static void assert_refused(convoy_status found, const char *path, const char *name)
{
    assert_int_equal(found, CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), path));
    assert_non_null(strstr(convoy_status_text(), name));
    if (!strstr(convoy_status_text(), "is not stored in one piece"))
        fail_msg("%s", convoy_status_text());
}

static void arrays_that_are_not_stored_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = make(i);
        struct h5_file *file = NULL;
        struct h5_shape shape;
        void *values = NULL;
        uint64_t n = 0, at = 0;
        assert_int_equal(h5_open(path, &file), CONVOY_OK);
        assert_refused(h5_describe(file, "array", &shape), path, "array");
        assert_refused(h5_read_vector(file, "array", H5_TYPE_F32, &values, &n), path,
                       "array");
        assert_refused(h5_locate_bytes(file, "array", &at, &n), path, "array");
        h5_close(file);
    }
}

static void texts_that_are_not_stored_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* HDF5 makes no chunk of a gigabyte a value */
        const char *path = make(i);
        struct h5_file *file = NULL;
        char **texts = NULL;
        size_t n = 0;
        bool has = false;
        assert_int_equal(h5_open(path, &file), CONVOY_OK);
        assert_int_equal(h5_exists(file, "texts", &has), CONVOY_OK);
        if (has)
            assert_refused(h5_read_texts(file, "texts", &texts, &n), path, "texts");
        h5_close(file);
    }
}

/* Many texts that are all the same bytes of the file. */
static void texts_that_share_their_bytes_are_held_against_the_file(void **state)
{
    (void)state;
    enum { N = 200, LONG = 8000 };
    static char text[LONG + 1];
    static unsigned char first[16];
    const char *path = scratch_path(folder, "shared.h5");
    const char *values[N];
    memset(text, 'x', LONG);
    for (int i = 0; i < N; i++)
        values[i] = i ? "y" : text;
    const hsize_t n = N;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(1, &n, NULL), type = H5Tcopy(H5T_C_S1);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Tset_size(type, H5T_VARIABLE);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    hid_t array =
        H5Dcreate2(file, "texts", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    assert_true(H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    const long at = (long)H5Dget_offset(array);
    H5Dclose(array);
    H5Pclose(list);
    H5Tclose(type);
    H5Sclose(space);
    assert_true(H5Fclose(file) >= 0);
    /* Each of the short ones becomes a reference to the long one. */
    FILE *stream = fopen(path, "r+b");
    assert_int_equal(fseek(stream, at, SEEK_SET), 0);
    assert_int_equal(fread(first, sizeof first, 1, stream), 1);
    assert_int_equal(fseek(stream, at, SEEK_SET), 0);
    for (int i = 0; i < N; i++)
        assert_int_equal(fwrite(first, sizeof first, 1, stream), 1);
    assert_int_equal(fclose(stream), 0);
    struct h5_file *opened = NULL;
    char **texts = NULL;
    size_t n_texts = 0;
    assert_int_equal(h5_open(path, &opened), CONVOY_OK);
    assert_int_equal(h5_read_texts(opened, "texts", &texts, &n_texts),
                     CONVOY_ERROR_FORMAT);
    if (!strstr(convoy_status_text(), "more than the file has"))
        fail_msg("%s", convoy_status_text());
    h5_close(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_that_are_not_stored_are_refused),
        cmocka_unit_test(texts_that_are_not_stored_are_refused),
        cmocka_unit_test(texts_that_share_their_bytes_are_held_against_the_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
