/* The speed of a core at what training mostly is. */
#ifndef ONEDNN_GEMM_H
#define ONEDNN_GEMM_H

#include "base/status.h"

/* Multiplies matrices on the calling thread and its OpenMP team for so many seconds.
 * Local. MEMORY, LIBRARY. */
convoy_status dnn_gemm_speed(double seconds, double *flop_a_s);

#endif
