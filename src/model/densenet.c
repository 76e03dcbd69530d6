/* DenseNet-BC (Huang et al. 2017, "Densely connected convolutional networks", table 1)
 * with torchvision's names and initial values: in a block each layer reads all maps
 * before it and adds growth channels; transitions halve channels and sides between
 * blocks. Dropout, 0 by default, is behind each layer's second convolution.
 *
 * A layer's output is concatenated to what the layer read, so the maps of a block grow
 * by one concat of two each time: the same values as concatenating all again. */
#include "model/model.h"

#include <stddef.h>

enum { N_BLOCKS = 4 };

struct form {
    int depth, growth, stem;
    int layers[N_BLOCKS];
};

static const struct form *form_of(int depth)
{
    static const struct form forms[] = {
        {121, 32, 64, {6, 12, 24, 16}},
        {161, 48, 96, {6, 12, 36, 24}},
        {169, 32, 64, {6, 12, 32, 32}},
        {201, 32, 64, {6, 12, 48, 32}},
    };
    const struct form *form = forms;
    while (form->depth != depth)
        form++;
    return form;
}

static convoy_node norm_relu(convoy_net *net, convoy_node x, const char *norm,
                             const char *relu)
{
    x = convoy_net_batch_norm(net, x, norm, NULL);
    return convoy_net_relu(net, x, relu);
}

static convoy_node conv(convoy_net *net, convoy_node x, const char *name, int out,
                        int kernel)
{
    const convoy_conv o = {.out = out,
                           .kernel = kernel,
                           .pad = kernel / 2,
                           .no_bias = true,
                           .init = CONVOY_INIT_HE_FAN_IN};
    return convoy_net_conv(net, x, name, &o);
}

static convoy_node dense_layer(convoy_net *net, convoy_node x, const char *prefix,
                               int growth, const convoy_model_options *options)
{
    convoy_node y = norm_relu(net, x, model_name("%s.norm1", prefix).text,
                              model_name("%s.relu1", prefix).text);
    y = conv(net, y, model_name("%s.conv1", prefix).text, 4 * growth, 1);
    y = norm_relu(net, y, model_name("%s.norm2", prefix).text,
                  model_name("%s.relu2", prefix).text);
    y = conv(net, y, model_name("%s.conv2", prefix).text, growth, 3);
    y = model_dropout(net, y, model_name("%s.drop", prefix).text, options, 0);
    const convoy_node both[] = {x, y};
    return convoy_net_concat(net, 2, both, model_name("%s.concat", prefix).text);
}

static convoy_node transition(convoy_net *net, convoy_node x, int number, int channels)
{
    const struct model_name prefix = model_name("features.transition%d", number);
    x = norm_relu(net, x, model_name("%s.norm", prefix.text).text,
                  model_name("%s.relu", prefix.text).text);
    x = conv(net, x, model_name("%s.conv", prefix.text).text, channels, 1);
    return convoy_net_avg_pool(net, x, model_name("%s.pool", prefix.text).text,
                               &(convoy_pool){.kernel = 2});
}

static convoy_node stem(convoy_net *net, convoy_node x, int channels)
{
    const convoy_conv o = {.out = channels,
                           .kernel = 7,
                           .stride = 2,
                           .pad = 3,
                           .no_bias = true,
                           .init = CONVOY_INIT_HE_FAN_IN};
    x = convoy_net_conv(net, x, "features.conv0", &o);
    x = norm_relu(net, x, "features.norm0", "features.relu0");
    return convoy_net_max_pool(net, x, "features.pool0",
                               &(convoy_pool){.kernel = 3, .stride = 2, .pad = 1});
}

static convoy_node build(convoy_net *net, convoy_node x, const struct model_kind *kind,
                         const convoy_model_options *options)
{
    const struct form *form = form_of(kind->depth);
    const convoy_inner_product classifier = {.out = options->classes,
                                             .init = CONVOY_INIT_UNIFORM};
    int channels = form->stem;
    x = stem(net, x, channels);
    for (int b = 0; b < N_BLOCKS; b++) {
        for (int i = 0; i < form->layers[b]; i++)
            x = dense_layer(
                net, x,
                model_name("features.denseblock%d.denselayer%d", b + 1, i + 1).text,
                form->growth, options);
        channels += form->layers[b] * form->growth;
        if (b == N_BLOCKS - 1)
            break;
        channels /= 2;
        x = transition(net, x, b + 1, channels);
    }
    x = norm_relu(net, x, "features.norm5", "relu");
    x = convoy_net_global_avg_pool(net, x, "avgpool");
    x = convoy_net_flatten(net, x, "flatten");
    return convoy_net_inner_product(net, x, "classifier", &classifier);
}

#define FAMILY(n)                                                                      \
    const struct model_kind model_densenet##n = {                                      \
        .name = "densenet" #n,                                                         \
        .summary = "DenseNet-BC of " #n " layers",                                     \
        MODEL_FOR_IMAGENET,                                                            \
        .depth = (n),                                                                  \
        .has_dropout = true,                                                           \
        .build = build,                                                                \
    }

FAMILY(121);
FAMILY(161);
FAMILY(169);
FAMILY(201);
