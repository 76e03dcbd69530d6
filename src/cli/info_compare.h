/* The part of convoy info that compares kinds of layers, of models and of recipes. */
#ifndef CLI_INFO_COMPARE_H
#define CLI_INFO_COMPARE_H

#include <convoy/net.h>

#include <stdbool.h>

/* A net as it was asked for. */
struct info_comparison {
    const char *model; /* its name, or a recipe's */
    const int *shape;  /* [3], of its input */
    int classes;
    const convoy_net *net;
    const char *layer; /* NULL: all that have weights */
    bool json;
};

/* Prints how many weights fully connected, locally connected and convolutional layers
 * would need in the place of each layer, or of one with the sums written out; an exit
 * status. */
int info_compare(const struct info_comparison *c);

#endif
