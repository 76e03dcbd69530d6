/* TrivialAugmentWide (Müller and Hutter 2021) as torchvision makes it of Pillow's
 * images: the same pixels. */
#ifndef LOAD_TRIVIAL_H
#define LOAD_TRIVIAL_H

#include "load/augment.h"

#include <stddef.h>

/* Planes of u8: [channels, height, width], of 1 or 3 channels. */
struct trivial_image {
    const uint8_t *pixels;
    int channels, height, width;
};

/* Writes the image after the operation, each value by way of its channel's table, to
 * out: [channels, height, width]. room: as many bytes as the image has. */
void trivial_write(const struct augment_trivial *drawn,
                   const struct trivial_image *image, uint8_t *room,
                   const float (*table)[256], float *out);

/* The operation's strength as torchvision has it: a shear, pixels, degrees, what is
 * added to a factor of 1, bits, or a threshold; 0 where there is none. */
double trivial_magnitude(const struct augment_trivial *drawn);

/* The parts. Each writes to `to`, as large as the image, all of it. */

/* Shears, translations and rotations: the nearest pixel, 0 where there is none. */
void trivial_move(enum trivial_op op, double magnitude,
                  const struct trivial_image *image, uint8_t *to);

/* Color and Sharpness, whose factor is 1 + magnitude. */
void trivial_color(double magnitude, const struct trivial_image *image, uint8_t *to);
void trivial_sharpness(double magnitude, const struct trivial_image *image,
                       uint8_t *to);

/* map[v]: what value v of channel c becomes, for operations that look at each value by
 * itself; for others v. */
void trivial_map(enum trivial_op op, double magnitude,
                 const struct trivial_image *image, int c, uint8_t map[256]);

#endif
