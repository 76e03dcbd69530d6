/* LeNet in the form that became customary (LeCun et al. 1998, with ReLU, max pooling
 * and more channels): two 5 x 5 convolutions of 20 and 50 channels, each pooled by 2,
 * then 500 features. width scales the first; batch_norm puts one behind each
 * convolution. */
#include "model/model.h"

#include <stdio.h>

static convoy_node stage(convoy_net *net, convoy_node x, int number, int channels,
                         const convoy_model_options *options)
{
    char name[16];
    const convoy_conv conv = {
        .out = channels, .kernel = 5, .no_bias = options->batch_norm};
    snprintf(name, sizeof name, "conv%d", number);
    x = convoy_net_conv(net, x, name, &conv);
    snprintf(name, sizeof name, "bn%d", number);
    if (options->batch_norm)
        x = convoy_net_batch_norm(net, x, name, NULL);
    snprintf(name, sizeof name, "act%d", number);
    x = model_activation(net, x, name, options);
    snprintf(name, sizeof name, "pool%d", number);
    return convoy_net_max_pool(net, x, name, &(convoy_pool){.kernel = 2});
}

static convoy_node build(convoy_net *net, convoy_node x, const struct model_kind *kind,
                         const convoy_model_options *options)
{
    const int width = options->width > 0 ? options->width : 20;
    (void)kind;
    x = stage(net, x, 1, width, options);
    x = stage(net, x, 2, width * 5 / 2, options);
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc1", &(convoy_inner_product){.out = 500});
    x = model_activation(net, x, "act3", options);
    x = model_dropout(net, x, "drop1", options, 0);
    return convoy_net_inner_product(net, x, "fc2",
                                    &(convoy_inner_product){.out = options->classes});
}

const struct model_kind model_lenet = {
    .name = "lenet",
    .summary = "LeNet with ReLU and max pooling: 20 and 50 channels, 500 features",
    MODEL_FOR_DIGITS,
    .has_dropout = true,
    .has_activation = true,
    .has_batch_norm = true,
    .has_width = true,
    .build = build,
};
