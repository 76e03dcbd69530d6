/* Files of a run beside its metrics. Rank 0 looks for checkpoints and reads the one
 * that is gone on from; the others have it from rank 0. */
#include "train/run_dir.h"

#include "base/file.h"
#include "base/memory.h"
#include "comm/world.h"
#include "weights/weights_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

convoy_status run_dir_checkpoints(const char *folder, char *path, size_t size)
{
    return file_join(folder, "checkpoints", path, size);
}

/* Whether both name the same folder, which is there. */
static bool are_same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool run_dir_owns(const char *folder, const char *path)
{
    static const char *const names[] = {"recipe.yaml", "run.json", "metrics.jsonl",
                                        "timeline.json", "run.lock"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    static const char *const folders[] = {"checkpoints", "tensorboard"};
    char outer[PATH_SIZE], own[PATH_SIZE];
    snprintf(outer, sizeof outer, "%.*s", slash ? (int)(slash + 1 - path) : 1,
             slash ? path : ".");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (file_join(folder, folders[i], own, sizeof own) == CONVOY_OK &&
            are_same_folder(outer, own))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return are_same_folder(outer, folder);
    return false;
}

convoy_status run_dir_prepare(const char *folder)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE];
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    TRY(file_make_folder(folder));
    TRY(file_make_folder(path));
    if (access(folder, W_OK) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write there: %s", folder,
                 strerror(errno)));
    if (access(path, W_OK) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write there: %s", path, strerror(errno)));
cleanup:
    return status;
}

/* The newest good checkpoint in folder, NULL where it has none at all. note: which were
 * passed over. */
static convoy_status search(const char *folder, char note[STATUS_TEXT_SIZE],
                            struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *found = NULL;
    struct checkpoint_skipped skipped = {0};
    char path[PATH_SIZE];
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    status = checkpoint_newest(path, &skipped, &found);
    if (status != CONVOY_OK)
        TRY(status_prefix(status,
                          "cannot tell what to go on from (once it can be read, start "
                          "again; or name a checkpoint with --resume FILE)"));
    if (!found && skipped.n > 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: holds no checkpoint that can be gone on from, and %d that cannot "
                 "(%.2000s): name another with --resume FILE, or remove the folder or "
                 "give another --out to start anew",
                 path, skipped.n, skipped.why));
    if (skipped.n > 0)
        snprintf(note, STATUS_TEXT_SIZE,
                 "passed over %d damaged or diverged "
                 "checkpoint%s: %.800s",
                 skipped.n, skipped.n > 1 ? "s" : "", skipped.why);
    *checkpoint = found;
    found = NULL;
cleanup:
    checkpoint_close(found);
    return status;
}

static unsigned long long step_of(const struct checkpoint *checkpoint)
{
    return checkpoint_describe(checkpoint)->step;
}

/* A file that was named may not lie behind what the folder holds: its later checkpoints
 * would be taken for this run's by the next resume. Only names are looked at, unless
 * one says so. */
static convoy_status check_behind(const char *folder, const char *resume,
                                  const struct checkpoint *opened)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *newest = NULL;
    struct checkpoint_skipped skipped = {0};
    char path[PATH_SIZE];
    bool any = false;
    uint64_t last = 0;
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    TRY(checkpoint_last_step(path, &any, &last));
    if (!any || last <= step_of(opened))
        goto cleanup;
    TRY(checkpoint_newest(path, &skipped, &newest));
    if (newest && step_of(newest) > step_of(opened))
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s is of step %llu, but %s already holds a run up to step %llu: give "
                 "another --out, or remove the later checkpoints",
                 resume, step_of(opened), folder, step_of(newest)));
cleanup:
    checkpoint_close(newest);
    return status;
}

static convoy_status open_named(const char *folder, const char *resume,
                                struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *opened = NULL;
    TRY(checkpoint_load(resume, &opened));
    TRY(checkpoint_check_finite(opened));
    TRY(check_behind(folder, resume, opened));
    *checkpoint = opened;
    opened = NULL;
cleanup:
    checkpoint_close(opened);
    return status;
}

