/* Class folders: order, what is passed over, and what is refused by name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "support/picture.h"
#include "support/scratch.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[SCRATCH_PATH];

/* Each test has a folder of its own. */
static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder) || mkdir(scratch_path(folder, "tree"), 0777);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static const char *below(const char *name)
{
    char path[SCRATCH_PATH];
    snprintf(path, sizeof path, "tree/%s", name);
    return scratch_path(folder, path);
}

static void add_image(const char *name, bool png, int width)
{
    char path[2 * SCRATCH_PATH];
    struct image picture = picture_make(width, 10, 3, width);
    uint8_t *bytes = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s", below(name));
    *strrchr(path, '/') = '\0';
    assert_int_equal(file_make_folder(path), CONVOY_OK);
    assert_int_equal(png ? image_encode_png(&picture, &bytes, &n)
                         : image_encode_jpeg(&picture, 90, &bytes, &n),
                     CONVOY_OK);
    assert_int_equal(scratch_write(below(name), bytes, n), 0);
    mem_free(bytes);
    image_free(&picture);
}

static convoy_status create(void)
{
    return convoy_pack_create(scratch_path(folder, "tree"),
                              scratch_path(folder, "x.h5"), NULL);
}

static convoy_pack *create_and_open(void)
{
    convoy_pack *pack = NULL;
    if (create() != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(convoy_pack_open(scratch_path(folder, "x.h5"), &pack), CONVOY_OK);
    return pack;
}

static void create_refuses(const char *text)
{
    convoy_status status = create();
    if (status != CONVOY_ERROR_FORMAT || !strstr(convoy_status_text(), text))
        fail_msg("status %d, or no '%s' in '%s'", status, text, convoy_status_text());
    assert_false(file_exists(scratch_path(folder, "x.h5")));
}

/* The pack has n_records, and this, alone, was left out. */
static void create_leaves_out(const char *text, uint64_t n_records)
{
    convoy_pack *pack = create_and_open();
    assert_int_equal(convoy_pack_describe(pack)->n_records, n_records);
    assert_int_equal(convoy_pack_count_left_out(pack), 1);
    if (!strstr(convoy_pack_left_out(pack, 0), text))
        fail_msg("no '%s' in '%s'", text, convoy_pack_left_out(pack, 0));
    convoy_pack_close(pack);
    assert_int_equal(unlink(scratch_path(folder, "x.h5")), 0);
    const convoy_pack_options strict = {.strict = true};
    assert_int_equal(convoy_pack_create(scratch_path(folder, "tree"),
                                        scratch_path(folder, "x.h5"), &strict),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), text));
    assert_false(file_exists(scratch_path(folder, "x.h5")));
}

/* The width of each image says which one it is. */
static void order_is_that_of_bytes_at_any_depth(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int width;
        int32_t label;
    } files[] = {{"B/z.jpg", 11, 0},      {"a/1/x.png", 12, 1},   {"a/10.jpg", 13, 1},
                 {"a/2.png", 14, 1},      {"a/b/c/d.jpg", 15, 1}, {"a/b0.jpg", 16, 1},
                 {"gr\xc3\xbcn/1", 17, 2}};
    enum { N = sizeof files / sizeof *files };
    for (int i = N - 1; i >= 0; i--)
        add_image(files[i].name, i % 2 == 1, files[i].width);
    convoy_pack *pack = create_and_open();
    const convoy_pack_info *info = convoy_pack_describe(pack);
    struct pack_record record;
    void *buffer = NULL;
    size_t capacity = 0;
    assert_int_equal(info->n_records, N);
    assert_int_equal(info->n_classes, 3);
    assert_int_equal(info->encoding, CONVOY_ENCODING_JPEG);
    assert_string_equal(convoy_pack_class_name(pack, 0), "B");
    assert_string_equal(convoy_pack_class_name(pack, 1), "a");
    assert_string_equal(convoy_pack_class_name(pack, 2), "gr\xc3\xbcn");
    for (uint64_t i = 0; i < N; i++) {
        int width = 0, height = 0;
        pack_record_size(pack, i, &width, &height);
        assert_int_equal(width, files[i].width);
        assert_int_equal(height, 10);
        assert_int_equal(pack_read(pack, i, &buffer, &capacity, &record), CONVOY_OK);
        assert_int_equal(record.label, files[i].label);
        size_t n = 0;
        unsigned char *original = scratch_read(below(files[i].name), &n);
        assert_int_equal(n, record.n_bytes);
        assert_memory_equal(original, record.bytes, n);
        free(original);
    }
    mem_free(buffer);
    convoy_pack_close(pack);
}

static void a_tree_of_png_files_is_a_png_pack(void **state)
{
    (void)state;
    add_image("a/1.jpg", true, 11);
    add_image("b/2.png", true, 12);
    convoy_pack *pack = create_and_open();
    assert_int_equal(convoy_pack_describe(pack)->encoding, CONVOY_ENCODING_PNG);
    convoy_pack_close(pack);
}

