/* What a life changes in its run's folder: by renames out of its own folder, and into
 * it (run_life.c tells why). A look before each says early, and in words, that a later
 * life has taken over; that nothing is changed then does not depend on it. */
#include "train/run_life.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Into out the folder that path is in. */
static void outer_folder(const char *path, char out[RUN_LIFE_PATH_SIZE])
{
    const char *slash = strrchr(path, '/');
    const int n = slash ? (int)(slash - path) : 0;
    snprintf(out, RUN_LIFE_PATH_SIZE, "%.*s", n > 0 ? n : 1, slash ? path : ".");
}

/* A folder in the run's may be a link to another file system, or another mount, where
 * renames out of the life's folder do not work: then only the look before a rename is
 * left. */
static bool is_elsewhere(const struct run_life *life, const char *path)
{
    char outer[RUN_LIFE_PATH_SIZE];
    struct stat there, here;
    outer_folder(path, outer);
    return stat(outer, &there) == 0 && stat(life->folder, &here) == 0 &&
           (there.st_dev != here.st_dev ||
            (life->is_across && there.st_ino != here.st_ino));
}

static convoy_status name_beside(const char *path, char *out, size_t size)
{
    char owner[OWNER_SIZE];
    owner_name(owner);
    const int n = snprintf(out, size, "%s.%s.tmp", path, owner);
    if (n < 0 || (size_t)n >= size)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path);
    return CONVOY_OK;
}

convoy_status run_life_temporary(const struct run_life *life, const char *path,
                                 char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (is_elsewhere(life, path))
        return name_beside(path, out, size);
    const int n = snprintf(out, size, "%s/%s.tmp", life->own, slash ? slash + 1 : path);
    if (n < 0 || (size_t)n >= size)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path);
    return CONVOY_OK;
}

convoy_status run_life_tell(const struct run_life *life, convoy_status status)
{
    struct failure failure;
    if (status == CONVOY_OK)
        return status;
    status_save(status, &failure);
    const convoy_status taken = run_life_check(life);
    return taken == CONVOY_OK ? status_restore(&failure) : taken;
}

convoy_status run_life_rename(const struct run_life *life, const char *temporary,
                              const char *path)
{
    convoy_status status = CONVOY_OK;
    TRY(run_life_check(life));
    if (rename(temporary, path) != 0)
        TRY(run_life_tell(life, FAIL(CONVOY_ERROR_IO, "%s: cannot rename to %s: %s",
                                     temporary, path, strerror(errno))));
cleanup:
    return status;
}

convoy_status run_life_commit(const struct run_life *life, const char *temporary,
                              const char *path)
{
    convoy_status status = CONVOY_OK;
    TRY(run_life_check(life));
    TRY(run_life_tell(life, file_commit(temporary, path)));
cleanup:
    return status;
}

static convoy_status write_text(const char *path, const char *text, size_t n)
{
    convoy_status status = CONVOY_OK;
    unlink(path); /* of an attempt that failed */
    const int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    status = file_write_at(fd, path, 0, text, n);
    if (close(fd) != 0 && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    return status;
}

void run_life_look_across(struct run_life *life, const char *path)
{
    char from[RUN_LIFE_PATH_SIZE], to[RUN_LIFE_PATH_SIZE];
    if (is_elsewhere(life, path))
        return;
    if (run_life_temporary(life, path, from, sizeof from) != CONVOY_OK ||
        name_beside(path, to, sizeof to) != CONVOY_OK ||
        write_text(from, "", 0) != CONVOY_OK) {
        convoy_status_clear();
        return;
    }
    if (rename(from, to) == 0)
        unlink(to);
    else
        life->is_across = errno == EXDEV;
    unlink(from);
}

convoy_status run_life_write(const struct run_life *life, const char *path,
                             const char *text, size_t n)
{
    convoy_status status = CONVOY_OK;
    char temporary[RUN_LIFE_PATH_SIZE];
    TRY(run_life_temporary(life, path, temporary, sizeof temporary));
    status = run_life_tell(life, write_text(temporary, text, n));
    if (status == CONVOY_OK)
        status = run_life_commit(life, temporary, path);
    if (status != CONVOY_OK)
        unlink(temporary);
cleanup:
    return status;
}

convoy_status run_life_remove(const struct run_life *life, const char *path)
{
    convoy_status status = CONVOY_OK;
    char aside[RUN_LIFE_PATH_SIZE];
    struct stat there;
    TRY(run_life_temporary(life, path, aside, sizeof aside));
    TRY(run_life_check(life));
    if (rename(path, aside) == 0) {
        unlink(aside);
        return CONVOY_OK;
    }
    const int why = errno;
    if (why != ENOENT || lstat(path, &there) == 0)
        TRY(run_life_tell(
            life, FAIL(CONVOY_ERROR_IO, "%s: cannot remove: %s", path, strerror(why))));
cleanup:
    return status;
}
