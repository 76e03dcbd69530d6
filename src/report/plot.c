/* A plot is a script of numbers and of this program's own words. Axes are divided here:
 * gnuplot would set more marks than a phone's width has room for. What it draws is 480
 * units wide with letters of 15, which are 12 pixels where a phone shows 370. */
#include "report/plot.h"

#include "base/memory.h"
#include "draw/html.h"
#include "draw/marks.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMED_MARKS = 14, MARKED_POINTS = 40 };

/* Okabe and Ito's, which colour-blind people tell apart, without the yellow that is
 * too pale for lines. */
static const char *const colours[PLOT_N_COLOURS] = {"#0072b2", "#d55e00", "#009e73",
                                                    "#cc79a7", "#e69f00", "#56b4e9",
                                                    "#666666", "#000000"};

struct range {
    double low, high;
};

static void widen(struct range *range, double value)
{
    range->low = fmin(range->low, value); /* fmin takes the one that is a number */
    range->high = fmax(range->high, value);
}

static bool is_drawn(const struct plot_series *series)
{
    return series->curve && curve_count(series->curve) > 0;
}

static double scale_of(const struct plot *plot)
{
    return plot->is_percent ? 100 : 1;
}

/* Of the series before this one that it is stacked on: their sum at point i. */
static double below(const struct plot *plot, int series, size_t i)
{
    double sum = 0;
    for (int s = 0; s < series; s++) {
        const struct curve *curve = plot->series[s].curve;
        if (plot->series[s].style == PLOT_BOXES && is_drawn(&plot->series[s]) &&
            i < curve->n && isfinite(curve->points[i].y))
            sum += curve->points[i].y;
    }
    return sum;
}

static struct range x_range(const struct plot *plot)
{
    struct range range = {(double)NAN, (double)NAN};
    for (int s = 0; s < plot->n_series; s++)
        for (size_t i = 0; is_drawn(&plot->series[s]) && i < plot->series[s].curve->n;
             i++)
            widen(&range, plot->series[s].curve->points[i].x);
    return range;
}

static struct range y_range(const struct plot *plot)
{
    struct range range = {(double)NAN, (double)NAN};
    const double scale = scale_of(plot);
    for (int s = 0; s < plot->n_series; s++) {
        const struct plot_series *series = &plot->series[s];
        for (size_t i = 0; is_drawn(series) && i < series->curve->n; i++) {
            const struct curve_point *point = &series->curve->points[i];
            const double base = series->style == PLOT_BOXES ? below(plot, s, i) : 0;
            widen(&range, scale * (base + point->y));
            if (series->style == PLOT_BOXES)
                continue;
            widen(&range, scale * point->low);
            widen(&range, scale * point->high);
        }
    }
    if (plot->line != 0)
        widen(&range, scale * plot->line);
    if (plot->has_zero)
        widen(&range, 0);
    return range;
}

/* '20k' 20000, with as many decimals as the step between marks has. */
static void put_mark(FILE *script, double value, double step, double largest)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    double size = largest, shown = value;
    for (; size >= 1e4 && unit + 1 < sizeof units / sizeof *units; unit++) {
        size /= 1e3;
        shown /= 1e3;
        step /= 1e3;
    }
    const double decimals = ceil(-log10(step) - 1e-9);
    if (size >= 1e6 || decimals > 6)
        fprintf(script, "'%.3g' %.12g", shown, value);
    else
        fprintf(script, "'%.*f%s' %.12g", decimals > 0 ? (int)decimals : 0,
                shown == 0 ? 0.0 : shown, shown == 0 ? "" : units[unit], value);
}

/* Range and marks of an axis that is divided evenly. Where snaps, it ends at marks. */
static void divide(FILE *script, char axis, struct range range, int most, bool snaps)
{
    if (!(range.high > range.low)) {
        const double around = range.low != 0 ? fabs(range.low) / 10 : 1;
        range = (struct range){range.low - around, range.high + around};
    }
    const double step = marks_step(range.high - range.low, most);
    if (range.low > 0 && range.low < step)
        range.low = 0;
    if (snaps) {
        range.low = step * floor(range.low / step + 1e-9);
        range.high = step * ceil(range.high / step - 1e-9);
    }
    const double first = ceil(range.low / step - 1e-9);
    const int n = (int)floor(range.high / step + 1e-9 - first) + 1;
    fprintf(script, "set %crange [%.12g:%.12g]\nset %ctics (", axis, range.low,
            range.high, axis);
    for (int i = 0; i < n; i++) {
        fputs(i ? ", " : "", script);
        put_mark(script, (first + i) * step, step,
                 fmax(fabs(range.low), fabs(range.high)));
    }
    fputs(")\n", script);
}

