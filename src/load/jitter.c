/* Brightness, contrast and saturation blend the image with black, its mean grey and
 * its own grey: clamp(f·v + (1 − f)·other), grey = 0.2989 R + 0.587 G + 0.114 B. Hue
 * turns the colour circle by a share of it, by way of HSV: with V the largest and C the
 * difference of largest and smallest, the hue in sixths is (G − B)/C, 2 + (B − R)/C or
 * 4 + (R − G)/C, for the channel that is largest.
 *
 * Values are floats throughout: nothing is rounded to 8 bits between adjustments. */
#include "load/jitter.h"

#include <math.h>

static float grey_of(float r, float g, float b)
{
    return 0.2989F * r + 0.587F * g + 0.114F * b;
}

static float clamp(float v)
{
    return v < 0.0F ? 0.0F : v > 1.0F ? 1.0F : v;
}

/* factor·v + offset, for n values. */
static void blend(float *values, size_t n, float factor, float offset)
{
    for (size_t i = 0; i < n; i++)
        values[i] = clamp(factor * values[i] + offset);
}

static void contrast(float *values, int channels, size_t n, float factor)
{
    const float *r = values, *g = r + n, *b = g + n;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)(channels == 1 ? r[i] : grey_of(r[i], g[i], b[i]));
    blend(values, n * (size_t)channels, factor,
          (1.0F - factor) * (float)(sum / (double)n));
}

static void saturation(float *values, size_t n, float factor)
{
    float *restrict r = values, *restrict g = values + n, *restrict b = values + 2 * n;
    for (size_t i = 0; i < n; i++) {
        float other = (1.0F - factor) * grey_of(r[i], g[i], b[i]);
        r[i] = clamp(factor * r[i] + other);
        g[i] = clamp(factor * g[i] + other);
        b[i] = clamp(factor * b[i] + other);
    }
}

/* A channel of a colour of full saturation, whose hue is `sixths` from the middle of
 * the two sixths in which this channel is largest: 1 there, 0 on the other side. */
static float full(float sixths)
{
    return clamp(2.0F - fabsf(sixths));
}

/* The hue in sixths, in [-1, 5]. */
static float sixths_of(float r, float g, float b, float largest, float chroma)
{
    const float of_red = (g - b) / chroma, of_green = 2.0F + (b - r) / chroma,
                of_blue = 4.0F + (r - g) / chroma;
    const float of_others = g == largest ? of_green : of_blue;
    return r == largest ? of_red : of_others;
}

/* Of numbers that an int holds; a loop of it can be vectorized on any machine. */
static float floor_of(float value)
{
    const float whole = (float)(int)value;
    return whole > value ? whole - 1.0F : whole;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float smaller(float a, float b)
{
    return a < b ? a : b;
}

/* Grey stays as it is, whatever its hue would be: its chroma is 0. */
static void hue(float *values, size_t n, float turn)
{
    float *restrict r = values, *restrict g = values + n, *restrict b = values + 2 * n;
    for (size_t i = 0; i < n; i++) {
        const float largest = larger(r[i], larger(g[i], b[i]));
        const float smallest = smaller(r[i], smaller(g[i], b[i]));
        const float chroma = largest - smallest;
        const float divisor = chroma > 0.0F ? chroma : 1.0F;
        float at = sixths_of(r[i], g[i], b[i], largest, divisor) + 6.0F * turn;
        at -= 6.0F * floor_of(at / 6.0F);
        r[i] = smallest + chroma * full(at < 3.0F ? at : 6.0F - at);
        g[i] = smallest + chroma * full(at - 2.0F);
        b[i] = smallest + chroma * full(at - 4.0F);
    }
}

void jitter_apply(const struct augment_jitter *jitter, float *values, int channels,
                  size_t n)
{
    for (int i = 0; i < jitter->n; i++) {
        const float factor = jitter->factor[i];
        switch (jitter->kind[i]) {
        case AUGMENT_BRIGHTNESS:
            blend(values, n * (size_t)channels, factor, 0.0F);
            break;
        case AUGMENT_CONTRAST:
            contrast(values, channels, n, factor);
            break;
        case AUGMENT_SATURATION:
            if (channels == 3)
                saturation(values, n, factor);
            break;
        default:
            if (channels == 3)
                hue(values, n, factor);
            break;
        }
    }
}
