/* The part of convoy info that is about recipe files. */
#ifndef CLI_INFO_RECIPE_H
#define CLI_INFO_RECIPE_H

#include "cli/cli.h"

struct info_recipe_options {
    const char *const *overrides; /* [n_overrides] of --set */
    int n_overrides;
    int ranks;         /* 0: 1 */
    bool compare;      /* kinds of layers, in place of the plan */
    const char *layer; /* of the comparison; NULL: all */
    bool json;
};

/* Whether path is a recipe by its name: it ends in .yaml or .yml. */
bool info_is_recipe(const char *path);

/* Prints what a training of the recipe at path would take here: net, batch, lanes and
 * memory; or what other kinds of layers would need in the place of its net's; an exit
 * status. */
int info_recipe(const char *path, const struct info_recipe_options *options);

#endif
