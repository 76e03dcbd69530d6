/* Packing: finds the kind of the source and streams the chosen ones of its records into
 * a writer. */
#include <convoy/pack.h>

#include "base/file.h"
#include "pack/pack_writer.h"
#include "pack/subset.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE(kind) extern const struct source_kind source_##kind;
#include "pack/source_list.h"
#undef SOURCE

static const struct source_kind *const kinds[] = {
#define SOURCE(kind) &source_##kind,
#include "pack/source_list.h"
#undef SOURCE
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* N_KINDS where there is none. */
static int find_kind(const char *path)
{
    int k = 0;
    while (k < N_KINDS && !kinds[k]->matches(path))
        k++;
    return k;
}

/* Says why there is no kind for path. */
static convoy_status refuse(const char *path)
{
    char expected[512] = "";
    struct stat info = {0};
    if (stat(path, &info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    for (int k = 0; k < N_KINDS; k++) {
        size_t at = strlen(expected);
        snprintf(expected + at, sizeof expected - at, "%s%s", k ? ", or " : "",
                 kinds[k]->expects);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s: cannot be packed: %s is expected", path,
                expected);
}

/* The folder that path lies in. */
static void parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    if (slash == path)
        n = 1;
    snprintf(out, PATH_MAX, "%.*s", n, slash ? path : ".");
}

/* Whether both are folders and inner is outer or lies in it. */
static bool lies_in(const char *inner, const char *outer)
{
    char a[PATH_MAX], b[PATH_MAX];
    if (!file_is_folder(outer) || !realpath(inner, a) || !realpath(outer, b))
        return false;
    size_t n = strcmp(b, "/") == 0 ? 0 : strlen(b);
    return strncmp(a, b, n) == 0 && (a[n] == '/' || a[n] == '\0');
}

/* What the writer would only find after the work, or would destroy the source with. */
static convoy_status check_output(const char *source, const char *output)
{
    struct stat from, to;
    char parent[PATH_MAX];
    parent_of(output, parent);
    if (access(parent, W_OK | X_OK) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s: %s", output, parent,
                    strerror(errno));
    if (file_is_folder(output))
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: is a folder; give the pack's file name",
                    output);
    if (stat(source, &from) == 0 && stat(output, &to) == 0 &&
        from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: is the source itself", output);
    if (lies_in(parent, source))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: lies in the source %s; write the pack somewhere else", output,
                    source);
    return CONVOY_OK;
}

static convoy_status copy_records(const struct source_kind *kind, void *source,
                                  uint64_t n, const struct subset *subset,
                                  struct pack_writer *writer,
                                  const convoy_pack_options *options)
{
    convoy_status status = CONVOY_OK;
    struct source_record record;
    for (uint64_t i = 0; i < n; i++) {
        if (subset->keep[i]) {
            TRY(kind->next(source, &record));
            record.label = subset->labels[record.label];
            TRY(pack_writer_add(writer, &record));
        } else {
            TRY(kind->pass_over(source));
        }
        if (options && options->progress)
            options->progress(options->context, i + 1, n);
    }
    TRY(kind->finish(source));
cleanup:
    return status;
}

convoy_status convoy_pack_create(const char *path, const char *output,
                                 const convoy_pack_options *options)
{
    convoy_status status = CONVOY_OK;
    int found = find_kind(path);
    if (found == N_KINDS)
        return refuse(path);
    const struct source_kind *kind = kinds[found];
    struct pack_writer *writer = NULL;
    struct source_facts facts = {0};
    struct subset subset = {0};
    void *source = NULL;
    TRY(check_output(path, output));
    TRY(pack_writer_create(output, &writer));
    TRY(kind->open(path, &source, &facts));
    TRY(subset_choose(kind, source, path, &facts, options, &subset));
    TRY(pack_writer_begin(writer, &subset.facts));
    TRY(copy_records(kind, source, facts.n_records, &subset, writer, options));
    TRY(pack_writer_commit(writer));
cleanup:
    pack_writer_destroy(writer);
    subset_free(&subset);
    kind->close(source);
    return status;
}
