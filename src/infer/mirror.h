/* Images left to right, and the mean of what a net says of both (eval.flip). */
#ifndef INFER_MIRROR_H
#define INFER_MIRROR_H

#include <stddef.h>

/* Turns n rows of width values around, in place; value_bytes: 2 or 4. */
void mirror_rows(void *rows, size_t n, int width, size_t value_bytes);

/* values [n] become the means of themselves and others [n]. */
void mirror_mean(float *values, const float *others, size_t n);

#endif
