/* The loss around a net: what `convoy landscape` does. */
#ifndef CONVOY_LANDSCAPE_H
#define CONVOY_LANDSCAPE_H

#include <convoy/status.h>
#include <convoy/world.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CONVOY_LANDSCAPE_MAX_POINTS = 1001 };

/* {0} is the default. */
typedef struct convoy_landscape_options {
    int points;       /* a side, 2 to CONVOY_LANDSCAPE_MAX_POINTS; 0: 51 */
    double low, high; /* the coordinates' range on both axes; both 0: -1 to 1 */
    bool line;        /* along the first direction only */
    uint64_t seed;    /* of the directions */
    uint64_t samples; /* of the pack, evenly over it, at least so many: as many more as
                         fill the last microbatch, at most what it has; 0: all */
    bool ema;         /* around the averaged weights of the checkpoint */
    int lanes;        /* microbatches at a time on each rank; 0: as its cores allow */
    int threads;      /* OpenMP threads of a lane; 0: the checkpoint's */
    int microbatch;   /* 0: the checkpoint's */
    const char *precision; /* "f32" or "bf16"; NULL: the checkpoint's recipe's */
    /* on rank 0: points that are there, of all; may be NULL */
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_landscape_options;

typedef struct convoy_landscape_result {
    uint64_t n_points;
    uint64_t n_before;     /* of them, those that the folder had already */
    uint64_t n_samples;    /* that a loss is the mean over, damaged ones included */
    uint64_t n_not_finite; /* points whose loss is no finite number */
    /* Of the point nearest to the net itself, a distance from it in coordinates: */
    double centre_distance; /* 0: the net itself, as where the number of points is odd
                               and the range symmetrical */
    double centre_loss;
    double centre_top1; /* share, 0 to 1 */
    double least, most; /* loss, of the finite ones; not a number: there are none */
} convoy_landscape_result;

/* Evaluates the checkpoint weights on the pack data at every point of a line or a plane
 * through its weights (Li et al., "Visualizing the Loss Landscape of Neural Nets",
 * NeurIPS 2018): two random directions, each filter of them scaled to the length of the
 * weights' filter, norms and biases 0, running statistics as they are. Samples
 * are prepared as in convoy_eval_run.
 *
 * Each rank evaluates points by itself, in slices whose order is fixed; what a point
 * comes to, and so the files, do not depend on the number of ranks. Into folder, which
 * is made where it is not there, rank 0 writes
 *
 *     directions.h5   the directions, as f32 datasets xdirection/NAME, ydirection/NAME
 *     surface.h5      xcoordinates, ycoordinates; train_loss, train_acc (percent)
 *                     [y, x]; of a line [x], without ycoordinates
 *
 * surface.h5 is written every few seconds, with -1 for what is still to come: called
 * again, with any number of ranks, the rest is computed.
 *
 * Collective. options may be NULL. *result is the same on every rank. Errors: those of
 * convoy_eval_run; ARGUMENT (options out of range, surface.h5 in folder is another
 * landscape's, or directions.h5 something else). */
convoy_status convoy_landscape_run(convoy_world *world, const char *weights,
                                   const char *data, const char *folder,
                                   const convoy_landscape_options *options,
                                   convoy_landscape_result *result);

/* Draws what surface.h5 in folder holds, be it a part: contours.svg and surface.svg
 * beside it, of a line line.svg, by gnuplot. Drawings end at the loss top, what is
 * above it is cut off there, and begin at a fiftieth of it; 0: they end at the highest
 * loss, or 10^4 times the lowest. It starts a process, which MPI does not bear
 * everywhere: best after convoy_world_destroy. Local. Errors: IO (no loss lies
 * below the top, there is no gnuplot, or it failed: the text says how), ARGUMENT (top),
 * FORMAT (no such file, or damaged), MEMORY. */
convoy_status convoy_landscape_draw(const char *folder, double top);

#ifdef __cplusplus
}
#endif
#endif
