/* A plane, or a line, through a net's weights along random directions.
 *
 *     w(x, y) = w + x d + y e
 *
 * Source: Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural
 * Nets" (NeurIPS 2018), section 4: values of d and e are standard normal, then each
 * filter of them (all values behind one index of the first dimension: what makes one
 * output channel) is scaled to the length of the same filter of w. Norms and biases
 * have direction 0, running statistics none. */
#ifndef SEE_LANDSCAPE_PLANE_H
#define SEE_LANDSCAPE_PLANE_H

#include "base/lanes.h"
#include "net/net.h"

enum { LANDSCAPE_MAX_AXES = 2 };

/* Start with {0}; free with landscape_plane_free. Arrays lie like the net's arena of
 * parameters. */
struct landscape_plane {
    const convoy_net *net; /* borrowed */
    struct lanes *lanes;   /* borrowed */
    size_t n;
    int n_axes;
    float *centre;                    /* w [n] */
    float *along[LANDSCAPE_MAX_AXES]; /* d and e, [n] each */
};

/* Bytes that a plane of the net, which need not be compiled, takes about. Local. */
uint64_t landscape_plane_bytes(const convoy_net *net, int n_axes);

/* Takes the compiled net's weights as the centre and draws directions: values depend on
 * seed, axis and the parameter's name alone, so they are the same on all ranks. 1 or 2
 * axes. net and lanes are borrowed until landscape_plane_free. Local. Errors: MEMORY,
 * LIBRARY. */
convoy_status landscape_plane_make(const convoy_net *net, struct lanes *lanes,
                                   uint64_t seed, int n_axes,
                                   struct landscape_plane *plane);

/* The net's weights become those at this point, [n_axes]: computed in double and
 * rounded once. At 0 they are the centre's to the last bit. Local. */
void landscape_plane_go(const struct landscape_plane *plane, const double *at);

/* Writes the directions to a new HDF5 file at path, which appears when it is whole:
 * f32 datasets xdirection/NAME and ydirection/NAME, a parameter each in canonical
 * layout (PyTorch's), and what they are as attributes of the root. Local. Errors:
 * ARGUMENT (there is another file, of something else), IO, MEMORY, LIBRARY. */
convoy_status landscape_plane_write(const struct landscape_plane *plane, uint64_t seed,
                                    const char *path);

/* Takes one that is half made. */
void landscape_plane_free(struct landscape_plane *plane);

#endif
