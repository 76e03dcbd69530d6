/* The lock is a file that only one process can make (O_EXCL): flock does not work on
 * every network file system. It names host, process and batch job, so that whoever is
 * refused knows what to look for, and so that a lock whose process has ended can be
 * told from one that holds: of a process on this host /proc says whether it is there;
 * of a batch job that was queued again, its earlier life is over. Of other hosts
 * nothing is known, and a person has to decide.
 *
 * Taking over renames the old lock first: of two runs that find it, one renames it, and
 * the other one then finds the new lock or none. A run that was taken for over and is
 * not (its node lost the network, and the job was queued again) sees that before it
 * writes, and ends. */
#include "train/run_lock.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_SIZE = 96, TRIES = 10 };
static const struct timespec moment = {.tv_nsec = 50000000};

/* Who has the folder. */
struct holder {
    char host[OWNER_HOST_SIZE], space[OWNER_HOST_SIZE];
    long process;
    uint64_t born;
    char since[VALUE_SIZE];
    char job[VALUE_SIZE]; /* "": not in one */
    long restarts;        /* of the job */
};

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static void describe_self(struct holder *self)
{
    char now[21];
    memset(self, 0, sizeof *self);
    owner_host(self->host);
    owner_space(self->space);
    self->process = (long)getpid();
    self->born = owner_born(self->process);
    clock_utc(now);
    snprintf(self->since, sizeof self->since, "%s", now);
    snprintf(self->job, sizeof self->job, "%.60s", environment("SLURM_JOB_ID"));
    self->restarts = strtol(environment("SLURM_RESTART_COUNT"), NULL, 10);
}

static int print_holder(const struct holder *holder, char *out, size_t size)
{
    return snprintf(out, size,
                    "host: %s\nprocess: %ld\nsince: %s\njob: %s\nrestarts: %ld\n"
                    "born: %llu\nspace: %s\n",
                    holder->host, holder->process, holder->since, holder->job,
                    holder->restarts, (unsigned long long)holder->born, holder->space);
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
static bool parse_holder(const char *text, struct holder *holder)
{
    char number[VALUE_SIZE];
    memset(holder, 0, sizeof *holder);
    take_line(text, "host: ", holder->host, sizeof holder->host);
    take_line(text, "since: ", holder->since, sizeof holder->since);
    take_line(text, "job: ", holder->job, sizeof holder->job);
    take_line(text, "space: ", holder->space, sizeof holder->space);
    take_line(text, "process: ", number, sizeof number);
    holder->process = strtol(number, NULL, 10);
    take_line(text, "restarts: ", number, sizeof number);
    holder->restarts = strtol(number, NULL, 10);
    take_line(text, "born: ", number, sizeof number);
    holder->born = strtoull(number, NULL, 10);
    return *holder->host && holder->process > 0 && strstr(text, "\nspace: ");
}

/* Whether the process has ended, which had the number in this namespace. One of another
 * user may be hidden in /proc (hidepid): then only the kernel's refusal tells of it. */
static bool has_ended(const struct holder *holder)
{
    const uint64_t born = owner_born(holder->process);
    if (born != 0)
        return born != holder->born;
    return kill((pid_t)holder->process, 0) == 0 || errno != EPERM;
}

/* Whether the holder is known to have ended. */
static bool is_over(const struct holder *holder, const struct holder *self)
{
    if (*self->job && strcmp(holder->job, self->job) == 0 &&
        holder->restarts < self->restarts)
        return true;
    return strcmp(holder->host, self->host) == 0 && *self->space &&
           strcmp(holder->space, self->space) == 0 && has_ended(holder);
}

/* "process 17 on node3, job 4711, since 2025-01-31T12:00:00Z" */
static void name_holder(const struct holder *holder, char *out, size_t size)
{
    if (!*holder->host) {
        snprintf(out, size, "a process that has not said which");
        return;
    }
    snprintf(out, size, "process %ld on %s%s%s, since %s", holder->process,
             holder->host, *holder->job ? ", job " : "", holder->job, holder->since);
}

static convoy_status refuse(const char *folder, const struct run_lock *lock,
                            const struct holder *holder)
{
    char name[3 * VALUE_SIZE];
    name_holder(holder, name, sizeof name);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: another run has this folder: %s. Give another --out, or wait for "
                "its end. If that run is over without having said so (killed, or its "
                "machine is gone), remove %s and start again",
                folder, name, lock->path);
}

/* Reads the lock that is there; *exists is false where it has gone. It may just have
 * been made: its text is waited for, a moment. */
static convoy_status read_lock(const char *path, struct holder *holder,
                               struct stat *file, bool *exists)
{
    for (int i = 0; i < TRIES; i++) {
        char *text = NULL;
        size_t n = 0;
        *exists = lstat(path, file) == 0;
        if (!*exists)
            return CONVOY_OK;
        convoy_status status = file_read_all(path, &text, &n);
        if (status != CONVOY_OK && file_exists(path))
            return status;
        const bool is_whole = text && parse_holder(text, holder);
        mem_free(text);
        if (is_whole)
            return CONVOY_OK;
        nanosleep(&moment, NULL);
    }
    return CONVOY_OK;
}

