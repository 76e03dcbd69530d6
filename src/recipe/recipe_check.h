/* Rules between keys. */
#ifndef RECIPE_RECIPE_CHECK_H
#define RECIPE_RECIPE_CHECK_H

#include "recipe/recipe.h"

/* Fails where a required key is missing or keys contradict each other. */
convoy_status recipe_check(const convoy_recipe *recipe);

/* recipe_check's part about the schedule. */
convoy_status recipe_check_schedule(const convoy_recipe *recipe);

/* Of two keys that contradict each other, the one to point at. */
const char *recipe_blame(const convoy_recipe *recipe, const char *a, const char *b);

/* What the optimizer is told for its momentum; NAN: it has none. */
double recipe_momentum(const convoy_recipe *recipe);

#endif
