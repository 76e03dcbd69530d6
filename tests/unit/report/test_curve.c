/* Thinning a curve: means of neighbours, with the least and the most of them. */
#include "report/curve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void few_points_stay(void **state)
{
    (void)state;
    struct curve curve = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(curve_add(&curve, i, 2 * i), CONVOY_OK);
    curve_thin(&curve, 10);
    assert_int_equal(curve.n, 10);
    assert_false(curve.is_thinned);
    assert_true(curve.points[9].x == 9 && curve.points[9].y == 18);
    curve_free(&curve);
}

static void each_point_is_the_mean_of_as_many(void **state)
{
    (void)state;
    struct curve curve = {0};
    for (int i = 0; i < 11; i++)
        assert_int_equal(curve_add(&curve, i, i % 4), CONVOY_OK);
    curve_thin(&curve, 3); /* of 4, 4 and 3 */
    assert_int_equal(curve.n, 3);
    assert_true(curve.is_thinned);
    for (int i = 0; i < 2; i++) {
        assert_true(curve.points[i].x == 4 * i + 1.5 && curve.points[i].y == 1.5);
        assert_true(curve.points[i].low == 0 && curve.points[i].high == 3);
    }
    assert_true(fabs(curve.points[2].y - 1) < 1e-12 && curve.points[2].high == 2);
    curve_free(&curve);
}

static void what_no_plot_shows_is_a_gap(void **state)
{
    (void)state;
    struct curve curve = {0};
    const double values[] = {1, (double)NAN, (double)INFINITY, 1e305,
                             3, (double)NAN, (double)NAN,      (double)NAN};
    for (int i = 0; i < 8; i++)
        assert_int_equal(curve_add(&curve, i, values[i]), CONVOY_OK);
    assert_int_equal(curve_add(&curve, (double)NAN, 1), CONVOY_OK);
    assert_int_equal(curve.n, 8);
    assert_int_equal(curve_count(&curve), 2);
    curve_thin(&curve, 2);
    assert_true(curve.points[0].y == 1 && curve.points[1].y == 3);
    curve_free(&curve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_points_stay),
        cmocka_unit_test(each_point_is_the_mean_of_as_many),
        cmocka_unit_test(what_no_plot_shows_is_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
