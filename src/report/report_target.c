/* A report replaces earlier reports and nothing else: a slip in its options must not
 * cost a run its metrics or a checkpoint. Links are left alone, too. */
#include "report/report_target.h"

#include "base/file.h"

#include <string.h>
#include <unistd.h>

enum { HEAD_SIZE = 4096 };

convoy_status report_target_check(const char *path, const char *mark)
{
    convoy_status status = CONVOY_OK;
    struct stat info;
    char head[HEAD_SIZE];
    int fd = -1;
    if (lstat(path, &info) != 0)
        return CONVOY_OK;
    if (!S_ISREG(info.st_mode))
        return FAIL(CONVOY_ERROR_IO,
                    "%s: is there, and no file that a report could replace", path);
    TRY(file_open(path, &fd, &info));
    const size_t n = info.st_size < HEAD_SIZE ? (size_t)info.st_size : HEAD_SIZE;
    TRY(file_read_at(fd, path, 0, head, n));
    if (n > 0 && !memmem(head, n, mark, strlen(mark)))
        TRY(FAIL(CONVOY_ERROR_IO,
                 "%s: is there, and was not written by convoy report: give another "
                 "name, or remove it",
                 path));
cleanup:
    if (fd >= 0)
        close(fd);
    return status;
}
