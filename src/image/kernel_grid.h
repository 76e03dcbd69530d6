/* Kernels as a picture. */
#ifndef IMAGE_KERNEL_GRID_H
#define IMAGE_KERNEL_GRID_H

#include "image/image.h"

struct kernel_set {
    const float *values; /* [n, c, h, w] */
    int64_t n, c, h, w;
};

/* Draws them side by side, row by row, on black: with c = 3 each as an RGB picture,
 * else each channel of each as a grey one, [n · c]. Every picture is scaled from its
 * least value, black, to its greatest, white (one that is the same all over is grey
 * 128, and so is a value that is not finite), and enlarged: a value is a square of
 * kernel_grid_zoom pixels. There is a line of one pixel around each. At most 256
 * pictures are drawn, the first, and fewer where they are large; out is 0 x 0 where not
 * one is small enough. Local. Errors: MEMORY. */
convoy_status kernel_grid_draw(const struct kernel_set *kernels, struct image *out);

/* 1 to 8. */
int kernel_grid_zoom(const struct kernel_set *kernels);

#endif
