/* What a net has learnt and what it sees, as pictures: what `convoy show` does.
 *
 * Each function writes into what its options name: PNG files, one HTML page that needs
 * nothing but a browser, and the numbers behind the pictures as an HDF5 file. Images
 * are prepared as convoy_eval_run prepares them, and the net is taken as it evaluates:
 * batch norm by its running statistics, no dropout. A score is a class' logit, the
 * input of the softmax. Computed in f32 in the calling thread and the OpenMP threads
 * that it has. Local, all of it.
 *
 * Errors of all: ARGUMENT (options that do not fit, a layer or class that the net does
 * not have; the text names it and what there is), FORMAT (no checkpoint, no pack, no
 * image, or damaged), IO, MEMORY, LIBRARY. What had been written before stays. */
#ifndef CONVOY_SHOW_H
#define CONVOY_SHOW_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where to write, {0} but for at least one of the first three, which may all be given.
 * Files that are there are replaced only where they are of the same kind. */
typedef struct convoy_show_options {
    const char *output; /* PNG files: a folder, made if missing, or, of a name that ends
                           in ".png", the one file that there is to write */
    const char *html;   /* the page */
    const char *values; /* the HDF5 file, f32 but where something else is said */

    bool ema; /* the averaged weights that the checkpoint has beside its own */
    const char *const *layers; /* [n_layers] names, as convoy info has them */
    int n_layers;              /* 0: as each function chooses */
    const char *class_name; /* a class' name or its number; NULL: the most probable */

    /* In place of an image file: a record of a pack. */
    const char *pack;
    uint64_t record;

    int window, stride; /* of convoy_show_occlusion, in pixels; 0: a fifth of the
                           shorter side, and a quarter of the window; stride is at
                           most window */
    int n; /* samples to show: convoy_show_samples 0: 64; convoy_show_confusion, of the
              worst and the best: 0: 24 */

    /* Told each line of the outcome, and each file once it is there; NULL: not. */
    void (*say)(void *context, const char *line);
    void (*wrote)(void *context, const char *path);
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
} convoy_show_options;

/* The kernels of convolutions, layers in the net's order, as grids of pictures, each
 * scaled by itself: those of 3 input channels in colour, red, green and blue of a
 * kernel scaled together. Layers: those named, else all whose kernels have more than
 * one pixel. Of a fully connected layer on the image itself the weights of each output,
 * as images. Values: /kernels/<layer>. */
convoy_status convoy_show_kernels(const char *weights,
                                  const convoy_show_options *options);

/* The maps that layers make of an image. Layers: those named, else the last of each
 * size of map, blurs aside. image may be NULL, then options' record is taken; so in the
 * next ones. Values: /activations/<layer> [c, h, w], /input [c, h, w],
 * /logits [classes]. */
convoy_status convoy_show_activations(const char *weights, const char *image,
                                      const convoy_show_options *options);

/* Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): where a layer's maps speak for
 * the class: max(0, Σ_k alpha_k · map_k), alpha_k the mean over pixels of
 * d score / d map_k. Layer: the one named, else the last whose maps have more than one
 * pixel. Values: /cam [h, w] of the layer, /alpha [c], /input, /logits. */
convoy_status convoy_show_cam(const char *weights, const char *image,
                              const convoy_show_options *options);

/* Saliency (Simonyan et al. 2014, section 3.1): the largest |d score / d value| over
 * the channels of each pixel, by the normalised values that the net takes. Values:
 * /saliency [h, w], /gradient [c, h, w], /input, /logits. */
convoy_status convoy_show_saliency(const char *weights, const char *image,
                                   const convoy_show_options *options);

/* Occlusion (Zeiler and Fergus 2014, section 4.2): how much of the class' probability
 * is lost where a square of the mean colour hides a part of the image. Values:
 * /probability [rows, columns] with the square at (row · stride, column · stride), the
 * last ones at the edge, /loss [h, w]: the mean loss over the squares that hide a
 * pixel, /input, /logits. */
convoy_status convoy_show_occlusion(const char *weights, const char *image,
                                    const convoy_show_options *options);

/* What the net takes for what, over a whole pack: the matrix, the pairs that it
 * confuses most, and the samples that it is most wrong and most right about. Values:
 * /confusion i32 [classes, classes], row: true class, column: the net's. */
convoy_status convoy_show_confusion(const char *weights, const char *data,
                                    const convoy_show_options *options);

/* A contact sheet of samples spread evenly over a pack, or with recipe (a file's path;
 * NULL: none) of the first ones that training by it sees: cropped, changed and mixed.
 * Values: /samples [n, c, h, w] as the net takes them (without a recipe: from 0 to 1),
 * /labels i32 [n]. */
convoy_status convoy_show_samples(const char *data, const char *recipe,
                                  const convoy_show_options *options);

#ifdef __cplusplus
}
#endif
#endif
