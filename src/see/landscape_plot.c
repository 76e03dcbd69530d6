/* Losses around a net may span many powers of ten: where they do, heights are
 * logarithmic, as the distances of contours are. What is higher than the top is drawn
 * at the top's height, and what is no number is a hole.
 *
 * Contours are at round numbers, the marks of the bar of colours. Drawings are 480
 * units wide with letters of 15, as those of reports (report/plot.c). */
#include "see/landscape_plot.h"

#include "base/file.h"
#include "base/memory.h"
#include "draw/gnuplot.h"
#include "draw/marks.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_SIZE = 4096,
    MOST_LEVELS = 13,
    MOST_HEIGHTS = 6,    /* on the upright axis, where there is less room */
    MAP_POINTS = 201,    /* a side: more are not told apart in the drawing */
    SURFACE_POINTS = 41, /* a side: each four of them are a shape in the file */
    SURFACE_SHAPES = 24  /* a side: with fewer points some lie between them */
};

/* A loss below the first is as good as 0, and one above so many times the least is as
 * good as infinite. */
static const double least_loss = 1e-4, most_ratio = 1e4, top_ratio = 50;

/* What of the losses is shown. */
struct shown {
    double low, high;
    bool is_log;
    struct marks levels;
};

/* That of the finite ones. False: there are none. */
static bool find_range(const struct landscape_surface *surface, double *low,
                       double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < landscape_surface_n(surface); i++) {
        if (!isfinite(surface->loss[i]))
            continue;
        *low = fmin(*low, surface->loss[i]);
        *high = fmax(*high, surface->loss[i]);
    }
    return *low <= *high;
}

/* To 1, 2 or 5 times a power of ten. */
static double round_down(double value)
{
    const double power = pow(10, floor(log10(value) + 1e-9));
    const double ratio = value / power * (1 + 1e-9);
    return power * (ratio >= 5 ? 5 : ratio >= 2 ? 2 : 1);
}

/* With a top both ends are given, so that all drawings with it have the same colours
 * and lines: from a fiftieth of it, as deep as nets that are looked at mostly lie. */
static struct shown choose_range(const struct landscape_surface *surface, double top,
                                 int most_levels)
{
    struct shown shown = {.low = 0};
    double low, high;
    find_range(surface, &low, &high); /* there is one */
    shown.low = top > 0 ? top / top_ratio : round_down(fmax(low, least_loss));
    shown.high = top > 0 ? top : fmin(high, most_ratio * shown.low);
    if (!(shown.high > shown.low)) /* all of it is flat */
        shown.high = 2 * shown.low;
    shown.is_log = shown.high > 8 * shown.low;
    (shown.is_log ? marks_log : marks_even)(shown.low, shown.high, most_levels,
                                            &shown.levels);
    return shown;
}

