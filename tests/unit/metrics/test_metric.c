/* The table of metrics: what is written by it is read by it, and is what the
 * documentation says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"
#include "metrics/metric.h"
#include "support/scratch.h"

#include <math.h>
#include <stdio.h>
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

/* The struct of a kind, each value another. */
union values {
    struct metric_start of_start;
    struct metric_step of_step;
    struct metric_ranks of_ranks;
    struct metric_epoch of_epoch;
};

static const char *const number_names[] = {"conv1.weight", "fc.weight"};
static const double numbers[] = {0.125, 3};

static union values make_values(enum metric_kind kind)
{
    union values values;
    memset(&values, 0, sizeof values);
    for (int i = 0; i < metric_tables[kind].n_columns; i++) {
        const struct metric_column *column = &metric_tables[kind].columns[i];
        const uint64_t one = 1; /* of what may be no column */
        if (column->with)
            memcpy((char *)&values + column->with, &one, sizeof one);
    }
    for (int i = 0; i < metric_tables[kind].n_columns; i++) {
        const struct metric_column *column = &metric_tables[kind].columns[i];
        const uint64_t count = UINT64_C(1) << 40 | (uint64_t)(i + 1);
        const double real = (i + 1) / 3.0;
        char *to = (char *)&values + column->offset;
        if (column->type == METRIC_COUNT)
            memcpy(to, &count, sizeof count);
        else if (column->type == METRIC_REAL)
            memcpy(to, &real, sizeof real);
        else if (column->type == METRIC_NUMBERS)
            memcpy(to, &(struct metric_numbers){2, number_names, numbers},
                   sizeof(struct metric_numbers));
        else
            snprintf(to, METRIC_TEXT_SIZE, "text %d of \"it\"", i);
    }
    return values;
}

/* Lines as the reader gave them. */
struct seen {
    struct metric_line lines[16];
    int n;
};

static void see(void *context, const struct metric_line *line)
{
    struct seen *seen = context;
    assert_true(seen->n < 16);
    seen->lines[seen->n++] = *line;
}

static const char *write_text(const char *text)
{
    const char *path = scratch_path(folder, "metrics.jsonl");
    assert_int_equal(file_write_whole(path, text, strlen(text)), CONVOY_OK);
    return path;
}

static struct seen read_lines(const char *path)
{
    struct seen seen = {.n = 0};
    assert_int_equal(metric_read_file(path, see, &seen), CONVOY_OK);
    return seen;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "metrics.jsonl");
    FILE *stream = fopen(path, "w");
    union values values[N_METRIC_KINDS];
    assert_non_null(stream);
    for (enum metric_kind kind = 0; kind < N_METRIC_KINDS; kind++) {
        values[kind] = make_values(kind);
        metric_write(stream, kind, &values[kind]);
    }
    fclose(stream);
    const struct seen seen = read_lines(path);
    assert_int_equal(seen.n, N_METRIC_KINDS);
    for (enum metric_kind kind = 0; kind < N_METRIC_KINDS; kind++) {
        assert_int_equal(seen.lines[kind].kind, kind);
        assert_int_equal(seen.lines[kind].step, values[kind].of_step.step);
    }
    /* Of numbers with names a line that was read says only that they are there. */
    values[METRIC_STEP].of_step.grad_norms = (struct metric_numbers){.n = 1};
    assert_memory_equal(&seen.lines[METRIC_START].of_start,
                        &values[METRIC_START].of_start, sizeof(struct metric_start));
    assert_memory_equal(&seen.lines[METRIC_STEP].of_step, &values[METRIC_STEP].of_step,
                        sizeof(struct metric_step));
    assert_memory_equal(&seen.lines[METRIC_RANKS].of_ranks,
                        &values[METRIC_RANKS].of_ranks, sizeof(struct metric_ranks));
    assert_memory_equal(&seen.lines[METRIC_EPOCH].of_epoch,
                        &values[METRIC_EPOCH].of_epoch, sizeof(struct metric_epoch));
}

static char *written(enum metric_kind kind, const void *values)
{
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    metric_write(stream, kind, values);
    fclose(stream);
    return text;
}

static void an_epoch_without_validation_has_no_values_of_it(void **state)
{
    (void)state;
    const struct metric_epoch epoch = {.step = 10, .epoch = 1, .seconds = 2};
    char *text = written(METRIC_EPOCH, &epoch);
    assert_string_equal(text, "{\"event\": \"epoch\", \"step\": 10, \"epoch\": 1, "
                              "\"seconds\": 2, \"peak_memory_bytes\": 0}\n");
    free(text);
}

static void what_is_not_finite_is_null_and_reads_as_no_number(void **state)
{
    (void)state;
    const struct metric_epoch epoch = {.val_loss = INFINITY, .val_samples = 1};
    char *text = written(METRIC_EPOCH, &epoch);
    assert_non_null(strstr(text, "\"val_loss\": null, \"val_top1\": 0,"));
    const struct seen seen = read_lines(write_text(text));
    assert_int_equal(seen.n, 1);
    assert_true(isnan(seen.lines[0].of_epoch.val_loss));
    assert_int_equal(seen.lines[0].of_epoch.val_samples, 1);
    free(text);
}

