/* Predicting: what `convoy predict` does. */
#ifndef CONVOY_PREDICT_H
#define CONVOY_PREDICT_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One of the classes that an image may be of. */
typedef struct convoy_class_probability {
    int index;
    const char *name; /* the index in digits where the weights come without names */
    double probability;
} convoy_class_probability;

/* What became of one image file. Borrowed for the call of visit. */
typedef struct convoy_prediction {
    const char *file;  /* as it was given */
    const char *error; /* NULL, or why there is no prediction; names the file */
    /* [n_top], most probable first; of equals the one with the lower index */
    const convoy_class_probability *top;
    int n_top; /* 0 where there is an error */
} convoy_prediction;

typedef struct convoy_predict_options {
    int top;     /* classes an image, at most as many as there are; 0: 5 */
    int lanes;   /* images at a time; 0: as many as this process has cores */
    int threads; /* OpenMP threads of a lane; 0: 1 */
    bool ema;    /* with the averaged weights that the checkpoint has beside its own */
} convoy_predict_options;

/* Predicts the classes of n JPEG or PNG files with the weights of a checkpoint. Local.
 * Images are prepared as convoy_eval_run prepares those of a pack. Calls visit(context,
 * prediction) for each file, in their order; a file that cannot be used is told so and
 * does not keep the others from theirs. A prediction does not depend on the files
 * beside it, nor on lanes; its last digits may on threads. options may be NULL.
 * Errors: IO, FORMAT (the weights: no checkpoint, damaged, or without the averaged ones
 * that are asked for), ARGUMENT, MEMORY,
 * LIBRARY; visit may have been called for some files before. */
convoy_status convoy_predict_run(const char *weights, const char *const *files,
                                 size_t n, const convoy_predict_options *options,
                                 void (*visit)(void *context,
                                               const convoy_prediction *prediction),
                                 void *context);

#ifdef __cplusplus
}
#endif
#endif
