/* ImageNet's development kit (ILSVRC2012_devkit_t12): the classes, and of the
 * validation images which class each is of. */
#ifndef PACKING_DEVKIT_H
#define PACKING_DEVKIT_H

#include "packing/texts.h"

#include <stdint.h>

/* Start with {0}. */
struct devkit {
    struct texts wnids; /* "n01440764", …: the synsets without children, in byte order,
                           so that their numbers here are torchvision's class indices */
    int32_t *labels;    /* [n_images] of validation image 1, 2, …: number in wnids */
    uint64_t n_images;
};

/* Reads the kit from its archive (packed or not) or its folder. Errors: IO, FORMAT. */
convoy_status devkit_read(const char *path, struct devkit *devkit);

/* It is then {0}. */
void devkit_free(struct devkit *devkit);

#endif
