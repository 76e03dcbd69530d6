/* Marks are round, rise, lie in the range, and are no more than there is room for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "draw/marks.h"

#include <math.h>

static void assert_marks(const struct marks *marks, int n, const double *expected)
{
    assert_int_equal(marks->n, n);
    for (int i = 0; i < n; i++)
        if (!(fabs(marks->at[i] - expected[i]) <= 1e-12 * fabs(expected[i])))
            fail_msg("mark %d is %.17g, expected %g", i, marks->at[i], expected[i]);
}

static void steps_are_round(void **state)
{
    (void)state;
    static const struct {
        double length;
        int most;
        double step;
    } cases[] = {{1, 5, 0.2}, {1, 4, 0.5}, {0.9, 6, 0.2}, {2, 6, 0.5}, {3e5, 3, 1e5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(fabs(marks_step(cases[i].length, cases[i].most) / cases[i].step -
                         1) < 1e-12);
}

static void even_marks_are_multiples_of_a_step(void **state)
{
    (void)state;
    struct marks marks;
    marks_even(-0.7, 0.7, 6, &marks);
    assert_marks(&marks, 3, (const double[]){-0.5, 0, 0.5});
    marks_even(0.2, 1.2, 5, &marks);
    assert_marks(&marks, 6, (const double[]){0.2, 0.4, 0.6, 0.8, 1, 1.2});
}

static void logarithmic_marks_are_the_same_in_each_power_of_ten(void **state)
{
    (void)state;
    struct marks marks;
    marks_log(0.2, 10, 6, &marks);
    assert_marks(&marks, 6, (const double[]){0.2, 0.5, 1, 2, 5, 10});
    marks_log(0.5, 1700, 8, &marks);
    assert_marks(&marks, 7, (const double[]){1, 3, 10, 30, 100, 300, 1000});
    marks_log(0.5, 1700, 4, &marks);
    assert_marks(&marks, 4, (const double[]){1, 10, 100, 1000});
}

static void many_powers_of_ten_have_no_more_marks_than_there_is_room_for(void **state)
{
    (void)state;
    struct marks marks;
    marks_log(1e-30, 1e30, 12, &marks);
    assert_int_equal(marks.n, MARKS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_round),
        cmocka_unit_test(even_marks_are_multiples_of_a_step),
        cmocka_unit_test(logarithmic_marks_are_the_same_in_each_power_of_ten),
        cmocka_unit_test(many_powers_of_ten_have_no_more_marks_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
