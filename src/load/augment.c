/* Augmentation after torchvision's rules, with draws from a counter-based stream keyed
 * by (seed, epoch, sample). Each choice has its own numbered draw, so one
 * augmentation's choices do not move when another is switched on.
 *
 * RandomResizedCrop: area a = A·U(0.08, 1) of the image's A, ratio r = exp(U(ln 3/4, ln
 * 4/3)); width round(√(a·r)), height round(√(a/r)); the first of 10 tries that fits is
 * put anywhere with equal probability. Otherwise the largest centred box with a ratio
 * in [3/4, 4/3]. Rounding is to even, as Python's round.
 *
 * RandomErasing: in the same way, with area U(0.02, 0.33), ratio height / width of
 * exp(U(ln 0.3, ln 3.3)), and a box smaller than the image on both sides; after 10
 * tries without one, nothing is erased. */
#include "load/augment.h"

#include <math.h>

enum { N_TRIES = 10 };

/* Numbers of the draws in a sample's stream. */
enum {
    DRAW_FLIP,
    DRAW_TOP,
    DRAW_LEFT,
    DRAW_TRIES,
    DRAW_ORDER = DRAW_TRIES + 2 * N_TRIES,
    DRAW_FACTOR = DRAW_ORDER + N_AUGMENT_ADJUSTMENTS,
    DRAW_ERASE = DRAW_FACTOR + N_AUGMENT_ADJUSTMENTS,
    DRAW_ERASE_TOP,
    DRAW_ERASE_LEFT,
    DRAW_ERASE_TRIES,
    DRAW_TRIVIAL = DRAW_ERASE_TRIES + 2 * N_TRIES,
    DRAW_TRIVIAL_BIN,
    DRAW_TRIVIAL_SIGN
};

static const double min_area = 0.08, min_ratio = 3.0 / 4.0, max_ratio = 4.0 / 3.0;
static const double min_erased = 0.02, max_erased = 0.33;
static const double min_erased_ratio = 0.3, max_erased_ratio = 3.3;

struct rng augment_stream(uint64_t seed, uint64_t epoch, uint64_t sample)
{
    return rng_stream(seed, RNG_AUGMENT, epoch, sample);
}

bool augment_flip(const struct rng *rng)
{
    return rng_unit(rng, DRAW_FLIP) < 0.5;
}

/* A uniform integer in [0, n). */
static int64_t draw_below(const struct rng *rng, uint64_t draw, int64_t n)
{
    return (int64_t)(rng_unit(rng, draw) * (double)n);
}

static double draw_between(const struct rng *rng, uint64_t draw, double low,
                           double high)
{
    return low + (high - low) * rng_unit(rng, draw);
}

struct box augment_random_crop(const struct rng *rng, int height, int width, int pad,
                               int h, int w)
{
    /* A line of pixels, resized, is so long that only its padded length overflows. */
    const int64_t below = INT64_C(2) * pad + 1;
    const int64_t top = draw_below(rng, DRAW_TOP, height + below - h);
    const int64_t left = draw_below(rng, DRAW_LEFT, width + below - w);
    return (struct box){(int)(top - pad), (int)(left - pad), h, w};
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
        box.top = (int)draw_below(rng, DRAW_TOP, height - box.height + 1);
        box.left = (int)draw_below(rng, DRAW_LEFT, width - box.width + 1);
        return box;
    }
    return largest_centred(height, width);
}

bool augment_erasing(const struct rng *rng, double probability, int height, int width,
                     struct box *box)
{
    if (rng_unit(rng, DRAW_ERASE) >= probability)
        return false;
    for (uint64_t n = 0; n < N_TRIES; n++) {
        uint64_t draw = DRAW_ERASE_TRIES + 2 * n;
        double area =
            (double)height * width * draw_between(rng, draw, min_erased, max_erased);
        double ratio = exp(
            draw_between(rng, draw + 1, log(min_erased_ratio), log(max_erased_ratio)));
        int h = (int)lrint(sqrt(area * ratio)), w = (int)lrint(sqrt(area / ratio));
        if (h >= height || w >= width)
            continue;
        *box = (struct box){(int)draw_below(rng, DRAW_ERASE_TOP, height - h + 1),
                            (int)draw_below(rng, DRAW_ERASE_LEFT, width - w + 1), h, w};
        return true;
    }
    return false;
}

struct augment_jitter augment_jitter(const struct rng *rng,
                                     const struct augment *augment)
{
    const double strength[] = {augment->brightness, augment->contrast,
                               augment->saturation, augment->hue};
    enum augment_adjustment order[] = {AUGMENT_BRIGHTNESS, AUGMENT_CONTRAST,
                                       AUGMENT_SATURATION, AUGMENT_HUE};
    struct augment_jitter jitter = {0};
    for (int i = N_AUGMENT_ADJUSTMENTS - 1; i > 0; i--) {
        int64_t j = draw_below(rng, DRAW_ORDER + (uint64_t)i, i + 1);
        enum augment_adjustment other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
    for (int i = 0; i < N_AUGMENT_ADJUSTMENTS; i++) {
        enum augment_adjustment kind = order[i];
        double v = strength[kind], middle = kind == AUGMENT_HUE ? 0 : 1;
        double low = kind == AUGMENT_HUE ? -v : fmax(0, 1 - v);
        if (v <= 0)
            continue;
        jitter.kind[jitter.n] = kind;
        jitter.factor[jitter.n++] =
            (float)draw_between(rng, DRAW_FACTOR + (uint64_t)kind, low, middle + v);
    }
    return jitter;
}

struct augment_trivial augment_trivial(const struct rng *rng)
{
    return (struct augment_trivial){
        .op = (enum trivial_op)draw_below(rng, DRAW_TRIVIAL, N_TRIVIAL_OPS),
        .bin = (int)draw_below(rng, DRAW_TRIVIAL_BIN, N_TRIVIAL_BINS),
        .negative = draw_below(rng, DRAW_TRIVIAL_SIGN, 2) == 1};
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