/* Bars that are means of neighbours stand between the numbers of their marks. */
static bool has_thinned_bars(const struct plot *plot)
{
    return plot->series[0].style == PLOT_BOXES && plot->series[0].curve->is_thinned;
}

/* Marks at round numbers; half a bar's room at the ends. */
static void mark_bars(FILE *script, const struct plot *plot, struct range range)
{
    const double room =
        (range.high - range.low) / (double)plot->series[0].curve->n / 2 + 0.6;
    divide(script, 'x', (struct range){range.low - room, range.high + room}, 6, false);
}

/* Marks where the first series has its points, if there are few. */
static void mark_points(FILE *script, const struct plot *plot, struct range range)
{
    const struct curve *curve = plot->series[0].curve;
    for (int s = 1; s < plot->n_series && !plot->x_names; s++)
        if (plot->series[s].curve->n > curve->n)
            curve = plot->series[s].curve;
    const size_t every = (curve->n + MAX_NAMED_MARKS - 1) / MAX_NAMED_MARKS;
    const bool is_log = plot->is_log || plot->is_log_x;
    fprintf(script, "set xrange [%.12g:%.12g]\nset xtics (",
            is_log ? range.low / 1.2 : range.low - 0.6,
            is_log ? range.high * 1.2 : range.high + 0.6);
    for (size_t i = 0; i < curve->n; i += every)
        fprintf(script, "%s'%.6g' %.12g", i ? ", " : "",
                plot->x_names ? (double)plot->x_names[i] : curve->points[i].x,
                curve->points[i].x);
    fputs(")\n", script);
}

/* Powers of two that enclose the range. */
static void mark_powers(FILE *script, struct range range)
{
    /* A bar of errors may leave the plot by a little. */
    const int low = (int)floor(log2(range.low) + 0.25);
    const int top = (int)ceil(log2(range.high) - 0.1), high = top > low ? top : low + 1;
    const int every = (high - low) / 6 + 1;
    fprintf(script, "set yrange [%.12g:%.12g]\nset ytics (", exp2(low),
            1.03 * exp2(high));
    for (int i = low; i <= high; i += every)
        fprintf(script, "%s'%g' %.12g", i > low ? ", " : "", exp2(i), exp2(i));
    fputs(")\n", script);
}

/* Powers of ten that enclose the range. */
static void mark_decades(FILE *script, struct range range)
{
    const int low = (int)floor(log10(range.low) + 1e-9);
    const int top = (int)ceil(log10(range.high) - 1e-9),
              high = top > low ? top : low + 1;
    const int every = (high - low) / 6 + 1;
    fprintf(script, "set logscale y 10\nset yrange [%.12g:%.12g]\nset ytics (",
            pow(10, low), pow(10, high));
    for (int i = low; i <= high; i += every)
        fprintf(script, "%s'%g' %.12g", i > low ? ", " : "", pow(10, i), pow(10, i));
    fputs(")\n", script);
}

static void put_axes(FILE *script, const struct plot *plot)
{
    const struct range x = x_range(plot), y = y_range(plot);
    fprintf(script,
            "set terminal svg size 480,300 dynamic noenhanced font 'sans-serif,15'\n"
            "set encoding utf8\nunset key\nset border 3 lc rgb '#888888'\n"
            "set tics nomirror textcolor rgb '#222222'\n"
            "set grid ytics lc rgb '#dddddd' lw 1\nset datafile missing 'NaN'\n"
            "set xlabel '%s' textcolor rgb '#222222'\n"
            "set ylabel '%s' textcolor rgb '#222222'\n"
            "set boxwidth 0.8 relative\n",
            plot->x_label, plot->y_label);
    if (plot->is_log || plot->is_log_x)
        fprintf(script, "set logscale %s 2\n", plot->is_log ? "xy" : "x");
    if (has_thinned_bars(plot))
        mark_bars(script, plot, x);
    else if (plot->is_log || plot->is_log_x || plot->marks_points)
        mark_points(script, plot, x);
    else
        divide(script, 'x', x, 5, false);
    if (plot->is_log)
        mark_powers(script, y);
    else if (plot->is_log_y)
        mark_decades(script, y);
    else
        divide(script, 'y', y, 6, true);
}

