/* Rules between keys. */
#ifndef RECIPE_RECIPE_CHECK_H
#define RECIPE_RECIPE_CHECK_H

#include "recipe/recipe.h"

/* Fails where a required key is missing or keys contradict each other. */
convoy_status recipe_check(const convoy_recipe *recipe);

#endif
