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

/* All choices for one sample of one epoch: a function of these three alone. */
struct rng augment_stream(uint64_t seed, uint64_t epoch, uint64_t record);

/* True for one sample in two. */
bool augment_flip(const struct rng *rng);

/* torchvision's RandomCrop(h x w, padding=pad): each position within the padded image
 * is equally likely. image: height x width, at least h - 2·pad and w - 2·pad. */
struct box augment_random_crop(const struct rng *rng, int height, int width, int pad,
                               int h, int w);

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
