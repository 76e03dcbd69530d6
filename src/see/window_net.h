/* Nets of a single layer that moves a window over planes. */
#ifndef SEE_WINDOW_NET_H
#define SEE_WINDOW_NET_H

#include <convoy/convolve.h>

#include "net/net.h"

struct window_net_options {
    const struct layer_kind *kind;
    const struct layer_attributes *told; /* what it is told; complete */
    int n, rows, columns;                /* planes, each a sample of one channel */
    const float *target; /* NULL: nothing is trained. Else of the layer's output, [n,
                            rows, columns]: the net's loss is the mean squared error.
                            Borrowed until the net's end */
};

/* Begin with {0}. */
struct window_net {
    convoy_net *net;
    struct compiled *compiled;
    int rows, columns; /* of the layer's output; it has one channel, which
                          compiled_logits gives: [n, rows, columns] */
};

/* Builds and compiles it; the parameters are zeros. *made is to be freed, also after an
 * error. Errors: ARGUMENT (the layer cannot have such planes, or be told so; the text
 * says why), MEMORY (not so much is left), LIBRARY. */
convoy_status window_net_create(const struct window_net_options *options,
                                struct window_net *made);
void window_net_free(struct window_net *made);

/* Sets the layer's weight [1, 1, kh, kw]. */
convoy_status window_net_set_weight(struct window_net *made, const float *weight);
convoy_status window_net_weight(const struct window_net *made, float *weight);

#endif
