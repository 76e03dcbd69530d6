/* Drawings of surfaces that are unlike a valley: flat ones, with holes, half done. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "draw/gnuplot.h"
#include "see/landscape_plot.h"
#include "support/scratch.h"

#include <math.h>

enum { SIDE = 5 };

static char folder[SCRATCH_PATH];

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static void skip_without_gnuplot(void)
{
    static const char nothing[] = "set terminal svg\nplot 1\n";
    char *svg = NULL;
    enum gnuplot_end end = GNUPLOT_ENDED;
    (void)gnuplot_draw(nothing, sizeof nothing - 1, &svg, &end);
    mem_free(svg);
    if (end == GNUPLOT_ABSENT)
        skip();
}

static double flat(double x, double y)
{
    (void)x;
    (void)y;
    return 2.3;
}

static double with_a_hole(double x, double y)
{
    return x == 0 && y == 0.5 ? (double)NAN : 1 + x * x + 2 * y * y;
}

static double half_done(double x, double y)
{
    return y > 0 ? (double)NAN : 0.1 + x * x + y * y;
}

static double enormous(double x, double y)
{
    return x > 0.5 ? (double)INFINITY : 1e-9 + 1e30 * (x * x + y * y);
}

static double none(double x, double y)
{
    (void)x;
    (void)y;
    return (double)NAN;
}

/* What drawing the function gives; what was drawn is an SVG with paths. */
static convoy_status draw(double (*loss)(double x, double y), bool is_line, double top)
{
    static const char *const names[] = {"contours.svg", "surface.svg"};
    struct landscape_surface s = {0};
    assert_int_equal(landscape_surface_make(SIDE, -1, 1, is_line, "", &s), CONVOY_OK);
    for (int i = 0; i < s.n_x * s.n_y; i++) {
        s.loss[i] = loss(s.x[i % s.n_x], s.y[i / s.n_x]);
        s.percent[i] = 50;
    }
    const convoy_status status = landscape_plot_write(&s, top, folder);
    for (int k = 0; k < (is_line ? 1 : 2) && status == CONVOY_OK; k++) {
        size_t n = 0;
        const char *path = scratch_path(folder, is_line ? "line.svg" : names[k]);
        unsigned char *svg = scratch_read(path, &n);
        assert_non_null(svg);
        assert_non_null(memmem(svg, n, "</svg>", 6));
        assert_int_equal(remove(path), 0);
        free(svg);
    }
    landscape_surface_free(&s);
    return status;
}

static void any_surface_with_a_loss_is_drawn(void **state)
{
    double (*const losses[])(double x, double y) = {flat, with_a_hole, half_done,
                                                    enormous};
    (void)state;
    skip_without_gnuplot();
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        for (int line = 0; line < 2; line++)
            if (draw(losses[i], line, i % 2 ? 0 : 2.5) != CONVOY_OK)
                fail_msg("surface %zu: %s", i, convoy_status_text());
}

static double rising_with_x(double x, double y)
{
    (void)y;
    return 2 + x;
}

static double rising_with_y(double x, double y)
{
    (void)x;
    return 2 + y;
}

/* Pieces of the contours in an SVG; *dx and *dy: how far the longest goes. */
static int measure_contours(const char *svg, double *dx, double *dy)
{
    const char *at = strstr(svg, "$lines using");
    double from[2] = {0}, to[2];
    int n = 0;
    assert_non_null(at);
    at = strstr(at, "d='M");
    assert_non_null(at);
    const char *end = strchr(at + 3, '\'');
    assert_non_null(end);
    *dx = *dy = 0;
    for (at += 3; at < end; at += 1 + strcspn(at + 1, "ML'")) {
        if (sscanf(at + 1, "%lf,%lf", &to[0], &to[1]) == 2 && *at == 'L') {
            *dx = fmax(*dx, fabs(to[0] - from[0]));
            *dy = fmax(*dy, fabs(to[1] - from[1]));
            n++;
        }
        memcpy(from, to, sizeof from);
    }
    return n;
}

/* Lines of equal loss are upright where losses rise to the right, and level where they
 * rise upwards. */
static void contours_lie_across_the_slope(void **state)
{
    (void)state;
    skip_without_gnuplot();
    for (int axis = 0; axis < 2; axis++) {
        struct landscape_surface s = {0};
        double d[2];
        size_t n = 0;
        assert_int_equal(landscape_surface_make(SIDE, -1, 1, false, "", &s), CONVOY_OK);
        for (int i = 0; i < s.n_x * s.n_y; i++)
            s.loss[i] =
                (axis ? rising_with_y : rising_with_x)(s.x[i % s.n_x], s.y[i / s.n_x]);
        assert_int_equal(landscape_plot_write(&s, 0, folder), CONVOY_OK);
        unsigned char *svg = scratch_read(scratch_path(folder, "contours.svg"), &n);
        assert_non_null(svg);
        svg[n - 1] = '\0'; /* in place of the end of the last line */
        assert_true(measure_contours((const char *)svg, &d[0], &d[1]) > 4);
        assert_true(d[axis] < 0.1 && d[1 - axis] > 10);
        free(svg);
        landscape_surface_free(&s);
    }
}

static void what_has_no_loss_to_draw_is_told(void **state)
{
    (void)state;
    for (int line = 0; line < 2; line++) {
        assert_int_equal(draw(none, line, 0), CONVOY_ERROR_IO);
        assert_non_null(strstr(convoy_status_text(), "no point has a loss"));
        assert_int_equal(draw(flat, line, 2.3), CONVOY_ERROR_IO);
        assert_non_null(strstr(convoy_status_text(), "2.3, is not below the top"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_surface_with_a_loss_is_drawn),
        cmocka_unit_test(contours_lie_across_the_slope),
        cmocka_unit_test(what_has_no_loss_to_draw_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
