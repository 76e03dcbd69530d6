/* Reading metrics.jsonl by the table. A file may be of an older version, which had
 * fewer columns, or of a newer one with more of them and other events. */
#include "metrics/metric.h"

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* As much as there is room for. */
static void copy_text(const char *text, char *to)
{
    const size_t n = text ? strlen(text) : 0;
    const size_t kept = n < METRIC_TEXT_SIZE ? n : METRIC_TEXT_SIZE - 1;
    if (kept > 0)
        memcpy(to, text, kept);
    to[kept] = '\0';
}

/* Counts that may be in no column: whether there is what depends on them. */
static void note_presence(const struct metric_table *table,
                          const struct json_value *object, void *values)
{
    for (int i = 0; i < table->n_columns; i++) {
        const struct metric_column *column = &table->columns[i];
        const uint64_t is_there = json_value_member(object, column->name) != NULL;
        if (column->with)
            memcpy((char *)values + column->with, &is_there, sizeof is_there);
    }
}

static void read_columns(const struct metric_table *table,
                         const struct json_value *object, void *values)
{
    note_presence(table, object, values);
    for (int i = 0; i < table->n_columns; i++) {
        const struct metric_column *column = &table->columns[i];
        const struct json_value *value = json_value_member(object, column->name);
        const uint64_t count = (uint64_t)json_value_integer(value);
        const double real = json_value_number(value);
        char *to = (char *)values + column->offset;
        if (column->type == METRIC_COUNT)
            memcpy(to, &count, sizeof count);
        else if (column->type == METRIC_REAL)
            memcpy(to, &real, sizeof real);
        else if (column->type == METRIC_NUMBERS)
            memcpy(to, &(struct metric_numbers){.n = value != NULL},
                   sizeof(struct metric_numbers));
        else
            copy_text(json_value_text(value), to);
    }
}

/* Reads line->text; *is_line: whether it is one. */
static convoy_status read_line(struct metric_line *line, bool *is_line)
{
    struct json_value *object = NULL;
    convoy_status status = json_value_read("a line", line->text, line->n, &object);
    *is_line = false;
    if (status == CONVOY_ERROR_FORMAT)
        convoy_status_clear();
    if (status != CONVOY_OK)
        return status == CONVOY_ERROR_FORMAT ? CONVOY_OK : status;
    const char *event = json_value_text(json_value_member(object, "event"));
    const struct json_value *step = json_value_member(object, "step");
    *is_line = event && json_value_type(step) == JSON_TYPE_INTEGER;
    line->step = (uint64_t)json_value_integer(step);
    line->kind = 0;
    while (*is_line && line->kind < N_METRIC_KINDS &&
           strcmp(metric_tables[line->kind].event, event) != 0)
        line->kind++;
    if (*is_line && line->kind < N_METRIC_KINDS)
        read_columns(&metric_tables[line->kind], object, &line->of_step);
    json_value_free(object);
    return CONVOY_OK;
}

convoy_status metric_read_file(const char *path,
                               void (*take)(void *context,
                                            const struct metric_line *line),
                               void *context)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    for (const char *at = text, *end; (end = memchr(at, '\n', n)); at = end + 1) {
        struct metric_line line = {.text = at, .n = (size_t)(end - at) + 1};
        bool is_line = false;
        n -= line.n;
        TRY(read_line(&line, &is_line));
        if (is_line)
            take(context, &line);
    }
cleanup:
    mem_free(text);
    return status;
}

/* The lines that stay. */
struct kept {
    uint64_t step;
    FILE *stream;
};

static void keep(void *context, const struct metric_line *line)
{
    struct kept *kept = context;
    if (line->step <= kept->step)
        fwrite(line->text, 1, line->n, kept->stream);
}

convoy_status metric_copy_earlier(const char *path, uint64_t step, FILE *stream)
{
    struct kept kept = {.step = step, .stream = stream};
    return file_exists(path) ? metric_read_file(path, keep, &kept) : CONVOY_OK;
}
