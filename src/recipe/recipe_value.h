/* One key's value: from a YAML node into the recipe, and back to texts. */
#ifndef RECIPE_RECIPE_VALUE_H
#define RECIPE_RECIPE_VALUE_H

#include "recipe/recipe_keys.h"
#include "recipe/recipe_node.h"

/* record is what a key's offset counts in: a convoy_recipe, or a layer's attributes. */

/* Sets key of record from node; where ("FILE:LINE", "--set …") begins the message of a
 * failure, which leaves the record as it was. Not for OPTION_NETWORK and
 * OPTION_OWNER. */
convoy_status recipe_value_read(const struct option *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                void *record);

/* Fails with "WHERE: key 'KEY' is FOUND, expected WHAT"; entry: of a list, counted from
 * 1, or 0. */
convoy_status recipe_value_reject(const struct option *key, const yaml_node_t *node,
                                  int entry, const char *where);

/* Frees what the key's value owns. */
void recipe_value_free(const struct option *key, convoy_recipe *recipe);

/* key's field in record. */
void *recipe_field(const struct option *key, void *record);
const void *recipe_field_const(const struct option *key, const void *record);

#endif
