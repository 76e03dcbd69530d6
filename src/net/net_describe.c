/* What each layer of a net is, for tables: its output, parameters and work, and what
 * weights other kinds would need in its place. Nothing is compiled for it.
 * Multiply-adds count convolutions and inner products, as published figures do; memory
 * is that of outputs alone, each in its own place (training reuses memory and computes
 * some layers in place). */
#include "net/net.h"

#include <assert.h>
#include <string.h>

int convoy_net_n_layers(const convoy_net *net)
{
    return net->n_nodes - 1 - (net->loss >= 0);
}

static void count_params(const convoy_net *net, const struct node *node,
                         convoy_layer *layer)
{
    for (int i = node->first_param; i < node->first_param + node->n_params; i++) {
        int64_t n = param_store_n_values(&net->store, i);
        layer->n_params += n;
        if (strcmp(net->store.params[i].param.name, "bias") != 0)
            layer->n_weights += n;
    }
}

void convoy_net_describe(const convoy_net *net, int i, convoy_layer *layer)
{
    assert(i >= 0 && i < convoy_net_n_layers(net));
    const struct node *node = &net->nodes[i + 1];
    const struct shape *shape = &node->shape, *src = &net->nodes[node->src[0]].shape;
    *layer = (convoy_layer){.name = node->name,
                            .kind = node->kind->about.name,
                            .shape = {shape->c, shape->h, shape->w},
                            .flat = shape->flat};
    count_params(net, node, layer);
    if (node->kind->macs)
        layer->n_macs = node->kind->macs(node->attributes, src, shape);
    layer->bytes = shape->c * shape->h * shape->w * (int64_t)sizeof(float);
}

/* Of n factors, none of them 0; INT64_MAX where it is as large or larger. */
static int64_t product(int n, const int64_t *factors)
{
    int64_t made = 1;
    for (int i = 0; i < n; i++) {
        if (made > INT64_MAX / factors[i])
            return INT64_MAX;
        made *= factors[i];
    }
    return made;
}

bool convoy_net_compare(const convoy_net *net, int i, convoy_comparison *comparison)
{
    assert(i >= 0 && i < convoy_net_n_layers(net));
    const struct node *node = &net->nodes[i + 1];
    const struct shape *dst = &node->shape, *src = &net->nodes[node->src[0]].shape;
    struct layer_reach reach;
    if (!node->kind->reach)
        return false;
    node->kind->reach(node->attributes, src, &reach);
    const int64_t all[] = {src->c, src->h, src->w, dst->c, dst->h, dst->w};
    const int64_t seen[] = {reach.channels, reach.kernel[0], reach.kernel[1],
                            dst->c,         dst->h,          dst->w};
    *comparison = (convoy_comparison){.src = {src->c, src->h, src->w},
                                      .dst = {dst->c, dst->h, dst->w},
                                      .channels = reach.channels,
                                      .kernel = {reach.kernel[0], reach.kernel[1]},
                                      .fully_connected = product(6, all),
                                      .locally_connected = product(6, seen),
                                      .convolutional = product(4, seen)};
    return true;
}

int64_t net_multiply_adds(const convoy_net *net)
{
    int64_t n = 0;
    for (int i = 0; i < convoy_net_n_layers(net); i++) {
        convoy_layer layer;
        convoy_net_describe(net, i, &layer);
        n += layer.n_macs;
    }
    return n;
}
