/* Which parameters learn, and how: the recipe's init.freeze, optimizer.lr_scale and
 * weight decay. Local. */
#ifndef TRAIN_LEARNING_H
#define TRAIN_LEARNING_H

#include "net/net.h"
#include "recipe/recipe.h"

/* Parameters that learn alike, as a range of the store's arena. */
struct learning_range {
    size_t begin, end; /* floats */
    bool decay;
    double lr_scale; /* factor of the learning rate; 1 unless the recipe says another */
};

/* Freezes what recipe says; before net is compiled. FORMAT: a prefix fits no parameter
 * or only some of a layer's, or nothing is left to learn. */
convoy_status learning_freeze(convoy_net *net, const convoy_recipe *recipe);

/* All parameters of the compiled net that learn; whole_tensors: each a range of its own
 * and without padding. *ranges [*n] is new; free with mem_free. FORMAT: a prefix of
 * lr_scale fits no parameter, or frozen ones only. */
convoy_status learning_ranges(const convoy_net *net, const convoy_recipe *recipe,
                              bool whole_tensors, struct learning_range **ranges,
                              int *n);

#endif
