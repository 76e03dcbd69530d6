/* POSIX files. A file that others rely on is written under a temporary name, synced and
 * renamed, so nothing half-written ever carries a final name. */
#include "base/file.h"

#include "base/memory.h"
#include "base/owner.h"
#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4096,
    PIECE = 64 << 20, /* bytes at a time, so that a slow disk shows that it gets on */
};

convoy_status file_read_at(int fd, const char *path, uint64_t offset, void *out,
                           size_t n)
{
    char *to = out;
    size_t got = 0;
    while (got < n) {
        const size_t left = n - got;
        ssize_t r =
            pread(fd, to + got, left < PIECE ? left : PIECE, (off_t)(offset + got));
        pulse();
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot read at byte %llu: %s", path,
                        (unsigned long long)(offset + got), strerror(errno));
        if (r == 0)
            return FAIL(
                CONVOY_ERROR_FORMAT,
                "%s: ends at byte %llu, within a record: the file was cut short", path,
                (unsigned long long)(offset + got));
        got += (size_t)r;
    }
    return CONVOY_OK;
}

convoy_status file_write_at(int fd, const char *path, uint64_t offset,
                            const void *bytes, size_t n)
{
    const char *from = bytes;
    while (n > 0) {
        const ssize_t wrote = pwrite(fd, from, n < PIECE ? n : PIECE, (off_t)offset);
        pulse();
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path,
                        strerror(wrote < 0 ? errno : ENOSPC));
        from += wrote;
        offset += (uint64_t)wrote;
        n -= (size_t)wrote;
    }
    return CONVOY_OK;
}

int file_reserve(int fd, uint64_t offset, uint64_t n)
{
    int error = 0;
    while (n > 0 && (error == 0 || error == EINTR)) {
        const uint64_t piece = n < PIECE ? n : PIECE;
        error = posix_fallocate(fd, (off_t)offset, (off_t)piece);
        pulse();
        if (error == 0) {
            offset += piece;
            n -= piece;
        }
    }
    return error;
}

static convoy_status refuse_irregular(const char *path, const struct stat *info)
{
    if (S_ISREG(info->st_mode))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT, "%s: %snot a regular file", path,
                S_ISDIR(info->st_mode) ? "is a folder, " : "");
}

convoy_status file_open(const char *path, int *fd, struct stat *info)
{
    convoy_status status = CONVOY_OK;
    int opened = -1;
    if (stat(path, info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    TRY(refuse_irregular(path, info));
    /* What has become a pipe since then must not be waited for either. */
    opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (opened < 0 || fstat(opened, info) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno)));
    TRY(refuse_irregular(path, info));
    *fd = opened;
    opened = -1;
cleanup:
    if (opened >= 0)
        close(opened);
    return status;
}

convoy_status file_read_all(const char *path, char **text, size_t *n)
{
    convoy_status status = CONVOY_OK;
    char *buffer = NULL;
    struct stat info;
    int fd = -1;
    TRY(file_open(path, &fd, &info));
    TRY(mem_alloc((size_t)info.st_size + 1, (void **)&buffer));
    TRY(file_read_at(fd, path, 0, buffer, (size_t)info.st_size));
    *text = buffer;
    *n = (size_t)info.st_size;
    buffer = NULL;
cleanup:
    mem_free(buffer);
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status file_make_folder(const char *path)
{
    char part[PATH_SIZE];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return FAIL(CONVOY_ERROR_ARGUMENT, "'%s' is no usable folder name", path);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot make the folder: %s", part,
                        strerror(errno));
        part[i] = kept;
    }
    if (!file_is_folder(path))
        return FAIL(CONVOY_ERROR_IO, "%s: exists and is not a folder", path);
    return CONVOY_OK;
}

int64_t file_changed_ns(const struct stat *info)
{
    /* Unsigned: a time far away wraps, and is still itself. */
    return (int64_t)((uint64_t)info->st_mtim.tv_sec * 1000000000 +
                     (uint64_t)info->st_mtim.tv_nsec);
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

convoy_status file_join(const char *folder, const char *name, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= size)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s/%s: the path is too long", folder, name);
    return CONVOY_OK;
}

static convoy_status sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    int failed = fsync(fd);
    int why = errno;
    close(fd);
    /* Some file systems cannot sync a folder; the rename is then as safe as it gets. */
    if (failed && why != EINVAL)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot sync: %s", path, strerror(why));
    return CONVOY_OK;
}

convoy_status file_commit(const char *from, const char *path)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path);
    if (slash)
        memcpy(folder, n ? path : "/", n ? n : 1);
    else
        folder[0] = '.';
    folder[n ? n : 1] = '\0';
    convoy_status status = sync_path(from, O_RDONLY);
    if (status != CONVOY_OK)
        return status;
    struct stat there;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return FAIL(CONVOY_ERROR_IO,
                    "%s: is there and no regular file; give another name to write",
                    path);
    if (rename(from, path) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot rename to %s: %s", from, path,
                    strerror(errno));
    return sync_path(folder, O_RDONLY | O_DIRECTORY);
}

convoy_status file_make_temporary(const char *path, char *temporary, size_t size,
                                  int *fd)
{
    char owner[OWNER_SIZE];
    owner_name(owner);
    const int n = snprintf(temporary, size, "%s.%s.tmp", path, owner);
    if (n < 0 || (size_t)n >= size)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path);
    /* Whatever has this name was left by a process that had our number. */
    unlink(temporary);
    *fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (*fd < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    return CONVOY_OK;
}

convoy_status file_write_whole(const char *path, const char *text, size_t n)
{
    convoy_status status = CONVOY_OK;
    char temporary[PATH_SIZE];
    int fd = -1;
    TRY(file_make_temporary(path, temporary, sizeof temporary, &fd));
    status = file_write_at(fd, path, 0, text, n);
    if (close(fd) != 0 && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    if (status == CONVOY_OK)
        status = file_commit(temporary, path);
    if (status != CONVOY_OK)
        unlink(temporary);
cleanup:
    return status;
}

convoy_status file_write_by(const char *path,
                            convoy_status (*write)(const char *temporary,
                                                   const void *contents),
                            const void *contents)
{
    convoy_status status = CONVOY_OK;
    char temporary[PATH_SIZE];
    int fd = -1;
    TRY(file_make_temporary(path, temporary, sizeof temporary, &fd));
    close(fd);
    status = write(temporary, contents);
    if (status == CONVOY_OK)
        status = file_commit(temporary, path);
    if (status != CONVOY_OK)
        unlink(temporary);
cleanup:
    return status;
}
