/* When a run must be told to stop, so that it has saved in time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "train/time_limit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EPOCH = 100 };

static struct time_limit begin(double max_s, double job_s)
{
    struct time_limit limit;
    char text[32];
    snprintf(text, sizeof text, "%.0f", (double)time(NULL) + job_s);
    unsetenv("SLURM_JOB_END_TIME");
    if (job_s != 0)
        setenv("SLURM_JOB_END_TIME", text, 1);
    time_limit_begin(max_s, 1000, &limit);
    return limit;
}

static void without_a_limit_there_is_time(void **state)
{
    (void)state;
    const struct time_limit limit = begin(0, 0);
    const struct time_needs needs = {1e6, 1e6, 1e6};
    assert_false(time_limit_is_up(&limit, &needs, 99, EPOCH, 1e12));
}

static void the_earlier_limit_counts(void **state)
{
    (void)state;
    struct time_limit limit = begin(600, 0);
    assert_true(limit.until_s == 1600 && !limit.is_jobs && limit.reserve_s == 2);
    limit = begin(600, 7200);
    assert_true(limit.until_s == 1600 && !limit.is_jobs);
    limit = begin(0, 7200);
    assert_true(fabs(limit.until_s - 8200) < 2 && limit.is_jobs);
    assert_true(limit.reserve_s == 30);
    limit = begin(1e6, 100);
    assert_true(limit.is_jobs && limit.reserve_s <= 5.1);
}

static void an_end_that_is_over_is_not_heeded(void **state)
{
    (void)state;
    struct time_limit limit = begin(0, -5);
    assert_true(limit.is_past && isinf(limit.until_s));
    limit = begin(60, -5);
    assert_true(limit.is_past && !limit.is_jobs && limit.until_s == 1060);
    setenv("SLURM_JOB_END_TIME", "never", 1);
    time_limit_begin(0, 1000, &limit);
    assert_true(!limit.is_past && isinf(limit.until_s));
}

static void two_steps_and_two_saves_are_left_time_for(void **state)
{
    (void)state;
    const struct time_limit limit = begin(1000, 0); /* until 2000, 2 in reserve */
    const struct time_needs needs = {10, 40, 4};    /* 1.25 * 28 */
    assert_false(time_limit_is_up(&limit, &needs, 50, EPOCH, 1962.9));
    assert_true(time_limit_is_up(&limit, &needs, 50, EPOCH, 1963.1));
}

static void an_epoch_that_ends_soon_counts(void **state)
{
    (void)state;
    const struct time_limit limit = begin(1000, 0);
    const struct time_needs needs = {10, 40, 4}; /* 1.25 * (28 + 40) */
    assert_false(time_limit_is_up(&limit, &needs, 97, EPOCH, 1950));
    assert_true(time_limit_is_up(&limit, &needs, 98, EPOCH, 1950));
    assert_true(time_limit_is_up(&limit, &needs, 99, EPOCH, 1950));
    assert_false(time_limit_is_up(&limit, &needs, 100, EPOCH, 1950));
    assert_false(time_limit_is_up(&limit, &needs, 98, EPOCH, 1912.9));
    /* Epochs of one step: two end. */
    assert_true(time_limit_is_up(&limit, &needs, 5, 1, 1870));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_there_is_time),
        cmocka_unit_test(the_earlier_limit_counts),
        cmocka_unit_test(an_end_that_is_over_is_not_heeded),
        cmocka_unit_test(two_steps_and_two_saves_are_left_time_for),
        cmocka_unit_test(an_epoch_that_ends_soon_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
