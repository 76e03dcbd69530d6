/* A multi-layer perceptron with three hidden layers of 3333: on 28 x 28 images
 * 784-3333-3333-3333-10, 24,864,180 weights (and 10,009 biases). */
#include "model/model.h"

#include <stdio.h>

static convoy_node build(convoy_net *net, convoy_node x, const struct model_kind *kind,
                         const convoy_model_options *options)
{
    const int width = options->width > 0 ? options->width : 3333;
    char name[16];
    x = convoy_net_flatten(net, x, "flatten");
    for (int i = 1; i <= kind->depth; i++) {
        snprintf(name, sizeof name, "fc%d", i);
        x = convoy_net_inner_product(net, x, name,
                                     &(convoy_inner_product){.out = width});
        snprintf(name, sizeof name, "act%d", i);
        x = model_activation(net, x, name, options);
        snprintf(name, sizeof name, "drop%d", i);
        x = model_dropout(net, x, name, options, 0);
    }
    snprintf(name, sizeof name, "fc%d", kind->depth + 1);
    return convoy_net_inner_product(net, x, name,
                                    &(convoy_inner_product){.out = options->classes});
}

const struct model_kind model_mlp = {
    .name = "mlp",
    .summary = "multi-layer perceptron, three hidden layers of 3333",
    MODEL_FOR_DIGITS,
    .depth = 3,
    .has_dropout = true,
    .has_activation = true,
    .has_width = true,
    .build = build,
};
