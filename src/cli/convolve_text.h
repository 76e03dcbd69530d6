/* What `convoy convolve` says of a convolution, in numbers that can be worked out by
 * hand. */
#ifndef CLI_CONVOLVE_TEXT_H
#define CLI_CONVOLVE_TEXT_H

#include <convoy/convolve.h>

/* Whether all planes are small enough for a screen. */
bool convolve_text_is_small(const convoy_planes *planes);

/* The kernel; of a convolution also as it is multiplied with. */
void convolve_text_kernel(const char *name, const convoy_planes *kernel,
                          bool correlate);

/* The formula of the output's size, with numbers. window: strides and dilations are set
 * (not 0). in and out: of a signal (is_signal) there is one line. */
void convolve_text_size(const convoy_planes *in, const int size[2],
                        const convoy_window *window, const convoy_planes *out,
                        bool is_signal);

/* The size of the output and the range of its values, as a line; of an image also how
 * many a picture has no shade for. */
void convolve_text_range(const convoy_planes *out, bool is_image);

/* All planes, as tables. */
void convolve_text_values(const convoy_planes *out);

/* The n products behind out's value at [plane, row, column]. */
void convolve_text_products(const convoy_planes *out, const int at[3],
                            const convoy_product *products, int n);

/* The seismogram and what was learnt, in some lines. */
void convolve_text_seismogram(const convoy_seismogram *seismogram);

#endif
