/* How a process that was cut off, or stopped for long, is kept from writing beside its
 * successor, on file systems that know no locks: nothing but mkdir and rename is relied
 * on, each of which the file server does at once or not at all.
 *
 * Life N makes the folder life-N: of two processes that try, one succeeds. It moves the
 * folders of earlier lives into it, then renames its own lock over run.lock. All that
 * it writes is written in life-N first and comes to its name by a rename out of there;
 * what it removes is renamed into it before. So the move of its folder by a successor
 * is the moment after which an earlier life changes nothing any more: its renames fail,
 * since the paths are gone, and it sees that and ends. This holds at any point, also
 * for one that was stopped while it took the folder over itself.
 *
 * Folders keep the numbers: at its end a life leaves life-N with its lock in it. */
#include "train/run_life.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/pulse.h"
#include "train/run_beat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 10, LOOKS = 30, MAX_LIFE = 1000000000 };
/* A process of this host that runs may be ending: its launcher was killed, say. */
static const double dying_s = 1;
static const struct timespec moment = {.tv_nsec = 50000000};
static const char prefix[] = "life-", lock_name[] = "run.lock";

/* The life whose folder has this name; 0: none. */
static int life_of(const char *name)
{
    char *end = NULL;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return 0;
    const char *digits = name + sizeof prefix - 1;
    const long life = *digits >= '1' && *digits <= '9' ? strtol(digits, &end, 10) : 0;
    return end && *end == '\0' && life < MAX_LIFE ? (int)life : 0;
}

static convoy_status life_path(const char *folder, int life, const char *name,
                               char out[RUN_LIFE_PATH_SIZE])
{
    const int n = snprintf(out, RUN_LIFE_PATH_SIZE, "%s/%s%d%s%s", folder, prefix, life,
                           *name ? "/" : "", name);
    if (n < 0 || n >= RUN_LIFE_PATH_SIZE)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", folder);
    return CONVOY_OK;
}

/* Calls take with every life's number in the folder, until it fails. */
static convoy_status each_life(const char *folder,
                               convoy_status (*take)(void *context, int life),
                               void *context)
{
    convoy_status status = CONVOY_OK;
    DIR *directory = opendir(folder);
    if (!directory)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open the folder: %s", folder,
                    strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry && errno != 0)
            TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot read the folder: %s", folder,
                     strerror(errno)));
        if (!entry)
            break;
        const int life = life_of(entry->d_name);
        if (life > 0)
            TRY(take(context, life));
    }
cleanup:
    closedir(directory);
    return status;
}

static convoy_status take_highest(void *context, int life)
{
    int *highest = context;
    *highest = life > *highest ? life : *highest;
    return CONVOY_OK;
}

/* What there is of lives in a folder. */
struct state {
    struct run_lock holder;
    struct stat file; /* its lock's */
    bool is_locked;
    int highest; /* life, by folders and lock */
};

static convoy_status look(const struct run_life *life, struct state *state)
{
    convoy_status status = CONVOY_OK;
    memset(state, 0, sizeof *state);
    TRY(each_life(life->folder, take_highest, &state->highest));
    TRY(run_lock_read(life->lock, &state->holder, &state->file, &state->is_locked));
    if (state->is_locked && state->holder.life > state->highest)
        state->highest = state->holder.life;
    /* What was tried in vain is there, though a network file system may not show it. */
    if (life->life > state->highest)
        state->highest = life->life;
cleanup:
    return status;
}

/* Whether the folder's newest life has given it back, or there was none. */
static bool is_given_back(const struct run_life *life, const struct state *state)
{
    char path[RUN_LIFE_PATH_SIZE];
    return state->highest == 0 ||
           (life_path(life->folder, state->highest, lock_name, path) == CONVOY_OK &&
            file_exists(path));
}

/* As look, but a life that is just beginning is given a moment to make its lock: it is
 * fairer so; what comes of it is safe either way. */
static convoy_status look_patiently(const struct run_life *life, struct state *state)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < TRIES; i++) {
        if (i > 0)
            nanosleep(&moment, NULL);
        TRY(look(life, state));
        if (state->is_locked ? state->holder.life >= state->highest
                             : is_given_back(life, state))
            break;
    }
cleanup:
    return status;
}

static convoy_status refuse(const struct run_life *life, const struct run_lock *holder)
{
    char name[RUN_LOCK_NAME_SIZE];
    run_lock_name(holder, name);
    if (holder->life > 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: another run has this folder: %s. Give another --out, or wait "
                    "for its end",
                    life->folder, name);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: another run has this folder: %s. Give another --out, or wait for "
                "its end. If that run is over without having said so (killed, or its "
                "machine is gone), remove %s and start again",
                life->folder, name, life->lock);
}

/* How long ago the lock was renewed, by the clock of the file server. */
static convoy_status read_age(const struct run_life *life, const struct stat *file,
                              double *age_s)
{
    convoy_status status = CONVOY_OK;
    char path[RUN_LIFE_PATH_SIZE];
    struct stat now;
    int fd = -1;
    TRY(file_make_temporary(life->lock, path, sizeof path, &fd));
    const bool is_known = fstat(fd, &now) == 0;
    close(fd);
    unlink(path);
    if (!is_known)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno)));
    const double s = (double)(file_changed_ns(&now) - file_changed_ns(file)) * 1e-9;
    *age_s = s > 0 ? s : 0;
