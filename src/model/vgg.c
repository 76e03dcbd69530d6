/* VGG (Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale
 * image recognition", configurations A, B, D and E), plain and with batch norm behind
 * each convolution, with torchvision's names and initial values: five stages of 3 x 3
 * convolutions, each pooled by 2, then three fully connected layers. The last map is
 * averaged to 7 x 7, so any input size will do; at 224 that costs nothing. */
#include "model/model.h"

#include <stddef.h>

enum { N_STAGES = 5 };

/* Convolutions in each stage. */
static const int *stages_of(int depth)
{
    static const int vgg11[] = {1, 1, 2, 2, 2}, vgg13[] = {2, 2, 2, 2, 2},
                     vgg16[] = {2, 2, 3, 3, 3}, vgg19[] = {2, 2, 4, 4, 4};
    return depth == 11 ? vgg11 : depth == 13 ? vgg13 : depth == 16 ? vgg16 : vgg19;
}

static convoy_node features(convoy_net *net, convoy_node x, int depth, bool batch_norm)
{
    static const int channels[N_STAGES] = {64, 128, 256, 512, 512};
    const int *n_convs = stages_of(depth);
    int k = 0;
    for (int stage = 0; stage < N_STAGES; stage++) {
        const convoy_conv conv = {.out = channels[stage], .kernel = 3, .pad = 1};
        for (int i = 0; i < n_convs[stage]; i++) {
            x = convoy_net_conv(net, x, model_name("features.%d", k++).text, &conv);
            if (batch_norm)
                x = convoy_net_batch_norm(net, x, model_name("features.%d", k++).text,
                                          NULL);
            x = convoy_net_relu(net, x, model_name("features.%d", k++).text);
        }
        x = convoy_net_max_pool(net, x, model_name("features.%d", k++).text,
                                &(convoy_pool){.kernel = 2});
    }
    return x;
}

static convoy_node classifier(convoy_net *net, convoy_node x,
                              const convoy_model_options *options)
{
    const convoy_inner_product hidden = {.out = 4096, .init = CONVOY_INIT_NORMAL},
                               last = {.out = options->classes,
                                       .init = CONVOY_INIT_NORMAL};
    x = convoy_net_adaptive_avg_pool(net, x, "avgpool", 7, 7);
    x = convoy_net_flatten(net, x, "flatten");
    for (int k = 0; k < 6;) {
        x = convoy_net_inner_product(net, x, model_name("classifier.%d", k++).text,
                                     &hidden);
        x = convoy_net_relu(net, x, model_name("classifier.%d", k++).text);
        x = model_dropout(net, x, model_name("classifier.%d", k++).text, options, 0.5F);
    }
    return convoy_net_inner_product(net, x, "classifier.6", &last);
}

static convoy_node build_plain(convoy_net *net, convoy_node x,
                               const struct model_kind *kind,
                               const convoy_model_options *options)
{
    return classifier(net, features(net, x, kind->depth, false), options);
}

static convoy_node build_batch_norm(convoy_net *net, convoy_node x,
                                    const struct model_kind *kind,
                                    const convoy_model_options *options)
{
    return classifier(net, features(net, x, kind->depth, true), options);
}

#define FAMILY(n)                                                                      \
    const struct model_kind model_vgg##n = {                                           \
        .name = "vgg" #n,                                                              \
        .summary = "VGG of " #n " layers",                                             \
        MODEL_FOR_IMAGENET,                                                            \
        .depth = (n),                                                                  \
        .has_dropout = true,                                                           \
        .build = build_plain,                                                          \
    };                                                                                 \
    const struct model_kind model_vgg##n##_bn = {                                      \
        .name = "vgg" #n "_bn",                                                        \
        .summary = "vgg" #n " with batch norm behind each convolution",                \
        MODEL_FOR_IMAGENET,                                                            \
        .depth = (n),                                                                  \
        .has_dropout = true,                                                           \
        .build = build_batch_norm,                                                     \
    }

FAMILY(11);
FAMILY(13);
FAMILY(16);
FAMILY(19);
