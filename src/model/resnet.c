/* Residual nets for large images and their plain twins (He et al. 2015, "Deep residual
 * learning for image recognition", table 1), with torchvision's names and initial
 * values: 18 and 34 of blocks of two 3 x 3 convolutions, the deeper ones of bottlenecks
 * (1 x 1, 3 x 3, 1 x 1); shortcuts are projected where the shape changes (option B).
 *
 * The stride of a bottleneck is in its 3 x 3 convolution (v1.5, torchvision's) or in
 * its first (v1, the paper's). pre_activation is He et al. 2016, "Identity mappings in
 * deep residual networks": norm and ReLU before each convolution; where a shortcut is
 * projected it starts behind the block's first ReLU; the stem's norm stands for the
 * first block's own; one more norm and ReLU, bn2, end the last stage.
 *
 * blur_pool puts a low-pass filter in front of each strided convolution of 16 input
 * channels or more, that is of all but the stem's, as ffcv's ImageNet example does. In
 * front of a 1 x 1 convolution, which sees every second pixel only, it takes the stride
 * over: the same values for a quarter of the work. */
#include "model/model.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { N_STAGES = 4 };

struct form {
    int depth;
    bool bottleneck;
    int blocks[N_STAGES];
};

static const struct form *form_of(int depth)
{
    static const struct form forms[] = {
        {18, false, {2, 2, 2, 2}},  {34, false, {3, 4, 6, 3}},
        {50, true, {3, 4, 6, 3}},   {101, true, {3, 4, 23, 3}},
        {152, true, {3, 8, 36, 3}},
    };
    const struct form *form = forms;
    while (form->depth != depth)
        form++;
    return form;
}

struct block {
    char prefix[16]; /* "layer1.0." */
    int width, out;  /* channels inside and behind */
    int stride;
    int n_convs;
    int strided;    /* which convolution has the stride, from 1 */
    bool residual;  /* there is a shortcut */
    bool projected; /* … and it changes the shape */
    bool first;     /* of the net */
    bool zero_init; /* the last norm */
    bool blurs;     /* before strided convolutions */
};

/* What a strided convolution of this kernel is given to see; takes the stride over if
 * it can. */
static convoy_node blur(convoy_net *net, convoy_node x, const char *name, int kernel,
                        int *stride)
{
    const int s = kernel == 1 ? *stride : 1;
    *stride /= s;
    return convoy_net_blur_pool(net, x, name, s);
}

static convoy_node conv(convoy_net *net, convoy_node x, const struct block *b,
                        int number)
{
    const bool bottleneck = b->n_convs == 3;
    const int kernel = bottleneck && number != 2 ? 1 : 3;
    int stride = number == b->strided ? b->stride : 1;
    if (b->blurs && stride > 1)
        x = blur(net, x, model_name("%sblur%d", b->prefix, number).text, kernel,
                 &stride);
    const convoy_conv o = {.out = number == b->n_convs ? b->out : b->width,
                           .kernel = kernel,
                           .stride = stride,
                           .pad = kernel / 2,
                           .no_bias = true};
    return convoy_net_conv(net, x, model_name("%sconv%d", b->prefix, number).text, &o);
}

static convoy_node norm(convoy_net *net, convoy_node x, const struct block *b,
                        int number)
{
    const convoy_batch_norm o = {.zero_init = b->zero_init && number == b->n_convs};
    return convoy_net_batch_norm(net, x, model_name("%sbn%d", b->prefix, number).text,
                                 &o);
}

static convoy_node relu(convoy_net *net, convoy_node x, const struct block *b,
                        int number)
{
    return convoy_net_relu(net, x, model_name("%srelu%d", b->prefix, number).text);
}

static convoy_node projection(convoy_net *net, convoy_node x, const struct block *b)
{
    int stride = b->stride;
    if (b->blurs && stride > 1)
        x = blur(net, x, model_name("%sdownsample.blur", b->prefix).text, 1, &stride);
    const convoy_conv o = {
        .out = b->out, .kernel = 1, .stride = stride, .no_bias = true};
    return convoy_net_conv(net, x, model_name("%sdownsample.0", b->prefix).text, &o);
}

static convoy_node join(convoy_net *net, convoy_node y, convoy_node shortcut,
                        const struct block *b)
{
    const convoy_node both[] = {y, shortcut};
    return convoy_net_add(net, 2, both, model_name("%sadd", b->prefix).text);
}

