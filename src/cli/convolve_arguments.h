/* The command line of `convoy convolve`. */
#ifndef CLI_CONVOLVE_ARGUMENTS_H
#define CLI_CONVOLVE_ARGUMENTS_H

#include <convoy/convolve.h>

/* Of image, signal and demo one is set. */
struct convolve_arguments {
    const char *image;         /* or a matrix; with kernel or pool */
    const char *kernel, *pool; /* pool: "max" or "average" */
    const char *signal, *with;
    const char *demo;
    const char *output; /* NULL: none */
    const char *pair;   /* an option that got two numbers, or NULL */
    bool grey, numbers, scale, explains, is_padded;
    int channel;        /* -1: all */
    int window_size[2]; /* of pooling */
    int at[2];          /* row and column to explain */
    convoy_window window;
};

/* Reads and checks it; *arguments begin with {0}. Returns CLI_DONE, or CLI_USAGE after
 * a message. */
int convolve_arguments_parse(int argc, char **argv,
                             struct convolve_arguments *arguments);

#endif