static void put_loss(FILE *script, const struct shown *shown, double loss)
{
    if (isfinite(loss))
        fprintf(script, " %.6g", fmin(fmax(loss, shown->low), shown->high));
    else
        fputs(" NaN", script);
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Number k of those that n points are shown by: evenly, with both ends. */
static size_t point_at(int k, int n_shown, int n)
{
    return n_shown > 1 ? (size_t)((int64_t)k * (n - 1) / (n_shown - 1)) : 0;
}

/* Rows of equal y with an empty line between them, as grids have it; at most most
 * points a side. */
static void put_grid(FILE *script, const struct landscape_surface *surface,
                     const struct shown *shown, int most)
{
    const int n_x = least_of(surface->n_x, most), n_y = least_of(surface->n_y, most);
    fputs("$grid << EOD\n", script);
    for (int k = 0; k < n_y * n_x; k++) {
        const size_t i = point_at(k % n_x, n_x, surface->n_x);
        const size_t j = point_at(k / n_x, n_y, surface->n_y);
        fprintf(script, "%s%.9g %.9g", k > 0 && k % n_x == 0 ? "\n" : "", surface->x[i],
                surface->y[j]);
        put_loss(script, shown, surface->loss[j * (size_t)surface->n_x + i]);
        fputc('\n', script);
    }
    fputs("EOD\n", script);
}

static void put_look(FILE *script, int height)
{
    fprintf(script,
            "set terminal svg size 480,%d dynamic noenhanced font 'sans-serif,15'\n"
            "set encoding utf8\nunset key\n"
            "set border lc rgb '#888888'\nset tics textcolor rgb '#222222'\n",
            height);
}

/* The word for colours or heights, whose numbers may be long, above them. */
static void put_word(FILE *script, double x, double y)
{
    fprintf(script, "set label 'loss' at screen %g,%g left textcolor rgb '#222222'\n",
            x, y);
}

static void put_label(FILE *script, const char *axis, const char *label,
                      const char *place)
{
    fprintf(script, "set %slabel '%s' %s textcolor rgb '#222222'\n", axis, label,
            place);
}

/* An axis over the coordinates, with room at both ends. */
static void put_axis(FILE *script, char axis, const double *at, int n, double room,
                     int most_marks)
{
    const double low = at[0] - room, high = at[n - 1] + room;
    fprintf(script, "set %crange [%.9g:%.9g]\nset %ctics %.9g\n", axis, low, high, axis,
            marks_step(high - low, most_marks));
}

/* An axis of losses, with its marks at the levels. */
static void put_losses(FILE *script, const char *axis, const struct shown *shown)
{
    fprintf(script, "set %srange [%.9g:%.9g]\n%s%s\nset %stics (", axis, shown->low,
            shown->high, shown->is_log ? "set logscale " : "unset logscale ", axis,
            axis);
    for (int i = 0; i < shown->levels.n; i++)
        fprintf(script, "%s'%.6g' %.9g", i > 0 ? ", " : "", shown->levels.at[i],
                shown->levels.at[i]);
    fputs(")\n", script);
}

/* From low, blue, to high, red, all of them bright enough for dark lines; colour-blind
 * people tell them apart (ColorBrewer's RdYlBu). */
static void put_heights(FILE *script, const struct shown *shown)
{
    fputs("set palette defined (0 '#4575b4', 0.2 '#91bfdb', 0.4 '#e0f3f8', "
          "0.6 '#fee090', 0.8 '#fc8d59', 1 '#d73027')\n",
          script);
    put_losses(script, "cb", shown);
}

/* The lines of equal loss as data. */
static void put_lines(FILE *script, const struct shown *shown)
{
    fputs("set contour base\nunset surface\nset cntrparam levels discrete ", script);
    for (int i = 0; i < shown->levels.n; i++)
        fprintf(script, "%s%.9g", i > 0 ? ", " : "", shown->levels.at[i]);
    fputs("\nset table $lines\nsplot $grid using 1:2:3\nunset table\n"
          "unset contour\nset surface\n",
          script);
}

/* Each point is the middle of a square of colour, so the map is half a step larger. */
static double half_step(const double *at, int n)
{
    return (at[n - 1] - at[0]) / (least_of(n, MAP_POINTS) - 1) / 2;
}

static void put_contours(FILE *script, const struct landscape_surface *surface,
                         double top)
{
    const struct shown shown = choose_range(surface, top, MOST_LEVELS);
    const int n_x = surface->n_x, n_y = surface->n_y;
    put_look(script, 435);
    put_grid(script, surface, &shown, MAP_POINTS);
    put_lines(script, &shown);
    put_heights(script, &shown);
    put_axis(script, 'x', surface->x, n_x, half_step(surface->x, n_x), 6);
    put_axis(script, 'y', surface->y, n_y, half_step(surface->y, n_y), 6);
    put_label(script, "x", "first direction", "");
    put_label(script, "y", "second direction", "");
    put_word(script, 0.81, 0.96);
    fputs("set lmargin at screen 0.17\nset rmargin at screen 0.8\n"
          "set tmargin at screen 0.92\nset bmargin at screen 0.16\n"
          "set tics front\nset cbtics scale 0.5\n$centre << EOD\n0 0\nEOD\n"
          "plot $grid using 1:2:3 with image, "
          "$lines using 1:2 with lines lw 1 lc rgb '#333333', "
          "$centre using 1:2 with points pt 7 ps 0.7 lc rgb '#000000'\n",
          script);
}

static void put_surface(FILE *script, const struct landscape_surface *surface,
                        double top)
{
    const struct shown shown = choose_range(surface, top, MOST_HEIGHTS);
    const int n = least_of(surface->n_x, SURFACE_POINTS);
    put_look(script, 360);
    put_grid(script, surface, &shown, SURFACE_POINTS);
    put_heights(script, &shown);
    put_losses(script, "z", &shown);
    put_axis(script, 'x', surface->x, surface->n_x, 0, 3);
    put_axis(script, 'y', surface->y, surface->n_y, 0, 3);
    put_label(script, "x", "first direction", "rotate parallel offset 0,0.5");
    put_label(script, "y", "second direction", "rotate parallel offset 0,-0.5");
    put_word(script, 0.06, 0.86);
    fprintf(script,
            "set xyplane at %.9g\nset view 55,35,0.9,1.4\nunset colorbox\n"
            "set lmargin 1\nset rmargin 3\nset tmargin 1\nset bmargin 0\n"
            "set pm3d depthorder interpolate %d,%d border lw 0.4 lc rgb '#555555'\n"
            "splot $grid using 1:2:3 with pm3d\n",
            shown.low, (SURFACE_SHAPES + n - 1) / n, (SURFACE_SHAPES + n - 1) / n);
}

static void put_line(FILE *script, const struct landscape_surface *surface, double top)
{
    const struct shown shown = choose_range(surface, top, MOST_LEVELS);
    put_look(script, 320);
    fputs("$line << EOD\n", script);
    for (int i = 0; i < surface->n_x; i++) {
        fprintf(script, "%.9g", surface->x[i]);
        put_loss(script, &shown, surface->loss[i]);
        if (isfinite(surface->percent[i]))
            fprintf(script, " %.6g\n", surface->percent[i]);
        else
            fputs(" NaN\n", script);
    }
    fputs("EOD\n", script);
    put_axis(script, 'x', surface->x, surface->n_x, 0, 6);
    put_losses(script, "y", &shown);
    put_label(script, "x", "first direction", "");
    put_label(script, "y", "loss", "");
    put_label(script, "y2", "right answers, %", "");
    fputs("set ytics nomirror\nset y2tics 20\nset y2range [0:100]\nset key above\n"
          "plot $line using 1:2 with lines lw 2 lc rgb '#0072b2' title 'loss', "
          "$line using 1:3 axes x1y2 with lines lw 2 dt (6,4) lc rgb '#d55e00' "
          "title 'right answers'\n",
          script);
}

static convoy_status write_picture(const struct landscape_surface *surface, double top,
                                   void (*put)(FILE *script,
                                               const struct landscape_surface *surface,
                                               double top),
                                   const char *folder, const char *name)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *script = NULL, *svg = NULL;
    size_t n = 0;
    enum gnuplot_end end;
    FILE *stream = open_memstream(&script, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script");
    put(stream, surface, top);
    if (fclose(stream) != 0)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script"));
    TRY(file_join(folder, name, path, sizeof path));
    TRY(gnuplot_draw(script, n, &svg, &end));
    if (!strstr(svg, "</svg>"))
        TRY(FAIL(CONVOY_ERROR_IO, "gnuplot drew nothing"));
    TRY(file_write_whole(path, svg, strlen(svg)));
cleanup:
    mem_free(svg);
    free(script);
    return status;
}

convoy_status landscape_plot_write(const struct landscape_surface *surface, double top,
                                   const char *folder)
{
    convoy_status status = CONVOY_OK;
    double low, high;
    if (!find_range(surface, &low, &high))
        return FAIL(CONVOY_ERROR_IO, "no point has a loss that could be drawn");
    if (top > 0 && low >= top)
        return FAIL(CONVOY_ERROR_IO, "the lowest loss, %.4g, is not below the top, %g",
                    low, top);
    if (surface->is_line)
        return write_picture(surface, top, put_line, folder, "line.svg");
    TRY(write_picture(surface, top, put_contours, folder, "contours.svg"));
    TRY(write_picture(surface, top, put_surface, folder, "surface.svg"));
cleanup:
    return status;
}