/* --resume never: there must be nothing. */
static convoy_status check_nothing(const char *folder)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE];
    bool any = false;
    uint64_t last = 0;
    TRY(run_dir_checkpoints(folder, path, sizeof path));
    TRY(checkpoint_last_step(path, &any, &last));
    if (any)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s holds a run up to step %llu, and --resume never asks for a new "
                 "one: give another --out, or remove that run",
                 folder, (unsigned long long)last));
cleanup:
    return status;
}

/* What resume asks for; NULL: nothing. Root. */
static convoy_status choose(const char *folder, const char *resume,
                            char note[STATUS_TEXT_SIZE], struct checkpoint **checkpoint)
{
    if (!resume || strcmp(resume, "auto") == 0)
        return search(folder, note, checkpoint);
    if (strcmp(resume, "never") == 0)
        return check_nothing(folder);
    return open_named(folder, resume, checkpoint);
}

convoy_status run_dir_resume(convoy_world *world, const char *folder,
                             const char *resume, char note[STATUS_TEXT_SIZE],
                             struct checkpoint **checkpoint)
{
    convoy_status status = CONVOY_OK;
    struct checkpoint *chosen = NULL;
    note[0] = '\0';
    if (convoy_world_rank(world) == 0)
        status = choose(folder, resume, note, &chosen);
    TRY(weights_checkpoint_give(world, status, &chosen));
    *checkpoint = chosen;
    chosen = NULL;
cleanup:
    checkpoint_close(chosen);
    return status;
}

static convoy_status remove_file(void *context, const char *path)
{
    return run_life_remove(*(const struct run_life *const *)context, path);
}

/* The folder may have been removed, before or meanwhile: then it is made again, but not
 * where the run's own has gone. */
static convoy_status make_checkpoints(const char *folder)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot make the folder: %s", folder,
                    strerror(errno));
    return CONVOY_OK;
}

/* What could not be written is emptied too: a library that failed to close it may hold
 * it for ever, and a full disk would stay full. */
static void drop_temporary(const char *temporary)
{
    const int fd = open(temporary, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    unlink(temporary);
}

static convoy_status save_once(const struct snapshot *snapshot,
                               const struct run_life *life, const char *folder,
                               const char *path)
{
    convoy_status status = CONVOY_OK;
    char temporary[PATH_SIZE];
    TRY(run_life_check(life));
    TRY(make_checkpoints(folder));
    TRY(run_life_temporary(life, path, temporary, sizeof temporary));
    unlink(temporary); /* of an attempt that failed */
    status = snapshot_write(snapshot, temporary);
    if (status == CONVOY_OK)
        status = run_life_commit(life, temporary, path);
    if (status != CONVOY_OK)
        drop_temporary(temporary);
cleanup:
    return status;
}

convoy_status run_dir_save(const struct snapshot *snapshot, const struct run_life *life,
                           bool diverged, char *path, size_t size)
{
    convoy_status status = CONVOY_OK;
    const uint64_t step = snapshot_step(snapshot);
    const struct checkpoint_remover remover = {remove_file, &life};
    char name[CHECKPOINT_NAME_SIZE], checkpoints[PATH_SIZE];
    TRY(run_dir_checkpoints(life->folder, checkpoints, sizeof checkpoints));
    (diverged ? checkpoint_diverged_name : checkpoint_name)(step, name);
    TRY(file_join(checkpoints, name, path, size));
    status = save_once(snapshot, life, checkpoints, path);
    if (status == CONVOY_ERROR_IO && !file_is_folder(checkpoints))
        status = save_once(snapshot, life, checkpoints, path);
    if (status == CONVOY_ERROR_IO)
        status = run_life_tell(life, status);
    if (status == CONVOY_OK && diverged)
        status = checkpoint_prune_diverged(checkpoints, step, &remover);
cleanup:
    return status;
}

/* By a name that goes with the leftovers of killed lives, if it stays. */
convoy_status run_dir_look_across(struct run_life *life)
{
    convoy_status status = CONVOY_OK;
    char name[CHECKPOINT_NAME_SIZE], checkpoints[PATH_SIZE], path[PATH_SIZE];
    TRY(run_dir_checkpoints(life->folder, checkpoints, sizeof checkpoints));
    checkpoint_name(0, name);
    TRY(file_join(checkpoints, name, path, sizeof path));
    run_life_look_across(life, path);
cleanup:
    return status;
}

convoy_status run_dir_try_room(const struct snapshot *snapshot,
                               const struct run_life *life)
{
    convoy_status status = CONVOY_OK;
    const uint64_t bytes = snapshot_bytes(snapshot);
    char checkpoints[PATH_SIZE], path[PATH_SIZE], temporary[PATH_SIZE];
    TRY(run_dir_checkpoints(life->folder, checkpoints, sizeof checkpoints));
    TRY(file_join(checkpoints, "room", path, sizeof path));
    TRY(run_life_temporary(life, path, temporary, sizeof temporary));
    const int fd =
        open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return CONVOY_OK; /* saving says better why */
    const int error = file_reserve(fd, 0, bytes);
    close(fd);
    unlink(temporary);
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: has no room for %llu bytes: %s", checkpoints,
                 (unsigned long long)bytes, strerror(error)));
