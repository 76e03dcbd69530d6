/* From a recipe's list of layers to a net: one call of net.h for each layer. The recipe
 * has checked kinds, options, names and sources; what only shapes can show comes from
 * the layers themselves and is told with the entry's line.
 *
 * Sizes are bounded here, so that no product of them overflows on the way to an
 * allocation that fails.
 */
#include "setup/network.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FROM = 64 };
static const int64_t max_values = INT64_C(1) << 28; /* of a layer's output, a sample */
static const int64_t max_params = INT64_C(1) << 40; /* of the whole net */

_Static_assert(CONVOY_INIT_DEFAULT == 0 && CONVOY_INIT_HE_FAN_IN == 1 &&
                   CONVOY_INIT_UNIFORM == 2 && CONVOY_INIT_NORMAL == 3 &&
                   CONVOY_INIT_ONE == 4,
               "the words for init in recipe_kinds.c are in this order");

/* What a builder adds: a layer called name on src [n]. */
struct addition {
    convoy_net *net;
    int n;
    const convoy_node *src;
    const char *name;
    const struct recipe_options *options;
};

static convoy_node add_conv(const struct addition *a)
{
    const struct recipe_options *o = a->options;
    const convoy_conv conv = {.out = o->out,
                              .kernel = o->kernel,
                              .stride = o->stride,
                              .pad = o->pad,
                              .dilation = o->dilation,
                              .groups = o->groups,
                              .no_bias = !o->bias,
                              .init = (convoy_init)o->init,
                              .bias_init = (convoy_init)o->bias_init};
    return convoy_net_conv(a->net, a->src[0], a->name, &conv);
}

static convoy_node add_batch_norm(const struct addition *a)
{
    const convoy_batch_norm norm = {.epsilon = (float)a->options->epsilon,
                                    .momentum = (float)a->options->momentum,
                                    .zero_init = a->options->zero_init};
    return convoy_net_batch_norm(a->net, a->src[0], a->name, &norm);
}

static convoy_node add_relu(const struct addition *a)
{
    return convoy_net_relu(a->net, a->src[0], a->name);
}

static convoy_node add_sigmoid(const struct addition *a)
{
    return convoy_net_sigmoid(a->net, a->src[0], a->name);
}

static convoy_node add_tanh(const struct addition *a)
{
    return convoy_net_tanh(a->net, a->src[0], a->name);
}

static convoy_pool pool_of(const struct recipe_options *o)
{
    return (convoy_pool){.kernel = o->kernel,
                         .stride = o->stride,
                         .pad = o->pad,
                         .ceil_mode = o->ceil_mode,
                         .exclude_pad = o->exclude_pad};
}

static convoy_node add_max_pool(const struct addition *a)
{
    const convoy_pool pool = pool_of(a->options);
    return convoy_net_max_pool(a->net, a->src[0], a->name, &pool);
}

static convoy_node add_avg_pool(const struct addition *a)
{
    const convoy_pool pool = pool_of(a->options);
    return convoy_net_avg_pool(a->net, a->src[0], a->name, &pool);
}

static convoy_node add_global_avg_pool(const struct addition *a)
{
    return convoy_net_global_avg_pool(a->net, a->src[0], a->name);
}

static convoy_node add_adaptive_avg_pool(const struct addition *a)
{
    return convoy_net_adaptive_avg_pool(a->net, a->src[0], a->name, a->options->height,
                                        a->options->width);
}

static convoy_node add_lrn(const struct addition *a)
{
    const convoy_lrn lrn = {.size = a->options->size,
                            .alpha = (float)a->options->alpha,
                            .beta = (float)a->options->beta,
                            .k = (float)a->options->k};
    return convoy_net_lrn(a->net, a->src[0], a->name, &lrn);
}

static convoy_node add_dropout(const struct addition *a)
{
    return convoy_net_dropout(a->net, a->src[0], a->name, (float)a->options->p);
}

static convoy_node add_inner_product(const struct addition *a)
{
    const convoy_inner_product product = {.out = a->options->out,
                                          .no_bias = !a->options->bias,
                                          .init = (convoy_init)a->options->init,
                                          .bias_init =
                                              (convoy_init)a->options->bias_init};
    return convoy_net_inner_product(a->net, a->src[0], a->name, &product);
}

static convoy_node add_add(const struct addition *a)
{
    return convoy_net_add(a->net, a->n, a->src, a->name);
}

static convoy_node add_concat(const struct addition *a)
{
    return convoy_net_concat(a->net, a->n, a->src, a->name);
}

static convoy_node add_pad_channels(const struct addition *a)
{
    return convoy_net_pad_channels(a->net, a->src[0], a->name, a->options->channels);
}

static convoy_node add_flatten(const struct addition *a)
{
    return convoy_net_flatten(a->net, a->src[0], a->name);
}

