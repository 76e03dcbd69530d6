/* A function that adds a layer returns its node, to be given to the next. What does not
 * fit gives the node -1 and so does all that stands on it: one check at the end tells
 * the first reason. */
#include "densenet_net.h"

#include <stdio.h>

enum { GROWTH = 12, N_BLOCKS = 3 };

struct name {
    char text[64];
};

/* "dense1.0." and "norm" make "dense1.0.norm". */
static struct name join(const char *prefix, const char *last)
{
    struct name name;
    snprintf(name.text, sizeof name.text, "%s%s", prefix, last);
    return name;
}

static convoy_node norm_relu(convoy_net *net, convoy_node x, const char *prefix)
{
    x = convoy_net_batch_norm(net, x, join(prefix, "norm").text, NULL);
    return convoy_net_relu(net, x, join(prefix, "relu1").text);
}

/* GROWTH new channels, behind those that came in. */
static convoy_node dense_layer(convoy_net *net, convoy_node x, const char *prefix)
{
    const convoy_conv conv = {.out = GROWTH, .kernel = 3, .pad = 1, .no_bias = true};
    convoy_node y = norm_relu(net, x, prefix);
    y = convoy_net_conv(net, y, join(prefix, "new").text, &conv);
    const convoy_node both[] = {x, y};
    return convoy_net_concat(net, 2, both, join(prefix, "concat1").text);
}

static convoy_node dense_block(convoy_net *net, convoy_node x, int number, int n_layers)
{
    for (int i = 0; i < n_layers; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "dense%d.%d.", number, i);
        x = dense_layer(net, x, prefix);
    }
    return x;
}

/* Half the channels, half the height and width. */
static convoy_node transition(convoy_net *net, convoy_node x, int number)
{
    char prefix[32];
    int64_t shape[3];
    convoy_net_shape(net, x, shape); /* channels, height, width */
    const convoy_conv conv = {.out = (int)shape[0] / 2, .kernel = 1, .no_bias = true};
    snprintf(prefix, sizeof prefix, "transition%d.", number);
    x = norm_relu(net, x, prefix);
    x = convoy_net_conv(net, x, join(prefix, "conv").text, &conv);
    return convoy_net_avg_pool(net, x, join(prefix, "avg_pool1").text,
                               &(convoy_pool){.kernel = 2});
}

convoy_status densenet_build(const struct densenet *form, convoy_net **net)
{
    const convoy_conv first = {
        .out = 2 * GROWTH, .kernel = 3, .pad = 1, .no_bias = true};
    const convoy_inner_product last = {.out = form->classes};
    convoy_net *made = NULL;
    convoy_status status =
        convoy_net_create(form->channels, form->size, form->size, &made);
    if (status != CONVOY_OK)
        return status;
    convoy_node x = convoy_net_conv(made, convoy_net_input(made), "conv", &first);
    for (int i = 1; i <= N_BLOCKS; i++) {
        x = dense_block(made, x, i, form->layers);
        if (i < N_BLOCKS)
            x = transition(made, x, i);
    }
    x = norm_relu(made, x, "");
    x = convoy_net_global_avg_pool(made, x, "global_avg_pool1");
    x = convoy_net_flatten(made, x, "flatten1");
    x = convoy_net_inner_product(made, x, "fc", &last);
    convoy_net_loss(made, x, 0);
    status = convoy_net_check(made);
    if (status == CONVOY_OK)
        *net = made;
    else
        convoy_net_destroy(made);
    return status;
}
