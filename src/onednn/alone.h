/* A primitive by itself, on random data in layouts of its own choice: as fast as it can
 * be, to compare with where it stands in a program. */
#ifndef ONEDNN_ALONE_H
#define ONEDNN_ALONE_H

#include "onednn/primitive.h"

/* The same work as pd in the layouts that oneDNN likes best for it: a convolution or
 * inner product chooses all of its own, others have none better than theirs. For the
 * calling thread's number of OpenMP threads. The caller owns *best. LIBRARY. */
convoy_status alone_best(const struct dnn *dnn, dnnl_primitive_desc_t pd,
                         dnnl_primitive_desc_t *best);

/* Whether both do the same on the same layouts. */
bool alone_same(dnnl_primitive_desc_t a, dnnl_primitive_desc_t b);

/* Bytes of all tensors of pd together. */
size_t alone_bytes(dnnl_primitive_desc_t pd);

/* Seconds of one execution, by the clock and of the calling thread's CPU time. */
struct alone_time {
    double seconds, cpu_seconds;
};

/* Executes primitive, which is pd's, twice on random tensors in memory [alone_bytes],
 * aligned as mem_alloc does; *time is of the second time. Allocates little. LIBRARY. */
convoy_status alone_run(const struct dnn *dnn, dnnl_primitive_desc_t pd,
                        dnnl_primitive_t primitive, void *memory,
                        struct alone_time *time);

#endif
