/* Plots: gnuplot, a process of its own, draws an SVG that goes into the page. It gets
 * numbers and texts of this program only: names from files stand in the legend, which
 * is HTML. Local, all of it. */
#ifndef REPORT_PLOT_H
#define REPORT_PLOT_H

#include "report/curve.h"
#include "draw/gnuplot.h"

#include <stdint.h>
#include <stdio.h>

/* What draws, and how it went. */
struct plotter {
    int n_plots;              /* drawn */
    int n_failed;             /* not drawn */
    enum gnuplot_end gnuplot; /* but for GNUPLOT_ENDED no more plots are tried */
    char why[256];            /* of the first that failed; "": none did */
};

enum plot_style {
    PLOT_LINE,   /* with the band from low to high, where points are means */
    PLOT_MARKED, /* a line with points */
    PLOT_POINTS, /* with bars from low to high */
    PLOT_DASHED, /* a line for comparison */
    PLOT_BOXES   /* bars, stacked on those of the series before it */
};

enum { PLOT_MAX_SERIES = 8, PLOT_N_COLOURS = 8 };

struct plot_series {
    const char *label; /* from anywhere; borrowed */
    const struct curve *curve;
    enum plot_style style;
    int colour; /* 0 to PLOT_N_COLOURS - 1 */
};

/* Texts are this program's own, in ASCII without quotes. */
struct plot {
    const char *title, *x_label, *y_label;
    struct plot_series series[PLOT_MAX_SERIES];
    int n_series;
    bool is_log;             /* both axes, to base 2, with marks where the points are */
    bool is_log_x;           /* only x */
    bool is_log_y;           /* only y, to base 10; values above 0 */
    bool marks_points;       /* x has marks where the points of the first series are */
    bool has_zero;           /* the y axis begins at 0 */
    bool is_percent;         /* y values are shares */
    const uint64_t *x_names; /* numbers in place of the x of the first series; NULL */
    double line;             /* a horizontal one at this y; 0: none */
};

/* Writes a figure of title, plot and legend, of the series that have points; nothing
 * where there is none. Where gnuplot fails, nothing is written but notes in plotter. */
void plot_write(FILE *html, struct plotter *plotter, const struct plot *plot);

/* The class of a colour's mark in legends: "c0" to "c7". The rules for the page's
 * style. */
void plot_write_style(FILE *html);

#endif