static void put_data(FILE *script, const struct plot *plot, int s)
{
    const struct plot_series *series = &plot->series[s];
    const double scale = scale_of(plot);
    fprintf(script, "$s%d << EOD\n", s);
    for (size_t i = 0; i < series->curve->n; i++) {
        const struct curve_point *p = &series->curve->points[i];
        const double base = series->style == PLOT_BOXES ? below(plot, s, i) : 0;
        fprintf(script, "%.9g %.6g %.6g %.6g\n", p->x, scale * (base + p->y),
                scale * p->low, scale * p->high);
    }
    fputs("EOD\n", script);
}

/* What is drawn of a series, in the order from below. */
static void put_command(FILE *script, const struct plot *plot, int s, const char *comma)
{
    const struct plot_series *series = &plot->series[s];
    const char *colour = colours[series->colour % PLOT_N_COLOURS];
    const bool is_marked =
        series->style == PLOT_MARKED || series->curve->n <= MARKED_POINTS;
    fputs(comma, script);
    switch (series->style) {
    case PLOT_BOXES:
        fprintf(script,
                "$s%d using 1:2 with boxes fs solid 1 noborder "
                "fc rgb '%s'",
                s, colour);
        return;
    case PLOT_DASHED:
        fprintf(script, "$s%d using 1:2 with lines lw 1.5 dt (6,4) lc rgb '%s'", s,
                colour);
        return;
    case PLOT_POINTS:
        fprintf(script,
                "$s%d using 1:2 with lines lw 2 lc rgb '%s', "
                "$s%d using 1:2:3:4 with yerrorbars pt 7 ps 0.7 lw 2 lc rgb '%s'",
                s, colour, s, colour);
        return;
    default:
        if (series->curve->is_thinned)
            fprintf(script,
                    "$s%d using 1:3:4 with filledcurves fs transparent solid "
                    "0.2 noborder fc rgb '%s', ",
                    s, colour);
        fprintf(script, "$s%d using 1:2 with %s lw 2 lc rgb '%s'", s,
                is_marked ? "linespoints pt 7 ps 0.4" : "lines", colour);
    }
}

static void put_script(FILE *script, const struct plot *plot)
{
    const char *comma = "plot ";
    put_axes(script, plot);
    for (int s = 0; s < plot->n_series; s++)
        if (is_drawn(&plot->series[s]))
            put_data(script, plot, s);
    /* Sums stand before the parts that they hide below. */
    for (int s = plot->n_series - 1; s >= 0; s--)
        if (is_drawn(&plot->series[s]) && plot->series[s].style == PLOT_BOXES) {
            put_command(script, plot, s, comma);
            comma = ", ";
        }
    if (plot->line != 0) {
        fprintf(script, "%s%.9g with lines lw 1.5 dt (6,4) lc rgb '#666666'", comma,
                scale_of(plot) * plot->line);
        comma = ", ";
    }
    for (int s = 0; s < plot->n_series; s++)
        if (is_drawn(&plot->series[s]) && plot->series[s].style != PLOT_BOXES) {
            put_command(script, plot, s, comma);
            comma = ", ";
        }
    fputc('\n', script);
}

/* Ids of gnuplot are the same in all its drawings: each gets the plot's number before
 * it, and so does what refers to it. */
static void put_drawing(FILE *html, const char *drawing, const char *end, int number)
{
    static const char *const marks[] = {" id='", " id=\"", "href='#", "url(#"};
    while (drawing < end) {
        const char *mark = NULL;
        for (size_t i = 0; i < sizeof marks / sizeof *marks && !mark; i++)
            if (strncmp(drawing, marks[i], strlen(marks[i])) == 0)
                mark = marks[i];
        if (!mark) {
            fputc(*drawing++, html);
            continue;
        }
        fprintf(html, "%sp%d-", mark, number);
        drawing += strlen(mark);
    }
}