static convoy_node post_block(convoy_net *net, convoy_node x, const struct block *b)
{
    convoy_node y = x;
    for (int k = 1; k <= b->n_convs; k++) {
        y = norm(net, conv(net, y, b, k), b, k);
        if (k < b->n_convs)
            y = relu(net, y, b, k);
    }
    if (b->projected)
        x = convoy_net_batch_norm(net, projection(net, x, b),
                                  model_name("%sdownsample.1", b->prefix).text, NULL);
    if (b->residual)
        y = join(net, y, x, b);
    return relu(net, y, b, b->n_convs);
}

static convoy_node pre_block(convoy_net *net, convoy_node x, const struct block *b)
{
    convoy_node y = x, shortcut = x;
    for (int k = 1; k <= b->n_convs; k++) {
        if (k > 1 || !b->first)
            y = relu(net, norm(net, y, b, k), b, k);
        if (k == 1 && b->projected)
            shortcut = projection(net, y, b);
        y = conv(net, y, b, k);
    }
    return join(net, y, shortcut, b);
}

static convoy_node stem(convoy_net *net, convoy_node x)
{
    const convoy_conv o = {
        .out = 64, .kernel = 7, .stride = 2, .pad = 3, .no_bias = true};
    x = convoy_net_conv(net, x, "conv1", &o);
    x = convoy_net_batch_norm(net, x, "bn1", NULL);
    x = convoy_net_relu(net, x, "relu1");
    return convoy_net_max_pool(net, x, "maxpool",
                               &(convoy_pool){.kernel = 3, .stride = 2, .pad = 1});
}

static convoy_node head(convoy_net *net, convoy_node x,
                        const convoy_model_options *options)
{
    const convoy_inner_product fc = {.out = options->classes,
                                     .init = CONVOY_INIT_UNIFORM,
                                     .bias_init = CONVOY_INIT_UNIFORM};
    if (options->pre_activation) {
        x = convoy_net_batch_norm(net, x, "bn2", NULL);
        x = convoy_net_relu(net, x, "relu2");
    }
    x = convoy_net_global_avg_pool(net, x, "avgpool");
    x = convoy_net_flatten(net, x, "flatten");
    return convoy_net_inner_product(net, x, "fc", &fc);
}

static struct block block_of(const struct form *form, int stage, int index,
                             bool residual, const convoy_model_options *options)
{
    const bool v1 = options->variant && strcmp(options->variant, "v1") == 0;
    const int width = 64 << stage;
    struct block b = {.width = width,
                      .out = form->bottleneck ? 4 * width : width,
                      .stride = stage > 0 && index == 0 ? 2 : 1,
                      .n_convs = form->bottleneck ? 3 : 2,
                      .strided = form->bottleneck && !v1 ? 2 : 1,
                      .residual = residual,
                      .first = stage == 0 && index == 0,
                      .zero_init = options->zero_init_residual,
                      .blurs = options->blur_pool};
    b.projected = residual && index == 0 && (stage > 0 || form->bottleneck);
    snprintf(b.prefix, sizeof b.prefix, "layer%d.%d.", stage + 1, index);
    return b;
}

static convoy_node build(convoy_net *net, convoy_node x, bool residual,
                         const struct model_kind *kind,
                         const convoy_model_options *options)
{
    const struct form *form = form_of(kind->depth);
    x = stem(net, x);
    for (int stage = 0; stage < N_STAGES; stage++) {
        for (int i = 0; i < form->blocks[stage]; i++) {
            const struct block b = block_of(form, stage, i, residual, options);
            x = options->pre_activation ? pre_block(net, x, &b)
                                        : post_block(net, x, &b);
        }
    }
    return head(net, x, options);
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

#define RESIDUAL(n, bottleneck)                                                        \
    const struct model_kind model_resnet##n = {                                        \
        .name = "resnet" #n,                                                           \
        .summary = "residual net of " #n " layers",                                    \
        MODEL_FOR_IMAGENET,                                                            \
        .depth = (n),                                                                  \
        .has_residual = true,                                                          \
        .has_variant = (bottleneck),                                                   \
        .has_pre_activation = true,                                                    \
        .has_blur_pool = true,                                                         \
        .build = build_residual,                                                       \
    }

#define PLAIN(n)                                                                       \
    const struct model_kind model_plain##n = {                                         \
        .name = "plain" #n,                                                            \
        .summary = "resnet" #n " without its shortcuts",                               \
        MODEL_FOR_IMAGENET,                                                            \
        .depth = (n),                                                                  \
        .has_blur_pool = true,                                                         \
        .build = build_plain,                                                          \
    }

RESIDUAL(18, false);
RESIDUAL(34, false);
RESIDUAL(50, true);
RESIDUAL(101, true);
RESIDUAL(152, true);
PLAIN(18);
PLAIN(34);
