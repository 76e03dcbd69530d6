/* The script and what comes back go through files in memory, so neither side waits for
 * the other to read. The child is looked at now and then, and killed when its time is
 * up: whoever waits for a report waits for gnuplot. */
#include "draw/gnuplot.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ABSENT_STATUS = 127, TIME_LIMIT_S = 30, N_FILES = 3 };

/* In the child: the files become its input, output and errors. -d: without the user's
 * settings. */
static void become_gnuplot(const int files[N_FILES])
{
    char name[] = "gnuplot", defaults[] = "-d";
    char *const words[] = {name, defaults, NULL};
    for (int i = 0; i < N_FILES; i++)
        if (dup2(files[i], i) < 0)
            _exit(1);
    execvp(name, words);
    _exit(errno == ENOENT || errno == EACCES ? ABSENT_STATUS : 1);
}

/* false: it was killed, as its time was up. */
static bool wait_for(pid_t child, int *outcome)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const double until_s = clock_now_s() + TIME_LIMIT_S;
    bool in_time = true;
    pid_t ended = 0;
    while ((ended = waitpid(child, outcome, WNOHANG)) == 0 ||
           (ended < 0 && errno == EINTR)) {
        if (clock_now_s() > until_s && in_time) {
            kill(child, SIGKILL);
            in_time = false;
        }
        nanosleep(&pause, NULL);
    }
    if (ended < 0)
        *outcome = -1;
    return in_time;
}

static convoy_status read_back(int fd, const char *what, char **text)
{
    convoy_status status = CONVOY_OK;
    char *read = NULL;
    struct stat info;
    if (fstat(fd, &info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: %s", what, strerror(errno));
    TRY(mem_alloc((size_t)info.st_size + 1, (void **)&read));
    TRY(file_read_at(fd, what, 0, read, (size_t)info.st_size));
    *text = read;
    read = NULL;
cleanup:
    mem_free(read);
    return status;
}

/* What its end says. */
static convoy_status judge(int outcome, bool in_time, int errors, enum gnuplot_end *end)
{
    convoy_status status = CONVOY_OK;
    char *said = NULL;
    if (!in_time)
        *end = GNUPLOT_HANGS;
    else if (WIFEXITED(outcome) && WEXITSTATUS(outcome) == ABSENT_STATUS)
        *end = GNUPLOT_ABSENT;
    if (in_time && WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0)
        return CONVOY_OK;
    if (*end == GNUPLOT_ABSENT)
        return FAIL(CONVOY_ERROR_IO, "there is no gnuplot");
    if (!in_time)
        return FAIL(CONVOY_ERROR_IO, "gnuplot took more than %d s", TIME_LIMIT_S);
    TRY(read_back(errors, "what gnuplot said", &said));
    const char *line = said + strspn(said, "\n ");
    const int n = (int)strcspn(line, "\n");
    status = FAIL(CONVOY_ERROR_IO, "gnuplot failed%s%.*s", n > 0 ? ": " : "", n, line);
cleanup:
    mem_free(said);
    return status;
}

static convoy_status draw(const int files[N_FILES], char **svg, enum gnuplot_end *end)
{
    convoy_status status = CONVOY_OK;
    int outcome = 0;
    const pid_t child = fork();
    if (child == 0)
        become_gnuplot(files);
    if (child < 0)
        return FAIL(CONVOY_ERROR_IO, "cannot start gnuplot: %s", strerror(errno));
    const bool in_time = wait_for(child, &outcome);
    TRY(judge(outcome, in_time, files[2], end));
    TRY(read_back(files[1], "gnuplot's output", svg));
cleanup:
    return status;
}

convoy_status gnuplot_draw(const char *script, size_t n, char **svg,
                           enum gnuplot_end *end)
{
    convoy_status status = CONVOY_OK;
    int files[N_FILES] = {-1, -1, -1};
    *end = GNUPLOT_ENDED;
    for (int i = 0; i < N_FILES; i++) {
        files[i] = memfd_create("convoy report", MFD_CLOEXEC);
        if (files[i] < 0)
            TRY(FAIL(CONVOY_ERROR_IO, "no file in memory: %s", strerror(errno)));
    }
    TRY(file_write_at(files[0], "gnuplot's script", 0, script, n));
    TRY(draw(files, svg, end));
cleanup:
    for (int i = 0; i < N_FILES; i++)
        if (files[i] >= 0)
            close(files[i]);
    return status;
}
