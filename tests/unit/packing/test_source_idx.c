/* IDX: gzipped or not, three or four dimensions; what does not fit is refused by name.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "support/idx_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#define IMAGES "train-images-idx3-ubyte"
#define LABELS "train-labels-idx1-ubyte"

static char folder[SCRATCH_PATH];

/* Each test has a folder of its own, with six images of 3 x 2 and labels of 4 classes.
 */
static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder) || idx_write_set(folder, 6, 3, 2, 4);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static convoy_status create_from(const char *name)
{
    return convoy_pack_create(scratch_path(folder, name), scratch_path(folder, "x.h5"),
                              NULL);
}

static void refuses(const char *name, convoy_status expected, const char *text)
{
    convoy_status status = create_from(name);
    if (status != expected || !strstr(convoy_status_text(), text))
        fail_msg("status %d, not %d, or no '%s' in '%s'", status, expected, text,
                 convoy_status_text());
    assert_false(file_exists(scratch_path(folder, "x.h5")));
}

/* Packs name and compares with what idx_write_set wrote. */
static void packs(const char *name, int channels, int height, int width)
{
    convoy_pack *pack = NULL;
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    int n = channels * height * width;
    if (create_from(name) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(convoy_pack_open(scratch_path(folder, "x.h5"), &pack), CONVOY_OK);
    const convoy_pack_info *info = convoy_pack_describe(pack);
    assert_int_equal(info->shape[0], channels);
    assert_int_equal(info->shape[1], height);
    assert_int_equal(info->shape[2], width);
    assert_int_equal(info->n_classes, 4);
    for (uint64_t i = 0; i < info->n_records; i++) {
        assert_int_equal(pack_read(pack, i, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.label, i * 3 % 4);
        assert_int_equal(record.n_bytes, n);
        for (int b = 0; b < n; b++)
            assert_int_equal(record.bytes[b],
                             (uint8_t)((i * (uint64_t)n + (uint64_t)b) * 7));
    }
    mem_free(buffer);
    convoy_pack_close(pack);
}

static void compress(const char *from, const char *to)
{
    size_t n = 0;
    unsigned char *bytes = scratch_read(scratch_path(folder, from), &n);
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format_raw(archive);
    archive_write_add_filter_gzip(archive);
    assert_int_equal(archive_write_open_filename(archive, scratch_path(folder, to)), 0);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, bytes, n), n);
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_entry_free(entry);
    archive_write_free(archive);
    free(bytes);
}

static void rename_in_folder(const char *from, const char *to)
{
    assert_int_equal(rename(scratch_path(folder, from), scratch_path(folder, to)), 0);
}

static void plain_files_are_packed(void **state)
{
    (void)state;
    packs(IMAGES, 1, 3, 2);
}

static void gzipped_files_are_packed(void **state)
{
    (void)state;
    compress(IMAGES, IMAGES ".gz");
    compress(LABELS, LABELS ".gz");
    packs(IMAGES ".gz", 1, 3, 2);
    assert_int_equal(unlink(scratch_path(folder, LABELS)), 0);
    packs(IMAGES, 1, 3, 2);
    assert_int_equal(unlink(scratch_path(folder, IMAGES)), 0);
    packs(IMAGES ".gz", 1, 3, 2);
    rename_in_folder(IMAGES ".gz", IMAGES);
    packs(IMAGES, 1, 3, 2);
}

static void plain_labels_serve_gzipped_images(void **state)
{
    (void)state;
    compress(IMAGES, IMAGES ".gz");
    packs(IMAGES ".gz", 1, 3, 2);
}

static void four_dimensions_have_channels(void **state)
{
    (void)state;
    const uint32_t dims[4] = {6, 3, 1, 2};
    assert_int_equal(idx_write(scratch_path(folder, IMAGES), 8, 4, dims, NULL, 36), 0);
    packs(IMAGES, 3, 1, 2);
}

static void channels_that_may_come_last_are_refused(void **state)
{
    (void)state;
    const uint32_t last[4] = {6, 4, 5, 3}, either[4] = {6, 3, 5, 1};
    const char *path = scratch_path(folder, IMAGES);
    assert_int_equal(idx_write(path, 8, 4, last, NULL, 360), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "of 4 x 5 x 3: the channels come last");
    assert_non_null(strstr(convoy_status_text(), "transpose(0, 3, 1, 2)"));
    assert_int_equal(idx_write(scratch_path(folder, IMAGES), 8, 4, either, NULL, 90),
                     0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "cannot be told which are the channels");
}