cleanup:
    return status;
}

/* A new file may get the number of one that was just removed, but not its time. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && file_changed_ns(a) == file_changed_ns(b);
}

static void say_waiting(const struct run_life_wait *wait, const struct run_lock *holder,
                        double for_s)
{
    char name[RUN_LOCK_NAME_SIZE], text[RUN_LOCK_NAME_SIZE + 128];
    run_lock_name(holder, name);
    snprintf(text, sizeof text,
             "the folder is another run's (%s): waiting up to %.0f s for a sign of "
             "life of it",
             name, for_s);
    if (wait->say)
        wait->say(wait->context, text);
}

/* Waits for_s for the lock to be renewed, or to go, or for its holder's end.
 * *is_silent: it was neither renewed nor has it gone. */
static convoy_status await_sign(const struct run_life *life,
                                const struct run_life_wait *wait, double for_s,
                                struct state *state, bool *is_silent)
{
    convoy_status status = CONVOY_OK;
    const double until_s = clock_now_s() + for_s;
    const struct stat before = state->file;
    *is_silent = true;
    while (clock_now_s() < until_s && *is_silent &&
           !run_lock_is_over(&state->holder, &life->self)) {
        nanosleep(&moment, NULL);
        pulse();
        if (wait->stop && *wait->stop)
            TRY(FAIL(CONVOY_STOPPED, "stopped by a signal before the training began"));
        TRY(run_lock_read(life->lock, &state->holder, &state->file, &state->is_locked));
        *is_silent = state->is_locked && is_same_file(&state->file, &before);
    }
cleanup:
    return status;
}

/* Fails where the holder lives. *is_over: it may be taken over; else it has given the
 * folder back meanwhile. */
static convoy_status judge(const struct run_life *life,
                           const struct run_life_wait *wait, struct state *state,
                           bool *is_over)
{
    convoy_status status = CONVOY_OK;
    const double silence_s = run_beat_silence_s();
    double age_s = 0;
    *is_over = run_lock_is_over(&state->holder, &life->self);
    if (*is_over)
        return CONVOY_OK;
    if (state->holder.life == 0)
        TRY(refuse(life, &state->holder));
    TRY(read_age(life, &state->file, &age_s));
    const bool is_at_work =
        age_s < silence_s && run_lock_is_at_work(&state->holder, &life->self);
    const double for_s = is_at_work ? dying_s : silence_s - age_s;
    if (!is_at_work && for_s > 0)
        say_waiting(wait, &state->holder, for_s);
    TRY(await_sign(life, wait, for_s, state, is_over));
    if (*is_over ? is_at_work && !run_lock_is_over(&state->holder, &life->self)
                 : state->is_locked)
        TRY(refuse(life, &state->holder));
cleanup:
    return status;
}

static int remove_any(const char *path, const struct stat *info, int kind,
                      struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    remove(path); /* what does not go now, goes with this life's folder */
    return 0;
}

static bool is_own_there(const struct run_life *life)
{
    return file_is_folder(life->own);
}

/* Moves the folder of an earlier life into this one's, and empties it. */
static convoy_status move_earlier(void *context, int number)
{
    convoy_status status = CONVOY_OK;
    const struct run_life *life = context;
    char from[RUN_LIFE_PATH_SIZE], to[RUN_LIFE_PATH_SIZE], name[32];
    if (number >= life->life)
        return CONVOY_OK;
    snprintf(name, sizeof name, "%s%d", prefix, number);
    TRY(life_path(life->folder, number, "", from));
    TRY(file_join(life->own, name, to, sizeof to));
    if (rename(from, to) == 0)
        nftw(to, remove_any, 8, FTW_DEPTH | FTW_PHYS);
    else if (errno != ENOENT)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot rename to %s: %s", from, to,
                 strerror(errno)));
cleanup:
    return status;
}

/* Whether the run's folder is still what it was: if not, or it cannot be seen, nobody
 * has taken anything over. */
static bool is_folder_same(const struct run_life *life)
{
    struct stat now;
    return stat(life->folder, &now) == 0 && now.st_ino == life->folder_is.st_ino;
}

/* Whether run.lock names this life: file systems may change their mind about the
 * numbers of files. */
static bool is_named(const struct run_life *life)
{
    struct run_lock holder;
    struct stat file;
    bool exists = false;
    return run_lock_read(life->lock, &holder, &file, &exists) == CONVOY_OK && exists &&
           run_lock_is_same(&holder, &life->self);
}

static bool is_taken(const struct run_life *life)
{
    struct stat now;
    if (stat(life->own, &now) == 0)
        return now.st_ino != life->own_is.st_ino && !is_named(life);
    return errno == ENOENT && is_folder_same(life);
}

