/* Whether two recipes compute the same. */
#ifndef RECIPE_RECIPE_COMPARE_H
#define RECIPE_RECIPE_COMPARE_H

#include "recipe/recipe.h"

/* Fails unless a run that was begun with the recipe then may go on with now: all keys
 * but those that may change have the same values, or choose what computes the same.
 * What neither states is the default of both, so then may come from a convoy that did
 * not know all keys. where: the file that then stands in, for the message. Local.
 * Errors: ARGUMENT (the text has the key with both values), MEMORY. */
convoy_status recipe_compare(const convoy_recipe *now, const convoy_recipe *then,
                             const char *where);

#endif
