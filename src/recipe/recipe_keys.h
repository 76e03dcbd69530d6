/* The table of a recipe's keys: the one place that knows paths, types, defaults, ranges
 * and help. */
#ifndef RECIPE_RECIPE_KEYS_H
#define RECIPE_RECIPE_KEYS_H

#include "base/option.h"
#include "recipe/recipe.h"

enum { RECIPE_PATH_SIZE = 128 };

int recipe_n_keys(void);

/* 0 <= i < recipe_n_keys(); keys of one section stand together. */
const struct option *recipe_key_at(int i);

/* The index of the key path, or -1. */
int recipe_key_find(const char *path);

/* Whether path is a section: the beginning of longer keys. */
bool recipe_is_section(const char *path);

/* The key or section that path was most likely meant to be, in out. */
void recipe_nearest(const char *path, char out[RECIPE_PATH_SIZE]);

/* How little path looks like known: slips to turn one into the other. */
int recipe_unlikeness(const char *path, const char *known);

#endif
