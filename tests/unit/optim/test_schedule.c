/* Learning rates worked by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "optim/schedule.h"

#include <math.h>
#include <string.h>

static const double milestones[] = {3, 6, 8.5};

/* 9 epochs of 10 steps from 0.8, warmup over 2 epochs from 0. */
static struct schedule_options usual(enum schedule_decay decay)
{
    return (struct schedule_options){
        .decay = decay,
        .steps_per_epoch = 10,
        .epochs = 9,
        .lr = 0.8,
        .warmup_epochs = 2,
        .n_milestones = 3,
        .milestones = milestones,
        .gamma = 0.5,
    };
}

static struct schedule init(const struct schedule_options *options)
{
    struct schedule schedule;
    assert_int_equal(schedule_init(options, &schedule), CONVOY_OK);
    return schedule;
}

struct point {
    uint64_t step;
    double lr;
};

static void assert_rates(const struct schedule *schedule, const struct point *points,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double found = schedule_lr(schedule, points[i].step);
        if (fabs(found - points[i].lr) > 1e-12)
            fail_msg("step %d: lr %.17g, expected %.17g", (int)points[i].step, found,
                     points[i].lr);
    }
}

static void epochs_become_steps(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_STEP);
    struct schedule s = init(&options);
    assert_int_equal(s.total_steps, 90);
    assert_int_equal(s.warmup_steps, 20);
    assert_int_equal(s.milestones[2], 85);
    options.steps_per_epoch = 3;
    options.warmup_epochs = 0.5; /* 1.5 steps */
    s = init(&options);
    assert_int_equal(s.warmup_steps, 2);
    assert_int_equal(s.total_steps, 27);
}

static void the_warmup_grows_evenly_and_wastes_no_step(void **state)
{
    (void)state;
    static const struct point points[] = {{0, 0.04}, {1, 0.08}, {9, 0.4}, {18, 0.76},
                                          {19, 0.8}, {20, 0.8}, {21, 0.8}};
    struct schedule_options options = usual(SCHEDULE_CONSTANT);
    struct schedule s = init(&options);
    assert_rates(&s, points, sizeof points / sizeof points[0]);
    assert_true(schedule_lr(&s, 19) == 0.8);
}

static void the_warmup_starts_from_its_own_rate(void **state)
{
    (void)state;
    static const struct point points[] = {{0, 0.42}, {9, 0.6}, {19, 0.8}, {20, 0.8}};
    struct schedule_options options = usual(SCHEDULE_CONSTANT);
    options.warmup_lr = 0.4; /* 0.4 + 0.4 (t + 1) / 20 */
    struct schedule s = init(&options);
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

static void without_warmup_the_first_step_has_the_full_rate(void **state)
{
    (void)state;
    for (int decay = SCHEDULE_CONSTANT; decay <= SCHEDULE_LINEAR; decay++) {
        struct schedule_options options = usual((enum schedule_decay)decay);
        options.warmup_epochs = 0;
        options.power = 0; /* the polynomial has begun to fall */
        struct schedule s = init(&options);
        assert_true(schedule_lr(&s, 0) == 0.8);
    }
}

static void constant_stays(void **state)
{
    (void)state;
    static const struct point points[] = {{20, 0.8}, {89, 0.8}, {1000, 0.8}};
    struct schedule_options options = usual(SCHEDULE_CONSTANT);
    struct schedule s = init(&options);
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

static void steps_fall_at_the_milestones(void **state)
{
    (void)state;
    static const struct point points[] = {{20, 0.8}, {29, 0.8}, {30, 0.4}, {59, 0.4},
                                          {60, 0.2}, {84, 0.2}, {85, 0.1}, {900, 0.1}};
    struct schedule_options options = usual(SCHEDULE_STEP);
    struct schedule s = init(&options);
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

/* Half a cosine over steps 20 to 90: cos 0, cos pi/2 at 55, cos pi at the end. */
static void the_cosine_falls_to_the_final_rate(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_COSINE);
    struct schedule s = init(&options);
    static const struct point to_0[] = {{20, 0.8}, {55, 0.4}, {90, 0}, {91, 0}};
    assert_rates(&s, to_0, sizeof to_0 / sizeof to_0[0]);
    assert_true(schedule_lr(&s, 89) > 0);
    options.epochs = 8; /* 60 steps: cos pi/3 = 1/2, cos 2pi/3 = -1/2 */
    options.final_lr = 0.4;
    s = init(&options);
    static const struct point to_half[] = {{20, 0.8}, {40, 0.7}, {50, 0.6},
                                           {60, 0.5}, {80, 0.4}, {99, 0.4}};
    assert_rates(&s, to_half, sizeof to_half / sizeof to_half[0]);
}

static void a_warmup_to_the_end_leaves_no_cosine(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_COSINE);
    options.warmup_epochs = options.epochs;
    struct schedule s = init(&options);
    static const struct point points[] = {{44, 0.4}, {89, 0.8}, {90, 0}};
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

/* D = 71 from step 20 on: 70 / 71 squared first, 1 / 71 squared last. */
static void the_polynomial_ends_just_above_the_final_rate(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_POLYNOMIAL);
    options.power = 2;
    options.final_lr = 0.1;
    struct schedule s = init(&options);
    static const struct point points[] = {{9, 0.4},
                                          {19, 0.8},
                                          {20, 0.1 + 0.7 * 4900 / 5041},
                                          {89, 0.1 + 0.7 / 5041},
                                          {90, 0.1}};
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

static void the_line_is_at_the_final_rate_behind_the_last_step(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_LINEAR);
    options.final_lr = 0.1;
    struct schedule s = init(&options);
    static const struct point points[] = {{20, 0.8},  {27, 0.73}, {55, 0.45},
                                          {89, 0.11}, {90, 0.1},  {95, 0.1}};
    assert_rates(&s, points, sizeof points / sizeof points[0]);
}

/* W - 1 = 19 steps up, 70 down; their middles are at cos(pi / 2). */
static void one_cycle_turns_momentum_against_the_rate(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_ONE_CYCLE);
    options.warmup_lr = 0.2;
    options.final_lr = 0.1;
    options.cycles_momentum = true;
    options.base_momentum = 0.8;
    options.max_momentum = 0.9;
    struct schedule s = init(&options);
    static const struct point points[] = {{0, 0.2},  {19, 0.8}, {54, 0.45},
                                          {89, 0.1}, {90, 0.1}, {200, 0.1}};
    assert_rates(&s, points, sizeof points / sizeof points[0]);
    assert_true(schedule_lr(&s, 19) == 0.8);
    assert_true(schedule_momentum(&s, 0) == 0.9);
    assert_true(schedule_momentum(&s, 19) == 0.8);
    assert_true(fabs(schedule_momentum(&s, 54) - 0.85) < 1e-12);
    assert_true(schedule_momentum(&s, 89) == 0.9);
    options.cycles_momentum = false;
    s = init(&options);
    assert_true(schedule_momentum(&s, 0) < 0);
}

