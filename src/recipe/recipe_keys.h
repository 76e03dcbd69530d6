/* The table of a recipe's keys: the one place that knows paths, types, defaults, ranges
 * and help. A key such as optimizer.name chooses an owner of options from the
 * catalogue; these are keys too, of the recipes that choose it, and follow that key. */
#ifndef RECIPE_RECIPE_KEYS_H
#define RECIPE_RECIPE_KEYS_H

#include "base/option.h"
#include "recipe/recipe.h"

/* Makes the recipe's keys by what it has chosen so far; those that were are freed. */
convoy_status recipe_keys_make(convoy_recipe *recipe);

void recipe_keys_free(struct recipe_keys *keys);

int recipe_n_keys(const convoy_recipe *recipe);

/* 0 <= i < recipe_n_keys(); keys of one section stand together. */
const struct option *recipe_key_at(const convoy_recipe *recipe, int i);

/* The index of the key path, or -1. */
int recipe_key_find(const convoy_recipe *recipe, const char *path);

/* What a run may go on with where the key has changed: "any" value, any value that is
 * then "noted", or only the "same". */
const char *recipe_key_resume(const struct option *key);

/* Key i with its value as new YAML text; free with mem_free. */
convoy_status recipe_key_text(const convoy_recipe *recipe, int i, char **text);

/* Whether path is a section: the beginning of longer keys. */
bool recipe_is_section(const convoy_recipe *recipe, const char *path);

/* "exchange has algorithm, bucket, timeout": the keys in path's section. */
void recipe_section_keys(const convoy_recipe *recipe, const char *path, char *out,
                         size_t size);

/* The key or section that path was most likely meant to be, in out. */
void recipe_nearest(const convoy_recipe *recipe, const char *path,
                    char out[RECIPE_PATH_SIZE]);

/* How little path looks like known: slips to turn one into the other. */
int recipe_unlikeness(const char *path, const char *known);

#endif
