/* What every kind of source promises, and where a pack may be written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "pack/source.h"
#include "support/idx_file.h"
#include "support/picture.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[SCRATCH_PATH];

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

static void assert_fails(convoy_status found, convoy_status expected, const char *text)
{
    if (found != expected || !strstr(convoy_status_text(), text))
        fail_msg("status %d, not %d, or no '%s' in '%s'", found, expected, text,
                 convoy_status_text());
}

#define SOURCE(kind) extern const struct source_kind source_##kind;
#include "pack/source_list.h"
#undef SOURCE

static const struct source_kind *const kinds[] = {
#define SOURCE(kind) &source_##kind,
#include "pack/source_list.h"
#undef SOURCE
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void write_png(const char *path, int width, int seed)
{
    struct image picture = picture_make(width, 10, 3, seed);
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(image_encode_png(&picture, &bytes, &n), CONVOY_OK);
    assert_int_equal(scratch_write(path, bytes, n), 0);
    mem_free(bytes);
    image_free(&picture);
}

/* A small source of each kind. */
static const char *make_source(const char *kind)
{
    if (strcmp(kind, "idx") == 0) {
        assert_int_equal(idx_write_set(folder, 9, 6, 5, 3), 0);
        return scratch_path(folder, "train-images-idx3-ubyte");
    }
    if (strcmp(kind, "folder") == 0) {
        assert_int_equal(file_make_folder(scratch_path(folder, "tree/a")), CONVOY_OK);
        assert_int_equal(file_make_folder(scratch_path(folder, "tree/b")), CONVOY_OK);
        write_png(scratch_path(folder, "tree/a/1.png"), 8, 1);
        write_png(scratch_path(folder, "tree/b/2.png"), 9, 2);
        return scratch_path(folder, "tree");
    }
    fail_msg("give kind '%s' a sample here", kind);
    return NULL;
}

/* How many files the folder has whose names hold part. */
static int count_files(const char *part)
{
    int n = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory));)
        n += strstr(entry->d_name, part) != NULL;
    closedir(directory);
    return n;
}

static void every_kind_delivers_what_it_claims(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        struct source_facts facts = {0};
        struct source_record record;
        uint64_t n_bytes = 0;
        void *source = NULL;
        const char *path = make_source(kinds[k]->name);
        for (int j = 0; j < N_KINDS; j++)
            assert_int_equal(kinds[j]->matches(path), j == k);
        assert_int_equal(kinds[k]->open(path, &source, &facts), CONVOY_OK);
        assert_true(facts.n_records > 0);
        assert_true(facts.n_classes > 0);
        for (uint64_t i = 0; i < facts.n_records; i++) {
            const struct source_item item = kinds[k]->describe(source, i);
            assert_int_equal(kinds[k]->next(source, &record), CONVOY_OK);
            assert_true(record.label >= 0 && record.label < facts.n_classes);
            assert_int_equal(item.label, record.label);
            assert_int_equal(item.n_bytes, record.n_bytes);
            assert_true(record.width > 0 && record.height > 0 && record.n_bytes > 0);
            n_bytes += record.n_bytes;
        }
        assert_int_equal(kinds[k]->finish(source), CONVOY_OK);
        assert_int_equal(n_bytes, facts.n_bytes);
        kinds[k]->close(source);
        kinds[k]->close(NULL);
    }
}

static void every_kind_passes_records_over(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        const char *path = make_source(kinds[k]->name);
        uint8_t *last = NULL;
        for (int skips = 0; skips < 2; skips++) {
            struct source_facts facts = {0};
            struct source_record record;
            void *source = NULL;
            assert_int_equal(kinds[k]->open(path, &source, &facts), CONVOY_OK);
            for (uint64_t i = 0; i + 1 < facts.n_records; i++)
                assert_int_equal(skips ? kinds[k]->pass_over(source)
                                       : kinds[k]->next(source, &record),
                                 CONVOY_OK);
            assert_int_equal(kinds[k]->next(source, &record), CONVOY_OK);
            if (skips)
                assert_memory_equal(record.bytes, last, record.n_bytes);
            else
                assert_int_equal(mem_alloc(record.n_bytes, (void **)&last), CONVOY_OK);
            memcpy(last, record.bytes, record.n_bytes);
            assert_int_equal(kinds[k]->finish(source), CONVOY_OK);
            kinds[k]->close(source);
        }
        mem_free(last);
    }
}

static void packing_twice_gives_the_same_id(void **state)
{
    (void)state;
    for (int k = 0; k < N_KINDS; k++) {
        char ids[2][33];
        for (int i = 0; i < 2; i++) {
            convoy_pack *pack = NULL;
            const char *output = scratch_path(folder, i ? "second.h5" : "first.h5");
            assert_int_equal(
                convoy_pack_create(make_source(kinds[k]->name), output, NULL),
                CONVOY_OK);
            assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
            memcpy(ids[i], convoy_pack_describe(pack)->id, 33);
            convoy_pack_close(pack);
        }
        assert_string_equal(ids[0], ids[1]);
    }
}