/* Makes the lock; *is_there: it is another's. */
static convoy_status make(struct run_lock *lock, const struct holder *self,
                          bool *is_there)
{
    convoy_status status = CONVOY_OK;
    char text[1024];
    const int n = print_holder(self, text, sizeof text);
    const int fd =
        open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    *is_there = fd < 0 && errno == EEXIST;
    if (*is_there)
        return CONVOY_OK;
    if (fd < 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", lock->path,
                    strerror(errno));
    status = file_write_at(fd, lock->path, 0, text, (size_t)n);
    if (status == CONVOY_OK && fstat(fd, &lock->file) != 0)
        status =
            FAIL(CONVOY_ERROR_IO, "%s: cannot stat: %s", lock->path, strerror(errno));
    if (close(fd) != 0 && status == CONVOY_OK)
        status =
            FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", lock->path, strerror(errno));
    if (status != CONVOY_OK)
        unlink(lock->path);
    lock->is_held = status == CONVOY_OK;
    return status;
}

/* A new file may get the number of one that was just removed, but not its time. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Takes the old lock, which is file, out of the way. Where another run was faster, it
 * is that one's which is put back. */
static void move_away(const char *path, const struct stat *file)
{
    char aside[4096 + OWNER_SIZE], owner[OWNER_SIZE];
    struct stat moved;
    owner_name(owner);
    snprintf(aside, sizeof aside, "%s.%s.tmp", path, owner);
    if (rename(path, aside) != 0)
        return;
    if (lstat(aside, &moved) == 0 && !is_same_file(&moved, file) &&
        link(aside, path) != 0)
        return;
    unlink(aside);
}

convoy_status run_lock_take(const char *folder, struct run_lock *lock,
                            char note[STATUS_TEXT_SIZE])
{
    convoy_status status = CONVOY_OK;
    struct holder self, holder = {0};
    char name[3 * VALUE_SIZE];
    note[0] = '\0';
    describe_self(&self);
    TRY(file_join(folder, "run.lock", lock->path, sizeof lock->path));
    for (int i = 0; i < TRIES && !lock->is_held; i++) {
        bool is_there = false;
        struct stat file;
        TRY(make(lock, &self, &is_there));
        if (is_there)
            TRY(read_lock(lock->path, &holder, &file, &is_there));
        if (!is_there)
            continue;
        if (!is_over(&holder, &self))
            TRY(refuse(folder, lock, &holder));
        name_holder(&holder, name, sizeof name);
        snprintf(note, STATUS_TEXT_SIZE, "the run before ended without a word (%s)",
                 name);
        move_away(lock->path, &file);
    }
    if (!lock->is_held)
        TRY(refuse(folder, lock, &holder));
cleanup:
    return status;
}

/* 0, or the error for which the lock cannot be looked at. Who takes the folder over
 * moves the old one away before it makes its own: that is waited for, a moment. */
static int look_at(const char *path, struct stat *there)
{
    int error = ENOENT;
    for (int i = 0; i < TRIES && error == ENOENT; i++) {
        if (i > 0)
            nanosleep(&moment, NULL);
        error = lstat(path, there) == 0 ? 0 : errno;
    }
    return error;
}

/* Whether the lock is another's, which then is *holder, or has gone: another run may
 * have come and ended. Network file systems may change their mind about times: who is
 * named in it decides. */
static convoy_status is_taken(const struct run_lock *lock, struct holder *holder,
                              bool *taken)
{
    convoy_status status = CONVOY_OK;
    struct holder self;
    struct stat there;
    bool exists = false;
    const int error = look_at(lock->path, &there);
    *taken = error == ENOENT;
    if (error != 0)
        return CONVOY_OK;
    if (is_same_file(&there, &lock->file))
        return CONVOY_OK;
    describe_self(&self);
    TRY(read_lock(lock->path, holder, &there, &exists));
    *taken = exists && (strcmp(holder->host, self.host) != 0 ||
                        strcmp(holder->space, self.space) != 0 ||
                        holder->process != self.process || holder->born != self.born);
cleanup:
    return status;
}

convoy_status run_lock_check(const struct run_lock *lock)
{
    convoy_status status = CONVOY_OK;
    struct holder holder = {0};
    char name[3 * VALUE_SIZE];
    bool taken = false;
    TRY(is_taken(lock, &holder, &taken));
    name_holder(&holder, name, sizeof name);
    if (taken)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: the folder now belongs to another run, which took this one for "
                 "over: %s. This one ends without saving",
                 lock->path, *holder.host ? name : "one that has ended"));
cleanup:
    return status;
}

void run_lock_release(struct run_lock *lock)
{
    struct holder holder = {0};
    bool taken = false;
    if (lock->is_held && is_taken(lock, &holder, &taken) == CONVOY_OK && !taken)
        unlink(lock->path);
    lock->is_held = false;
}
