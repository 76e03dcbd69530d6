/* The recipes of jobs/recipes/, which an installed program does not have beside it:
 * what a training of each has to compute. A test holds them against the files. */
#ifndef REPORT_SHIPPED_RECIPES_H
#define REPORT_SHIPPED_RECIPES_H

#include <stdint.h>

struct shipped_recipe {
    const char *name;  /* of jobs/recipes/NAME.yaml */
    const char *model; /* "network": the recipe's own */
    int shape[3];      /* of its images: [channels, height, width]; where the recipe has
                          a data.crop, height and width are that */
    int classes;
    uint64_t images; /* of an epoch */
    int epochs;
    uint64_t multiply_adds; /* of an image, forward; of sizes by epoch the mean */
};

enum { SHIPPED_IMAGENET_IMAGES = 1281167, SHIPPED_IMAGENET_EPOCHS = 90 };

/* The number of imagenet-resnet50. */
enum { SHIPPED_IMAGENET_RECIPE = 0 };

/* Recipe i, from 0; NULL past the last. Local. */
const struct shipped_recipe *shipped_recipe(int i);

#endif
