/* From a recipe's list of layers to a net, layer by layer. The recipe has checked
 * kinds, options, names and sources, and filled in what layers are told; what only
 * shapes can show comes from the layers themselves and is told with the entry's line.
 *
 * Sizes are bounded here, so that no product of them overflows on the way to an
 * allocation that fails.
 */
#include "setup/network.h"

#include "base/memory.h"
#include "net/net.h"

#include <stdio.h>
#include <string.h>

static const int64_t max_values = INT64_C(1) << 28; /* of a layer's output, a sample */
static const int64_t max_params = INT64_C(1) << 40; /* of the whole net */

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

/* Puts classes where a layer is told so by the word. */
static void name_classes(const struct option_owner *kind, int classes, void *attributes)
{
    for (int i = 0; i < kind->n_options; i++) {
        const struct option *option = &kind->options[i];
        int *field = (int *)((char *)attributes + option->offset);
        if (option->type == OPTION_CLASSES && *field == 0)
            *field = classes;
    }
}

static convoy_status add_layer(convoy_net *net, const struct recipe_layer *layer,
                               int classes, const convoy_node *nodes, convoy_node *node)
{
    convoy_status status = CONVOY_OK;
    convoy_node src[LAYER_MAX_SRC];
    const struct option_owner *owner = layer->entry->kind;
    void *attributes = NULL;
    for (int i = 0; i < layer->n_src && i < LAYER_MAX_SRC; i++)
        src[i] = layer->src[i] == RECIPE_INPUT ? convoy_net_input(net)
                                               : nodes[layer->src[i]];
    if (owner->size > 0) {
        TRY(mem_alloc(owner->size, &attributes));
        memcpy(attributes, layer->entry->attributes, owner->size);
        name_classes(owner, classes, attributes);
    }
    *node = net_add(net, layer_find(owner->name), layer->n_src, src, layer->name,
                    attributes);
    TRY(*node < 0 ? convoy_net_check(net) : check_size(net, *node));
cleanup:
    mem_free(attributes);
    return status;
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
