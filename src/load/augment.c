/* Augmentation after torchvision's rules, with draws from a counter-based stream keyed
 * by (seed, epoch, record). Each choice has its own numbered draw, so one
 * augmentation's choices do not move when another is switched on.
 *
 * RandomResizedCrop: area a = A·U(0.08, 1) of the image's A, ratio r = exp(U(ln 3/4, ln
 * 4/3)); width round(√(a·r)), height round(√(a/r)); the first of 10 tries that fits is
 * put anywhere with equal probability. Otherwise the largest centred box with a ratio
 * in [3/4, 4/3]. Rounding is to even, as Python's round. */
#include "load/augment.h"

#include <math.h>

enum { N_TRIES = 10 };

/* Numbers of the draws in a sample's stream. */
enum { DRAW_FLIP, DRAW_TOP, DRAW_LEFT, DRAW_TRIES };

static const double min_area = 0.08, min_ratio = 3.0 / 4.0, max_ratio = 4.0 / 3.0;

struct rng augment_stream(uint64_t seed, uint64_t epoch, uint64_t record)
{
    return rng_stream(seed, RNG_AUGMENT, epoch, record);
}

bool augment_flip(const struct rng *rng)
{
    return rng_unit(rng, DRAW_FLIP) < 0.5;
}

/* A uniform integer in [0, n). */
static int draw_below(const struct rng *rng, uint64_t draw, int n)
{
    return (int)(rng_unit(rng, draw) * n);
}

static double draw_between(const struct rng *rng, uint64_t draw, double low,
                           double high)
{
    return low + (high - low) * rng_unit(rng, draw);
}

struct box augment_random_crop(const struct rng *rng, int height, int width, int pad,
                               int h, int w)
{
    int top = draw_below(rng, DRAW_TOP, height + 2 * pad - h + 1);
    int left = draw_below(rng, DRAW_LEFT, width + 2 * pad - w + 1);
    return (struct box){top - pad, left - pad, h, w};
}

/* Draws the size of try number n; true if it lies within the image. */
static bool try_size(const struct rng *rng, int n, int height, int width,
                     struct box *box)
{
    uint64_t draw = DRAW_TRIES + 2 * (uint64_t)n;
    double area = (double)height * width * draw_between(rng, draw, min_area, 1.0);
    double ratio = exp(draw_between(rng, draw + 1, log(min_ratio), log(max_ratio)));
    box->width = (int)lrint(sqrt(area * ratio));
    box->height = (int)lrint(sqrt(area / ratio));
    return box->width > 0 && box->width <= width && box->height > 0 &&
           box->height <= height;
}

static struct box largest_centred(int height, int width)
{
    double ratio = (double)width / height;
    struct box box = {0, 0, height, width};
    if (ratio < min_ratio)
        box.height = (int)lrint(width / min_ratio);
    else if (ratio > max_ratio)
        box.width = (int)lrint(height * max_ratio);
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
}

struct box augment_resized_crop(const struct rng *rng, int height, int width)
{
    struct box box;
    for (int n = 0; n < N_TRIES; n++) {
        if (!try_size(rng, n, height, width, &box))
            continue;
        box.top = draw_below(rng, DRAW_TOP, height - box.height + 1);
        box.left = draw_below(rng, DRAW_LEFT, width - box.width + 1);
        return box;
    }
    return largest_centred(height, width);
}

void augment_resized_size(int height, int width, int shorter, int *new_height,
                          int *new_width)
{
    *new_height = height <= width ? shorter : shorter * height / width;
    *new_width = width <= height ? shorter : shorter * width / height;
}

/* Where a centred range of `crop` starts in one of `size`: half the difference, rounded
 * to even; where padding is needed, the smaller half of it comes first. */
static int centre_offset(int size, int crop)
{
    if (crop > size)
        return -((crop - size) / 2);
    int extra = size - crop, half = extra / 2;
    return extra % 2 && half % 2 ? half + 1 : half;
}

struct box augment_centre_crop(int height, int width, int h, int w)
{
    return (struct box){centre_offset(height, h), centre_offset(width, w), h, w};
}