/* Big-endian integers, eight a label, of which the first is the class. */
static void write_integers(uint32_t n, uint32_t columns, const uint32_t *classes)
{
    const uint32_t dims[2] = {n, columns};
    uint8_t bytes[6 * 8 * 4];
    memset(bytes, 0x5a, sizeof bytes);
    for (uint32_t i = 0; i < n; i++)
        for (int b = 0; b < 4; b++)
            bytes[4 * columns * i + (uint32_t)b] =
                (uint8_t)(classes[i] >> (24 - 8 * b));
    assert_int_equal(idx_write(scratch_path(folder, "qmnist-labels-idx2-int"), 0x0c, 2,
                               dims, bytes, (size_t)n * columns * 4),
                     0);
}

static void labels_of_qmnist_are_read(void **state)
{
    (void)state;
    static const uint32_t classes[6] = {0, 3, 2, 1, 0, 3}, large[6] = {0, 1, 256};
    rename_in_folder(IMAGES, "qmnist-images-idx3-ubyte");
    assert_int_equal(unlink(scratch_path(folder, LABELS)), 0);
    write_integers(6, 8, classes);
    packs("qmnist-images-idx3-ubyte", 1, 3, 2);
    compress("qmnist-labels-idx2-int", "qmnist-labels-idx2-int.gz");
    assert_int_equal(unlink(scratch_path(folder, "qmnist-labels-idx2-int")), 0);
    packs("qmnist-images-idx3-ubyte", 1, 3, 2);
    assert_int_equal(unlink(scratch_path(folder, "x.h5")), 0);
    write_integers(6, 8, large);
    refuses("qmnist-images-idx3-ubyte", CONVOY_ERROR_FORMAT,
            "label 2 is 256, 0 to 255");
    write_integers(5, 8, classes);
    refuses("qmnist-images-idx3-ubyte", CONVOY_ERROR_FORMAT, "has 5 labels");
}

static void labels_are_found_by_other_spellings(void **state)
{
    (void)state;
    rename_in_folder(IMAGES, "t10k-images.idx3-ubyte");
    rename_in_folder(LABELS, "t10k-labels.idx1-ubyte");
    packs("t10k-images.idx3-ubyte", 1, 3, 2);
    rename_in_folder("t10k-images.idx3-ubyte", "images");
    rename_in_folder("t10k-labels.idx1-ubyte", "labels");
    packs("images", 1, 3, 2);
}

static void missing_labels_are_named(void **state)
{
    (void)state;
    assert_int_equal(unlink(scratch_path(folder, LABELS)), 0);
    refuses(IMAGES, CONVOY_ERROR_IO, "its labels file is missing");
    assert_non_null(strstr(convoy_status_text(), LABELS ".gz is there"));
    rename_in_folder(IMAGES, "pictures-idx3-ubyte");
    refuses("pictures-idx3-ubyte", CONVOY_ERROR_ARGUMENT,
            "its name has no 'images' in it");
}

static void a_labels_file_is_no_source(void **state)
{
    (void)state;
    refuses(LABELS, CONVOY_ERROR_FORMAT, "of 1 dimension (labels), not images");
}

static void other_counts_of_labels_are_refused(void **state)
{
    (void)state;
    const uint32_t five = 5;
    const uint8_t labels[6] = {0};
    assert_int_equal(idx_write(scratch_path(folder, LABELS), 8, 1, &five, labels, 5),
                     0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "has 5 labels, ");
    assert_non_null(strstr(convoy_status_text(), "has 6 images"));
}