/* One step up is none at all; one that is all rise never falls. */
static void a_cycle_can_be_all_fall_or_all_rise(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_ONE_CYCLE);
    options.warmup_epochs = 0.1;
    struct schedule s = init(&options);
    assert_int_equal(s.warmup_steps, 1);
    assert_true(schedule_lr(&s, 0) == 0.8);
    assert_true(schedule_lr(&s, 89) == 0);
    options.warmup_epochs = options.epochs;
    s = init(&options);
    assert_true(schedule_lr(&s, 0) == 0);
    assert_true(schedule_lr(&s, 89) == 0.8);
    assert_true(schedule_lr(&s, 90) == 0);
}

static void the_warmup_takes_momentum_along_and_leaves_it_then(void **state)
{
    (void)state;
    struct schedule_options options = usual(SCHEDULE_COSINE);
    options.momentum = 0.9;
    struct schedule s = init(&options);
    assert_true(schedule_momentum(&s, 0) < 0);
    options.warms_momentum = true;
    options.warmup_momentum = 0.5;
    s = init(&options);
    assert_true(fabs(schedule_momentum(&s, 0) - 0.52) < 1e-12);
    assert_true(fabs(schedule_momentum(&s, 9) - 0.7) < 1e-12);
    assert_true(schedule_momentum(&s, 19) == 0.9);
    assert_true(schedule_momentum(&s, 20) < 0);
}

static void impossible_schedules_are_refused(void **state)
{
    (void)state;
    struct schedule s;
    struct schedule_options options = usual(SCHEDULE_STEP);
    options.steps_per_epoch = 0;
    assert_int_equal(schedule_init(&options, &s), CONVOY_ERROR_ARGUMENT);
    options = usual(SCHEDULE_STEP);
    options.n_milestones = SCHEDULE_MAX_MILESTONES + 1;
    assert_int_equal(schedule_init(&options, &s), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "33 milestones, at most 32"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_become_steps),
        cmocka_unit_test(the_warmup_grows_evenly_and_wastes_no_step),
        cmocka_unit_test(the_warmup_starts_from_its_own_rate),
        cmocka_unit_test(without_warmup_the_first_step_has_the_full_rate),
        cmocka_unit_test(constant_stays),
        cmocka_unit_test(steps_fall_at_the_milestones),
        cmocka_unit_test(the_cosine_falls_to_the_final_rate),
        cmocka_unit_test(a_warmup_to_the_end_leaves_no_cosine),
        cmocka_unit_test(the_polynomial_ends_just_above_the_final_rate),
        cmocka_unit_test(the_line_is_at_the_final_rate_behind_the_last_step),
        cmocka_unit_test(one_cycle_turns_momentum_against_the_rate),
        cmocka_unit_test(a_cycle_can_be_all_fall_or_all_rise),
        cmocka_unit_test(the_warmup_takes_momentum_along_and_leaves_it_then),
        cmocka_unit_test(impossible_schedules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
