/* A kernel is told from noise by its form, which its own contrast shows best, and by
 * its colour, so the channels of RGB are scaled together. */
#include "image/kernel_grid.h"

#include "image/image_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_PICTURES = 256, MAX_SIDE = 2048, MAX_ZOOM = 8, PICTURE_SIDE = 96 };

struct grid {
    int channels, zoom, columns, rows, n;
    int64_t tile_w, tile_h; /* with the line before it */
};

int kernel_grid_zoom(const struct kernel_set *k)
{
    const int64_t side = k->h > k->w ? k->h : k->w;
    const int64_t zoom = side > 0 ? PICTURE_SIDE / side : 1;
    return zoom < 1 ? 1 : zoom > MAX_ZOOM ? MAX_ZOOM : (int)zoom;
}

static struct grid lay_out(const struct kernel_set *k)
{
    struct grid g = {
        .channels = k->c == 3 ? 3 : 1, .columns = 1, .zoom = kernel_grid_zoom(k)};
    const int64_t n = k->c == 3 ? k->n : k->n * k->c;
    g.tile_w = k->w * g.zoom + 1;
    g.tile_h = k->h * g.zoom + 1;
    const int64_t fit_w = (MAX_SIDE - 1) / g.tile_w, fit_h = (MAX_SIDE - 1) / g.tile_h;
    const int64_t fit = fit_w * fit_h < MAX_PICTURES ? fit_w * fit_h : MAX_PICTURES;
    g.n = (int)(n < fit ? n : fit);
    while ((int64_t)g.columns * g.columns < g.n && g.columns < fit_w)
        g.columns++;
    g.rows = (g.n + g.columns - 1) / g.columns;
    /* Flat ones are more than a square has rows for. */
    while (g.rows > fit_h) {
        g.columns++;
        g.rows = (g.n + g.columns - 1) / g.columns;
    }
    return g;
}

/* [channels, h, w] */
struct range {
    double least, most;
};

static struct range find_range(const float *values, int64_t n)
{
    struct range range = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        range.least = fmin(range.least, values[i]);
        range.most = fmax(range.most, values[i]);
    }
    return range;
}

static uint8_t shade(float value, struct range range)
{
    if (!isfinite(value) || !(range.most > range.least))
        return 128;
    const double share = ((double)value - range.least) / (range.most - range.least);
    return (uint8_t)floor(share * 255 + 0.5);
}

static void draw_picture(const struct kernel_set *k, const struct grid *g, int i,
                         struct image *out)
{
    const int64_t plane = k->h * k->w, n = plane * g->channels;
    const float *values = k->values + n * i;
    const struct range range = find_range(values, n);
    const int64_t left = i % g->columns * g->tile_w + 1,
                  top = i / g->columns * g->tile_h + 1;
    for (int64_t y = 0; y < k->h * g->zoom; y++) {
        uint8_t *pixel = out->pixels + ((top + y) * out->width + left) * out->channels;
        const float *row = values + y / g->zoom * k->w;
        for (int64_t x = 0; x < k->w * g->zoom; x++)
            for (int c = 0; c < g->channels; c++)
                *pixel++ = shade(row[c * plane + x / g->zoom], range);
    }
}

convoy_status kernel_grid_draw(const struct kernel_set *kernels, struct image *out)
{
    convoy_status status = CONVOY_OK;
    const struct grid g = lay_out(kernels);
    out->width = out->height = 0;
    out->channels = g.channels;
    if (g.n == 0)
        return CONVOY_OK;
    const int width = (int)(g.columns * g.tile_w + 1),
              height = (int)(g.rows * g.tile_h + 1);
    TRY(image_shape(out, width, height, g.channels));
    memset(out->pixels, 0, (size_t)width * (size_t)height * (size_t)g.channels);
    for (int i = 0; i < g.n; i++)
        draw_picture(kernels, &g, i, out);
cleanup:
    return status;
}
