/* One key's value: from a YAML node into the recipe, and back to texts. */
#ifndef RECIPE_RECIPE_VALUE_H
#define RECIPE_RECIPE_VALUE_H

#include "recipe/recipe_keys.h"

#include <yaml.h>

enum { RECIPE_SHOWN_SIZE = 64, RECIPE_NUMBER_SIZE = 32 };

/* text for a one-line message: cut when long, control characters replaced. */
void recipe_show_text(const char *text, char out[RECIPE_SHOWN_SIZE]);

/* Sets key of recipe from node; where ("FILE:LINE", "--set …") begins the message of a
 * failure, which leaves the recipe as it was. */
convoy_status recipe_value_read(const struct recipe_key *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                convoy_recipe *recipe);

/* key's field in recipe. */
void *recipe_field(const struct recipe_key *key, convoy_recipe *recipe);
const void *recipe_field_const(const struct recipe_key *key,
                               const convoy_recipe *recipe);

/* A short text that reads back as value, to the last bit. */
void recipe_number_text(double value, char out[RECIPE_NUMBER_SIZE]);

/* The value of a key that is neither RECIPE_TEXT nor RECIPE_NUMBERS, as YAML. */
void recipe_value_text(const struct recipe_key *key, const convoy_recipe *recipe,
                       char out[RECIPE_NUMBER_SIZE]);

#endif
