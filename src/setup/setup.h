/* From a recipe, and a pack where there is one, to scaling, shapes, the net
 * and the loader's options. Local, all of it. */
#ifndef SETUP_SETUP_H
#define SETUP_SETUP_H

#include <convoy/pack.h>

#include "load/loader.h"
#include "net/net.h"
#include "optim/optim.h"
#include "recipe/recipe.h"

/* mean and std for the channels: the recipe's one or three numbers, else ImageNet's for
 * three channels and one half for one, which the recipe then has, too. FORMAT: it has
 * another number of them. */
convoy_status setup_scaling(convoy_recipe *recipe, int channels, float mean[3],
                            float std[3]);

/* Options of an evaluation loader for recipe's preprocessing, with one thread where the
 * recipe leaves their number open. */
struct loader_options setup_loading(const convoy_recipe *recipe, const int shape[3],
                                    const float mean[3], const float std[3]);

/* Makes options, as of setup_loading, those of a training loader: augmentation and
 * order of its samples. */
void setup_training(const convoy_recipe *recipe, struct loader_options *options);

/* The type in which recipe wants images, activations and products. */
dnnl_data_type_t setup_type(const convoy_recipe *recipe);

/* Fills shape, mean and std from recipe and pack; classes, crop and resize where the
 * recipe leaves them. Of several crops shape has the largest. */
convoy_status setup_resolve(convoy_recipe *recipe, const convoy_pack *pack,
                            int shape[3], float mean[3], float std[3]);

/* The shape of a sample that is evaluated, by a recipe that setup_resolve has resolved,
 * which gave shape. */
void setup_val_shape(const convoy_recipe *recipe, const int shape[3], int val_shape[3]);

/* The recipe's optimizer, for n parameters. *optimizer is new; free with
 * optimizer_destroy. MEMORY. */
convoy_status setup_optimizer(const convoy_recipe *recipe, size_t n,
                              struct optimizer **optimizer);

/* The recipe's model. */
convoy_status setup_net(const convoy_recipe *recipe, const int shape[3],
                        convoy_net **net);

#endif
