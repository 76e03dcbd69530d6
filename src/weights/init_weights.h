/* Starting a training from a file of weights: the recipe's init.weights and init.skip.
 */
#ifndef WEIGHTS_INIT_WEIGHTS_H
#define WEIGHTS_INIT_WEIGHTS_H

#include "net/net.h"
#include "recipe/recipe.h"

#include <convoy/world.h>

/* Takes parameters and running statistics from the file that the recipe names, all but
 * those under a prefix of init.skip, which keep their values. Nothing where it names
 * none. Optimizer slots and step stay as they are. Collective, rank 0 reads the file;
 * world NULL: this process alone. Errors: FORMAT (the file or the recipe: file and net
 * do not hold the same tensors, then the text lists those that differ, and nothing was
 * changed; a prefix that no tensor has; values that are not finite), IO. */
convoy_status init_weights(convoy_world *world, convoy_net *net,
                           const convoy_recipe *recipe);

#endif
