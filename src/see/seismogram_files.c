/* A seismogram's files: its numbers, one a line, and two drawings that gnuplot makes of
 * them. A drawing is 480 units wide with letters of 15, as those of reports, so that
 * both can stand on one page. */
#include <convoy/convolve.h>

#include "base/file.h"
#include "base/memory.h"
#include "draw/gnuplot.h"
#include "see/planes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

static const char head[] =
    "set terminal svg size 480,%d dynamic noenhanced font 'sans-serif,15' "
    "background rgb 'white'\n"
    "set encoding utf8\nset border 3 lc rgb '#888888'\n"
    "set tics nomirror textcolor rgb '#222222'\n"
    "set grid ytics lc rgb '#dddddd' lw 1\n"
    "set lmargin 8\nset rmargin 2\n";
static const char time_axis[] = "set xlabel 'time, s' textcolor rgb '#222222'\n";

/* A block of data called name: time and value, of values whose number zero is at 0 s.
 */
static void put_values(FILE *script, const char *name, const float *values, int n,
                       int zero, double sample_s)
{
    fprintf(script, "$%s << EOD\n", name);
    for (int i = 0; i < n; i++)
        fprintf(script, "%.6g %.7g\n", (i - zero) * sample_s, (double)values[i]);
    fputs("EOD\n", script);
}

/* What is convolved, with what, to what: one below the other. */
static void put_seismogram(FILE *script, const convoy_seismogram *s)
{
    const double end_s = s->n * s->sample_s;
    const int n_before = s->n_taps / 2;
    const double half_s = n_before * s->sample_s;
    fprintf(script, head, 640);
    put_values(script, "source", s->reflectivity, s->n, 0, s->sample_s);
    put_values(script, "response", s->wavelet, s->n_taps, s->n_taps / 2, s->sample_s);
    put_values(script, "record", s->seismogram, s->n, 0, s->sample_s);
    fprintf(script,
            "unset key\nset multiplot layout 3,1\n"
            "set title 'reflectivity'\nset xrange [0:%.6g]\nset ytics 0.3\n"
            "plot $source using 1:2 with impulses lw 1.5 lc rgb '#0072b2'\n"
            "set title 'impulse response: a Ricker wavelet of %.6g Hz'\n"
            "set xrange [%.6g:%.6g]\nset ytics 0.5\n"
            "plot $response using 1:2 with lines lw 2 lc rgb '#0072b2'\n"
            "set title 'seismogram: their convolution'\nset xrange [0:%.6g]\n%s"
            "plot $record using 1:2 with lines lw 1.5 lc rgb '#0072b2'\n"
            "unset multiplot\n",
            end_s, s->frequency_hz, -half_s, half_s, end_s, time_axis);
}

static void put_learnt(FILE *script, const convoy_seismogram *s)
{
    fprintf(script, head, 300);
    fputs(time_axis, script);
    put_values(script, "response", s->wavelet, s->n_taps, s->n_taps / 2, s->sample_s);
    put_values(script, "learnt", s->learnt, s->n_taps, s->n_taps / 2, s->sample_s);
    fputs("set key top right textcolor rgb '#222222'\n"
          "plot $response using 1:2 title 'true' with lines lw 2 lc rgb '#0072b2', "
          "$learnt using 1:2 title 'learnt' with points pt 6 ps 0.7 lw 1.5 "
          "lc rgb '#d55e00'\n",
          script);
}

/* The script that put writes, new, to be freed with free; its length. */
static convoy_status make_script(const convoy_seismogram *s,
                                 void (*put)(FILE *script, const convoy_seismogram *s),
                                 char **script, size_t *n)
{
    FILE *stream = open_memstream(script, n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script");
    put(stream, s);
    if (fclose(stream) != 0)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a plot's script");
    return CONVOY_OK;
}

/* Without gnuplot there is no drawing, and no failure: why says so. */
static convoy_status draw_file(const convoy_seismogram *s,
                               void (*put)(FILE *script, const convoy_seismogram *s),
                               const char *path, char *why)
{
    convoy_status status = CONVOY_OK;
    enum gnuplot_end end = GNUPLOT_ENDED;
    char *script = NULL, *svg = NULL;
    size_t n = 0;
    TRY(make_script(s, put, &script, &n));
    status = gnuplot_draw(script, n, &svg, &end);
    if (status == CONVOY_OK)
        status = file_write_whole(path, svg, strlen(svg));
    else if (status == CONVOY_ERROR_IO) {
        snprintf(why, CONVOY_SEISMOGRAM_WHY_SIZE, "%.*s",
                 CONVOY_SEISMOGRAM_WHY_SIZE - 1, convoy_status_text());
        convoy_status_clear();
        status = CONVOY_OK;
    }
cleanup:
    mem_free(svg);
    free(script);
    return status;
}

static convoy_status write_column(const char *folder, const char *name, float *values,
                                  int n)
{
    convoy_status status = CONVOY_OK;
    const convoy_planes column = {.n = 1, .rows = n, .columns = 1, .values = values};
    char path[PATH_SIZE];
    TRY(file_join(folder, name, path, sizeof path));
    TRY(convoy_planes_write(&column, path, false));
cleanup:
    return status;
}

convoy_status convoy_seismogram_write(const convoy_seismogram *s, const char *folder,
                                      char why[CONVOY_SEISMOGRAM_WHY_SIZE])
{
    convoy_status status = CONVOY_OK;
    char path[PATH_SIZE];
    why[0] = '\0';
    TRY(file_make_folder(folder));
    TRY(write_column(folder, "reflectivity.csv", s->reflectivity, s->n));
    TRY(write_column(folder, "wavelet.csv", s->wavelet, s->n_taps));
    TRY(write_column(folder, "seismogram.csv", s->seismogram, s->n));
    TRY(write_column(folder, "learnt.csv", s->learnt, s->n_taps));
    TRY(write_column(folder, "losses.csv", s->losses, s->n_steps + 1));
    TRY(file_join(folder, "seismogram.svg", path, sizeof path));
    TRY(draw_file(s, put_seismogram, path, why));
    TRY(file_join(folder, "learnt.svg", path, sizeof path));
    if (why[0] == '\0')
        TRY(draw_file(s, put_learnt, path, why));
cleanup:
    return status;
}
