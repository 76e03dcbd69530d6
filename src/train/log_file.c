/* Lines or records go to the file as they come, by one call each, so that a run that is
 * killed leaves whole ones; on a disk that was full for a while none is lost. */
#include "train/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A new empty file, which is added to. */
static convoy_status open_new(struct log_file *log)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    log->fd = open(log->temporary, flags, 0666);
    log->earlier = log->fd < 0 ? NULL : fdopen(log->fd, "a");
    if (log->earlier)
        return CONVOY_OK;
    const int why = errno;
    if (log->fd >= 0)
        close(log->fd);
    return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", log->temporary, strerror(why));
}

convoy_status log_file_open(struct log_file *log, const struct run_life *life,
                            const char *path)
{
    convoy_status status = CONVOY_OK;
    memset(log, 0, sizeof *log);
    snprintf(log->path, sizeof log->path, "%s", path);
    TRY(run_life_temporary(life, path, log->temporary, sizeof log->temporary));
    status = open_new(log);
    if (status != CONVOY_OK) /* what is there is another's */
        log->temporary[0] = '\0';
    TRY(status);
    log->added = open_memstream(&log->text, &log->n_text);
    if (!log->added)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate what is added to it", path));
cleanup:
    if (status != CONVOY_OK)
        log_file_close(log);
    return run_life_tell(life, status);
}

convoy_status log_file_begin(struct log_file *log, const struct run_life *life)
{
    convoy_status status = CONVOY_OK;
    if (fflush(log->earlier) != 0 || ferror(log->earlier))
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", log->path, strerror(errno)));
    TRY(log_file_flush(log));
    TRY(run_life_commit(life, log->temporary, log->path));
    log->temporary[0] = '\0';
cleanup:
    return run_life_tell(life, status);
}

convoy_status log_file_flush(struct log_file *log)
{
    if (!log->added)
        return CONVOY_OK;
    if (fflush(log->added) != 0 || ferror(log->added))
        return FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate what is added to it",
                    log->path);
    while (log->n_written < log->n_text) {
        const ssize_t n =
            write(log->fd, log->text + log->n_written, log->n_text - log->n_written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", log->path,
                        strerror(n < 0 ? errno : ENOSPC));
        log->n_written += (size_t)n;
    }
    rewind(log->added);
    log->n_written = 0;
    return CONVOY_OK;
}

void log_file_close(struct log_file *log)
{
    if (log->added)
        fclose(log->added);
    free(log->text);
    if (log->earlier)
        fclose(log->earlier);
    if (*log->temporary)
        unlink(log->temporary);
    log->earlier = log->added = NULL;
    log->text = NULL;
    log->temporary[0] = '\0';
}
