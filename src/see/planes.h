/* Making planes. */
#ifndef SEE_PLANES_H
#define SEE_PLANES_H

#include <convoy/convolve.h>

#include <stddef.h>

/* The most rows and columns that a net's input can have. */
enum { PLANES_MAX_SIDE = 1 << 16 };

/* Values of all planes. */
size_t planes_size(const convoy_planes *planes);

/* Zeros. *planes is written on success only; free with convoy_planes_free. MEMORY. */
convoy_status planes_make(int n, int rows, int columns, convoy_planes *planes);

#endif
