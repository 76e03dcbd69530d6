/* From a recipe to its net, for the targets that read recipes. */
#ifndef FUZZ_NETS_H
#define FUZZ_NETS_H

#include "recipe/recipe.h"

/* Builds the recipe's net for some inputs, which infers every shape, and describes it
 * layer by layer. Nothing is compiled: a net may be as large as it likes. */
void fuzz_net(const convoy_recipe *recipe);

#endif
