/* Whether steps are short enough for what Slurm leaves between signal and kill. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "train/launch_notes.h"

#include <stdlib.h>
#include <string.h>

static struct launch_patience in_job(const char *job, const char *kill_wait,
                                     uint64_t save_bytes)
{
    struct launch_patience p;
    unsetenv("SLURM_JOB_ID");
    unsetenv("CONVOY_KILL_WAIT");
    if (job)
        setenv("SLURM_JOB_ID", job, 1);
    if (kill_wait)
        setenv("CONVOY_KILL_WAIT", kill_wait, 1);
    launch_patience_init(&p, save_bytes);
    return p;
}

static bool told(struct launch_patience *p, char text[512])
{
    text[0] = '\0';
    return launch_patience_note(p, text, 512);
}

static void what_does_not_fit_is_told_once(void **state)
{
    char text[512];
    struct launch_patience p = in_job("7", NULL, UINT64_C(500000000)); /* 5 s */
    (void)state;
    launch_patience_step(&p, 1000, 1000); /* warms up */
    launch_patience_step(&p, 13, 13);
    assert_false(told(&p, text)); /* too early */
    launch_patience_step(&p, 10, 10);
    assert_true(told(&p, text));
    assert_non_null(strstr(text, "it may take 31 s (step 13 s, save 5 s)"));
    assert_non_null(strstr(text, "leave 30 s (KillWait)"));
    assert_non_null(strstr(text, "--signal=B:USR1@120 or more"));
    assert_false(told(&p, text));
}

static void the_end_of_an_epoch_counts(void **state)
{
    char text[512];
    struct launch_patience p = in_job("7", NULL, 0);
    (void)state;
    for (int i = 0; i < 5; i++)
        launch_patience_step(&p, 12, 12);
    assert_false(told(&p, text));
    launch_patience_step(&p, 12, 112);
    assert_true(told(&p, text));
    assert_non_null(strstr(text, "take 124 s"));
    assert_non_null(strstr(text, "B:USR1@300"));
}

static void who_has_time_is_left_in_peace(void **state)
{
    static const struct {
        const char *job, *kill_wait;
        bool is_told;
    } cases[] = {{NULL, NULL, false}, {NULL, "1", false}, {"7", "300", false},
                 {"7", "", true},     {"7", "-4", true},  {"7", "40.5", true}};
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct launch_patience p = in_job(cases[i].job, cases[i].kill_wait, 0);
        for (int step = 0; step < 4; step++)
            launch_patience_step(&p, 25, 25);
        assert_int_equal(told(&p, text), cases[i].is_told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_told_once),
        cmocka_unit_test(the_end_of_an_epoch_counts),
        cmocka_unit_test(who_has_time_is_left_in_peace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
