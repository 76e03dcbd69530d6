/* A layer that ends a net which is not for telling classes. */
#ifndef SEE_SQUARED_ERROR_H
#define SEE_SQUARED_ERROR_H

#include "layer/layer.h"

/* What squared_error_layer is told. */
struct squared_error {
    const float *target; /* [n, c, h, w], row-major; borrowed until the net's end, its
                            values may change. NULL: the error is 0 */
};

/* The mean squared error of each sample. Its input, whatever its shape, is what
 * compiled_logits gives: [n, c, h, w] in f32, row-major. */
extern const struct layer_kind squared_error_layer;

#endif