static void short_and_long_files_are_refused(void **state)
{
    (void)state;
    const uint32_t dims[3] = {6, 3, 2};
    const uint8_t labels[7] = {0, 3, 2, 1, 0, 3, 0};
    assert_int_equal(idx_write(scratch_path(folder, IMAGES), 8, 3, dims, NULL, 35), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, IMAGES ": ends after 51 bytes");
    assert_int_equal(idx_write(scratch_path(folder, IMAGES), 8, 3, dims, NULL, 37), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, IMAGES ": goes on after the 52 bytes");
    assert_int_equal(idx_write(scratch_path(folder, IMAGES), 8, 3, dims, NULL, 36), 0);
    assert_int_equal(idx_write(scratch_path(folder, LABELS), 8, 1, dims, labels, 5), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, LABELS ": ends after 13 bytes");
    assert_int_equal(idx_write(scratch_path(folder, LABELS), 8, 1, dims, labels, 7), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, LABELS ": goes on after the 14 bytes");
}

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        int type, n_dims;
        uint32_t dims[4];
        const char *text;
    } cases[] = {{13, 3, {6, 3, 2}, "element type 0d, 08 (unsigned byte) is expected"},
                 {8, 2, {6, 6}, "of 2 dimensions, not images"},
                 {8, 5, {6, 3, 2}, "of 5 dimensions, 3 or 4"},
                 {8, 0, {6}, "of 0 dimensions"},
                 {8, 3, {0, 3, 2}, "has no images"},
                 {8, 3, {6, 0, 2}, "claims images of 1 x 0 x 2"},
                 {8, 3, {6, 70000, 2}, "claims images of 1 x 70000 x 2"},
                 {8, 4, {6, 60000, 60000, 60000}, "claims images of 60000 x"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n_dims = cases[i].n_dims > 4 ? 4 : cases[i].n_dims;
        const char *path = scratch_path(folder, IMAGES);
        assert_int_equal(
            idx_write(path, cases[i].type, n_dims, cases[i].dims, NULL, 36), 0);
        if (cases[i].n_dims > 4) {
            FILE *stream = fopen(path, "r+b");
            fseek(stream, 3, SEEK_SET);
            fputc(cases[i].n_dims, stream);
            fclose(stream);
        }
        refuses(IMAGES, CONVOY_ERROR_FORMAT, cases[i].text);
    }
    assert_int_equal(scratch_write(scratch_path(folder, IMAGES), "hello, hello", 12),
                     0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "not an IDX file: starts with 68 65 6c 6c");
    assert_int_equal(scratch_write(scratch_path(folder, IMAGES), "\0\0\10\3\0\0", 6),
                     0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "ends after 6 bytes");
    assert_int_equal(scratch_write(scratch_path(folder, IMAGES), "", 0), 0);
    refuses(IMAGES, CONVOY_ERROR_FORMAT, "the file is empty");
}

/* Every byte of a gzip file matters but for those of its header that hold name and
 * time. */
static void damage_to_a_gzipped_file_is_seen(void **state)
{
    (void)state;
    compress(IMAGES, IMAGES ".gz");
    size_t n = 0;
    const char *path = scratch_path(folder, IMAGES ".gz");
    unsigned char *bytes = scratch_read(path, &n);
    for (size_t i = 10; i < n; i++) {
        bytes[i] ^= (unsigned char)(1 << i % 8);
        assert_int_equal(scratch_write(path, bytes, n), 0);
        bytes[i] ^= (unsigned char)(1 << i % 8);
        if (create_from(IMAGES ".gz") == CONVOY_OK)
            packs(IMAGES ".gz", 1, 3, 2);
        else
            assert_non_null(strstr(convoy_status_text(), IMAGES ".gz"));
    }
    for (size_t keep = 1; keep < n; keep++) {
        assert_int_equal(scratch_write(path, bytes, keep), 0);
        assert_int_equal(create_from(IMAGES ".gz"), CONVOY_ERROR_FORMAT);
    }
    free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_files_are_packed),
        TEST(gzipped_files_are_packed),
        TEST(plain_labels_serve_gzipped_images),
        TEST(four_dimensions_have_channels),
        TEST(channels_that_may_come_last_are_refused),
        TEST(labels_of_qmnist_are_read),
        TEST(labels_are_found_by_other_spellings),
        TEST(missing_labels_are_named),
        TEST(a_labels_file_is_no_source),
        TEST(other_counts_of_labels_are_refused),
        TEST(short_and_long_files_are_refused),
        TEST(wrong_headers_are_refused),
        TEST(damage_to_a_gzipped_file_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
