/* Pillow's colour operations, in its arithmetic.
 *
 * ImageEnhance blends the image with another one: the value o + f (v - o) in floats,
 * cut to a whole number from 0 to 255. o is 0 for brightness, the mean grey for
 * contrast, the pixel's grey for color, and for sharpness the mean of the 3 x 3 pixels
 * around, where the middle counts five times (at the edge, the pixel itself). Grey is
 * (19595 R + 38470 G + 7471 B + 2^15) / 2^16.
 *
 * Autocontrast stretches the values of a channel that are there to 0 … 255. Equalize
 * makes them equally frequent: with h their histogram and s = (n - h[last]) / 255, v
 * becomes (s / 2 + the sum of h below v) / s, all in whole numbers. */
#include "load/trivial.h"

#include <string.h>

enum { GREY_RED = 19595, GREY_GREEN = 38470, GREY_BLUE = 7471, GREY_BITS = 16 };
enum { GREY_HALF = 1 << (GREY_BITS - 1) };

static uint8_t blend(int other, int value, float factor)
{
    const float blended = (float)other + factor * (float)(value - other);
    const float above = blended < 0.0F ? 0.0F : blended;
    return (uint8_t)(int)(above > 255.0F ? 255.0F : above);
}

static float factor_of(double magnitude)
{
    return (float)(1.0 + magnitude);
}

static int grey_of(int r, int g, int b)
{
    return (GREY_RED * r + GREY_GREEN * g + GREY_BLUE * b + GREY_HALF) >> GREY_BITS;
}

static size_t plane_of(const struct trivial_image *image)
{
    return (size_t)image->height * (size_t)image->width;
}

void trivial_color(double magnitude, const struct trivial_image *image, uint8_t *to)
{
    const size_t n = plane_of(image);
    const float factor = factor_of(magnitude);
    const uint8_t *restrict r = image->pixels, *restrict g = r + n, *restrict b = g + n;
    uint8_t *restrict red = to, *restrict green = to + n, *restrict blue = green + n;
    for (size_t i = 0; i < n; i++) {
        const int grey = grey_of(r[i], g[i], b[i]);
        red[i] = blend(grey, r[i], factor);
        green[i] = blend(grey, g[i], factor);
        blue[i] = blend(grey, b[i], factor);
    }
}

/* Row y of a plane, from whose edges it is away. The mean has no half to round: 26 is
 * even and 13 odd. */
static void sharpen_row(const uint8_t *restrict row, int width, float factor,
                        uint8_t *restrict to)
{
    const uint8_t *restrict above = row - width, *restrict below = row + width;
    to[0] = row[0];
    to[width - 1] = row[width - 1];
    for (int x = 1; x < width - 1; x++) {
        const int sum = above[x - 1] + above[x] + above[x + 1] + row[x - 1] +
                        5 * row[x] + row[x + 1] + below[x - 1] + below[x] +
                        below[x + 1];
        to[x] = blend((2 * sum + 13) / 26, row[x], factor);
    }
}

void trivial_sharpness(double magnitude, const struct trivial_image *image, uint8_t *to)
{
    const size_t n = plane_of(image), width = (size_t)image->width;
    const float factor = factor_of(magnitude);
    memcpy(to, image->pixels, (size_t)image->channels * n);
    if (image->height < 3 || image->width < 3)
        return;
    for (int c = 0; c < image->channels; c++)
        for (size_t y = 1; y + 1 < (size_t)image->height; y++) {
            const size_t at = (size_t)c * n + y * width;
            sharpen_row(image->pixels + at, image->width, factor, to + at);
        }
}

/* The mean of the image's grey, rounded. */
static int mean_grey(const struct trivial_image *image)
{
    const size_t n = plane_of(image);
    const uint8_t *r = image->pixels, *g = r + n, *b = g + n;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += image->channels == 1 ? r[i] : (uint8_t)grey_of(r[i], g[i], b[i]);
    return n > 0 ? (int)((2 * sum + n) / (2 * n)) : 0;
}

/* Four at a time: neighbouring pixels are often equal, and would wait for each other.
 */
static void count_values(const uint8_t *plane, size_t n, uint64_t counts[256])
{
    uint32_t parts[4][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        parts[i % 4][plane[i]]++;
    for (int v = 0; v < 256; v++)
        counts[v] = (uint64_t)parts[0][v] + parts[1][v] + parts[2][v] + parts[3][v];
}

static void map_blended(int other, double magnitude, uint8_t map[256])
{
    for (int v = 0; v < 256; v++)
        map[v] = blend(other, v, factor_of(magnitude));
}

static void map_autocontrast(const uint64_t counts[256], uint8_t map[256])
{
    int low = 0, high = 255;
    while (low < 255 && counts[low] == 0)
        low++;
    while (high > 0 && counts[high] == 0)
        high--;
    if (high <= low)
        return;
    const double scale = 255.0 / (high - low), offset = -low * scale;
    for (int v = 0; v < 256; v++) {
        const double stretched = v * scale + offset;
        map[v] = (uint8_t)(stretched < 0 ? 0 : stretched > 255 ? 255 : stretched);
    }
}

static void map_equalized(const uint64_t counts[256], uint8_t map[256])
{
    uint64_t total = 0;
    int last = 0;
    for (int v = 0; v < 256; v++) {
        total += counts[v];
        last = counts[v] > 0 ? v : last;
    }
    const uint64_t step = (total - counts[last]) / 255;
    uint64_t below = step / 2;
    for (int v = 0; v < 256 && step > 0; v++) {
        map[v] = (uint8_t)(below / step > 255 ? 255 : below / step);
        below += counts[v];
    }
}

/* Of operations that look at all of a channel's values. */
static void map_counted(enum trivial_op op, const struct trivial_image *image, int c,
                        uint8_t map[256])
{
    uint64_t counts[256];
    count_values(image->pixels + (size_t)c * plane_of(image), plane_of(image), counts);
    if (op == TRIVIAL_EQUALIZE)
        map_equalized(counts, map);
    else
        map_autocontrast(counts, map);
}

void trivial_map(enum trivial_op op, double magnitude,
                 const struct trivial_image *image, int c, uint8_t map[256])
{
    for (int v = 0; v < 256; v++)
        map[v] = (uint8_t)v;
    switch (op) {
    case TRIVIAL_BRIGHTNESS:
        map_blended(0, magnitude, map);
        break;
    case TRIVIAL_CONTRAST:
        map_blended(mean_grey(image), magnitude, map);
        break;
    case TRIVIAL_POSTERIZE:
        for (int v = 0; v < 256; v++)
            map[v] = (uint8_t)(v & ~((1 << (8 - (int)magnitude)) - 1));
        break;
    case TRIVIAL_SOLARIZE:
        for (int v = 0; v < 256; v++)
            map[v] = (uint8_t)(v < magnitude ? v : 255 - v);
        break;
    case TRIVIAL_AUTOCONTRAST:
    case TRIVIAL_EQUALIZE:
        map_counted(op, image, c, map);
        break;
    default:
        break;
    }
}
