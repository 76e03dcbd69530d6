/* Shears, translations and rotations with Pillow's Image.transform(AFFINE, NEAREST):
 * output pixel (x, y) is the input pixel that holds the point
 *
 *     (a (x + 1/2) + b (y + 1/2) + c,  d (x + 1/2) + e (y + 1/2) + f),
 *
 * in Pillow's arithmetic: six coefficients rounded to 2^-16. Those of an operation are
 * torchvision's: shears keep the corner (0, 0), rotations the centre, and turn
 * counter-clockwise. */
#include "load/trivial.h"

#include <math.h>
#include <string.h>

enum { FRACTION_BITS = 16 };

struct affine {
    double a, b, c, d, e, f;
};

/* To 15 decimals, as Pillow does it: quarter turns are exact. */
static double rounded(double value)
{
    return rint(value * 1e15) / 1e15;
}

static struct affine rotation(double degrees, int height, int width)
{
    const double pi = 3.14159265358979323846;
    const double angle = -degrees * (pi / 180.0), x = width / 2.0, y = height / 2.0;
    const double cosine = rounded(cos(angle)), sine = rounded(sin(angle));
    return (struct affine){.a = cosine,
                           .b = sine,
                           .c = -x * cosine - y * sine + x,
                           .d = -sine,
                           .e = cosine,
                           .f = x * sine - y * cosine + y};
}

static struct affine affine_of(enum trivial_op op, double magnitude, int height,
                               int width)
{
    struct affine affine = {.a = 1, .e = 1};
    switch (op) {
    case TRIVIAL_SHEAR_X:
        affine.b = magnitude;
        break;
    case TRIVIAL_SHEAR_Y:
        affine.d = magnitude;
        break;
    case TRIVIAL_TRANSLATE_X:
        affine.c = -magnitude;
        break;
    case TRIVIAL_TRANSLATE_Y:
        affine.f = -magnitude;
        break;
    default:
        affine = rotation(magnitude, height, width);
        break;
    }
    return affine;
}

static int64_t fixed(double value)
{
    return (int64_t)floor(value * (1 << FRACTION_BITS) + 0.5);
}

/* Along a row of the output: where the first pixel comes from, and the way from each to
 * the next. */
struct walk {
    int64_t x, y, dx, dy;
};

/* The least integer not below a / b; b > 0. */
static int64_t ceil_divide(int64_t a, int64_t b)
{
    return a / b + (a % b > 0);
}

/* Cuts [*begin, *end) to the x for which 0 <= from + x·step < size. */
static void clip(int64_t from, int64_t step, int size, int64_t *begin, int64_t *end)
{
    const int64_t limit = (int64_t)size << FRACTION_BITS;
    int64_t first = 0, last = *end; /* one past it */
    if (step > 0) {
        first = ceil_divide(-from, step);
        last = ceil_divide(limit - from, step);
    } else if (step < 0) {
        first = ceil_divide(from - limit + 1, -step);
        last = ceil_divide(from + 1, -step);
    } else if (from < 0 || from >= limit) {
        last = 0;
    }
    *begin = first > *begin ? first : *begin;
    *end = last < *end ? last : *end;
}

/* Pixels begin … end - 1 of a row, all of which are in the image. */
static void take_row(const struct trivial_image *image, struct walk at, int64_t begin,
                     int64_t end, uint8_t *row)
{
    const int64_t width = image->width, plane = image->height * width;
    const uint8_t *pixels = image->pixels;
    at.x += begin * at.dx;
    at.y += begin * at.dy;
    for (int64_t x = begin; x < end; x++, at.x += at.dx, at.y += at.dy) {
        const uint8_t *from =
            pixels + (at.y >> FRACTION_BITS) * width + (at.x >> FRACTION_BITS);
        for (int c = 0; c < image->channels; c++)
            row[c * plane + x] = from[c * plane];
    }
}

/* The same where the input is a part of one row. */
static void copy_row(const struct trivial_image *image, struct walk at, int64_t begin,
                     int64_t end, uint8_t *row)
{
    const int64_t width = image->width, plane = image->height * width;
    const uint8_t *from = image->pixels + (at.y >> FRACTION_BITS) * width +
                          (at.x >> FRACTION_BITS) + begin;
    for (int c = 0; c < image->channels; c++)
        memcpy(row + c * plane + begin, from + c * plane, (size_t)(end - begin));
}

void trivial_move(enum trivial_op op, double magnitude,
                  const struct trivial_image *image, uint8_t *to)
{
    const int height = image->height, width = image->width;
    const struct affine affine = affine_of(op, magnitude, height, width);
    const int64_t one = 1 << FRACTION_BITS, b = fixed(affine.b), e = fixed(affine.e);
    struct walk at = {.x = fixed(affine.c + affine.a * 0.5 + affine.b * 0.5),
                      .y = fixed(affine.f + affine.d * 0.5 + affine.e * 0.5),
                      .dx = fixed(affine.a),
                      .dy = fixed(affine.d)};
    memset(to, 0, (size_t)image->channels * (size_t)height * (size_t)width);
    for (int y = 0; y < height; y++, at.x += b, at.y += e) {
        int64_t begin = 0, end = width;
        clip(at.x, at.dx, width, &begin, &end);
        clip(at.y, at.dy, height, &begin, &end);
        if (begin >= end)
            continue;
        uint8_t *row = to + (ptrdiff_t)y * width;
        if (at.dx == one && at.dy == 0)
            copy_row(image, at, begin, end, row);
        else
            take_row(image, at, begin, end, row);
    }
}
