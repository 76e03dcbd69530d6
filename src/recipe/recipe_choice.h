/* Keys that choose one of the catalogue's owners, as optimizer.name does. What is
 * chosen brings options of its own, which are keys of the same section. */
#ifndef RECIPE_RECIPE_CHOICE_H
#define RECIPE_RECIPE_CHOICE_H

#include "recipe/recipe_catalog.h"
#include "recipe/recipe_node.h"

/* New memory for a recipe, all zero, with room for the settings of any choice. */
convoy_status recipe_alloc(const struct recipe_catalog *catalog,
                           convoy_recipe **recipe);

/* Chooses the first of the owners where nothing is chosen yet. */
void recipe_choose_defaults(convoy_recipe *recipe);

/* Chooses what node names; key: an OPTION_OWNER. FORMAT, with where as
 * recipe_value_read: it is no name, or none of the catalogue's. */
convoy_status recipe_choice_read(const struct option *key, const yaml_node_t *node,
                                 const char *where, convoy_recipe *recipe);

/* The owners from which key chooses, NULL at their end; NULL: it chooses none. */
const struct option_owner *const *recipe_owners(const struct recipe_catalog *catalog,
                                                const char *key);

/* What the recipe chose in path's section, "optimizer" for "optimizer.beta"; NULL:
 * there is nothing to choose. */
const struct recipe_choice *recipe_choice_in(const convoy_recipe *recipe,
                                             const char *path);

/* The key whose value a section can hold in its keys' place, as `exchange: native`
 * does; NULL: it must have keys. */
const char *recipe_short_key(const char *section);

/* The owner that has path's last part as an option, though the one that was chosen in
 * path's section has not; NULL: none has. */
const struct option_owner *recipe_option_elsewhere(const convoy_recipe *recipe,
                                                   const char *path);

/* "sgd has momentum, nesterov": the options of what was chosen. */
void recipe_choice_options(const struct recipe_choice *choice, char *out, size_t size);

/* "optimizer.beta": option in the section of key. */
void recipe_option_path(const char *key, const char *option,
                        char out[RECIPE_PATH_SIZE]);

/* The names in a NULL-terminated list, with between between them. */
void recipe_owner_names(const struct option_owner *const *owners, const char *between,
                        char *out, size_t size);

#endif
