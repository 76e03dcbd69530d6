/* The grid of a loss landscape and its file, surface.h5: names and meanings are those
 * of the code that Li et al. published (loss-landscape, h5 files), so its plotting
 * scripts read it.
 *
 *     xcoordinates [n_x], ycoordinates [n_y]   f64; a line has no ycoordinates
 *     train_loss, train_acc                    f64 [n_y, n_x], of a line [n_x]; loss is
 *                                              the mean cross-entropy, acc in percent;
 *                                              -1: not computed yet
 *     landscape    attribute of the root: all that decides the numbers, in lines
 *
 * Local, all of it. */
#ifndef SEE_LANDSCAPE_SURFACE_H
#define SEE_LANDSCAPE_SURFACE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Start with {0}; free with landscape_surface_free. */
struct landscape_surface {
    int n_x, n_y; /* n_y: 1 of a line */
    bool is_line;
    double *x, *y;   /* [n_x], [n_y] coordinates */
    double *loss;    /* [n_y, n_x] */
    double *percent; /* [n_y, n_x] right at first */
    char *facts;     /* what decides the numbers: lines "name\tvalue\n" */
};

/* n coordinates a side from low to high, nothing computed yet. facts: copied. Errors:
 * MEMORY. */
convoy_status landscape_surface_make(int n, double low, double high, bool is_line,
                                     const char *facts,
                                     struct landscape_surface *surface);

size_t landscape_surface_n(const struct landscape_surface *surface);

/* Whether point i, 0 <= i < n, has its numbers, which may be infinite or none. */
bool landscape_surface_has(const struct landscape_surface *surface, size_t i);

/* Takes the points that the file at path has; where there is no file, that is fine.
 * Errors: ARGUMENT (it holds another landscape: the text has the first fact that
 * differs), FORMAT, IO, MEMORY. */
convoy_status landscape_surface_read(const char *path,
                                     struct landscape_surface *surface);

/* A surface from the file at path, whatever landscape it is of, with at most as many
 * points a side as CONVOY_LANDSCAPE_MAX_POINTS. *surface: {0} before, to be freed on
 * error, too. Errors: FORMAT, IO, MEMORY. */
convoy_status landscape_surface_open(const char *path,
                                     struct landscape_surface *surface);

/* Writes the file: path is the old one or the whole new one. What it holds depends on
 * the numbers alone. Errors: IO, MEMORY. */
convoy_status landscape_surface_write(const struct landscape_surface *surface,
                                      const char *path);

/* Takes one that is half made. */
void landscape_surface_free(struct landscape_surface *surface);

#endif
