/* Where two recipes differ in what they compute. */
#ifndef RECIPE_RECIPE_COMPARE_H
#define RECIPE_RECIPE_COMPARE_H

#include "recipe/recipe.h"

/* A key whose value has changed. Borrowed for the call. */
struct recipe_change {
    const char *key;       /* its path */
    const char *was, *now; /* values as one line of YAML; of a value of several lines
                              "… " and the first in which they differ */
    bool breaks;           /* going on gives other weights than either recipe */
};

/* Visits each key in which the recipe now differs from then, with which the run was
 * begun, but for those that may change without any note, and for choices that compute
 * the same. What neither states is the default of both, so then may come from a convoy
 * that did not know all keys. Local. Errors: MEMORY, those of visit, which end it. */
convoy_status recipe_compare(const convoy_recipe *now, const convoy_recipe *then,
                             convoy_status (*visit)(void *context,
                                                    const struct recipe_change *change),
                             void *context);

#endif
