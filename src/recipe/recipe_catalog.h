/* What recipes can name, handed in as data, so that reading them needs no layer,
 * optimizer or exchange: lists of owners (base/option.h), each ended by NULL. */
#ifndef RECIPE_RECIPE_CATALOG_H
#define RECIPE_RECIPE_CATALOG_H

#include "base/option.h"
#include "recipe/recipe.h"

struct recipe_catalog {
    const struct option_owner *const *layers;
    const struct option_owner *const *optimizers;
    const struct option_owner *const *exchanges; /* algorithms: names and help */
};

/* convoy_recipe_load, convoy_recipe_load_text and convoy_recipe_describe_keys with
 * what the catalogue holds. It is borrowed for as long as the recipe is there. */
convoy_status recipe_load(const struct recipe_catalog *catalog, const char *path,
                          const char *const *overrides, int n_overrides,
                          convoy_recipe **recipe);
convoy_status recipe_load_text(const struct recipe_catalog *catalog, const char *name,
                               const char *text, const char *const *overrides,
                               int n_overrides, convoy_recipe **recipe);
/* As recipe_load_text, with a network that does not stand in text: its list of layers.
 * Its messages name the file "net". */
convoy_status recipe_load_network(const struct recipe_catalog *catalog,
                                  const char *name, const char *text,
                                  const char *network, const char *const *overrides,
                                  int n_overrides, convoy_recipe **recipe);
convoy_status recipe_describe_keys(const struct recipe_catalog *catalog, FILE *stream);

#endif
