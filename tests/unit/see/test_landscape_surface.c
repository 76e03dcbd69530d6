/* The file of a landscape: what is written is gone on with, but only as the same one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "h5/h5.h"
#include "see/landscape_surface.h"
#include "support/scratch.h"

#include <convoy/status.h>

#include <math.h>
#include <string.h>

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

static struct landscape_surface make(int n, bool is_line, const char *facts)
{
    struct landscape_surface surface = {0};
    assert_int_equal(landscape_surface_make(n, -1, 1, is_line, facts, &surface),
                     CONVOY_OK);
    return surface;
}

static void the_middle_of_a_range_is_0(void **state)
{
    (void)state;
    static const int counts[] = {3, 5, 15, 51, 101, 1001};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int k = 1; k <= 300; k++) {
            const double high = k / 100.0;
            struct landscape_surface surface = {0};
            assert_int_equal(
                landscape_surface_make(counts[i], -high, high, true, "", &surface),
                CONVOY_OK);
            if (surface.x[0] != -high || surface.x[counts[i] / 2] != 0 ||
                surface.x[counts[i] - 1] != high)
                fail_msg("%d points to %g", counts[i], high);
            landscape_surface_free(&surface);
        }
}

static void what_is_written_is_gone_on_with(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "surface.h5");
    struct landscape_surface surface = make(3, false, "seed\t1\n");
    for (size_t i = 0; i < 9; i++)
        assert_false(landscape_surface_has(&surface, i));
    surface.loss[4] = 0.25;
    surface.percent[4] = 50;
    surface.loss[8] = (double)NAN; /* computed, and no number */
    surface.percent[8] = 0;
    assert_int_equal(landscape_surface_write(&surface, path), CONVOY_OK);
    struct landscape_surface again = make(3, false, "seed\t1\n");
    assert_int_equal(landscape_surface_read(path, &again), CONVOY_OK);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(landscape_surface_has(&again, i), i == 4 || i == 8);
    assert_true(again.loss[4] == 0.25 && again.percent[4] == 50);
    landscape_surface_free(&surface);
    landscape_surface_free(&again);
}

static void another_landscape_is_refused(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "other.h5");
    struct landscape_surface surface = make(3, false, "data\tx\nseed\t1\nflip\t0\n");
    struct landscape_surface other = make(3, false, "data\tx\nseed\t12\nflip\t0\n");
    assert_int_equal(landscape_surface_write(&surface, path), CONVOY_OK);
    assert_int_equal(landscape_surface_read(path, &other), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "'seed 1'"));
    assert_non_null(strstr(convoy_status_text(), "'seed 12'"));
    landscape_surface_free(&surface);
    landscape_surface_free(&other);
}

static void a_file_that_is_missing_is_none(void **state)
{
    (void)state;
    struct landscape_surface surface = make(2, true, "");
    assert_int_equal(
        landscape_surface_read(scratch_path(folder, "missing.h5"), &surface),
        CONVOY_OK);
    assert_false(landscape_surface_has(&surface, 0));
    landscape_surface_free(&surface);
}

static void a_line_has_no_second_axis(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "line.h5");
    struct landscape_surface surface = make(4, true, ""), opened = {0};
    for (size_t i = 0; i < 4; i++)
        surface.loss[i] = surface.percent[i] = (double)i;
    surface.loss[2] = surface.percent[2] = -1;
    assert_int_equal(landscape_surface_write(&surface, path), CONVOY_OK);
    assert_int_equal(landscape_surface_open(path, &opened), CONVOY_OK);
    assert_true(opened.is_line);
    assert_int_equal(landscape_surface_n(&opened), 4);
    assert_memory_equal(opened.x, surface.x, 4 * sizeof(double));
    assert_true(opened.loss[3] == 3 && opened.percent[3] == 3);
    assert_true(isnan(opened.loss[2])); /* still to come: nothing to draw */
    landscape_surface_free(&surface);
    landscape_surface_free(&opened);
}

static void axes_that_do_not_rise_are_refused(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "axes.h5");
    static const double axes[][2] = {{1, 1}, {1, 0}, {0, (double)INFINITY}};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        const uint64_t n = 2;
        struct h5_file *file = NULL;
        struct landscape_surface surface = {0};
        assert_int_equal(h5_create(path, &file), CONVOY_OK);
        assert_int_equal(h5_write(file, "xcoordinates", H5_TYPE_F64, 1, &n, axes[i]),
                         CONVOY_OK);
        assert_int_equal(h5_finish(file), CONVOY_OK);
        h5_close(file);
        assert_int_equal(landscape_surface_open(path, &surface), CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "do not rise"));
        landscape_surface_free(&surface);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_middle_of_a_range_is_0),
        cmocka_unit_test(what_is_written_is_gone_on_with),
        cmocka_unit_test(another_landscape_is_refused),
        cmocka_unit_test(a_file_that_is_missing_is_none),
        cmocka_unit_test(a_line_has_no_second_axis),
        cmocka_unit_test(axes_that_do_not_rise_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
