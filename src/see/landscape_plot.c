/* Losses around a net may span many powers of ten: heights are then logarithmic, as the
 * distances of contours are. What is higher than 10^4 times the lowest is drawn at that
 * height, and what is no number is a hole. */
#include "see/landscape_plot.h"

#include "base/file.h"
#include "base/memory.h"
#include "draw/gnuplot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, LEVELS = 16 };

/* What of the losses is shown. */
struct shown {
    double low, high;
    bool is_log;
};

static struct shown choose_range(const struct landscape_surface *surface)
{
    struct shown shown = {INFINITY, -INFINITY, false};
    for (size_t i = 0; i < landscape_surface_n(surface); i++) {
        if (!isfinite(surface->loss[i]))
            continue;
        shown.low = fmin(shown.low, surface->loss[i]);
        shown.high = fmax(shown.high, surface->loss[i]);
    }
    if (!(shown.low <= shown.high)) /* no point has a finite loss */
        return (struct shown){0, 1, false};
    shown.low = fmax(shown.low, 1e-4);
    shown.high = fmin(shown.high, 1e4 * shown.low);
    shown.is_log = shown.high > 10 * shown.low;
    if (!(shown.high > shown.low))
        shown.high = 1.01 * shown.low;
    return shown;
}

/* At share of the way from low to high. */
static double level_at(const struct shown *shown, double share)
{
    return shown->is_log ? shown->low * pow(shown->high / shown->low, share)
                         : shown->low + share * (shown->high - shown->low);
}

static void put_loss(FILE *script, const struct shown *shown, double loss)
{
    if (isfinite(loss))
        fprintf(script, " %.9g", fmin(fmax(loss, shown->low), shown->high));
    else
        fputs(" NaN", script);
}

/* Rows of equal y with an empty line between them, as grids have it. */
static void put_grid(FILE *script, const struct landscape_surface *surface,
                     const struct shown *shown)
{
    size_t n = 0;
    fputs("$grid << EOD\n", script);
    for (int j = 0; j < surface->n_y; j++) {
        if (j > 0)
            fputc('\n', script);
        for (int i = 0; i < surface->n_x; i++) {
            fprintf(script, "%.9g %.9g", surface->x[i], surface->y[j]);
            put_loss(script, shown, surface->loss[n++]);
            fputc('\n', script);
        }
    }
    fputs("EOD\n", script);
}

static void put_look(FILE *script, const struct landscape_surface *surface, int height)
{
    fprintf(script,
            "set terminal svg size 640,%d dynamic noenhanced font 'sans-serif,15'\n"
            "set encoding utf8\nset datafile missing 'NaN'\n"
            "set border lc rgb '#888888'\nset tics textcolor rgb '#222222'\n"
            "set xlabel 'x (first direction)' textcolor rgb '#222222'\n"
            "set xrange [%.9g:%.9g]\n",
            height, surface->x[0], surface->x[surface->n_x - 1]);
}

/* From dark, low, to bright, high; told apart also without colours. */
static void put_heights(FILE *script, const struct shown *shown)
{
    fprintf(script,
            "set palette defined (0 '#2d1160', 0.25 '#0072b2', 0.5 '#009e73', 0.75 "
            "'#e69f00', 1 '#d55e00')\n"
            "set cbrange [%.9g:%.9g]\nset cblabel 'loss' textcolor rgb '#222222'\n",
            shown->low, shown->high);
    if (shown->is_log)
        fputs("set logscale cb\n", script);
}

static void put_y(FILE *script, const struct landscape_surface *surface)
{
    fprintf(script,
            "set ylabel 'y (second direction)' textcolor rgb '#222222'\n"
            "set yrange [%.9g:%.9g]\n",
            surface->y[0], surface->y[surface->n_y - 1]);
}

static void put_contours(FILE *script, const struct landscape_surface *surface)
{
    const struct shown shown = choose_range(surface);
    put_look(script, surface, 560);
    put_y(script, surface);
    put_grid(script, surface, &shown);
    fputs("set contour base\nunset surface\nset cntrparam levels discrete ", script);
    for (int i = 0; i < LEVELS; i++)
        fprintf(script, "%s%.9g", i > 0 ? ", " : "",
                level_at(&shown, (i + 0.5) / LEVELS));
    fputs("\nset table $lines\nsplot $grid using 1:2:3\nunset table\n"
          "unset contour\nset surface\nset size ratio -1\nunset key\n",
          script);
    put_heights(script, &shown);
    fputs("$centre << EOD\n0 0\nEOD\n"
          "plot $lines using 1:2:3 with lines lw 1.5 lc palette, "
          "$centre using 1:2 with points pt 7 ps 0.6 lc rgb '#000000'\n",
          script);
}

static void put_surface(FILE *script, const struct landscape_surface *surface)
{
    const struct shown shown = choose_range(surface);
    put_look(script, surface, 480);
    put_y(script, surface);
    put_grid(script, surface, &shown);
    put_heights(script, &shown);
    fprintf(script,
            "set zlabel 'loss' rotate by 90 textcolor rgb '#222222'\n"
            "set zrange [%.9g:%.9g]\n%s"
            "set xyplane at %.9g\nset view 50,30\nunset key\nunset colorbox\n"
            "set pm3d depthorder border lw 0.3 lc rgb '#444444'\n"
            "splot $grid using 1:2:3 with pm3d\n",
            shown.low, shown.high, shown.is_log ? "set logscale z\n" : "", shown.low);
}

static void put_line(FILE *script, const struct landscape_surface *surface)
{
    const struct shown shown = choose_range(surface);
    put_look(script, surface, 400);
    fputs("$line << EOD\n", script);
    for (int i = 0; i < surface->n_x; i++) {
        fprintf(script, "%.9g", surface->x[i]);
        put_loss(script, &shown, surface->loss[i]);
        fprintf(script, " %.9g\n", surface->percent[i]);
    }
    fprintf(script,
            "EOD\nset ylabel 'loss' textcolor rgb '#222222'\n%s"
            "set ytics nomirror\nset y2tics\nset y2range [0:100]\n"
            "set y2label 'right answers, %%' textcolor rgb '#222222'\n"
            "set key above\n"
            "plot $line using 1:2 with lines lw 2 lc rgb '#0072b2' title 'loss', "
            "$line using 1:3 axes x1y2 with lines lw 2 dt (6,4) lc rgb '#d55e00' "
            "title 'right answers'\n",
            shown.is_log ? "set logscale y\n" : "set yrange [0:*]\n");
}

static convoy_status write_picture(const struct landscape_surface *surface,
                                   void (*put)(FILE *script,
                                               const struct landscape_surface *surface),
                                   const char *folder, const char *name)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE], *script = NULL, *svg = NULL;
    size_t n = 0;
    enum gnuplot_end end;
    FILE *stream = open_memstream(&script, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script");
    put(stream, surface);
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

convoy_status landscape_plot_write(const struct landscape_surface *surface,
                                   const char *folder)
{
    convoy_status status = CONVOY_OK;
    if (surface->is_line)
        return write_picture(surface, put_line, folder, "line.svg");
    TRY(write_picture(surface, put_contours, folder, "contours.svg"));
    TRY(write_picture(surface, put_surface, folder, "surface.svg"));
cleanup:
    return status;
}
