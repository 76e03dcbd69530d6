/* The folder of a run's checkpoints: files "step-NNNNNNNN.h5", ordered by the number in
 * their names, and "diverged-NNNNNNNN.h5", which only people look at, as they do at
 * links to checkpoints: no resume goes by a link. Everything else in the folder is left
 * alone, but for temporary files of writes that were interrupted.
 */
#include "checkpoint/checkpoint.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/owner.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

static const char step_start[] = "step-", diverged_start[] = "diverged-";

/* Steps that names in the folder stand for. */
struct steps {
    uint64_t *values;
    size_t n, capacity_bytes;
};

static void make_name(const char *start, uint64_t step, char out[CHECKPOINT_NAME_SIZE])
{
    snprintf(out, CHECKPOINT_NAME_SIZE, "%s%08" PRIu64 ".h5", start, step);
}

void checkpoint_name(uint64_t step, char out[CHECKPOINT_NAME_SIZE])
{
    make_name(step_start, step, out);
}

void checkpoint_diverged_name(uint64_t step, char out[CHECKPOINT_NAME_SIZE])
{
    make_name(diverged_start, step, out);
}

/* What follows a checkpoint's name in name; NULL: it does not begin with one. */
static const char *parse_name(const char *start, const char *name, uint64_t *step)
{
    char expected[CHECKPOINT_NAME_SIZE];
    const size_t n = strlen(start);
    if (strncmp(name, start, n) != 0)
        return NULL;
    *step = strtoull(name + n, NULL, 10);
    make_name(start, *step, expected);
    const size_t length = strlen(expected);
    return strncmp(name, expected, length) == 0 ? name + length : NULL;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static convoy_status open_folder(const char *folder, DIR **out)
{
    *out = opendir(folder);
    const int why = errno;
    if (*out)
        return CONVOY_OK;
    const convoy_status status =
        FAIL(CONVOY_ERROR_IO, "%s: cannot open the folder: %s", folder, strerror(why));
    errno = why;
    return status;
}

/* The next name in the folder; *name is NULL after the last. */
static convoy_status next_name(const char *folder, DIR *directory, const char **name)
{
    errno = 0;
    const struct dirent *entry = readdir(directory);
    *name = entry ? entry->d_name : NULL;
    if (!entry && errno != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot read the folder: %s", folder,
                    strerror(errno));
    return CONVOY_OK;
}

/* Steps of the names that begin with start, the highest first; free values with
 * mem_free. None where there is no such folder. */
static convoy_status list_steps(const char *folder, const char *start,
                                struct steps *out)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    DIR *directory = NULL;
    const char *name = NULL;
    status = open_folder(folder, &directory);
    if (status != CONVOY_OK)
        return errno == ENOENT ? CONVOY_OK : status;
    for (;;) {
        uint64_t step = 0;
        TRY(next_name(folder, directory, &name));
        if (!name)
            break;
        const char *rest = parse_name(start, name, &step);
        if (!rest || *rest)
            continue;
        TRY(mem_reserve((void **)&steps.values, &steps.capacity_bytes,
                        (steps.n + 1) * sizeof step));
        steps.values[steps.n++] = step;
    }
    if (steps.n > 0)
        qsort(steps.values, steps.n, sizeof *steps.values, descending);
    *out = steps;
    steps.values = NULL;
cleanup:
    mem_free(steps.values);
    if (directory)
        closedir(directory);
    return status;
}

static convoy_status load_step(const char *folder, uint64_t step,
                               struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    char name[CHECKPOINT_NAME_SIZE], path[PATH_SIZE];
    struct checkpoint *loaded = NULL;
    checkpoint_name(step, name);
    TRY(file_join(folder, name, path, sizeof path));
    TRY(checkpoint_load(path, &loaded));
    TRY(checkpoint_check_finite(loaded));
    *checkpoint = loaded;
    loaded = NULL;
cleanup:
    checkpoint_close(loaded);
    return status;
}

/* Counts the diverged states behind the checkpoint that was found. */
static convoy_status skip_diverged(const char *folder, const struct checkpoint *found,
                                   struct checkpoint_skipped *skipped)
{
    struct steps steps = {0};
    const convoy_status status = list_steps(folder, diverged_start, &steps);
    for (size_t i = 0; i < steps.n; i++) {
        if (found && steps.values[i] < checkpoint_describe(found)->step)
            continue;
        if (skipped->n++ == 0)
            snprintf(skipped->why, sizeof skipped->why,
                     "%.3000s: the validation loss of step %" PRIu64 " is not finite",
                     folder, steps.values[i]);
    }
    mem_free(steps.values);
    return status;
}

