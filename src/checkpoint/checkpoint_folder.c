/* The folder of a run's checkpoints: files "step-NNNNNNNN.h5", ordered by the number in
 * their names. Everything else in the folder is left alone, but for temporary files of
 * writes that were interrupted.
 */
#include "checkpoint/checkpoint.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* Steps that names in the folder stand for. */
struct steps {
    uint64_t *values;
    size_t n, capacity_bytes;
};

void checkpoint_name(uint64_t step, char out[CHECKPOINT_NAME_SIZE])
{
    snprintf(out, CHECKPOINT_NAME_SIZE, "step-%08" PRIu64 ".h5", step);
}

/* Whether name is that of a checkpoint, followed by suffix. */
static bool parse_name(const char *name, const char *suffix, uint64_t *step)
{
    char expected[CHECKPOINT_NAME_SIZE];
    if (strncmp(name, "step-", 5) != 0)
        return false;
    *step = strtoull(name + 5, NULL, 10);
    checkpoint_name(*step, expected);
    size_t n = strlen(expected);
    return strncmp(name, expected, n) == 0 && strcmp(name + n, suffix) == 0;
}

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Steps of the names that end in suffix, the highest first; free values with mem_free.
 */
static convoy_status list_steps(const char *folder, const char *suffix,
                                struct steps *out)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    DIR *open_folder = opendir(folder);
    if (!open_folder)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open the folder: %s", folder,
                    strerror(errno));
    const struct dirent *entry;
    while (errno = 0, entry = readdir(open_folder)) {
        uint64_t step;
        if (!parse_name(entry->d_name, suffix, &step))
            continue;
        TRY(mem_reserve((void **)&steps.values, &steps.capacity_bytes,
                        (steps.n + 1) * sizeof step));
        steps.values[steps.n++] = step;
    }
    if (errno != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot read the folder: %s", folder,
                 strerror(errno)));
    if (steps.n > 0)
        qsort(steps.values, steps.n, sizeof *steps.values, descending);
    *out = steps;
    steps.values = NULL;
cleanup:
    mem_free(steps.values);
    closedir(open_folder);
    return status;
}

static convoy_status open_step(const char *folder, uint64_t step,
                               struct checkpoint **checkpoint)
{
    char name[CHECKPOINT_NAME_SIZE], path[PATH_SIZE];
    checkpoint_name(step, name);
    convoy_status status = file_join(folder, name, path, sizeof path);
    return status == CONVOY_OK ? checkpoint_open(path, checkpoint) : status;
}

convoy_status checkpoint_newest(const char *folder, struct checkpoint_skipped *skipped,
                                struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct steps steps = {0};
    struct checkpoint *found = NULL;
    struct checkpoint_skipped bad = {0};
    if (file_exists(folder))
        TRY(list_steps(folder, "", &steps));
    for (size_t i = 0; i < steps.n && !found; i++) {
        convoy_status opened = open_step(folder, steps.values[i], &found);
        if (opened == CONVOY_OK)
            break;
        if (opened != CONVOY_ERROR_FORMAT && opened != CONVOY_ERROR_IO)
            TRY(opened);
        if (bad.n++ == 0)
            snprintf(bad.why, sizeof bad.why, "%s", convoy_status_text());
    }
    *skipped = bad;
    *checkpoint = found;
cleanup:
    mem_free(steps.values);
    return status;
}

static convoy_status remove_file(const char *folder, uint64_t step, const char *suffix)
{
    char name[CHECKPOINT_NAME_SIZE], whole[2 * CHECKPOINT_NAME_SIZE], path[PATH_SIZE];
    checkpoint_name(step, name);
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    convoy_status status = file_join(folder, whole, path, sizeof path);
    if (status != CONVOY_OK)
        return status;
    if (unlink(path) != 0 && errno != ENOENT)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot remove: %s", path, strerror(errno));
    return CONVOY_OK;
}

convoy_status checkpoint_prune(const char *folder, uint64_t newest, int keep)
{
    convoy_status status = CONVOY_OK;
    struct steps whole = {0}, temporary = {0};
    TRY(list_steps(folder, "", &whole));
    TRY(list_steps(folder, ".tmp", &temporary));
    int n_kept = 0;
    for (size_t i = 0; i < whole.n; i++)
        if (whole.values[i] <= newest && n_kept++ >= keep)
            TRY(remove_file(folder, whole.values[i], ""));
    for (size_t i = 0; i < temporary.n; i++)
        if (temporary.values[i] < newest)
            TRY(remove_file(folder, temporary.values[i], ".tmp"));
cleanup:
    mem_free(whole.values);
    mem_free(temporary.values);
    return status;
}
