/* Mixup and cutmix: what a microbatch's samples take of each other. */
#ifndef LOAD_MIXING_H
#define LOAD_MIXING_H

#include "load/augment.h"

#include <stddef.h>

/* What is done to one microbatch, the same to all of its samples. */
struct mixing {
    bool cuts;      /* cutmix: the box is the partner's. false: the mean of the two */
    float share;    /* of a sample's own in its pixels and its label, 0 to 1 */
    struct box box; /* cutmix */
};

/* Whether samples are mixed at all. */
bool mixing_is_on(const struct augment *augment);

/* The choices for one microbatch of an epoch: a function of seed, epoch and its number
 * within the epoch, counted over all ranks. In images of height x width. Where both
 * ways are on, each has one half of the microbatches. */
struct mixing mixing_draw(const struct augment *augment, uint64_t seed, uint64_t epoch,
                          uint64_t microbatch, int height, int width);

/* A microbatch's samples and labels. Label -1: no sample. */
struct mixing_rows {
    int n;
    int channels, height, width;
    float *values;     /* [n, channels, height, width] */
    int32_t *labels;   /* [n]; after mixing: the label with the larger share */
    int32_t *partners; /* [n], written: the other one */
    float *shares;     /* [n], written: of labels, 0.5 to 1 */
};

/* Mixes each sample with the one before it, the first with the last. Where either of
 * the two is none, the sample stays as it is: its share is 1. */
void mixing_apply(const struct mixing *mixing, const struct mixing_rows *rows);

#endif
