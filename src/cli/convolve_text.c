/* The text is ASCII, columns stand below each other: it goes into pages as it is. */
#include "cli/convolve_text.h"

#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_SIZE = 32, SMALL_SIDE = 40 };

enum { N_COLOURS = 3 };
static const char *const colours[N_COLOURS] = {"red", "green", "blue"};

static const char *number(double value, char out[NUMBER_SIZE])
{
    snprintf(out, NUMBER_SIZE, "%.6g", value == 0 ? 0.0 : value); /* no -0 */
    return out;
}

/* The width of the longest of n numbers. */
static int width_of(const float *values, size_t n)
{
    char text[NUMBER_SIZE];
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(number((double)values[i], text));
        most = length > most ? length : most;
    }
    return (int)most;
}

static size_t plane_size(const convoy_planes *planes)
{
    return (size_t)planes->rows * (size_t)planes->columns;
}

static void print_matrix(const float *values, int rows, int columns)
{
    char text[NUMBER_SIZE];
    const size_t n = (size_t)rows * (size_t)columns;
    const int width = width_of(values, n);
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++)
            printf(
                "  %*s", width,
                number((double)values[(size_t)y * (size_t)columns + (size_t)x], text));
        putchar('\n');
    }
}

static void print_plane(const convoy_planes *planes, int plane)
{
    print_matrix(planes->values + (size_t)plane * plane_size(planes), planes->rows,
                 planes->columns);
}

bool convolve_text_is_small(const convoy_planes *planes)
{
    return planes->rows <= SMALL_SIDE && planes->columns <= SMALL_SIDE;
}

static bool is_symmetric(const convoy_planes *kernel)
{
    const size_t n = plane_size(kernel);
    for (size_t i = 0; i < n / 2; i++)
        if (kernel->values[i] != kernel->values[n - 1 - i])
            return false;
    return true;
}

static void print_turned(const convoy_planes *kernel)
{
    char text[NUMBER_SIZE];
    const size_t n = plane_size(kernel);
    const int width = width_of(kernel->values, n);
    for (size_t i = 0; i < n; i++)
        printf("  %*s%s", width, number((double)kernel->values[n - 1 - i], text),
               (i + 1) % (size_t)kernel->columns == 0 ? "\n" : "");
}

void convolve_text_kernel(const char *name, const convoy_planes *kernel, bool correlate)
{
    const bool is_small = convolve_text_is_small(kernel);
    fputs("kernel ", stdout);
    cli_put_text(stdout, name);
    printf(", %d x %d%s\n", kernel->rows, kernel->columns, is_small ? ":" : "");
    if (is_small)
        print_plane(kernel, 0);
    if (correlate)
        puts("Correlation multiplies with it as it stands, as layers of a CNN do.");
    else if (is_symmetric(kernel))
        puts("Convolution multiplies with it turned by 180 degrees, where it is the "
             "same.");
    else {
        printf("Convolution multiplies with it turned by 180 degrees%s\n",
               is_small ? ":" : ".");
        if (is_small)
            print_turned(kernel);
    }
    putchar('\n');
}

static void print_side(const char *name, int in, int size, const convoy_window *w,
                       int d, int out)
{
    printf("  %-8s floor((%d + 2 * %d - %d * (%d - 1) - 1) / %d) + 1 = %d\n", name, in,
           w->pad[d], w->dilation[d], size, w->stride[d], out);
    if (w->pad[d] == 0 && w->dilation[d] == 1 && w->stride[d] == 1)
        printf("  %-8s that is, input - (kernel - 1) = %d - (%d - 1) = %d\n", "", in,
               size, out);
}

void convolve_text_size(const convoy_planes *in, const int size[2],
                        const convoy_window *window, const convoy_planes *out,
                        bool is_signal)
{
    puts(
        "output = floor((input + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1");
    if (!is_signal)
        print_side("rows:", in->rows, size[0], window, 0, out->rows);
    print_side(is_signal ? "samples:" : "columns:", in->columns, size[1], window, 1,
               out->columns);
    putchar('\n');
}

void convolve_text_range(const convoy_planes *out, bool is_image)
{
    char least_text[NUMBER_SIZE], most_text[NUMBER_SIZE];
    const size_t n = (size_t)out->n * plane_size(out);
    double least = INFINITY, most = -INFINITY;
    size_t n_outside = 0;
    for (size_t i = 0; i < n; i++) {
        const double value = (double)out->values[i];
        least = fmin(least, value);
        most = fmax(most, value);
        n_outside += value < 0 || value > 255;
    }
    printf("output of %d x %d", out->rows, out->columns);
    if (out->n > 1)
        printf(", %d colours", out->n);
    printf(": values from %s to %s", number(least, least_text),
           number(most, most_text));
    if (is_image)
        printf("; %.1f %% of them lie outside of 0 to 255",
               100 * (double)n_outside / (double)n);
    putchar('\n');
}

void convolve_text_values(const convoy_planes *out)
{
    if (out->n == 1)
        print_plane(out, 0);
    else
        for (int c = 0; c < out->n && c < N_COLOURS; c++) {
            printf("%s:\n", colours[c]);
            print_plane(out, c);
        }
}

void convolve_text_products(const convoy_planes *out, const int at[3],
                            const convoy_product *products, int n)
{
    char pixel[NUMBER_SIZE], weight[NUMBER_SIZE], product[NUMBER_SIZE];
    const size_t place =
        ((size_t)at[0] * (size_t)out->rows + (size_t)at[1]) * (size_t)out->columns +
        (size_t)at[2];
    printf("\noutput at row %d, column %d, counted from 0", at[1], at[2]);
    if (out->n > 1)
        printf(", %s", colours[at[0]]);
    puts(": pixel * weight");
    for (int k = 0; k < n; k++) {
        const convoy_product *p = &products[k];
        printf("  (%3d, %3d) %10s * %10s = %10s\n", p->row, p->column,
               number((double)p->pixel, pixel), number((double)p->weight, weight),
               number((double)p->pixel * (double)p->weight, product));
    }
    printf("  %-23s sum = %10s\n", "", number((double)out->values[place], product));
}

void convolve_text_seismogram(const convoy_seismogram *s)
{
    double off = 0, most = 0;
    for (int k = 0; k < s->n_taps; k++) {
        off = fmax(off, fabs((double)s->learnt[k] - (double)s->wavelet[k]));
        most = fmax(most, fabs((double)s->wavelet[k]));
    }
    printf("reflectivity, %d samples of %g ms, convolved with a Ricker wavelet of %g "
           "Hz, %d samples,\nis the seismogram. One convolution layer of %d weights, "
           "which starts at zeros, learns from\nreflectivity and seismogram what the "
           "wavelet is:\n\n",
           s->n, 1e3 * s->sample_s, s->frequency_hz, s->n_taps, s->n_taps);
    puts("  step    mean squared error");
    for (int i = 0; i < s->n_steps; i = i ? 2 * i : 25)
        printf("  %4d    %.3g\n", i, (double)s->losses[i]);
    printf("  %4d    %.3g\n", s->n_steps, (double)s->losses[s->n_steps]);
    printf("\nlearnt and true wavelet differ by at most %.2g; the wavelet's peak is "
           "%.3g\n",
           off, most);
}
