/* Residual nets for small images and their plain twins (He et al. 2015, "Deep residual
 * learning for image recognition", section 4.2): depth 6n + 2, three stages of n blocks
 * with 16, 32 and 64 channels; shortcuts are the identity, strided and padded with zero
 * channels where the shape changes (option A), so both twins have the same parameters.
 *
 * pre_activation is He et al. 2016, "Identity mappings in deep residual networks": norm
 * and ReLU before each convolution; the stem's norm stands for the first block's own,
 * and one more norm and ReLU, bn2, end the last stage. */
#include "model/model.h"

#include <stdio.h>

static convoy_node conv_norm(convoy_net *net, convoy_node x, const char *prefix,
                             int number, const convoy_conv *conv, bool zero_init)
{
    char name[64];
    snprintf(name, sizeof name, "%sconv%d", prefix, number);
    x = convoy_net_conv(net, x, name, conv);
    snprintf(name, sizeof name, "%sbn%d", prefix, number);
    return convoy_net_batch_norm(net, x, name,
                                 &(convoy_batch_norm){.zero_init = zero_init});
}

/* Option A: every stride-th pixel, and zeros for the channels that x does not have. */
static convoy_node shortcut(convoy_net *net, convoy_node x, const char *prefix,
                            int channels, int stride)
{
    char name[64];
    if (stride == 1)
        return x;
    snprintf(name, sizeof name, "%sshortcut.pool", prefix);
    x = convoy_net_avg_pool(net, x, name,
                            &(convoy_pool){.kernel = 1, .stride = stride});
    snprintf(name, sizeof name, "%sshortcut.pad", prefix);
    return convoy_net_pad_channels(net, x, name, channels);
}

static convoy_node block(convoy_net *net, convoy_node x, const char *prefix,
                         int channels, int stride, bool residual, bool zero_init)
{
    char name[64];
    const convoy_conv first = {
        .out = channels, .kernel = 3, .stride = stride, .pad = 1, .no_bias = true};
    const convoy_conv second = {
        .out = channels, .kernel = 3, .pad = 1, .no_bias = true};
    convoy_node y = conv_norm(net, x, prefix, 1, &first, false);
    snprintf(name, sizeof name, "%srelu1", prefix);
    y = convoy_net_relu(net, y, name);
    y = conv_norm(net, y, prefix, 2, &second, zero_init);
    if (residual) {
        const convoy_node both[] = {y, shortcut(net, x, prefix, channels, stride)};
        snprintf(name, sizeof name, "%sadd", prefix);
        y = convoy_net_add(net, 2, both, name);
    }
    snprintf(name, sizeof name, "%srelu2", prefix);
    return convoy_net_relu(net, y, name);
}

/* first: of the net, where the stem has normed x. */
static convoy_node pre_block(convoy_net *net, convoy_node x, const char *prefix,
                             int channels, int stride, bool first)
{
    const convoy_conv convs[] = {
        {.out = channels, .kernel = 3, .stride = stride, .pad = 1, .no_bias = true},
        {.out = channels, .kernel = 3, .pad = 1, .no_bias = true}};
    convoy_node y = x;
    for (int k = 1; k <= 2; k++) {
        if (k > 1 || !first) {
            y = convoy_net_batch_norm(net, y, model_name("%sbn%d", prefix, k).text,
                                      NULL);
            y = convoy_net_relu(net, y, model_name("%srelu%d", prefix, k).text);
        }
        y = convoy_net_conv(net, y, model_name("%sconv%d", prefix, k).text,
                            &convs[k - 1]);
    }
    const convoy_node both[] = {y, shortcut(net, x, prefix, channels, stride)};
    return convoy_net_add(net, 2, both, model_name("%sadd", prefix).text);
}

static convoy_node build(convoy_net *net, convoy_node x, bool residual,
                         const struct model_kind *kind,
                         const convoy_model_options *options)
{
    const int width = options->width > 0 ? options->width : 16;
    const int blocks = (kind->depth - 2) / 6;
    const convoy_conv stem = {.out = width, .kernel = 3, .pad = 1, .no_bias = true};
    char prefix[32];
    x = conv_norm(net, x, "", 1, &stem, false);
    x = convoy_net_relu(net, x, "relu1");
    for (int stage = 0; stage < 3; stage++) {
        for (int i = 0; i < blocks; i++) {
            snprintf(prefix, sizeof prefix, "layer%d.%d.", stage + 1, i);
            const int stride = stage > 0 && i == 0 ? 2 : 1;
            if (options->pre_activation)
                x = pre_block(net, x, prefix, width << stage, stride,
                              stage == 0 && i == 0);
            else
                x = block(net, x, prefix, width << stage, stride, residual,
                          options->zero_init_residual);
        }
    }
    if (options->pre_activation) {
        x = convoy_net_batch_norm(net, x, "bn2", NULL);
        x = convoy_net_relu(net, x, "relu2");
    }
    x = convoy_net_global_avg_pool(net, x, "avgpool");
    x = convoy_net_flatten(net, x, "flatten");
    return convoy_net_inner_product(net, x, "fc",
                                    &(convoy_inner_product){.out = options->classes});
}

static convoy_node build_residual(convoy_net *net, convoy_node x,
                                  const struct model_kind *kind,
                                  const convoy_model_options *options)
{
    return build(net, x, true, kind, options);
}

static convoy_node build_plain(convoy_net *net, convoy_node x,
                               const struct model_kind *kind,
                               const convoy_model_options *options)
{
    return build(net, x, false, kind, options);
}

#define FAMILY(n)                                                                      \
    const struct model_kind model_resnet##n = {                                        \
        .name = "resnet" #n,                                                           \
        .summary = "residual net of " #n " layers for small images",                   \
        MODEL_FOR_CIFAR,                                                               \
        .depth = (n),                                                                  \
        .has_width = true,                                                             \
        .has_residual = true,                                                          \
        .has_pre_activation = true,                                                    \
        .build = build_residual,                                                       \
    };                                                                                 \
    const struct model_kind model_plain##n = {                                         \
        .name = "plain" #n,                                                            \
        .summary = "resnet" #n " without its shortcuts",                               \
        MODEL_FOR_CIFAR,                                                               \
        .depth = (n),                                                                  \
        .has_width = true,                                                             \
        .build = build_plain,                                                          \
    }

FAMILY(20);
FAMILY(32);
FAMILY(56);
