/* densenet: builds a small DenseNet (Huang et al. 2017) with convoy's library and
 * prints its layers: the network of jobs/recipes/fashion-mnist-densenet.yaml in C.
 *
 *     densenet                    28 x 28 grey images, 10 classes, 4 layers a block
 *     densenet 3 32 100 6         3 channels, 32 x 32, 100 classes, 6 layers a block
 *
 * A function that adds a layer returns its node, to be given to the next. What does not
 * fit gives the node -1 and so does all that stands on it: one check at the end tells
 * the first reason.
 */
#include <convoy/net.h>

#include <stdio.h>
#include <stdlib.h>

enum { GROWTH = 12, N_BLOCKS = 3 };

struct form {
    int channels, size, classes, layers; /* of the input, and of each block */
};

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

/* *net is new; free with convoy_net_destroy. */
static convoy_status build(const struct form *form, convoy_net **net)
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

static void print_layers(const convoy_net *net)
{
    int64_t macs = 0, bytes = 0;
    printf("%-24s %-16s %14s %9s\n", "LAYER", "KIND", "OUTPUT", "WEIGHTS");
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_layer layer;
        char shape[32];
        convoy_net_describe(net, i, &layer);
        snprintf(shape, sizeof shape, "%lld x %lld x %lld", (long long)layer.shape[0],
                 (long long)layer.shape[1], (long long)layer.shape[2]);
        printf("%-24s %-16s %14s %9lld\n", layer.name, layer.kind, shape,
               (long long)layer.n_params);
        macs += layer.n_macs;
        bytes += layer.bytes;
    }
    printf("%lld parameters; for one image %.1f million multiply-adds forward, "
           "%.1f MB of outputs\n",
           (long long)convoy_net_n_params(net), (double)macs / 1e6,
           (double)bytes / 1e6);
}

int main(int argc, char **argv)
{
    struct form form = {.channels = 1, .size = 28, .classes = 10, .layers = 4};
    int *const numbers[] = {&form.channels, &form.size, &form.classes, &form.layers};
    convoy_net *net = NULL;
    if (argc > 5) {
        fprintf(stderr, "usage: densenet [CHANNELS [SIZE [CLASSES [LAYERS]]]]\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        *numbers[i - 1] = atoi(argv[i]);
    if (build(&form, &net) != CONVOY_OK) {
        fprintf(stderr, "densenet: %s\n", convoy_status_text());
        return 1;
    }
    print_layers(net);
    convoy_net_destroy(net);
    return 0;
}
