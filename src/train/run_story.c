/* Reading a run directory as a whole. Checkpoints are opened as a training would open
 * them, so what is said here of a file is what would happen with it. */
#include "train/run_story.h"

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "train/run_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A run that is at work removes checkpoints, also while they are read. */
enum { PATH_SIZE = 4096, TRIES = 10 };

static convoy_status read_run(const char *folder, struct run_story *info)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *text = NULL;
    size_t n = 0;
    TRY(file_join(folder, "run.json", path, sizeof path));
    TRY(file_read_all(path, &text, &n));
    TRY(json_value_read(path, text, n, &info->run));
cleanup:
    mem_free(text);
    if (status == CONVOY_OK || status == CONVOY_ERROR_MEMORY)
        return status;
    snprintf(info->run_why, sizeof info->run_why, "%.1000s", convoy_status_text());
    convoy_status_clear();
    return CONVOY_OK;
}

/* A lock that cannot be read is none: it may have gone meanwhile. */
static convoy_status read_lock(const char *folder, struct run_story *info)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE];
    struct run_lock self, lock = {0};
    struct stat file;
    bool exists = false;
    run_lock_self(0, &self);
    TRY(file_join(folder, "run.lock", path, sizeof path));
    status = run_lock_read(path, &lock, &file, &exists);
    if (status == CONVOY_OK && exists) {
        run_lock_name(&lock, info->holder);
        info->is_held = !run_lock_is_over(&lock, &self);
        info->is_at_work = run_lock_is_at_work(&lock, &self);
    }
    if (status != CONVOY_ERROR_MEMORY)
        status = CONVOY_OK;
cleanup:
    return status;
}

/* Whether the name in the folder is the file, or a link to it. */
static bool is_same_file(const char *folder, const char *name, const struct stat *file)
{
    char path[PATH_SIZE];
    struct stat other;
    return file_join(folder, name, path, sizeof path) == CONVOY_OK &&
           stat(path, &other) == 0 && other.st_dev == file->st_dev &&
           other.st_ino == file->st_ino;
}

/* Opens the file as --resume auto does; *opened: NULL where it is not good. */
static convoy_status try_file(const char *path, struct run_story_file *file,
                              convoy_status *opened, struct run_story *info)
{
    struct checkpoint *checkpoint = NULL;
    convoy_status status = checkpoint_load(path, &checkpoint);
    if (status == CONVOY_OK)
        status = checkpoint_check_finite(checkpoint);
    *opened = status;
    file->is_good = status == CONVOY_OK && !file->is_diverged;
    if (status != CONVOY_OK)
        snprintf(file->why, sizeof file->why, "%.1000s", convoy_status_text());
    if (file->is_good && !*info->why_none && !*info->model) {
        const struct checkpoint_facts *facts = checkpoint_describe(checkpoint);
        snprintf(info->model, sizeof info->model, "%s",
                 *facts->model ? facts->model : "a network");
        info->steps_per_epoch = facts->steps_per_epoch;
    }
    checkpoint_close(checkpoint);
    if (status == CONVOY_ERROR_MEMORY)
        return status;
    convoy_status_clear();
    return CONVOY_OK;
}

/* Looks at the file of that step and adds it to those of info. */
static convoy_status add_file(const char *folder, uint64_t step, bool is_diverged,
                              struct run_story *info)
{
    convoy_status status = CONVOY_OK, opened = CONVOY_OK;
    struct run_story_file file = {.step = step, .is_diverged = is_diverged};
    char path[PATH_SIZE], name[CHECKPOINT_NAME_SIZE];
    void *files = info->files;
    struct stat there;
    (is_diverged ? checkpoint_diverged_name : checkpoint_name)(step, name);
    snprintf(file.name, sizeof file.name, "%s", name);
    TRY(file_join(folder, name, path, sizeof path));
    if (stat(path, &there) == 0) {
        file.bytes = (uint64_t)there.st_size;
        file.is_latest = is_same_file(folder, "latest.h5", &there);
        file.is_best = is_same_file(folder, "best.h5", &there);
    }
    TRY(try_file(path, &file, &opened, info));
    if (opened != CONVOY_OK && lstat(path, &there) != 0 && errno == ENOENT) {
        info->is_moving = true;
        return CONVOY_OK;
    }
    /* Only what is damaged is passed over. */
    if (opened != CONVOY_OK && opened != CONVOY_ERROR_FORMAT && !*info->model &&
        !*info->why_none)
        memcpy(info->why_none, file.why, sizeof info->why_none);
    TRY(mem_reserve(&files, &info->capacity, (info->n_files + 1) * sizeof file));
    info->files = files;
    info->files[info->n_files++] = file;
cleanup:
    return status;
}

static convoy_status add_files(const char *folder, bool are_diverged,
                               struct run_story *info)
{
    convoy_status status = CONVOY_OK;
    uint64_t *steps = NULL;
    size_t n = 0;
    TRY(checkpoint_steps(folder, are_diverged, &steps, &n));
    for (size_t i = 0; i < n; i++)
        TRY(add_file(folder, steps[i], are_diverged, info));
cleanup:
    mem_free(steps);
    return status;
}

/* The first good one, unless something before it must not be passed over. */
static void choose_next(struct run_story *info)
{
    for (size_t i = 0; i < info->n_files && !*info->why_none && !info->next; i++)
        if (info->files[i].is_good)
            info->next = &info->files[i];
    if (!info->next && !*info->why_none && info->n_files > 0)
        snprintf(info->why_none, sizeof info->why_none, "none of them is good");
}

static convoy_status read_files(const char *folder, struct run_story *info)
{
    convoy_status status = CONVOY_OK;
    info->n_files = 0;
    info->is_moving = false;
    info->next = NULL;
    info->model[0] = info->why_none[0] = '\0';
    TRY(add_files(folder, false, info));
    choose_next(info);
    const size_t n = info->n_files;
    const ptrdiff_t next = info->next ? info->next - info->files : -1;
    TRY(add_files(folder, true, info));
    if (next >= 0)
        info->next = &info->files[next]; /* they may have moved */
    if (n == 0 && info->n_files > 0)
        snprintf(info->why_none, sizeof info->why_none, "none of them is good");
cleanup:
    return status;
}

convoy_status run_story_read(const char *folder, struct run_story *info)
{
    convoy_status status = CONVOY_OK;
    char checkpoints[PATH_SIZE];
    *info = (struct run_story){0};
    TRY(read_run(folder, info));
    TRY(read_lock(folder, info));
    TRY(run_dir_checkpoints(folder, checkpoints, sizeof checkpoints));
    for (int i = 0; i < TRIES && (i == 0 || info->is_moving); i++)
        TRY(read_files(checkpoints, info));
cleanup:
    return status;
}

void run_story_free(struct run_story *info)
{
    json_value_free(info->run);
    mem_free(info->files);
    *info = (struct run_story){0};
}
