/* Which parameters learn, and how: the recipe's init.freeze, optimizer.lr_scale and
 * weight decay. Local. */
#ifndef TRAIN_LEARNING_H
#define TRAIN_LEARNING_H

#include "net/net.h"
#include "optim/update.h"
#include "recipe/recipe.h"

/* Freezes what recipe says; before net is compiled. FORMAT: a prefix fits no parameter
 * or only some of a layer's, or nothing is left to learn. */
convoy_status learning_freeze(convoy_net *net, const convoy_recipe *recipe);

/* All parameters of the compiled net that learn, as ranges of the store's arena; each a
 * range of its own and without padding where the recipe's optimizer or clipping asks
 * for norms. *ranges [*n] is new; free with mem_free. FORMAT: a prefix of lr_scale fits
 * no parameter, or frozen ones only. */
convoy_status learning_ranges(const convoy_net *net, const convoy_recipe *recipe,
                              struct update_range **ranges, int *n);

#endif
