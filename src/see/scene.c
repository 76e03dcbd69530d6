/* The scene: sky with clouds and a sun, two ridges in the haze, a meadow, and on it a
 * tree, a house and a fence. Each is a function of the place that gives a colour and
 * how much of it covers what lies behind; a pixel is the mean of four such places.
 * Texture is value noise: random numbers at the corners of a grid, with smooth values
 * between them, in octaves of half the size and half the strength.
 *
 * Places: x and y in heights of the picture, from its middle and its upper edge; so the
 * same things are seen in wide pictures and in high ones. Colours: 0 to 1, as they are
 * stored. */
#include <convoy/scene.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <math.h>
#include <stdint.h>

enum { SAMPLES = 2 }; /* each way in a pixel */

static const double horizon = 0.56;

struct colour {
    double r, g, b;
};

static double clamp(double value)
{
    return fmin(fmax(value, 0), 1);
}

/* 0 below a, 1 above b, smooth between them. */
static double rise(double a, double b, double value)
{
    const double t = clamp((value - a) / (b - a));
    return t * t * (3 - 2 * t);
}

static struct colour blend(struct colour a, struct colour b, double share)
{
    return (struct colour){a.r + share * (b.r - a.r), a.g + share * (b.g - a.g),
                           a.b + share * (b.b - a.b)};
}

static struct colour shade(struct colour c, double factor)
{
    return (struct colour){clamp(factor * c.r), clamp(factor * c.g),
                           clamp(factor * c.b)};
}

/* A random number from 0 to 1 at a corner of the grid (Wang's integer hash). */
static double corner(int x, int y)
{
    uint32_t h = (uint32_t)x * 374761393U + (uint32_t)y * 668265263U;
    h = (h ^ 61U) ^ (h >> 16);
    h *= 9U;
    h ^= h >> 4;
    h *= 0x27d4eb2dU;
    h ^= h >> 15;
    return (double)h / 4294967295.0;
}

static double smooth_noise(double x, double y)
{
    const double left = floor(x), top = floor(y);
    const double u = rise(0, 1, x - left), v = rise(0, 1, y - top);
    const int i = (int)left, j = (int)top;
    const double upper = corner(i, j) + u * (corner(i + 1, j) - corner(i, j));
    const double lower =
        corner(i, j + 1) + u * (corner(i + 1, j + 1) - corner(i, j + 1));
    return upper + v * (lower - upper);
}

/* Octaves of noise, 0 to 1. */
static double noise(double x, double y, int octaves)
{
    double sum = 0, total = 0, weight = 1;
    for (int i = 0; i < octaves; i++) {
        sum += weight * smooth_noise(x + 17.3 * i, y - 9.1 * i);
        total += weight;
        weight /= 2;
        x *= 2;
        y *= 2;
    }
    return sum / total;
}

static struct colour sky(double x, double y)
{
    const struct colour zenith = {0.24, 0.47, 0.78}, low = {0.80, 0.88, 0.93},
                        white = {0.98, 0.97, 0.95}, sun = {1.0, 0.95, 0.78};
    struct colour c = blend(zenith, low, rise(-0.1, horizon, y));
    const double cloud = rise(0.52, 0.72, noise(2.2 * x + 5, 6 * y, 5));
    c = blend(c, white, 0.85 * cloud * rise(0.6, 0.25, y));
    const double far = hypot(x - 0.42, y - 0.15);
    c = blend(c, sun, 0.7 * rise(0.30, 0.05, far));
    return blend(c, (struct colour){1, 1, 0.93}, rise(0.056, 0.048, far));
}

static struct colour put_ridges(struct colour c, double x, double y)
{
    const double far = horizon - 0.05 - 0.20 * noise(1.7 * x + 3, 0.5, 6);
    const double near = horizon + 0.02 - 0.13 * noise(2.9 * x + 40, 7.5, 6);
    const double snow = rise(0.42, 0.38, y + 0.05 * noise(9 * x, 9 * y, 3));
    const struct colour rock = blend((struct colour){0.45, 0.52, 0.64},
                                     (struct colour){0.93, 0.95, 0.98}, snow);
    const double grain = 0.9 + 0.2 * noise(20 * x, 26 * y, 4);
    if (y > far)
        c = shade(rock, grain);
    if (y > near)
        c = shade((struct colour){0.24, 0.36, 0.30},
                  0.75 + 0.5 * noise(38 * x, 30 * y, 4));
    return c;
}

static struct colour put_meadow(struct colour c, double x, double y)
{
    const double edge = horizon + 0.012 * sin(3 * x);
    if (y < edge)
        return c;
    const double depth = (y - edge) / (1 - edge); /* 0 far, 1 near */
    const double blades = noise(90 * x / (0.4 + depth), 26 * y / (0.4 + depth), 4);
    const double patches = noise(3 * x, 7 * y, 3);
    const struct colour grass =
        blend((struct colour){0.52, 0.60, 0.25}, (struct colour){0.20, 0.42, 0.13},
              clamp(0.4 * depth + 0.6 * patches));
    return shade(grass, 0.70 + 0.62 * blades);
}

static struct colour put_tree(struct colour c, double x, double y)
{
    const double at_x = x + 0.47, crown_y = y - 0.43;
    const double shadow = hypot((at_x + 0.10) / 0.20, (y - 0.745) / 0.022);
    c = shade(c, 1 - 0.45 * rise(1.1, 0.7, shadow));
    if (fabs(at_x) < 0.018 + 0.014 * rise(0.66, 0.74, y) && y > 0.5 && y < 0.742)
        c = shade((struct colour){0.36, 0.25, 0.16},
                  (0.6 + 0.5 * noise(120 * x, 14 * y, 3)) * (1 + 9 * at_x));
    const double leaves = noise(24 * x, 24 * y, 4);
    const double reach = hypot(at_x, 0.9 * crown_y) + 0.13 * (leaves - 0.5);
    const double light = 0.55 + 0.7 * noise(44 * x, 44 * y, 3) + at_x - 1.2 * crown_y;
    if (reach < 0.165)
        c = shade((struct colour){0.22, 0.44, 0.16}, fmax(0.25, light));
    return c;
}

