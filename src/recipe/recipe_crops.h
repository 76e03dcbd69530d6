/* The value of data.crop: one size, sizes by epoch, or a ramp between two. */
#ifndef RECIPE_RECIPE_CROPS_H
#define RECIPE_RECIPE_CROPS_H

#include "recipe/recipe.h"
#include "recipe/recipe_keys.h"
#include "recipe/recipe_node.h"

/* Reads node into *crops; where begins the message of a failure, which leaves *crops as
 * it was. */
convoy_status recipe_crops_read(const struct option *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                struct recipe_crops *crops);

#endif
