/* Colour adjustments of samples: torchvision's, of float images. */
#ifndef LOAD_JITTER_H
#define LOAD_JITTER_H

#include "load/augment.h"

#include <stddef.h>

/* Makes the adjustments in place. values: [channels, n], in [0, 1]; 1 or 3 channels, of
 * which 1 has neither saturation nor hue. Equals adjust_brightness, adjust_contrast,
 * adjust_saturation and adjust_hue of a float tensor up to rounding. */
void jitter_apply(const struct augment_jitter *jitter, float *values, int channels,
                  size_t n);

#endif
