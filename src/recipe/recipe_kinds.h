/* What can stand in a recipe's network: kinds of layers and their options. */
#ifndef RECIPE_RECIPE_KINDS_H
#define RECIPE_RECIPE_KINDS_H

#include "recipe/recipe_keys.h"

/* Of an entry; 0 stands for the layer's own default where net.h says so. */
struct recipe_options {
    int out; /* 0: as many as there are classes */
    int kernel, stride, pad, dilation, groups;
    bool bias;
    int init, bias_init; /* enum convoy_init */
    double epsilon, momentum;
    bool zero_init, ceil_mode, exclude_pad;
    int size;
    double alpha, beta, k;
    double p;
    int channels, height, width;
};

struct recipe_kind {
    const char *name;
    int min_from, max_from;       /* inputs */
    const struct option *options; /* [n_options], offsets in recipe_options */
    int n_options;
};

int recipe_n_kinds(void);

/* 0 <= i < recipe_n_kinds() */
const struct recipe_kind *recipe_kind_at(int i);

/* NULL: none. */
const struct recipe_kind *recipe_kind_find(const char *name);

/* The index of a kind's option, or -1. */
int recipe_option_find(const struct recipe_kind *kind, const char *name);

/* The kind, or word of an entry ("as", …), that name was most likely meant to be. */
const char *recipe_kind_nearest(const char *name);

/* The option of kind that name was most likely meant to be; kind has options. */
const char *recipe_option_nearest(const struct recipe_kind *kind, const char *name);

#endif