static const struct {
    const char *kind;
    convoy_node (*add)(const struct addition *a);
} builders[] = {
    {"conv", add_conv},
    {"batch_norm", add_batch_norm},
    {"relu", add_relu},
    {"sigmoid", add_sigmoid},
    {"tanh", add_tanh},
    {"max_pool", add_max_pool},
    {"avg_pool", add_avg_pool},
    {"global_avg_pool", add_global_avg_pool},
    {"adaptive_avg_pool", add_adaptive_avg_pool},
    {"lrn", add_lrn},
    {"dropout", add_dropout},
    {"inner_product", add_inner_product},
    {"add", add_add},
    {"concat", add_concat},
    {"pad_channels", add_pad_channels},
    {"flatten", add_flatten},
};

/* The layer's failure as the net tells it, "layer 'NAME' (KIND): WHY", with its place.
 */
static convoy_status tell(convoy_status status, const struct recipe_network *network,
                          const struct recipe_layer *layer)
{
    static const char before[] = "layer ";
    char where[RECIPE_WHERE_SIZE], text[STATUS_TEXT_SIZE];
    snprintf(text, sizeof text, "%s", convoy_status_text());
    const bool is_layer = strncmp(text, before, sizeof before - 1) == 0;
    recipe_entry_where(network->file, layer->entry, is_layer ? NULL : layer->name,
                       where);
    return FAIL(status, "%s%s%s", where, is_layer ? " " : ": ",
                is_layer ? text + sizeof before - 1 : text);
}

static convoy_status check_size(const convoy_net *net, convoy_node x)
{
    int64_t shape[3];
    convoy_net_shape(net, x, shape);
    if (shape[0] > max_values || shape[1] > max_values / shape[0] ||
        shape[2] > max_values / (shape[0] * shape[1]))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "gives [%lld, %lld, %lld], more than the %lld values a sample that "
                    "a layer can have",
                    (long long)shape[0], (long long)shape[1], (long long)shape[2],
                    (long long)max_values);
    if (convoy_net_n_params(net) > max_params)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "takes the net to %lld parameters, more than the %lld that it can "
                    "have",
                    (long long)convoy_net_n_params(net), (long long)max_params);
    return CONVOY_OK;
}

static convoy_status add_layer(convoy_net *net, const struct recipe_layer *layer,
                               int classes, const convoy_node *nodes, convoy_node *node)
{
    convoy_node src[MAX_FROM];
    struct recipe_options options = layer->entry->options;
    if (options.out == 0)
        options.out = classes;
    for (int i = 0; i < layer->n_src && i < MAX_FROM; i++)
        src[i] = layer->src[i] == RECIPE_INPUT ? convoy_net_input(net)
                                               : nodes[layer->src[i]];
    const struct addition addition = {net, layer->n_src, src, layer->name, &options};
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++) {
        if (strcmp(builders[i].kind, layer->entry->kind->name) != 0)
            continue;
        *node = builders[i].add(&addition);
        return *node < 0 ? convoy_net_check(net) : check_size(net, *node);
    }
    return FAIL(CONVOY_ERROR_UNSUPPORTED, "this kind of layer cannot be built");
}

static convoy_status add_loss(convoy_net *net, convoy_node logits, int classes,
                              float label_smoothing)
{
    int64_t shape[3];
    convoy_net_shape(net, logits, shape);
    const int64_t n = shape[0] * shape[1] * shape[2];
    if (n != classes)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "ends the network with %lld values a sample, but there are %d "
                    "classes; end it with {inner_product: {out: classes}}",
                    (long long)n, classes);
    if (convoy_net_loss(net, logits, label_smoothing) >= 0)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "ends the network with [%lld, %lld, %lld], and the loss needs flat "
                "values; put a flatten behind it",
                (long long)shape[0], (long long)shape[1], (long long)shape[2]);
}

convoy_status network_build(const struct recipe_network *network, const int shape[3],
                            int classes, float label_smoothing, convoy_net **net)
{
    convoy_status status = CONVOY_OK;
    convoy_net *made = NULL;
    convoy_node *nodes = NULL;
    const int n = network->n_layers;
    TRY(mem_alloc_array((size_t)n, sizeof *nodes, (void **)&nodes));
    TRY(convoy_net_create(shape[0], shape[1], shape[2], &made));
    for (int i = 0; status == CONVOY_OK && i < n; i++) {
        status = add_layer(made, &network->layers[i], classes, nodes, &nodes[i]);
        if (status == CONVOY_OK && i == n - 1)
            status = add_loss(made, nodes[i], classes, label_smoothing);
        if (status != CONVOY_OK)
            tell(status, network, &network->layers[i]);
    }
    if (status != CONVOY_OK)
        goto cleanup;
    TRY(convoy_net_check(made));
    *net = made;
    made = NULL;
cleanup:
    mem_free(nodes);
    convoy_net_destroy(made);
    return status;
}
