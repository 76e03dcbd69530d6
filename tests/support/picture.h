/* Small synthetic pictures for tests. */
#ifndef SUPPORT_PICTURE_H
#define SUPPORT_PICTURE_H

#include "base/memory.h"
#include "image/image.h"

#include <stdbool.h>
#include <stdlib.h>

/* A smooth picture (JPEG keeps it well) that differs in every direction, channel and
 * seed. Free with image_free. */
static inline struct image picture_make(int width, int height, int channels, int seed)
{
    struct image image = {.width = width, .height = height, .channels = channels};
    image.capacity = (size_t)width * (size_t)height * (size_t)channels;
    if (mem_alloc(image.capacity, (void **)&image.pixels) != CONVOY_OK)
        abort();
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                int value = 40 + (x * (3 - c) * 40) / width +
                            (y * (c + 1) * 20) / height + seed % 7;
                image.pixels[(y * width + x) * channels + c] = (uint8_t)value;
            }
    return image;
}

/* The largest difference between two images; 256 where the shapes differ. */
static inline int picture_distance(const struct image *a, const struct image *b)
{
    if (a->width != b->width || a->height != b->height || a->channels != b->channels)
        return 256;
    int largest = 0;
    for (int i = 0; i < a->width * a->height * a->channels; i++) {
        int d = abs(a->pixels[i] - b->pixels[i]);
        largest = d > largest ? d : largest;
    }
    return largest;
}

#endif