static bool is_in(double value, double low, double high)
{
    return value >= low && value < high;
}

static struct colour put_house(struct colour c, double x, double y)
{
    const double left = 0.10, right = 0.46, top = 0.55, foot = 0.76;
    const double middle = (left + right) / 2;
    if (is_in(y, foot, foot + 0.035) && is_in(x, left - 0.05 - 2 * (foot - y), right))
        c = shade(c, 0.62);
    if (is_in(x, left, right) && is_in(y, top, foot)) {
        const bool is_joint = fmod(y * 60, 1) < 0.12;
        c = shade((struct colour){0.88, 0.80, 0.66},
                  (is_joint ? 0.86 : 1.0) - 0.10 * (right - x) +
                      0.06 * noise(60 * x, 60 * y, 2));
    }
    for (int i = 0; i < 2; i++) { /* windows, each with a cross in it */
        const double wx = fabs(x - (middle + (i ? 0.115 : -0.115))),
                     wy = fabs(y - 0.64);
        if (wx < 0.045 && wy < 0.045)
            c = (struct colour){0.96, 0.96, 0.94};
        if (is_in(wx, 0.005, 0.038) && is_in(wy, 0.005, 0.038))
            c = shade((struct colour){0.22, 0.30, 0.40}, 1.3 - 4 * (y - 0.6));
    }
    if (fabs(x - middle) < 0.036 && is_in(y, 0.635, foot))
        c = fabs(x - middle) < 0.030 && y > 0.642 ? (struct colour){0.47, 0.17, 0.13}
                                                  : (struct colour){0.95, 0.93, 0.9};
    const double slope = (y - 0.37) / (top + 0.012 - 0.37); /* 0 at the top, 1 below */
    if (is_in(slope, 0, 1) && fabs(x - middle) < 0.09 + 0.13 * slope) {
        const bool tiles =
            fmod(y * 62, 1) < 0.22 || fmod(x * 48 + 0.5 * floor(y * 62), 1) < 0.12;
        c = shade((struct colour){0.68, 0.28, 0.20}, tiles ? 0.72 : 1.02);
    }
    return c;
}

static struct colour put_fence(struct colour c, double x, double y)
{
    const struct colour wood = {0.93, 0.92, 0.89};
    const double place = x * 11 - floor(x * 11); /* in a post's room */
    const bool is_post = place < 0.42 && y > 0.815 + 0.05 * fabs(place - 0.21);
    const bool is_rail = is_in(y, 0.842, 0.858) || is_in(y, 0.902, 0.918);
    if (y > 0.965)
        return c;
    if (is_post)
        return shade(wood,
                     (place > 0.34 ? 0.74 : 1.0) - 0.06 * noise(70 * x, 9 * y, 2));
    return is_rail ? shade(wood, 0.88) : c;
}

static struct colour scene_at(double x, double y)
{
    struct colour c = sky(x, y);
    c = put_ridges(c, x, y);
    c = put_meadow(c, x, y);
    c = put_tree(c, x, y);
    c = put_house(c, x, y);
    c = put_fence(c, x, y);
    /* A lens is darker towards the corners. */
    return shade(c, 1 - 0.16 * rise(0.35, 1.0, hypot(x, y - 0.5)));
}

static uint8_t to_byte(double sum)
{
    return (uint8_t)lround(255 * clamp(sum / (SAMPLES * SAMPLES)));
}

static void draw_pixel(int width, int height, int column, int row, uint8_t *rgb)
{
    struct colour sum = {0};
    for (int i = 0; i < SAMPLES * SAMPLES; i++) {
        const int line = i / SAMPLES;
        const double right = (i % SAMPLES + 0.5) / SAMPLES,
                     down = (line + 0.5) / SAMPLES;
        const struct colour c =
            scene_at((column + right - width / 2.0) / height, (row + down) / height);
        sum = (struct colour){sum.r + c.r, sum.g + c.g, sum.b + c.b};
    }
    rgb[0] = to_byte(sum.r);
    rgb[1] = to_byte(sum.g);
    rgb[2] = to_byte(sum.b);
}

static bool is_side(int side)
{
    return side >= CONVOY_SCENE_MIN_SIDE && side <= CONVOY_SCENE_MAX_SIDE;
}

convoy_status convoy_scene_save(const char *path, int width, int height)
{
    convoy_status status = CONVOY_OK;
    struct image image = {.width = width, .height = height, .channels = 3};
    uint8_t *bytes = NULL;
    size_t n = 0;
    if (!is_side(width) || !is_side(height))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a scene of %d x %d pixels: each side must be from %d to %d", width,
                    height, CONVOY_SCENE_MIN_SIDE, CONVOY_SCENE_MAX_SIDE);
    image.capacity = 3 * (size_t)width * (size_t)height;
    TRY(mem_alloc(image.capacity, (void **)&image.pixels));
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++)
            draw_pixel(width, height, column, row,
                       image.pixels +
                           3 * ((size_t)row * (size_t)width + (size_t)column));
    TRY(image_encode_png(&image, &bytes, &n));
    TRY(file_write_whole(path, (const char *)bytes, n));
cleanup:
    mem_free(bytes);
    image_free(&image);
    return status;
}