static void put_legend(FILE *html, const struct plot *plot)
{
    int n = 0;
    bool is_thinned = false;
    for (int s = 0; s < plot->n_series; s++) {
        n += is_drawn(&plot->series[s]);
        is_thinned = is_thinned ||
                     (is_drawn(&plot->series[s]) && plot->series[s].curve->is_thinned);
    }
    if (n > 1) {
        fputs("<ul class=\"legend\">", html);
        for (int s = 0; s < plot->n_series; s++) {
            if (!is_drawn(&plot->series[s]))
                continue;
            fprintf(html, "<li><span class=\"key c%d%s\"></span>",
                    plot->series[s].colour % PLOT_N_COLOURS,
                    plot->series[s].style == PLOT_DASHED ? " dashed" : "");
            html_text(html, plot->series[s].label);
            fputs("</li>", html);
        }
        fputs("</ul>", html);
    }
    if (is_thinned)
        fputs(has_thinned_bars(plot)
                  ? "<p class=\"note\">Bars are means of neighbours.</p>"
                  : "<p class=\"note\">Lines are means of neighbouring points, bands "
                    "go from the least to the most of them.</p>",
              html);
}

static void put_figure(FILE *html, const struct plot *plot, const char *svg, int number)
{
    const char *begin = strstr(svg, "<svg");
    const char *end = begin ? strstr(begin, "</svg>") : NULL;
    const char *drawing = begin ? strstr(begin, "</desc>") : NULL;
    if (!end || !drawing || drawing > end)
        return;
    fputs("<figure><figcaption>", html);
    html_text(html, plot->title);
    fputs("</figcaption>", html);
    fprintf(html,
            "<svg class=\"plot\" viewBox=\"0 0 480 300\" role=\"img\" "
            "aria-labelledby=\"p%d-title p%d-desc\"><title id=\"p%d-title\">",
            number, number, number);
    html_text(html, plot->title);
    fprintf(html, "</title><desc id=\"p%d-desc\">", number);
    html_print(html, "%s over %s", plot->y_label, plot->x_label);
    for (int s = 0; s < plot->n_series && plot->n_series > 1; s++)
        if (is_drawn(&plot->series[s]))
            html_print(html, "%s%s", s == 0 ? ": " : ", ", plot->series[s].label);
    fputs("</desc>", html);
    put_drawing(html, drawing + strlen("</desc>"), end, number);
    fputs("</svg>", html);
    put_legend(html, plot);
    fputs("</figure>\n", html);
}

static convoy_status draw_plot(FILE *html, struct plotter *plotter,
                               const struct plot *plot)
{
    convoy_status status = CONVOY_OK;
    char *script = NULL, *svg = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&script, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script");
    put_script(stream, plot);
    if (fclose(stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script"));
    TRY(gnuplot_draw(script, n, &svg, &plotter->gnuplot));
    if (!strstr(svg, "</svg>"))
        TRY(FAIL(CONVOY_ERROR_IO, "gnuplot drew nothing"));
    put_figure(html, plot, svg, ++plotter->n_plots);
cleanup:
    mem_free(svg);
    free(script);
    return status;
}

void plot_write(FILE *html, struct plotter *plotter, const struct plot *plot)
{
    struct failure failure;
    bool has_points = false;
    for (int s = 0; s < plot->n_series; s++)
        has_points = has_points || is_drawn(&plot->series[s]);
    if (!has_points)
        return;
    if (plotter->gnuplot != GNUPLOT_ENDED) {
        plotter->n_failed++;
        return;
    }
    const convoy_status status = draw_plot(html, plotter, plot);
    if (status == CONVOY_OK)
        return;
    plotter->n_failed++;
    status_save(status, &failure);
    convoy_status_clear();
    if (plotter->why[0] == '\0')
        snprintf(plotter->why, sizeof plotter->why, "%.250s", failure.text);
}

void plot_write_style(FILE *html)
{
    for (int i = 0; i < PLOT_N_COLOURS; i++)
        fprintf(html, ".c%d{background:%s;border-color:%s}\n", i, colours[i],
                colours[i]);
}
