/* Max pooling with windows that lie side by side: convoy's own loops, where oneDNN's
 * cost a quarter of a small net's step. */
#ifndef LAYER_TILE_POOL_H
#define LAYER_TILE_POOL_H

#include "layer/layer.h"

/* Whether window tiles src[0] (stride = kernel, no padding, no dilation, all of each
 * window on the map) and src[0] has channels side by side in memory: then the two below
 * do what pool_forward and pool_backward would, and the ReLU behind it too. */
bool tile_pool_fits(const struct layer_build *b, const struct layer_window *window);

convoy_status tile_pool_forward(struct layer_build *b,
                                const struct layer_window *window);
convoy_status tile_pool_backward(struct layer_build *b,
                                 const struct layer_window *window);

#endif
