/* The table of a recipe's keys: the one place that knows paths, types, defaults, ranges
 * and help. */
#ifndef RECIPE_RECIPE_KEYS_H
#define RECIPE_RECIPE_KEYS_H

#include "recipe/recipe.h"

#include <stddef.h>

enum recipe_type {
    RECIPE_TEXT,    /* char *, owned */
    RECIPE_INT,     /* int */
    RECIPE_U64,     /* uint64_t */
    RECIPE_FLOAT,   /* double */
    RECIPE_BOOL,    /* bool */
    RECIPE_CHOICE,  /* an enum: index into choices */
    RECIPE_THREADS, /* int; "auto" is 0 */
    RECIPE_OUT,     /* int; "classes" is 0 */
    RECIPE_NUMBERS, /* struct recipe_numbers */
    RECIPE_TEXTS,   /* struct recipe_texts */
    RECIPE_SCALES,  /* struct recipe_scales */
    RECIPE_NETWORK  /* struct recipe_network *, owned */
};

/* Which ends of a range do not belong to it. */
enum { RECIPE_ABOVE_MIN = 1, RECIPE_BELOW_MAX = 2 };

enum { RECIPE_PATH_SIZE = 128, RECIPE_EXPECTS_SIZE = 160 };

struct recipe_key {
    const char *path; /* "data.augment.flip" */
    enum recipe_type type;
    size_t offset;              /* in convoy_recipe, or in recipe_options */
    const char *default_text;   /* as YAML; NULL: the key is required */
    double min, max;            /* RECIPE_INT, RECIPE_FLOAT, RECIPE_NUMBERS,
                                   RECIPE_SCALES; a default of 0 or -1 is always
                                   allowed */
    int open;                   /* RECIPE_ABOVE_MIN | RECIPE_BELOW_MAX */
    const char *const *choices; /* RECIPE_CHOICE; NULL-terminated */
    const char *help;           /* one line */
};

int recipe_n_keys(void);

/* 0 <= i < recipe_n_keys(); keys of one section stand together. */
const struct recipe_key *recipe_key_at(int i);

/* The index of the key path, or -1. */
int recipe_key_find(const char *path);

/* Whether path is a section: the beginning of longer keys. */
bool recipe_is_section(const char *path);

/* The key or section that path was most likely meant to be, in out. */
void recipe_nearest(const char *path, char out[RECIPE_PATH_SIZE]);

/* How little path looks like known: slips to turn one into the other. */
int recipe_unlikeness(const char *path, const char *known);

/* Whether the default of a number lies outside its range and so has a meaning of its
 * own: every such default is 0 or -1. */
bool recipe_default_is_special(const struct recipe_key *key);

/* What values the key takes: "a number at least 0 and below 1". */
void recipe_key_expects(const struct recipe_key *key, char out[RECIPE_EXPECTS_SIZE]);

#endif
