/* Event files: the bytes of records, and what is kept of a file. A reader that is not
 * convoy's is in tests/cli/test_tensorboard.py. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "metrics/event.h"
#include "metrics/event_frame.h"
#include "support/scratch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* What was written. */
struct written {
    FILE *stream;
    char *bytes;
    size_t n;
};

static void begin(struct written *w)
{
    w->stream = open_memstream(&w->bytes, &w->n);
    assert_non_null(w->stream);
}

static void free_written(struct written *w)
{
    fclose(w->stream);
    free(w->bytes);
}

static void a_version_is_as_tensorflow_writes_it(void **state)
{
    (void)state;
    static const uint8_t expected[] = {26, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t message[] = {9,   0,   0,   0,   0,   0,   0,   0xf0, 0x3f,
                                      16,  0,   26,  13,  'b', 'r', 'a', 'i',  'n',
                                      '.', 'E', 'v', 'e', 'n', 't', ':', '2'};
    struct written w;
    const uint8_t *found;
    size_t n_found;
    begin(&w);
    assert_int_equal(event_write_version(w.stream, 1), CONVOY_OK);
    fflush(w.stream);
    assert_int_equal(w.n, 12 + sizeof message + 4);
    assert_memory_equal(w.bytes, expected, sizeof expected);
    assert_memory_equal(w.bytes + 12, message, sizeof message);
    assert_int_equal(event_record((uint8_t *)w.bytes, w.n, &found, &n_found), w.n);
    assert_int_equal(n_found, sizeof message);
    free_written(&w);
}

static void a_record_with_any_bit_changed_or_its_end_missing_is_none(void **state)
{
    (void)state;
    struct written w;
    const uint8_t *found;
    size_t n_found;
    begin(&w);
    assert_int_equal(event_write_start(w.stream, (struct event_moment){1, 300}),
                     CONVOY_OK);
    fflush(w.stream);
    uint8_t *bytes = (uint8_t *)w.bytes;
    for (size_t bit = 0; bit < 8 * w.n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(event_record(bytes, w.n, &found, &n_found), 0);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < w.n; n++)
        assert_int_equal(event_record(bytes, n, &found, &n_found), 0);
    assert_int_equal(event_record(bytes, w.n, &found, &n_found), w.n);
    free_written(&w);
}

static size_t add_scalar(struct written *w, uint64_t step)
{
    const struct event_scalar scalar = {"train/loss", NAN};
    assert_int_equal(
        event_write_scalars(w->stream, (struct event_moment){2, step}, &scalar, 1),
        CONVOY_OK);
    fflush(w->stream);
    return w->n;
}

/* What a copy up to step keeps of the first n bytes of w. */
static struct event_kept copy(const struct written *w, size_t n, uint64_t step,
                              struct written *to)
{
    struct event_kept kept;
    const char *path = scratch_path(folder, "events");
    begin(to);
    assert_int_equal(scratch_write(path, w->bytes, n), 0);
    assert_int_equal(event_copy_earlier(path, step, to->stream, &kept), CONVOY_OK);
    fflush(to->stream);
    return kept;
}

static void records_of_later_steps_and_a_torn_end_are_left_out(void **state)
{
    (void)state;
    struct written w, kept;
    begin(&w);
    assert_int_equal(event_write_version(w.stream, 1), CONVOY_OK);
    add_scalar(&w, 7);
    const struct event_moment at[] = {{1, UINT64_C(1) << 40},
                                      {1, (UINT64_C(1) << 40) + 1}};
    assert_int_equal(event_write_start(w.stream, at[0]), CONVOY_OK);
    add_scalar(&w, UINT64_C(1) << 40);
    const size_t n8 = w.n;
    assert_int_equal(event_write_start(w.stream, at[1]), CONVOY_OK);
    fflush(w.stream);
    const size_t n_start = w.n;
    const size_t n9 = add_scalar(&w, (UINT64_C(1) << 40) + 1);
    struct event_kept result = copy(&w, n9, UINT64_C(1) << 40, &kept);
    assert_int_equal(result.n_summaries, 2);
    assert_false(result.is_all);
    assert_int_equal(kept.n, n8);
    assert_memory_equal(kept.bytes, w.bytes, n8);
    free_written(&kept);

    result = copy(&w, n9 - 1, UINT64_MAX, &kept);
    assert_int_equal(result.n_summaries, 2);
    assert_false(result.is_all);
    assert_int_equal(kept.n, n_start);
    free_written(&kept);

    result = copy(&w, n9, UINT64_MAX, &kept);
    assert_int_equal(result.n_summaries, 3);
    assert_true(result.is_all);
    assert_int_equal(kept.n, n9);
    free_written(&kept);
    free_written(&w);
}

/* A frame around bytes that are no message. */
static void what_is_no_event_is_left_out(void **state)
{
    (void)state;
    static const uint8_t no_events[][4] = {
        {16, 255, 255, 255}, /* a number's end misses */
        {26, 200, 1, 0},     /* more text than there is */
        {19, 0, 0, 0}};      /* a group */
    for (size_t i = 0; i < sizeof no_events / sizeof *no_events; i++) {
        struct written w, kept;
        uint8_t head[EVENT_HEAD_SIZE], tail[EVENT_TAIL_SIZE];
        begin(&w);
        event_frame(no_events[i], 4, head, tail);
        fwrite(head, 1, sizeof head, w.stream);
        fwrite(no_events[i], 1, 4, w.stream);
        fwrite(tail, 1, sizeof tail, w.stream);
        const size_t n = add_scalar(&w, 1);
        const struct event_kept result = copy(&w, n, 9, &kept);
        assert_int_equal(result.n_summaries, 1);
        assert_false(result.is_all);
        assert_int_equal(kept.n, n - 20);
        free_written(&kept);
        free_written(&w);
    }
}

static void every_tag_is_a_metric(void **state)
{
    (void)state;
    for (int i = 0; i < n_event_tags; i++) {
        const struct event_tag *tag = &event_tags[i];
        const struct metric_table *table = &metric_tables[tag->kind];
        int n = 0;
        for (int c = 0; c < table->n_columns; c++)
            n += strcmp(table->columns[c].name, tag->column) == 0 &&
                 table->columns[c].type != METRIC_TEXT;
        if (n != 1)
            fail_msg("%s: no metric %s of %s", tag->tag, tag->column, table->event);
        for (int other = 0; other < i; other++)
            assert_string_not_equal(tag->tag, event_tags[other].tag);
    }
}

static void the_documentation_has_the_tags(void **state)
{
    (void)state;
    char *table = NULL, *document = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&table, &n);
    assert_non_null(stream);
    fputs("| tag | line of `metrics.jsonl` | key |\n|---|---|---|\n", stream);
    for (int i = 0; i < n_event_tags; i++)
        fprintf(stream, "| `%s` | `%s` | `%s` |\n", event_tags[i].tag,
                metric_tables[event_tags[i].kind].event, event_tags[i].column);
    fputc('\n', stream);
    fclose(stream);
    assert_int_equal(file_read_all(DOCUMENT, &document, &n), CONVOY_OK);
    if (!strstr(document, table)) {
        fprintf(stderr, "%s", table); /* too long for a message of CMocka */
        fail_msg("%s should have the table above", DOCUMENT);
    }
    mem_free(document);
    free(table);
}

static void a_line_without_validation_has_no_scalars_of_it(void **state)
{
    (void)state;
    struct event_scalar scalars[EVENT_MAX_SCALARS];
    struct metric_epoch epoch = {.seconds = 2.5, .peak_memory_bytes = 1 << 20};
    assert_int_equal(event_scalars_of(METRIC_EPOCH, &epoch, scalars), 2);
    assert_string_equal(scalars[0].tag, "epoch/seconds");
    assert_true(scalars[0].value == 2.5);
    assert_true(scalars[1].value == 1 << 20);
    epoch.val_samples = 1;
    assert_int_equal(event_scalars_of(METRIC_EPOCH, &epoch, scalars), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_as_tensorflow_writes_it),
        cmocka_unit_test(a_record_with_any_bit_changed_or_its_end_missing_is_none),
        cmocka_unit_test(records_of_later_steps_and_a_torn_end_are_left_out),
        cmocka_unit_test(what_is_no_event_is_left_out),
        cmocka_unit_test(every_tag_is_a_metric),
        cmocka_unit_test(the_documentation_has_the_tags),
        cmocka_unit_test(a_line_without_validation_has_no_scalars_of_it),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