cleanup:
    return status;
}

/* At no moment is name nothing. */
static convoy_status make_link(const struct run_life *life, const char *folder,
                               const char *name, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    char target[CHECKPOINT_NAME_SIZE], path[PATH_SIZE], temporary[PATH_SIZE];
    checkpoint_name(step, target);
    TRY(file_join(folder, name, path, sizeof path));
    TRY(run_life_temporary(life, path, temporary, sizeof temporary));
    unlink(temporary);
    if (symlink(target, temporary) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot become a link to %s: %s", path, target,
                 strerror(errno)));
    status = run_life_rename(life, temporary, path);
    if (status != CONVOY_OK)
        unlink(temporary);
cleanup:
    return status;
}

static bool is_link_to(const char *folder, const char *name, uint64_t step)
{
    char target[CHECKPOINT_NAME_SIZE], path[PATH_SIZE], found[CHECKPOINT_NAME_SIZE];
    checkpoint_name(step, target);
    if (file_join(folder, name, path, sizeof path) != CONVOY_OK)
        return false;
    const ssize_t n = readlink(path, found, sizeof found);
    return n == (ssize_t)strlen(target) && memcmp(found, target, (size_t)n) == 0;
}

/* A life that was killed before it could make a link left the one before: whatever does
 * not point where it should is made anew. */
static convoy_status make_links(const struct run_life *life, const char *folder,
                                uint64_t newest, const uint64_t *best)
{
    convoy_status status = CONVOY_OK;
    if (!is_link_to(folder, "latest.h5", newest))
        TRY(make_link(life, folder, "latest.h5", newest));
    if (best && !is_link_to(folder, "best.h5", *best))
        TRY(make_link(life, folder, "best.h5", *best));
cleanup:
    return status;
}

convoy_status run_dir_link(const struct run_life *life, uint64_t newest,
                           const uint64_t *best)
{
    convoy_status status = CONVOY_OK;
    char checkpoints[PATH_SIZE];
    TRY(run_dir_checkpoints(life->folder, checkpoints, sizeof checkpoints));
    TRY(make_links(life, checkpoints, newest, best));
cleanup:
    return status;
}

/* Links first: they never point to what is pruned. */
convoy_status run_dir_tidy(const struct run_life *life, uint64_t step,
                           const struct run_dir_keep *keep)
{
    convoy_status status = CONVOY_OK;
    struct failure links = {0};
    const uint64_t *best = keep->has_best ? &keep->best : NULL;
    const struct checkpoint_remover remover = {remove_file, &life};
    char checkpoints[PATH_SIZE];
    TRY(run_dir_checkpoints(life->folder, checkpoints, sizeof checkpoints));
    status = make_links(life, checkpoints, step, best);
    if (status != CONVOY_OK)
        status_save(status, &links);
    TRY(checkpoint_prune(checkpoints, step, keep->newest, best, &remover));
    if (links.status != CONVOY_OK)
        status = status_restore(&links);
cleanup:
    return status;
}

convoy_status run_dir_write_recipe(const convoy_recipe *recipe,
                                   const struct run_life *life)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *text = NULL;
    TRY(recipe_text(recipe, &text));
    TRY(file_join(life->folder, "recipe.yaml", path, sizeof path));
    TRY(run_life_write(life, path, text, strlen(text)));
cleanup:
    mem_free(text);
    return status;
}
