/* The random choices of augmentation, and the boxes that crops cut out. */
#ifndef LOAD_AUGMENT_H
#define LOAD_AUGMENT_H

#include "base/rng.h"

#include <stdbool.h>

/* A part of an image in its pixels. Where top or left is negative, or the box reaches
 * over the other edge, it takes in padding. */
struct box {
    int top, left, height, width;
};

/* How RandomResizedCrop is made. Scaled: a JPEG may be decoded at 1/2, 1/4 or 1/8 of
 * its resolution where the crop needs no more. */
enum augment_crop { AUGMENT_CROP_OFF, AUGMENT_CROP_SCALED, AUGMENT_CROP_EXACT };

/* What is done to samples in training. Values are torchvision's parameters. */
struct augment {
    enum augment_crop resized_crop; /* RandomResizedCrop: area 0.08-1, ratio 3/4-4/3 */
    int pad;   /* random crop from the image padded by so many zeros (0: no pad);
                  evaluating: how much smaller than h x w a raw record may be */
    bool flip; /* left and right, with probability 1/2 */
    double brightness, contrast, saturation, hue; /* ColorJitter's; 0: unchanged */
    double erasing; /* RandomErasing: probability; area 0.02-0.33, ratio 0.3-3.3 */
    bool trivial;   /* TrivialAugmentWide */
    double mixup, cutmix; /* α of the shares' Beta(α, α); 0: off (mixing.h) */
    int repeats;          /* samples of one record, each augmented by itself; 0: 1 */
};

/* A record's number, less than 2^32, and which of its samples of one epoch is meant. */
static inline uint64_t augment_sample(uint64_t record, int repetition)
{
    return record | (uint64_t)repetition << 32;
}

/* All choices for one sample of one epoch: a function of these three alone. sample: of
 * augment_sample; a record's first one is called as the record. */
struct rng augment_stream(uint64_t seed, uint64_t epoch, uint64_t sample);

/* True for one sample in two. */
bool augment_flip(const struct rng *rng);

/* torchvision's RandomCrop(h x w, padding=pad): each position within the padded image
 * is equally likely. image: height x width, at least h - 2·pad and w - 2·pad. */
struct box augment_random_crop(const struct rng *rng, int height, int width, int pad,
                               int h, int w);

/* torchvision's RandomErasing with its default scale and ratio, in an image of height x
 * width: true for a sample that loses *box, false for one that stays whole. */
bool augment_erasing(const struct rng *rng, double probability, int height, int width,
                     struct box *box);

/* One of torchvision's ColorJitter's four adjustments. */
enum augment_adjustment {
    AUGMENT_BRIGHTNESS,
    AUGMENT_CONTRAST,
    AUGMENT_SATURATION,
    AUGMENT_HUE,
    N_AUGMENT_ADJUSTMENTS
};

/* A sample's adjustments, in the order in which they are made. */
struct augment_jitter {
    int n;
    enum augment_adjustment kind[N_AUGMENT_ADJUSTMENTS];
    float factor[N_AUGMENT_ADJUSTMENTS]; /* as adjust_brightness … adjust_hue take it */
};

/* torchvision's ColorJitter: factors uniform in [max(0, 1 - v), 1 + v], for hue in
 * [-v, v], in random order; where v is 0 there is no such adjustment. */
struct augment_jitter augment_jitter(const struct rng *rng,
                                     const struct augment *augment);

/* TrivialAugmentWide's operations, in the order in which torchvision lists them. */
enum trivial_op {
    TRIVIAL_IDENTITY,
    TRIVIAL_SHEAR_X,
    TRIVIAL_SHEAR_Y,
    TRIVIAL_TRANSLATE_X,
    TRIVIAL_TRANSLATE_Y,
    TRIVIAL_ROTATE,
    TRIVIAL_BRIGHTNESS,
    TRIVIAL_COLOR,
    TRIVIAL_CONTRAST,
    TRIVIAL_SHARPNESS,
    TRIVIAL_POSTERIZE,
    TRIVIAL_SOLARIZE,
    TRIVIAL_AUTOCONTRAST,
    TRIVIAL_EQUALIZE,
    N_TRIVIAL_OPS
};
enum { N_TRIVIAL_BINS = 31 };

/* A sample's operation: any of them, of any of 31 strengths, in either direction; what
 * an operation has no use for says nothing. */
struct augment_trivial {
    enum trivial_op op;
    int bin; /* from 0 to below N_TRIVIAL_BINS */
    bool negative;
};
struct augment_trivial augment_trivial(const struct rng *rng);

/* torchvision's RandomResizedCrop with its default scale and ratio: a box within the
 * image. */
struct box augment_resized_crop(const struct rng *rng, int height, int width);

/* What torchvision's Resize(shorter) makes of an image of height x width: the longer
 * side is cut to a whole number. Sides of a JPEG or PNG and a shorter up to
 * AUGMENT_MAX_RESIZE cannot overflow. */
enum { AUGMENT_MAX_RESIZE = 32767 };
void augment_resized_size(int height, int width, int shorter, int *new_height,
                          int *new_width);

/* torchvision's CenterCrop(h x w); where the image is smaller, the box reaches over its
 * edges. */
struct box augment_centre_crop(int height, int width, int h, int w);

#endif
