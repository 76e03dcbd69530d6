/* Lives of a run in one folder: who takes over fences the earlier ones off, and of many
 * that begin at once one is left. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "train/run_life.h"

#include "support/scratch.h"

#include "base/file.h"
#include "base/memory.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[SCRATCH_PATH];
static const struct run_life_wait no_wait = {0};

static int make_folder(void **state)
{
    (void)state;
    unsetenv("SLURM_JOB_ID");
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static void begin(struct run_life *life, int number)
{
    char note[STATUS_TEXT_SIZE];
    memset(life, 0, sizeof *life);
    assert_int_equal(run_life_begin(folder, &no_wait, life, note), CONVOY_OK);
    assert_int_equal(life->life, number);
    assert_int_equal(run_life_check(life), CONVOY_OK);
}

static void assert_holds(const char *name, const char *text)
{
    char *found = NULL;
    size_t n = 0;
    assert_int_equal(file_read_all(scratch_path(folder, name), &found, &n), CONVOY_OK);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(found, text, n);
    mem_free(found);
}

static void one_that_is_at_work_is_not_taken_over(void **state)
{
    struct run_life first, second = {0};
    char note[STATUS_TEXT_SIZE];
    (void)state;
    begin(&first, 1);
    assert_int_equal(run_life_begin(folder, &no_wait, &second, note),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "another run has this folder"));
    run_life_end(&second);
    assert_int_equal(run_life_check(&first), CONVOY_OK);
    run_life_end(&first);
    assert_false(file_exists(scratch_path(folder, "run.lock")));
    assert_true(file_exists(scratch_path(folder, "life-1/run.lock")));
    begin(&second, 2);
    assert_false(file_exists(scratch_path(folder, "life-1")));
    run_life_end(&second);
}

static void one_that_is_just_being_killed_is_waited_for(void **state)
{
    struct run_life second;
    int ready[2], status = 0;
    char byte;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    const pid_t holder = fork();
    if (holder == 0) {
        struct run_life first;
        begin(&first, 1);
        _exit(write(ready[1], "x", 1) == 1 && sleep(60) == 0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    const pid_t killer = fork();
    if (killer == 0) {
        usleep(300000);
        _exit(kill(holder, SIGKILL) != 0);
    }
    begin(&second, 2);
    run_life_end(&second);
    assert_int_equal(waitpid(killer, &status, 0), killer);
    assert_int_equal(status, 0);
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_true(WIFSIGNALED(status));
    close(ready[0]);
    close(ready[1]);
}

/* As one that was stopped sees it, whose lock somebody has removed. */
static void one_that_was_taken_over_changes_nothing(void **state)
{
    struct run_life first, second;
    char path[RUN_LIFE_PATH_SIZE], temporary[RUN_LIFE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s", scratch_path(folder, "file"));
    begin(&first, 1);
    assert_int_equal(run_life_write(&first, path, "one", 3), CONVOY_OK);
    assert_int_equal(run_life_temporary(&first, path, temporary, sizeof temporary),
                     CONVOY_OK);
    assert_int_equal(scratch_write(temporary, "three", 5), 0);
    assert_int_equal(unlink(scratch_path(folder, "run.lock")), 0);
    begin(&second, 2);
    assert_int_equal(run_life_write(&second, path, "two", 3), CONVOY_OK);

    assert_int_equal(run_life_check(&first), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "now belongs to another run"));
    assert_int_equal(run_life_rename(&first, temporary, path), CONVOY_ERROR_ARGUMENT);
    assert_int_equal(run_life_commit(&first, temporary, path), CONVOY_ERROR_ARGUMENT);
    assert_int_equal(run_life_write(&first, path, "one", 3), CONVOY_ERROR_ARGUMENT);
    assert_int_equal(run_life_remove(&first, path), CONVOY_ERROR_ARGUMENT);
    /* Also where it had looked already, and was stopped after that. */
    assert_int_not_equal(rename(temporary, path), 0);
    run_life_end(&first);
    assert_holds("file", "two");
    assert_int_equal(run_life_check(&second), CONVOY_OK);
    assert_int_equal(run_life_remove(&second, path), CONVOY_OK);
    assert_int_equal(run_life_remove(&second, path), CONVOY_OK); /* it is gone */
    assert_false(file_exists(path));
    run_life_end(&second);
    assert_true(file_exists(scratch_path(folder, "life-2/run.lock")));
}

/* A run that cannot be seen any more has no successor for that. */
static void a_folder_that_has_gone_was_not_taken_over(void **state)
{
    struct run_life life;
    char elsewhere[SCRATCH_PATH + 16];
    (void)state;
    begin(&life, 1);
    snprintf(elsewhere, sizeof elsewhere, "%s-moved", folder);
    assert_int_equal(rename(folder, elsewhere), 0);
    assert_int_equal(run_life_check(&life), CONVOY_OK);
    assert_int_equal(run_life_write(&life, scratch_path(folder, "x"), "x", 1),
                     CONVOY_ERROR_IO);
    assert_int_equal(rename(elsewhere, folder), 0);
    assert_int_equal(run_life_write(&life, scratch_path(folder, "x"), "x", 1),
                     CONVOY_OK);
    run_life_end(&life);
}

/* 0: it has the folder when all others have ended. */
static int try_to_live(const int start[2], const int end[2])
{
    struct run_life life = {0};
    struct pollfd others = {.fd = end[0], .events = POLLIN};
    char byte, note[STATUS_TEXT_SIZE];
    close(start[1]);
    close(end[1]);
    if (read(start[0], &byte, 1) != 0 || /* all are here */
        run_life_begin(folder, &no_wait, &life, note) != CONVOY_OK)
        return 1;
    while (run_life_check(&life) == CONVOY_OK)
        if (poll(&others, 1, 10) != 0)
            return run_life_check(&life) == CONVOY_OK ? 0 : 2;
    return 2;
}

static void of_many_that_begin_at_once_one_is_left(void **state)
{
    enum { ROUNDS = 4, PROCESSES = 6 };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        int start[2], end[2], n_left = 0;
        assert_int_equal(pipe(start), 0);
        assert_int_equal(pipe(end), 0);
        for (int i = 0; i < PROCESSES; i++) {
            const pid_t process = fork();
            assert_true(process >= 0);
            if (process == 0)
                _exit(try_to_live(start, end));
        }
        close(start[1]);
        close(start[0]);
        close(end[0]);
        /* Whoever has the folder waits for the others, who look at whether it lives. */
        for (int i = 0; i < PROCESSES; i++) {
            int status = 0;
            if (i == PROCESSES - 1)
                close(end[1]);
            assert_true(wait(&status) > 0);
            n_left += WIFEXITED(status) && WEXITSTATUS(status) == 0;
        }
        assert_int_equal(n_left, 1);
    }
}

#define IN_FOLDER(test)                                                                \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(one_that_is_at_work_is_not_taken_over),
        IN_FOLDER(one_that_is_just_being_killed_is_waited_for),
        IN_FOLDER(one_that_was_taken_over_changes_nothing),
        IN_FOLDER(a_folder_that_has_gone_was_not_taken_over),
        IN_FOLDER(of_many_that_begin_at_once_one_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
