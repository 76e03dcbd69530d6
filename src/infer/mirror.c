/* A net that was trained on images and their mirror images says of both about the same;
 * the mean of the two has less chance in it. As torchvision's and ffcv's evaluations do
 * it, logits are what is averaged: a sum gives the same classes, and a mean also losses
 * and probabilities that compare with those of one image. */
#include "infer/mirror.h"

#include <stdint.h>

static void turn_row(uint32_t *row, size_t width)
{
    for (size_t i = 0, j = width - 1; i < j; i++, j--) {
        const uint32_t value = row[i];
        row[i] = row[j];
        row[j] = value;
    }
}

static void turn_row_of_halves(uint16_t *row, size_t width)
{
    for (size_t i = 0, j = width - 1; i < j; i++, j--) {
        const uint16_t value = row[i];
        row[i] = row[j];
        row[j] = value;
    }
}

void mirror_rows(void *rows, size_t n, int width, size_t value_bytes)
{
    const size_t w = (size_t)width;
    for (size_t r = 0; r < n; r++) {
        if (value_bytes == sizeof(uint32_t))
            turn_row((uint32_t *)rows + r * w, w);
        else
            turn_row_of_halves((uint16_t *)rows + r * w, w);
    }
}

void mirror_mean(float *values, const float *others, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (values[i] + others[i]) / 2;
}