static void hidden_files_and_folders_are_passed_over(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    add_image("a/.hidden/2.jpg", false, 12);
    add_image(".git/3.jpg", false, 12);
    assert_int_equal(scratch_write(below(".DS_Store"), "x", 1), 0);
    assert_int_equal(scratch_write(below("a/.DS_Store"), "x", 1), 0);
    convoy_pack *pack = create_and_open();
    assert_int_equal(convoy_pack_describe(pack)->n_records, 1);
    assert_int_equal(convoy_pack_describe(pack)->n_classes, 1);
    convoy_pack_close(pack);
}

static void links_are_followed(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(symlink("a", below("b")), 0);
    convoy_pack *pack = create_and_open();
    assert_int_equal(convoy_pack_describe(pack)->n_records, 2);
    assert_int_equal(convoy_pack_describe(pack)->n_classes, 2);
    convoy_pack_close(pack);
}

static void a_loop_of_links_is_refused(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(symlink("..", below("a/up")), 0);
    create_refuses("nested more than");
}

static void a_link_to_nothing_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(symlink("gone", below("a/2.jpg")), 0);
    assert_int_equal(create(), CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "tree/a/2.jpg: cannot open"));
}

static void an_empty_tree_is_refused(void **state)
{
    (void)state;
    create_refuses("tree: has no class folders");
}

static void a_folder_without_any_image_is_no_class(void **state)
{
    (void)state;
    add_image("b/1.jpg", false, 11);
    assert_int_equal(mkdir(below("a"), 0777), 0);
    assert_int_equal(scratch_write(below("a/notes.jpg"), "words", 5), 0);
    create_leaves_out("tree/a: is no class: none of its 1 files", 1);
}

static void a_folder_too_high_is_refused(void **state)
{
    (void)state;
    add_image("imagenet/train/a/1.jpg", false, 11);
    create_refuses("tree: its only class would be 'imagenet'");
    add_image("train/a/1.jpg", false, 11);
    add_image("val/a/1.jpg", false, 11);
    assert_int_equal(scratch_remove(below("imagenet")), 0);
    create_refuses("tree: its classes would be 'train' and other parts");
    assert_non_null(strstr(convoy_status_text(), "tree/train, of an archive"));
}

static void an_empty_class_folder_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(mkdir(below("b"), 0777), 0);
    assert_int_equal(mkdir(below("b/deeper"), 0777), 0);
    create_leaves_out("tree/b: is no class: it holds no images", 1);
}

static void a_file_beside_the_class_folders_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(scratch_write(below("labels.csv"), "x", 1), 0);
    create_leaves_out("tree/labels.csv: is a file beside class folders", 1);
}

static void a_file_that_is_no_image_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(scratch_write(below("a/numbers.csv"), "1,2,3,4", 7), 0);
    create_leaves_out(
        "tree/a/numbers.csv: 7 bytes that are neither a JPEG nor a PNG image", 1);
}

static void an_empty_file_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(scratch_write(below("a/2.jpg"), "", 0), 0);
    create_leaves_out("tree/a/2.jpg: the file is empty", 1);
}

static void a_file_that_is_no_file_is_named(void **state)
{
    (void)state;
    add_image("a/1.jpg", false, 11);
    assert_int_equal(mkfifo(below("a/2.jpg"), 0666), 0);
    create_leaves_out("tree/a/2.jpg: is neither a file nor a folder", 1);
}

static void images_that_do_not_decode_are_named(void **state)
{
    (void)state;
    for (int png = 0; png < 2; png++) {
        size_t n = 0;
        add_image("a/1.jpg", false, 11);
        add_image("a/2.jpg", png == 1, 40);
        unsigned char *bytes = scratch_read(below("a/2.jpg"), &n);
        assert_int_equal(scratch_write(below("a/2.jpg"), bytes, n - 30), 0);
        free(bytes);
        create_leaves_out(png ? "tree/a/2.jpg: PNG: " : "tree/a/2.jpg: JPEG: ", 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order_is_that_of_bytes_at_any_depth),
        TEST(a_tree_of_png_files_is_a_png_pack),
        TEST(hidden_files_and_folders_are_passed_over),
        TEST(links_are_followed),
        TEST(a_loop_of_links_is_refused),
        TEST(a_link_to_nothing_is_named),
        TEST(an_empty_tree_is_refused),
        TEST(a_folder_without_any_image_is_no_class),
        TEST(a_folder_too_high_is_refused),
        TEST(an_empty_class_folder_is_named),
        TEST(a_file_beside_the_class_folders_is_named),
        TEST(a_file_that_is_no_image_is_named),
        TEST(an_empty_file_is_named),
        TEST(a_file_that_is_no_file_is_named),
        TEST(images_that_do_not_decode_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
