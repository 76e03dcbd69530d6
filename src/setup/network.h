/* A recipe's own network as a net. */
#ifndef SETUP_NETWORK_H
#define SETUP_NETWORK_H

#include <convoy/net.h>

#include "recipe/recipe_network.h"

/* Builds network for an input [channels, height, width], with its loss. classes: of
 * the model; what the net must end with. *net is new; free with convoy_net_destroy.
 * Errors name the line and the entry. */
convoy_status network_build(const struct recipe_network *network, const int shape[3],
                            int classes, float label_smoothing, convoy_net **net);

#endif
