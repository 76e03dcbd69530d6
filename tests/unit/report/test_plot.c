/* A gnuplot that hung once is not waited for again: every plot would cost its time. */
#include "report/plot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void what_hung_is_not_tried_again(void **state)
{
    (void)state;
    struct curve curve = {0};
    struct plotter plotter = {.gnuplot = GNUPLOT_HANGS};
    char *text = NULL;
    size_t n = 0;
    FILE *html = open_memstream(&text, &n);
    assert_non_null(html);
    for (int i = 0; i < 3; i++)
        assert_int_equal(curve_add(&curve, i, i), CONVOY_OK);
    const struct plot plot = {
        .title = "Loss",
        .x_label = "x",
        .y_label = "y",
        .n_series = 1,
        .series = {{.label = "", .curve = &curve, .style = PLOT_LINE}}};
    plot_write(html, &plotter, &plot);
    plot_write(html, &plotter, &plot);
    fclose(html);
    assert_int_equal(n, 0);
    assert_int_equal(plotter.n_failed, 2);
    assert_int_equal(plotter.n_plots, 0);
    assert_int_equal(plotter.gnuplot, GNUPLOT_HANGS);
    free(text);
    curve_free(&curve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_hung_is_not_tried_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
