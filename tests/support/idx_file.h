/* Writes IDX files for tests. */
#ifndef SUPPORT_IDX_FILE_H
#define SUPPORT_IDX_FILE_H

#include "support/scratch.h"

#include <stdint.h>

/* Byte i of the elements is (i * 7 + i / 256) of a file of images; labels pass their
 * own elements. type: 8 for bytes. Elements: n_elements, whatever dims say. */
static inline int idx_write(const char *path, int type, int n_dims,
                            const uint32_t *dims, const uint8_t *elements,
                            size_t n_elements)
{
    size_t n = 4 + 4 * (size_t)n_dims;
    uint8_t *bytes = malloc(n + n_elements + 1);
    if (!bytes)
        return -1;
    memcpy(bytes, (uint8_t[4]){0, 0, (uint8_t)type, (uint8_t)n_dims}, 4);
    for (int d = 0; d < n_dims; d++)
        for (int b = 0; b < 4; b++)
            bytes[4 + 4 * d + b] = (uint8_t)(dims[d] >> (24 - 8 * b));
    for (size_t i = 0; i < n_elements; i++)
        bytes[n + i] = elements ? elements[i] : (uint8_t)(i * 7 + i / 256);
    int result = scratch_write(path, bytes, n + n_elements);
    free(bytes);
    return result;
}

/* n images of height x width and their labels i * 3 % n_classes, in folder. */
static inline int idx_write_set(const char *folder, uint32_t n, uint32_t height,
                                uint32_t width, int n_classes)
{
    uint8_t *labels = malloc(n + 1);
    if (!labels)
        return -1;
    for (uint32_t i = 0; i < n; i++)
        labels[i] = (uint8_t)(i * 3 % (uint32_t)n_classes);
    int bad =
        idx_write(scratch_path(folder, "train-images-idx3-ubyte"), 8, 3,
                  (uint32_t[3]){n, height, width}, NULL, (size_t)n * height * width) |
        idx_write(scratch_path(folder, "train-labels-idx1-ubyte"), 8, 1, &n, labels, n);
    free(labels);
    return bad;
}

#endif
