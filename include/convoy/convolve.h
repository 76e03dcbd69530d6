/* Convolution by itself, to look at: what `convoy convolve` does. Images, matrices and
 * signals go through the layers that nets are made of, so that what is seen is what
 * training computes. No MPI; all functions are Local. Those that compute use the
 * calling thread's OpenMP team.
 *
 *     convoy_planes photo = {0}, kernel = {0}, edges = {0};
 *     if (convoy_planes_read("photo.png", false, &photo) != CONVOY_OK ||
 *         convoy_kernel_read("edge3", &kernel) != CONVOY_OK ||
 *         convoy_convolve(&photo, &kernel, NULL, &edges) != CONVOY_OK ||
 *         convoy_planes_write(&edges, "edges.png", false) != CONVOY_OK)
 *         puts(convoy_status_text());
 */
#ifndef CONVOY_CONVOLVE_H
#define CONVOY_CONVOLVE_H

#include <convoy/status.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An image, a matrix, or, of one row, a signal. Begin with {0}; functions that make one
 * write it on success only, and it is then to be freed. */
typedef struct convoy_planes {
    int n;             /* 1: grey, or numbers; 3: red, green and blue */
    int rows, columns; /* of each */
    float *values;     /* [n, rows, columns]; of an image 0 (black) to 255 */
} convoy_planes;

/* Frees the values; *planes is then {0}. */
void convoy_planes_free(convoy_planes *planes);

/* Whether a file is taken for numbers: its name ends in .csv or .txt. */
bool convoy_planes_are_numbers(const char *path);

/* Reads a matrix of numbers, or else a JPEG or PNG image: of one plane if grey, or if
 * its colours are all greys. Numbers stand a row a line, with blanks, a comma or a
 * semicolon between; empty lines and those that begin with # are none. Errors: IO,
 * FORMAT (neither image nor matrix; the text has the line), MEMORY. */
convoy_status convoy_planes_read(const char *path, bool grey, convoy_planes *planes);

/* Reads numbers, whatever the file's name: a matrix, or a signal, which is one row or
 * one column and becomes one row. Errors: as above. */
convoy_status convoy_matrix_read(const char *path, convoy_planes *matrix);
convoy_status convoy_signal_read(const char *path, convoy_planes *signal);

/* Writes numbers, a row a line with commas between, each so that it reads back as it
 * is, where the name says so; and a PNG where it ends in .png: values are rounded and
 * cut off at 0 and 255, or if scale the least becomes black and the greatest white, of
 * all planes together. The file is there as a whole or not at all. Errors: ARGUMENT
 * (another name; numbers of several planes), IO, MEMORY, LIBRARY. */
convoy_status convoy_planes_write(const convoy_planes *planes, const char *path,
                                  bool scale);

/* Name i of the kernels that are built in, from 0; NULL past the last. */
const char *convoy_kernel_name(int i);

/* A kernel by its name, or else from a file of numbers. Errors: ARGUMENT (neither), and
 * those of convoy_matrix_read. */
convoy_status convoy_kernel_read(const char *name, convoy_planes *kernel);

/* How a window moves: [rows, columns]. */
typedef struct convoy_window {
    int stride[2];   /* 0: 1 */
    int pad[2];      /* zeros on each side */
    int dilation[2]; /* pixels from one value of the window to the next; 0: 1 */
    bool correlate;  /* the kernel as it stands, as CNNs have it; false: convolution,
                        which turns it by 180 degrees */
} convoy_window;

/* Each plane of src with the one plane of kernel, through the layer `conv`:
 *   dst[y, x] = sum over i, j of weight[i, j] *
 *       src[y * stride + i * dilation - pad, x * stride + j * dilation - pad]
 * where weight[i, j] is kernel[i, j], or of a convolution kernel[rows - 1 - i,
 * columns - 1 - j]. A side of dst is floor((side + 2 pad - dilation (kernel - 1) - 1) /
 * stride) + 1. In f32. window: NULL for {0}. Errors: ARGUMENT (src is smaller than the
 * kernel; a side of more than 65536, a kernel, stride, pad or dilation of more than
 * 256), MEMORY, LIBRARY. */
convoy_status convoy_convolve(const convoy_planes *src, const convoy_planes *kernel,
                              const convoy_window *window, convoy_planes *dst);

/* The same with the layers `max_pool`, or if average `avg_pool`, of windows of size
 * [rows, columns]: zeros of the padding count in an average, and in no maximum. Stride
 * 0 is the size. Errors: as above; and pad is at most half of size, dilation 1. */
convoy_status convoy_convolve_pool(const convoy_planes *src, const int size[2],
                                   bool average, const convoy_window *window,
                                   convoy_planes *dst);

/* One of the products that a value of the output is the sum of. */
typedef struct convoy_product {
    int row, column; /* of the pixel; outside of src: padding, which is 0 */
    float pixel, weight;
} convoy_product;

/* Writes the products behind dst[plane, row, column] of convoy_convolve, in the order
 * of the pixels: products [kernel rows * columns]. Errors: ARGUMENT (there is no such
 * value; and as convoy_convolve). */
convoy_status convoy_convolve_explain(const convoy_planes *src,
                                      const convoy_planes *kernel,
                                      const convoy_window *window, const int at[3],
                                      convoy_product *products);

/* A seismogram as the earth makes it, by convolution in one dimension: what reflects
 * sound below ground, by the time that it takes to there and back, with the impulse
 * response of source and ground, Ricker's wavelet
 *   w(t) = (1 - 2 pi^2 f^2 t^2) exp(-pi^2 f^2 t^2)
 * (Ricker 1953). And what one convolution layer learns from reflectivity and seismogram
 * alone: the wavelet. */
typedef struct convoy_seismogram {
    int n;                            /* samples */
    int n_taps;                       /* of the wavelet; odd, its middle is t = 0 */
    double sample_s;                  /* from one sample to the next */
    double frequency_hz;              /* f */
    float *reflectivity, *seismogram; /* [n] */
    float *wavelet, *learnt;          /* [n_taps] */
    int n_steps;
    float *losses; /* [n_steps + 1]: mean squared error before each step, and at last */
} convoy_seismogram;

/* Makes it: always the same. The layer's kernel, which starts at zeros, takes n_steps
 * steps down the gradient of the mean squared error between its output and the
 * seismogram, with momentum. *seismogram is then to be freed. Errors: MEMORY, LIBRARY.
 */
convoy_status convoy_seismogram_make(convoy_seismogram *seismogram);
void convoy_seismogram_free(convoy_seismogram *seismogram);

/* Writes reflectivity.csv, wavelet.csv, seismogram.csv, learnt.csv and losses.csv, one
 * number a line, into folder, which is made; and by gnuplot seismogram.svg and
 * learnt.svg. why: empty, or why there are no drawings (there is no gnuplot, say),
 * which is no failure. Errors: IO, MEMORY. */
enum { CONVOY_SEISMOGRAM_WHY_SIZE = 256 };
convoy_status convoy_seismogram_write(const convoy_seismogram *seismogram,
                                      const char *folder,
                                      char why[CONVOY_SEISMOGRAM_WHY_SIZE]);

#ifdef __cplusplus
}
#endif
#endif