static void numbers_with_names_are_an_object(void **state)
{
    (void)state;
    const double not_all[] = {0.5, (double)NAN};
    struct metric_step step = {.step = 3, .grad_norms = {2, number_names, not_all}};
    char *text = written(METRIC_STEP, &step);
    assert_non_null(
        strstr(text, "\"grad_norms\": {\"conv1.weight\": 0.5, \"fc.weight\": null}"));
    free(text);
    step.grad_norms.n = 0;
    text = written(METRIC_STEP, &step);
    assert_null(strstr(text, "grad_norms"));
    free(text);
}

static void a_text_is_read_as_far_as_there_is_room(void **state)
{
    (void)state;
    char text[2 * METRIC_TEXT_SIZE];
    const int n = snprintf(text, sizeof text,
                           "{\"event\": \"ranks\", \"step\": 7}\n"
                           "{\"event\": \"ranks\", \"step\": 7, \"slowest_host\": 1}\n"
                           "{\"event\": \"ranks\", \"step\": 7, \"slowest_host\": "
                           "\"%0*d\"}\n",
                           METRIC_TEXT_SIZE, 0);
    assert_true(n < (int)sizeof text);
    const struct seen seen = read_lines(write_text(text));
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.lines[0].of_ranks.slowest_host, "");
    assert_string_equal(seen.lines[1].of_ranks.slowest_host, "");
    assert_int_equal(strlen(seen.lines[2].of_ranks.slowest_host), METRIC_TEXT_SIZE - 1);
}

static void lines_of_other_versions_are_read(void **state)
{
    (void)state;
    const struct seen seen = read_lines(write_text(
        "{\"event\": \"step\", \"step\": 7, \"loss\": 1}\n"
        "{\"later\": [1, {}], \"loss\": 2, \"step\": 8, \"event\": \"step\"}\n"
        "{\"event\": \"later\", \"step\": 9}\n"));
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.lines[0].of_step.step, 7);
    assert_true(isnan(seen.lines[0].of_step.compute_s));
    assert_int_equal(seen.lines[0].of_step.skipped, 0);
    assert_true(seen.lines[1].of_step.loss == 2);
    assert_int_equal(seen.lines[2].kind, N_METRIC_KINDS);
    assert_int_equal(seen.lines[2].step, 9);
}

static void lines_of_later_steps_are_left_out(void **state)
{
    (void)state;
    static const char *const before =
        "{\"event\": \"step\", \"step\": 7, \"loss\": 1}\n"
        "{\"step\":8,\"event\":\"later\"}\n";
    char text[512];
    snprintf(text, sizeof text,
             "%sno JSON\n{\"event\": \"step\"}\n{\"step\": 1}\n"
             "{\"event\": \"step\", \"step\": 9}\n{\"event\": \"st",
             before);
    const char *path = write_text(text);
    char *left = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&left, &n);
    assert_non_null(stream);
    assert_int_equal(metric_copy_earlier(scratch_path(folder, "none"), 8, stream),
                     CONVOY_OK);
    assert_int_equal(metric_copy_earlier(path, 8, stream), CONVOY_OK);
    fclose(stream);
    assert_string_equal(left, before);
    free(left);
}

/* The table of a kind as the documentation has it; free with free. */
static char *documented(enum metric_kind kind)
{
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    fputs("| key | unit | |\n|---|---|---|\n", stream);
    for (int i = 0; i < metric_tables[kind].n_columns; i++) {
        const struct metric_column *column = &metric_tables[kind].columns[i];
        fprintf(stream, "| `%s` | %s | %s |\n", column->name, column->unit,
                column->help);
    }
    fputc('\n', stream);
    fclose(stream);
    return text;
}

static void the_documentation_has_the_table(void **state)
{
    (void)state;
    char *document = NULL;
    size_t n = 0;
    assert_int_equal(file_read_all(DOCUMENT, &document, &n), CONVOY_OK);
    for (enum metric_kind kind = 0; kind < N_METRIC_KINDS; kind++) {
        char *table = documented(kind);
        if (!strstr(document, table)) {
            fprintf(stderr, "%s", table); /* too long for a message of CMocka */
            fail_msg("%s should have the table above", DOCUMENT);
        }
        free(table);
    }
    mem_free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_epoch_without_validation_has_no_values_of_it),
        cmocka_unit_test(what_is_not_finite_is_null_and_reads_as_no_number),
        cmocka_unit_test(numbers_with_names_are_an_object),
        cmocka_unit_test(a_text_is_read_as_far_as_there_is_room),
        cmocka_unit_test(lines_of_other_versions_are_read),
        cmocka_unit_test(lines_of_later_steps_are_left_out),
        cmocka_unit_test(the_documentation_has_the_table),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
