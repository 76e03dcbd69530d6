/* A lock names host, process and batch job, so that whoever is refused knows what to
 * look for, and so that a holder that has ended can be told from one that has not: of a
 * process on this host /proc says whether it is there; of a batch job that was queued
 * again, the earlier life is over. Of other hosts nothing is known here: there only the
 * time of the file tells, which its holder renews (run_beat.c). */
#include "train/run_lock.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 10 };
static const struct timespec moment = {.tv_nsec = 50000000};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

void run_lock_self(int life, struct run_lock *self)
{
    char now[21];
    memset(self, 0, sizeof *self);
    self->life = life;
    owner_host(self->host);
    owner_space(self->space);
    self->process = (long)getpid();
    self->born = owner_born(self->process);
    clock_utc(now);
    snprintf(self->since, sizeof self->since, "%s", now);
    snprintf(self->job, sizeof self->job, "%.60s", environment("SLURM_JOB_ID"));
    self->restarts = strtol(environment("SLURM_RESTART_COUNT"), NULL, 10);
}

size_t run_lock_print(const struct run_lock *lock, char out[RUN_LOCK_TEXT_SIZE])
{
    const int n =
        snprintf(out, RUN_LOCK_TEXT_SIZE,
                 "host: %s\nprocess: %ld\nsince: %s\njob: %s\nrestarts: %ld\n"
                 "born: %llu\nlife: %d\nspace: %s\n",
                 lock->host, lock->process, lock->since, lock->job, lock->restarts,
                 (unsigned long long)lock->born, lock->life, lock->space);
    return n > 0 ? (size_t)n : 0;
}

/* The rest of the line that begins with name; "" where there is none. */
static void take_line(const char *text, const char *name, char *out, size_t size)
{
    const size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0) {
            snprintf(out, size, "%.*s", (int)strcspn(line + n, "\n"), line + n);
            return;
        }
    }
}

/* false where the text is not that of a whole lock. */
static bool parse(const char *text, struct run_lock *lock)
{
    char number[RUN_LOCK_VALUE_SIZE];
    memset(lock, 0, sizeof *lock);
    take_line(text, "host: ", lock->host, sizeof lock->host);
    take_line(text, "since: ", lock->since, sizeof lock->since);
    take_line(text, "job: ", lock->job, sizeof lock->job);
    take_line(text, "space: ", lock->space, sizeof lock->space);
    take_line(text, "process: ", number, sizeof number);
    lock->process = strtol(number, NULL, 10);
    take_line(text, "restarts: ", number, sizeof number);
    lock->restarts = strtol(number, NULL, 10);
    take_line(text, "born: ", number, sizeof number);
    lock->born = strtoull(number, NULL, 10);
    take_line(text, "life: ", number, sizeof number);
    const long life = strtol(number, NULL, 10);
    lock->life = life > 0 && life < INT32_MAX ? (int)life : 0;
    return *lock->host && lock->process > 0 && strstr(text, "\nspace: ");
}

/* Opens it anew, so that a network file system tells its time as it is now. */
static convoy_status read_once(const char *path, struct run_lock *lock,
                               struct stat *file, bool *is_whole)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL;
    int fd = -1;
    TRY(file_open(path, &fd, file));
    TRY(mem_alloc((size_t)file->st_size + 1, (void **)&text));
    TRY(file_read_at(fd, path, 0, text, (size_t)file->st_size));
    text[file->st_size] = '\0';
    *is_whole = parse(text, lock);
cleanup:
    mem_free(text);
    if (fd >= 0)
        close(fd);
    return status;
}

convoy_status run_lock_read(const char *path, struct run_lock *lock, struct stat *file,
                            bool *exists)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < TRIES; i++) {
        bool is_whole = false;
        *exists = lstat(path, file) == 0;
        if (!*exists)
            break;
        status = read_once(path, lock, file, &is_whole);
        if (status == CONVOY_OK && is_whole)
            return CONVOY_OK;
        nanosleep(&moment, NULL);
    }
    memset(lock, 0, sizeof *lock);
    return *exists ? status : CONVOY_OK;
}

static bool is_same_place(const struct run_lock *a, const struct run_lock *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->space, b->space) == 0;
}

bool run_lock_is_same(const struct run_lock *a, const struct run_lock *b)
{
    return is_same_place(a, b) && a->process == b->process && a->born == b->born &&
           a->life == b->life;
}

/* Whether the process has ended, which had the number in this namespace. One of another
 * user may be hidden in /proc (hidepid): then only the kernel's refusal tells of it. */
static bool has_ended(const struct run_lock *holder)
{
    const uint64_t born = owner_born(holder->process);
    if (born != 0)
        return born != holder->born;
    return kill((pid_t)holder->process, 0) == 0 || errno != EPERM;
}

bool run_lock_is_over(const struct run_lock *holder, const struct run_lock *self)
{
    if (*self->job && strcmp(holder->job, self->job) == 0 &&
        holder->restarts < self->restarts)
        return true;
    return is_same_place(holder, self) && *self->space && has_ended(holder);
}

bool run_lock_is_at_work(const struct run_lock *holder, const struct run_lock *self)
{
    return is_same_place(holder, self) && *self->space &&
           owner_born(holder->process) == holder->born &&
           !owner_is_stopped(holder->process);
}

void run_lock_name(const struct run_lock *holder, char out[RUN_LOCK_NAME_SIZE])
{
    if (!*holder->host) {
        snprintf(out, RUN_LOCK_NAME_SIZE, "a process that has not said which");
        return;
    }
    snprintf(out, RUN_LOCK_NAME_SIZE, "process %ld on %s%s%s, since %s",
             holder->process, holder->host, *holder->job ? ", job " : "", holder->job,
             holder->since);
}
