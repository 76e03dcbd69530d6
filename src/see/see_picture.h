/* Drawing on images: tiles, heat maps, enlargement. */
#ifndef SEE_SEE_PICTURE_H
#define SEE_SEE_PICTURE_H

#include "image/kernel_grid.h"

/* Sets the size and makes room for the pixels, which are black. Errors: MEMORY,
 * ARGUMENT (a side above 32767). */
convoy_status see_picture_make(int width, int height, int channels, struct image *out);

/* The values of a normalised sample [c, h, w] as a picture: value · std + mean, cut to
 * 0 … 1. Two channels are shown as the mean of both. Errors: MEMORY. */
convoy_status see_picture_sample(const float *values, const int shape[3],
                                 const float *mean, const float *std,
                                 struct image *out);

/* Makes src larger, a pixel becoming factor x factor. dst must not be src. */
convoy_status see_picture_enlarge(const struct image *src, int factor,
                                  struct image *dst);

/* The whole number by which an image of so many pixels is enlarged to be seen well, on
 * a phone, too: its longer side has 320 at most, unless it is longer by itself. */
int see_picture_factor(int height, int width);

/* A map of values to be shown in colour: from least, black, to most, bright. */
struct heat {
    const float *values; /* [h, w] */
    int h, w;
    float least, most;
};

/* The smallest and largest finite value, 0 and 0 where there is none. */
void heat_find_range(const float *values, size_t n, float *least, float *most);

/* The map in colour, a value a square of factor pixels. */
convoy_status heat_draw(const struct heat *heat, int factor, struct image *out);

/* The map over a picture in grey, stretched to its size (bilinear, centres on
 * centres): the larger a value, the less of the picture is seen. */
convoy_status heat_draw_over(const struct heat *heat, const struct image *picture,
                             struct image *out);

/* Pictures of one size side by side, row by row, on white. */
struct sheet {
    struct image image; /* start with {0}; free with image_free */
    int columns, tile_width, tile_height, n;
};
convoy_status sheet_begin(struct sheet *sheet, int n, int tile_width, int tile_height);
/* The next one, in grey or RGB. Those that are too many, or of another size, are not
 * drawn. */
void sheet_add(struct sheet *sheet, const struct image *tile);

/* Picture i of kernels or maps, as kernel_grid_draw draws it: with c = 3 kernel i in
 * RGB, else channel i of all [n · c]. */
struct kernel_set see_picture_tile(const struct kernel_set *set, int64_t i);
int64_t see_picture_tiles(const struct kernel_set *set);

/* All of them on a sheet, or the first: at most 256, and as many as 2048 pixels a side
 * have room for. out: an image with nothing in it; 0 x 0 where not one has room.
 * Errors: MEMORY. */
convoy_status see_picture_grid(const struct kernel_set *set, struct image *out);

#endif
