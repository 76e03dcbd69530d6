/* Proving an image finds whatever decoding all of it would find, no more and no less.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "packing/jpeg_outline.h"
#include "packing/prover.h"
#include "support/picture.h"

#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

enum { WIDTH = 57, HEIGHT = 70, MOST = 1 << 16 };

struct file {
    uint8_t bytes[MOST];
    size_t n;
};

/* How a JPEG is written. */
struct style {
    int components, restart_rows;
    boolean progressive, optimized;
};

static const struct style styles[] = {{.components = 3},
                                      {.components = 1},
                                      {.components = 3, .restart_rows = 1},
                                      {.components = 3, .optimized = TRUE},
                                      {.components = 3, .progressive = TRUE}};

enum { N_STYLES = sizeof styles / sizeof *styles };

static void write_jpeg(const struct style *style, struct file *file)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    struct image picture = picture_make(WIDTH, HEIGHT, style->components, 5);
    unsigned char *bytes = file->bytes;
    unsigned long n = MOST;
    const size_t row_bytes = WIDTH * (size_t)style->components;
    for (size_t i = 0; i < HEIGHT * row_bytes; i++)
        picture.pixels[i] = (uint8_t)(picture.pixels[i] + i * 7919 % 61);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &n);
    info.image_width = WIDTH;
    info.image_height = HEIGHT;
    info.input_components = style->components;
    info.in_color_space = style->components == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    info.restart_in_rows = style->restart_rows;
    info.optimize_coding = style->optimized;
    if (style->progressive)
        jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    for (int y = 0; y < HEIGHT; y++) {
        JSAMPROW row = picture.pixels + (size_t)y * row_bytes;
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    assert_ptr_equal(bytes, file->bytes);
    file->n = n;
    image_free(&picture);
}

/* The prover's and the decoder's verdicts on one file after another. */
struct judges {
    struct prover *prover;
    struct image image;
    void *buffer;
    size_t capacity;
    int n_good, n_bad;
};

static void compare(struct judges *judges, const uint8_t *bytes, size_t n)
{
    struct new_record record;
    assert_int_equal(mem_reserve(&judges->buffer, &judges->capacity, n + 1), CONVOY_OK);
    memcpy(judges->buffer, bytes, n);
    const convoy_status decoded = image_decode(bytes, n, 3, &judges->image);
    const convoy_status proven =
        prover_take(judges->prover, &judges->buffer, &judges->capacity, n, &record);
    if (decoded != proven)
        fail_msg("decoding: %d, proving: %d (%s)", decoded, proven,
                 convoy_status_text());
    judges->n_good += decoded == CONVOY_OK;
    judges->n_bad += decoded != CONVOY_OK;
    if (decoded != CONVOY_OK)
        return;
    assert_int_equal(record.width, judges->image.width);
    assert_int_equal(record.height, judges->image.height);
    assert_int_equal(record.n_bytes, n);
}

static void check_styles(void (*check)(struct judges *judges, struct file *file))
{
    static const convoy_pack_options options = {.rank = 0};
    static struct file file;
    for (int s = 0; s < N_STYLES; s++) {
        struct judges judges = {.n_good = 0};
        assert_int_equal(prover_create(&options, &judges.prover), CONVOY_OK);
        write_jpeg(&styles[s], &file);
        assert_int_equal(jpeg_outline_is_plain(file.bytes, file.n),
                         !styles[s].progressive);
        check(&judges, &file);
        assert_true(judges.n_good > 0 && judges.n_bad > 0);
        prover_destroy(judges.prover);
        prover_destroy(NULL);
        image_free(&judges.image);
        mem_free(judges.buffer);
    }
}

static void check_cuts(struct judges *judges, struct file *file)
{
    for (size_t n = 0; n <= file->n; n += n < 700 || n + 40 > file->n ? 1 : 37)
        compare(judges, file->bytes, n);
    compare(judges, file->bytes, file->n);
}

static void cuts_are_found_as_decoding_finds_them(void **state)
{
    (void)state;
    check_styles(check_cuts);
}

/* Each byte of the headers and many of the data, replaced by some values. */
static void check_damage(struct judges *judges, struct file *file)
{
    static const uint8_t values[] = {0x00, 0xff, 0xd9, 0xd0, 0xda, 0x01};
    for (size_t i = 0; i < file->n; i += i < 700 || i + 9 > file->n ? 1 : 23)
        for (size_t v = 0; v < sizeof values; v++) {
            const uint8_t kept = file->bytes[i];
            file->bytes[i] = values[v];
            compare(judges, file->bytes, file->n);
            file->bytes[i] = kept;
        }
}

static void damage_is_found_as_decoding_finds_it(void **state)
{
    (void)state;
    check_styles(check_damage);
}

/* Markers where none belong, with something behind them. */
static void check_markers(struct judges *judges, struct file *file)
{
    for (int marker = 0xc0; marker < 0x100; marker++)
        for (size_t i = file->n / 2; i < file->n; i += file->n / 9) {
            const uint8_t kept[4] = {file->bytes[i], file->bytes[i + 1],
                                     file->bytes[i + 2], file->bytes[i + 3]};
            memcpy(file->bytes + i, (uint8_t[4]){0xff, (uint8_t)marker, 0, 8}, 4);
            compare(judges, file->bytes, file->n);
            memcpy(file->bytes + i, kept, 4);
        }
    compare(judges, file->bytes, 30);
}

static void stray_markers_are_judged_as_decoding_does(void **state)
{
    (void)state;
    check_styles(check_markers);
}

static void what_is_behind_the_end_does_not_matter(void **state)
{
    (void)state;
    static struct file file;
    write_jpeg(&styles[0], &file);
    memcpy(file.bytes + file.n, "\xff\xd8\xff garbage", 11);
    assert_true(jpeg_outline_is_plain(file.bytes, file.n + 11));
}

static void other_files_are_told_by_what_they_are(void **state)
{
    (void)state;
    static const convoy_pack_options options = {.rank = 0};
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = {{"", 0, "the file is empty"},
                 {"GIF89a", 6, "is a GIF image"},
                 {"RIFF....WEBPVP8", 15, "is a WebP image"},
                 {"BM....", 6, "is a BMP image"},
                 {"II*\0", 4, "is a TIFF image"},
                 {"hello", 5, "5 bytes that are neither"},
                 {"\xff\xd8", 2, "2 bytes that are neither"},
                 {"\xff\xd8\xff", 3, "JPEG: "}};
    struct judges judges = {.n_good = 0};
    struct new_record record;
    assert_int_equal(prover_create(&options, &judges.prover), CONVOY_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mem_reserve(&judges.buffer, &judges.capacity, 64), CONVOY_OK);
        memcpy(judges.buffer, cases[i].bytes, cases[i].n);
        assert_int_equal(prover_take(judges.prover, &judges.buffer, &judges.capacity,
                                     cases[i].n, &record),
                         CONVOY_ERROR_FORMAT);
        if (!strstr(convoy_status_text(), cases[i].text))
            fail_msg("no '%s' in '%s'", cases[i].text, convoy_status_text());
    }
    prover_destroy(judges.prover);
    mem_free(judges.buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_are_found_as_decoding_finds_them),
        cmocka_unit_test(damage_is_found_as_decoding_finds_it),
        cmocka_unit_test(stray_markers_are_judged_as_decoding_does),
        cmocka_unit_test(what_is_behind_the_end_does_not_matter),
        cmocka_unit_test(other_files_are_told_by_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
