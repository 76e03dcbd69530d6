/* The first or middle channels of a tensor, as a tensor of its own in the same memory.
 */
#ifndef LAYER_SLICE_H
#define LAYER_SLICE_H

#include "layer/layer.h"

/* A view of channels [offset, offset + part's channels) of t, part: its shape. Where
 * t's layout cannot be cut there, fails with UNSUPPORTED. */
convoy_status slice_channels(struct layer_build *b, tensor t, int64_t offset,
                             const struct shape *part, tensor *out);

#endif
