/* Lines of gradients' lengths: few are kept of many, the first and the newest always.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/view_gradients.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add_text(struct view_gradients *gradients, uint64_t step, const char *text)
{
    struct json_value *norms = NULL;
    assert_int_equal(json_value_read("test", text, strlen(text), &norms), CONVOY_OK);
    assert_int_equal(view_gradients_add(gradients, step, norms), CONVOY_OK);
    json_value_free(norms);
}

/* n lines, of steps 10, 20, …, with the step in both layers. */
static void assert_curves(int n, int n_curves)
{
    struct view_gradients gradients = {0};
    struct curve curves[VIEW_GRADIENT_CURVES] = {{0}};
    uint64_t steps[VIEW_GRADIENT_CURVES];
    int found = -1;
    for (int i = 1; i <= n; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"a\": %d, \"b\": %d.5}", 10 * i, 10 * i);
        add_text(&gradients, 10 * (uint64_t)i, text);
    }
    assert_int_equal(view_gradients_curves(&gradients, curves, steps, &found),
                     CONVOY_OK);
    assert_int_equal(found, n_curves);
    for (int c = 0; c < found; c++) {
        assert_int_equal(curves[c].n, 2);
        assert_true(curves[c].points[0].x == 1 && curves[c].points[1].x == 2);
        assert_true(curves[c].points[0].y == (double)steps[c]);
        assert_true(curves[c].points[1].y == (double)steps[c] + 0.5);
        assert_true(c == 0 || steps[c] > steps[c - 1]);
    }
    if (n > 0) {
        assert_int_equal(steps[0], 10);
        assert_int_equal(steps[found - 1], 10 * n);
    }
    for (int c = 0; c < VIEW_GRADIENT_CURVES; c++)
        curve_free(&curves[c]);
    view_gradients_free(&gradients);
}

static void the_first_and_the_newest_line_are_kept(void **state)
{
    (void)state;
    assert_curves(0, 0);
    assert_curves(1, 1);
    assert_curves(2, 2);
    for (int n = 4; n < 300; n++)
        assert_curves(n, VIEW_GRADIENT_CURVES);
}

static void what_cannot_be_drawn_is_a_gap(void **state)
{
    (void)state;
    struct view_gradients gradients = {0};
    struct curve curves[VIEW_GRADIENT_CURVES] = {{0}};
    uint64_t steps[VIEW_GRADIENT_CURVES];
    int n = 0;
    add_text(&gradients, 1, "{\"a\": null, \"b\": 0, \"c\": 2}");
    add_text(&gradients, 2, "{\"a\": 1}"); /* another net's */
    add_text(&gradients, 3, "[1, 2, 3]");
    assert_int_equal(view_gradients_curves(&gradients, curves, steps, &n), CONVOY_OK);
    assert_int_equal(n, 1);
    assert_int_equal(curves[0].n, 3);
    assert_true(isnan(curves[0].points[0].y) && isnan(curves[0].points[1].y));
    assert_true(curves[0].points[2].y == 2);
    curve_free(&curves[0]);
    view_gradients_free(&gradients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_and_the_newest_line_are_kept),
        cmocka_unit_test(what_cannot_be_drawn_is_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
