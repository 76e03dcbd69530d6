/* recipe.yaml is read as the lines that convoy writes, two spaces a level: a fact's
 * name is the path of its keys. */
#include "report/report_facts.h"

#include "base/file.h"
#include "base/memory.h"
#include "json/json_value.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, MAX_DEPTH = 3, NAME_SIZE = 256 };

/* oneDNN's instruction set comes last: runs of before it was noted have none. */
static const char *const of_run[] = {"convoy", "onednn",     "mpi",
                                     "isa",    "train_pack", "onednn_isa"};
enum { N_OF_RUN = sizeof of_run / sizeof *of_run, N_NEEDED = N_OF_RUN - 1 };

/* Keys of the recipe, with all below them. */
static const char *const of_recipe[] = {
    "model",     "network",         "data.crop",        "data.resize",
    "data.read", "data.augment",    "batch.microbatch", "optimizer.name",
    "precision", "train.recompute", "exchange"};

static bool counts(const char *path)
{
    for (size_t i = 0; i < sizeof of_recipe / sizeof *of_recipe; i++) {
        const size_t n = strlen(of_recipe[i]);
        if (strncmp(path, of_recipe[i], n) == 0 && (path[n] == '\0' || path[n] == '.'))
            return true;
    }
    return false;
}

/* The keys above the line that is read. */
struct place {
    char names[MAX_DEPTH][NAME_SIZE];
    int depth;
};

/* Moves place to the line's key. false: it stays with the key above, of a line that is
 * too deep, has no key, or is an entry of a list. */
static bool move(struct place *place, const char *line, size_t n)
{
    const size_t spaces = strspn(line, " ");
    const size_t length = strcspn(line + spaces, ":\n");
    if (spaces / 2 >= MAX_DEPTH || spaces + length >= n || line[spaces] == '-')
        return false;
    place->depth = (int)(spaces / 2);
    snprintf(place->names[place->depth], NAME_SIZE, "%.*s", (int)length, line + spaces);
    return true;
}

static void path_of(const struct place *place, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i <= place->depth && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? "." : "", place->names[i]);
}

/* Every key, or those that count. */
static void write_recipe(const char *text, bool every, FILE *stream)
{
    struct place place = {.depth = 0};
    char path[MAX_DEPTH * NAME_SIZE] = "";
    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        const char *value = move(&place, line, n) ? memchr(line, ':', n) : NULL;
        path_of(&place, path, sizeof path);
        if (n > 0 && (every ? value != NULL || *path : counts(path))) {
            const size_t begin = value ? (size_t)(value - line) + 1 : 0;
            fprintf(stream, "%s:%.*s\n", path, (int)(n - begin), line + begin);
        }
        line += n + (line[n] == '\n');
    }
}

static convoy_status write_run(const char *path, FILE *stream)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    size_t n = 0;
    struct json_value *run = NULL;
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, &run));
    for (int i = 0; i < N_OF_RUN; i++) {
        const char *value = json_value_text(json_value_member(run, of_run[i]));
        if (!value && i >= N_NEEDED)
            continue;
        if (!value)
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has no text '%s'", path, of_run[i]));
        fprintf(stream, "%s: %s\n", of_run[i], value);
    }
cleanup:
    json_value_free(run);
    mem_free(text);
    return status;
}

static convoy_status write_facts(const char *folder, FILE *stream)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *recipe = NULL;
    size_t n = 0;
    TRY(file_join(folder, "run.json", path, sizeof path));
    TRY(write_run(path, stream));
    TRY(file_join(folder, "recipe.yaml", path, sizeof path));
    TRY(file_read_all(path, &recipe, &n));
    write_recipe(recipe, false, stream);
cleanup:
    mem_free(recipe);
    return status;
}

convoy_status report_facts_read(const char *folder, char **facts, char **model)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL, name[NAME_SIZE];
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its facts", folder);
    status = write_facts(folder, stream);
    const bool failed = ferror(stream) != 0;
    if ((fclose(stream) != 0 || failed) && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its facts", folder);
    TRY(status);
    report_facts_value(text, "model.name", name, sizeof name);
    TRY(mem_copy_text(text, facts));
    TRY(mem_copy_text(name, model));
cleanup:
    free(text);
    return status;
}

convoy_status report_facts_of_recipe(const char *recipe, char **facts)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL, name[NAME_SIZE];
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a recipe's facts");
    write_recipe(recipe, true, stream);
    const bool failed = ferror(stream) != 0;
    if (fclose(stream) != 0 || failed)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a recipe's facts"));
    report_facts_value(text, "model.name", name, sizeof name);
    if (name[0] == '\0')
        TRY(FAIL(CONVOY_ERROR_FORMAT, "is no recipe that convoy wrote: it has no "
                                      "model.name"));
    TRY(mem_copy_text(text, facts));
cleanup:
    free(text);
    return status;
}

void report_facts_difference(const char *a, const char *b, char *of_a, char *of_b,
                             size_t size)
{
    size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
    while (*a && n == m && strncmp(a, b, n) == 0) {
        a += n + (a[n] == '\n');
        b += m + (b[m] == '\n');
        n = strcspn(a, "\n");
        m = strcspn(b, "\n");
    }
    snprintf(of_a, size, "%.*s", (int)n, a);
    snprintf(of_b, size, "%.*s", (int)m, b);
}

/* A value of n characters, without YAML's quotes around it and its backslashes before a
 * quote or a backslash; other escapes stay as they are written. */
static void unquote(const char *value, size_t n, char *out, size_t size)
{
    const bool is_quoted = n > 1 && value[0] == '"' && value[n - 1] == '"';
    const char *end = value + n - is_quoted;
    size_t length = 0;
    for (value += is_quoted; value < end && length + 1 < size; value++) {
        if (is_quoted && value + 1 < end && *value == '\\' &&
            (value[1] == '"' || value[1] == '\\'))
            value++;
        out[length++] = *value;
    }
    out[length] = '\0';
}

void report_facts_value(const char *facts, const char *name, char *out, size_t size)
{
    const size_t length = strlen(name);
    out[0] = '\0';
    for (const char *line = facts; *line;) {
        const size_t n = strcspn(line, "\n");
        if (n > length && strncmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            value += strspn(value, " ");
            unquote(value, (size_t)(line + n - value), out, size);
            return;
        }
        line += n + (line[n] == '\n');
    }
}