/* At every renewal of the lock. */
static void look_after(void *context)
{
    struct run_life *life = context;
    if (is_taken(life))
        atomic_store_explicit(&life->is_lost, true, memory_order_relaxed);
}

/* Stops renewing it. */
static void drop_lock(struct run_life *life)
{
    run_beat_stop(life->beat);
    life->beat = NULL;
    if (life->lock_fd >= 0)
        close(life->lock_fd);
    life->lock_fd = -1;
}

/* Makes the lock in the life's folder and renames it to its name. */
static convoy_status make_lock(struct run_life *life)
{
    convoy_status status = CONVOY_OK;
    char path[RUN_LIFE_PATH_SIZE], text[RUN_LOCK_TEXT_SIZE];
    const size_t n = run_lock_print(&life->self, text);
    TRY(file_join(life->own, "new.lock", path, sizeof path));
    life->lock_fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (life->lock_fd < 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot write: %s", path, strerror(errno)));
    TRY(file_write_at(life->lock_fd, path, 0, text, n));
    TRY(run_beat_start(life->lock_fd, look_after, life, &life->beat));
    TRY(file_commit(path, life->lock));
    life->is_held = true;
cleanup:
    if (status != CONVOY_OK)
        drop_lock(life);
    return status;
}

/* Begins the life with this number. Where another process has begun one with it, or a
 * later one since then, it is not held, and all has to be looked at anew. */
static convoy_status claim(struct run_life *life, int number)
{
    convoy_status status = CONVOY_OK;
    life->life = number;
    run_lock_self(number, &life->self);
    TRY(life_path(life->folder, number, "", life->own));
    if (mkdir(life->own, 0777) != 0) {
        if (errno == EEXIST)
            return CONVOY_OK;
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot make the folder: %s", life->own,
                 strerror(errno)));
    }
    if (stat(life->own, &life->own_is) == 0) {
        status = each_life(life->folder, move_earlier, life);
        if (status == CONVOY_OK && number > 1)
            status = move_earlier(life, number - 1); /* in case it was not listed */
        if (status == CONVOY_OK)
            status = make_lock(life);
    }
    if (status != CONVOY_OK && !is_own_there(life)) {
        convoy_status_clear();
        status = CONVOY_OK;
    }
cleanup:
    return status;
}

convoy_status run_life_begin(const char *folder, const struct run_life_wait *wait,
                             struct run_life *life, char note[STATUS_TEXT_SIZE])
{
    convoy_status status = CONVOY_OK;
    struct state state;
    char name[RUN_LOCK_NAME_SIZE];
    note[0] = '\0';
    life->lock_fd = -1;
    run_lock_self(0, &life->self);
    snprintf(life->folder, sizeof life->folder, "%s", folder);
    TRY(file_join(folder, lock_name, life->lock, sizeof life->lock));
    if (stat(folder, &life->folder_is) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot stat: %s", folder, strerror(errno)));
    for (int i = 0; i < LOOKS && !life->is_held; i++) {
        bool is_over = false;
        TRY(look_patiently(life, &state));
        if (state.is_locked) {
            run_lock_name(&state.holder, name);
            TRY(judge(life, wait, &state, &is_over));
            if (!is_over)
                continue;
            snprintf(note, STATUS_TEXT_SIZE, "the run before ended without a word (%s)",
                     name);
        }
        TRY(claim(life, state.highest + 1));
    }
    if (!life->is_held)
        TRY(refuse(life, &state.holder));
cleanup:
    return status;
}

/* Who has the folder, in words: the holder of the lock, or of the newest life, which
 * may be over by now. It may be about to make its lock. */
static void name_successor(const struct run_life *life, char out[RUN_LOCK_NAME_SIZE])
{
    struct state state;
    char path[RUN_LIFE_PATH_SIZE];
    struct run_lock last;
    bool exists = false;
    snprintf(out, RUN_LOCK_NAME_SIZE, "one that has ended");
    if (look_patiently(life, &state) != CONVOY_OK)
        return;
    if (state.is_locked && state.holder.life > life->life)
        run_lock_name(&state.holder, out);
    else if (!state.is_locked &&
             life_path(life->folder, state.highest, lock_name, path) == CONVOY_OK &&
             run_lock_read(path, &last, &state.file, &exists) == CONVOY_OK && exists)
        run_lock_name(&last, out);
}

convoy_status run_life_check(const struct run_life *life)
{
    char name[RUN_LOCK_NAME_SIZE];
    if (!life->is_held || !is_taken(life))
        return CONVOY_OK;
    name_successor(life, name);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "%s: the folder now belongs to another run, which took this one for "
                "over: %s. This one ends without saving",
                life->folder, name);
}

bool run_life_is_lost(const struct run_life *life)
{
    return atomic_load_explicit(&life->is_lost, memory_order_relaxed);
}

void run_life_end(struct run_life *life)
{
    char path[RUN_LIFE_PATH_SIZE];
    if (!life->is_held)
        return;
    drop_lock(life);
    if (file_join(life->own, lock_name, path, sizeof path) == CONVOY_OK)
        rename(life->lock, path); /* fails where a later life has the folder */
    life->is_held = false;
}