static void one_other_label_gives_another_id(void **state)
{
    (void)state;
    convoy_pack *pack = NULL;
    char id[33];
    const char *source = make_source("idx"), *output = scratch_path(folder, "id.h5");
    assert_int_equal(convoy_pack_create(source, output, NULL), CONVOY_OK);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    memcpy(id, convoy_pack_describe(pack)->id, 33);
    convoy_pack_close(pack);
    assert_int_equal(idx_write(scratch_path(folder, "train-labels-idx1-ubyte"), 8, 1,
                               (uint32_t[]){9}, (uint8_t[]){0, 0, 1, 0, 0, 1, 0, 0, 2},
                               9),
                     0);
    assert_int_equal(convoy_pack_create(source, output, NULL), CONVOY_OK);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    assert_string_not_equal(id, convoy_pack_describe(pack)->id);
    convoy_pack_close(pack);
}

struct count {
    uint64_t calls, done, total;
};

static void count_progress(void *context, uint64_t done, uint64_t total)
{
    struct count *count = context;
    count->calls++;
    assert_true(done >= count->done);
    count->done = done;
    count->total = total;
}

static void progress_ends_at_the_total(void **state)
{
    (void)state;
    struct count count = {0};
    const convoy_pack_options options = {.progress = count_progress, .context = &count};
    assert_int_equal(
        convoy_pack_create(make_source("idx"), scratch_path(folder, "p.h5"), &options),
        CONVOY_OK);
    assert_true(count.calls > 0);
    assert_int_equal(count.done, 9);
    assert_int_equal(count.total, 9);
}

static void what_nobody_reads_is_refused(void **state)
{
    (void)state;
    const char *output = scratch_path(folder, "none.h5");
    const char *text = scratch_path(folder, "notes.txt");
    assert_int_equal(scratch_write(text, "hello", 5), 0);
    assert_fails(convoy_pack_create(text, output, NULL), CONVOY_ERROR_ARGUMENT,
                 "notes.txt: cannot be packed: a folder of class folders");
    assert_fails(convoy_pack_create(scratch_path(folder, "gone"), output, NULL),
                 CONVOY_ERROR_IO, "gone: cannot open: No such file");
    assert_fails(convoy_pack_create("/dev/null", output, NULL), CONVOY_ERROR_ARGUMENT,
                 "cannot be packed");
    assert_false(file_exists(output));
}

static void places_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    const char *tree = make_source("folder");
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "gone/x.h5"), NULL),
                 CONVOY_ERROR_IO, "gone/x.h5: cannot write: ");
    assert_fails(convoy_pack_create(tree, folder, NULL), CONVOY_ERROR_ARGUMENT,
                 "is a folder; give the pack's file name");
    assert_fails(convoy_pack_create(tree, scratch_path(folder, "tree/a/x.h5"), NULL),
                 CONVOY_ERROR_ARGUMENT, "lies in the source");
    const char *images = make_source("idx");
    assert_fails(convoy_pack_create(images, images, NULL), CONVOY_ERROR_ARGUMENT,
                 "is the source itself");
}

static void a_failure_leaves_the_old_pack_and_no_other_file(void **state)
{
    (void)state;
    const char *output = scratch_path(folder, "kept.h5");
    convoy_pack *pack = NULL;
    assert_int_equal(convoy_pack_create(make_source("idx"), output, NULL), CONVOY_OK);
    assert_int_equal(scratch_write(scratch_path(folder, "tree/b/9.jpg"), "broken", 6),
                     0);
    assert_fails(convoy_pack_create(scratch_path(folder, "tree"), output, NULL),
                 CONVOY_ERROR_FORMAT, "tree/b/9.jpg: ");
    assert_int_equal(unlink(scratch_path(folder, "tree/b/9.jpg")), 0);
    assert_int_equal(count_files(".tmp"), 0);
    assert_int_equal(convoy_pack_open(output, &pack), CONVOY_OK);
    assert_int_equal(convoy_pack_describe(pack)->encoding, CONVOY_ENCODING_RAW);
    convoy_pack_close(pack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_delivers_what_it_claims),
        cmocka_unit_test(every_kind_passes_records_over),
        cmocka_unit_test(packing_twice_gives_the_same_id),
        cmocka_unit_test(one_other_label_gives_another_id),
        cmocka_unit_test(progress_ends_at_the_total),
        cmocka_unit_test(what_nobody_reads_is_refused),
        cmocka_unit_test(places_that_cannot_be_written_are_refused),
        cmocka_unit_test(a_failure_leaves_the_old_pack_and_no_other_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
