/* AlexNet, twice.
 *
 * alexnet: the one-tower net of torchvision (Krizhevsky 2014, "One weird trick for
 * parallelizing convolutional neural networks"), with its names and initial values.
 *
 * alexnet2012: the net of Krizhevsky, Sutskever and Hinton 2012: convolutions 2, 4 and
 * 5 in two groups (its two GPUs), response normalisation behind the first two,
 * overlapping pooling, their initial values. The paper says 224 pixels, but its 55 x 55
 * maps need 227, or a padding of 2 around 224: here the padding. Its alpha is not
 * divided by the window's size, ours is: hence 5e-4 for 1e-4.
 *
 * Both average the last map to 6 x 6, so any input size will do; at 224 that costs
 * nothing. */
#include "model/model.h"

static convoy_node tower_head(convoy_net *net, convoy_node x,
                              const convoy_model_options *options)
{
    const convoy_inner_product hidden = {
        .out = 4096, .init = CONVOY_INIT_UNIFORM, .bias_init = CONVOY_INIT_UNIFORM};
    convoy_inner_product last = hidden;
    last.out = options->classes;
    x = convoy_net_adaptive_avg_pool(net, x, "avgpool", 6, 6);
    x = convoy_net_flatten(net, x, "flatten");
    x = model_dropout(net, x, "classifier.0", options, 0.5F);
    x = convoy_net_inner_product(net, x, "classifier.1", &hidden);
    x = convoy_net_relu(net, x, "classifier.2");
    x = model_dropout(net, x, "classifier.3", options, 0.5F);
    x = convoy_net_inner_product(net, x, "classifier.4", &hidden);
    x = convoy_net_relu(net, x, "classifier.5");
    return convoy_net_inner_product(net, x, "classifier.6", &last);
}

static convoy_node build_tower(convoy_net *net, convoy_node x,
                               const struct model_kind *kind,
                               const convoy_model_options *options)
{
    /* pooled: a max pooling follows the ReLU. */
    static const struct {
        int out, kernel, stride, pad;
        bool pooled;
    } convs[] = {{64, 11, 4, 2, true},
                 {192, 5, 1, 2, true},
                 {384, 3, 1, 1, false},
                 {256, 3, 1, 1, false},
                 {256, 3, 1, 1, true}};
    const convoy_pool pool = {.kernel = 3, .stride = 2};
    int k = 0;
    (void)kind;
    for (int i = 0; i < 5; i++) {
        const convoy_conv conv = {.out = convs[i].out,
                                  .kernel = convs[i].kernel,
                                  .stride = convs[i].stride,
                                  .pad = convs[i].pad,
                                  .init = CONVOY_INIT_UNIFORM,
                                  .bias_init = CONVOY_INIT_UNIFORM};
        x = convoy_net_conv(net, x, model_name("features.%d", k++).text, &conv);
        x = convoy_net_relu(net, x, model_name("features.%d", k++).text);
        if (convs[i].pooled)
            x = convoy_net_max_pool(net, x, model_name("features.%d", k++).text, &pool);
    }
    return tower_head(net, x, options);
}

static convoy_node build_2012(convoy_net *net, convoy_node x,
                              const struct model_kind *kind,
                              const convoy_model_options *options)
{
    static const struct {
        int out, kernel, stride, pad, groups;
        bool normed, pooled;
    } convs[] = {{96, 11, 4, 2, 1, true, true},
                 {256, 5, 1, 2, 2, true, true},
                 {384, 3, 1, 1, 1, false, false},
                 {384, 3, 1, 1, 2, false, false},
                 {256, 3, 1, 1, 2, false, true}};
    const convoy_lrn lrn = {.size = 5, .alpha = 5e-4F, .beta = 0.75F, .k = 2};
    const convoy_pool pool = {.kernel = 3, .stride = 2};
    convoy_inner_product fc = {
        .out = 4096, .init = CONVOY_INIT_NORMAL, .bias_init = CONVOY_INIT_ONE};
    (void)kind;
    for (int i = 0; i < 5; i++) {
        const convoy_conv conv = {
            .out = convs[i].out,
            .kernel = convs[i].kernel,
            .stride = convs[i].stride,
            .pad = convs[i].pad,
            .groups = convs[i].groups,
            .init = CONVOY_INIT_NORMAL,
            .bias_init = convs[i].groups == 2 ? CONVOY_INIT_ONE : CONVOY_INIT_DEFAULT};
        x = convoy_net_conv(net, x, model_name("conv%d", i + 1).text, &conv);
        x = convoy_net_relu(net, x, model_name("relu%d", i + 1).text);
        if (convs[i].normed)
            x = convoy_net_lrn(net, x, model_name("norm%d", i + 1).text, &lrn);
        if (convs[i].pooled)
            x = convoy_net_max_pool(net, x, model_name("pool%d", i + 1).text, &pool);
    }
    x = convoy_net_adaptive_avg_pool(net, x, "avgpool", 6, 6);
    x = convoy_net_flatten(net, x, "flatten");
    for (int i = 6; i < 8; i++) {
        x = convoy_net_inner_product(net, x, model_name("fc%d", i).text, &fc);
        x = convoy_net_relu(net, x, model_name("relu%d", i).text);
        x = model_dropout(net, x, model_name("drop%d", i).text, options, 0.5F);
    }
    fc.out = options->classes;
    fc.bias_init = CONVOY_INIT_DEFAULT;
    return convoy_net_inner_product(net, x, "fc8", &fc);
}

const struct model_kind model_alexnet = {
    .name = "alexnet",
    .summary = "AlexNet as torchvision has it: one tower, no normalisation",
    MODEL_FOR_IMAGENET,
    .has_dropout = true,
    .build = build_tower,
};

const struct model_kind model_alexnet2012 = {
    .name = "alexnet2012",
    .summary = "AlexNet as published: two groups, response normalisation",
    MODEL_FOR_IMAGENET,
    .has_dropout = true,
    .build = build_2012,
};