convoy_status checkpoint_newest(const char *folder, struct checkpoint_skipped *skipped,
                                struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    struct checkpoint *found = NULL;
    struct checkpoint_skipped bad = {0};
    TRY(list_steps(folder, step_start, &steps));
    for (size_t i = 0; i < steps.n && !found; i++) {
        convoy_status opened = load_step(folder, steps.values[i], &found);
        if (opened == CONVOY_OK)
            break;
        if (opened != CONVOY_ERROR_FORMAT)
            TRY(opened);
        if (bad.n++ == 0)
            snprintf(bad.why, sizeof bad.why, "%s", convoy_status_text());
    }
    TRY(skip_diverged(folder, found, &bad));
    *skipped = bad;
    *checkpoint = found;
    found = NULL;
cleanup:
    checkpoint_close(found);
    mem_free(steps.values);
    return status;
}

convoy_status checkpoint_steps(const char *folder, bool diverged, uint64_t **values,
                               size_t *n)
{
    struct steps steps = {0};
    const convoy_status status =
        list_steps(folder, diverged ? diverged_start : step_start, &steps);
    *values = steps.values;
    *n = steps.n;
    return status;
}

convoy_status checkpoint_last_step(const char *folder, bool *any, uint64_t *step)
{
    struct steps steps = {0};
    const convoy_status status = list_steps(folder, step_start, &steps);
    *any = steps.n > 0;
    *step = steps.n > 0 ? steps.values[0] : 0;
    mem_free(steps.values);
    return status;
}

static convoy_status remove_file(const char *folder, const char *name,
                                 const struct checkpoint_remover *remover)
{
    char path[PATH_SIZE];
    convoy_status status = file_join(folder, name, path, sizeof path);
    if (status != CONVOY_OK)
        return status;
    if (remover)
        return remover->remove(remover->context, path);
    if (unlink(path) != 0 && errno != ENOENT)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot remove: %s", path, strerror(errno));
    return CONVOY_OK;
}

static convoy_status remove_step(const char *folder, const char *start, uint64_t step,
                                 const struct checkpoint_remover *remover)
{
    char name[CHECKPOINT_NAME_SIZE];
    make_name(start, step, name);
    return remove_file(folder, name, remover);
}

/* Whether rest, behind a checkpoint's name, makes it a temporary file that nobody
 * writes: ".OWNER.tmp", or ".tmp" as version 0.1 named them. */
static bool is_leftover(const char *rest)
{
    static const char end[] = ".tmp";
    char owner[OWNER_SIZE];
    const size_t n = strlen(rest), tail = sizeof end - 1;
    if (n < tail || strcmp(rest + n - tail, end) != 0 || *rest != '.')
        return false;
    snprintf(owner, sizeof owner, "%.*s", n > tail ? (int)(n - tail - 1) : 0, rest + 1);
    return n == tail || owner_is_done(owner);
}

static convoy_status remove_leftovers(const char *folder, uint64_t newest,
                                      const struct checkpoint_remover *remover)
{
    convoy_status status = CONVOY_OK;
    DIR *directory = NULL;
    const char *name = NULL;
    TRY(open_folder(folder, &directory));
    for (;;) {
        uint64_t step = 0;
        TRY(next_name(folder, directory, &name));
        if (!name)
            break;
        const char *rest = parse_name(step_start, name, &step);
        if (rest && step < newest && is_leftover(rest))
            TRY(remove_file(folder, name, remover));
    }
cleanup:
    if (directory)
        closedir(directory);
    return status;
}

convoy_status checkpoint_prune(const char *folder, uint64_t newest, int keep,
                               const uint64_t *best,
                               const struct checkpoint_remover *remover)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    TRY(list_steps(folder, step_start, &steps));
    int n_kept = 0;
    for (size_t i = 0; i < steps.n; i++)
        if (steps.values[i] <= newest && n_kept++ >= keep &&
            (!best || steps.values[i] != *best))
            TRY(remove_step(folder, step_start, steps.values[i], remover));
    TRY(remove_leftovers(folder, newest, remover));
cleanup:
    mem_free(steps.values);
    return status;
}

convoy_status checkpoint_prune_diverged(const char *folder, uint64_t newest,
                                        const struct checkpoint_remover *remover)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    TRY(list_steps(folder, diverged_start, &steps));
    for (size_t i = 0; i < steps.n; i++)
        if (steps.values[i] != newest)
            TRY(remove_step(folder, diverged_start, steps.values[i], remover));
cleanup:
    mem_free(steps.values);
    return status;
}
