/* Building a net: net_add checks what a layer is told against its kind's table and
 * appends a node, inferring its shape at once, so a layer that does not fit is named
 * with both shapes. The first failure is kept in the net; nodes after it are -1. */
#include "net/net.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

_Static_assert((int)CONVOY_INIT_DEFAULT == (int)INIT_DEFAULT &&
                   (int)CONVOY_INIT_HE_FAN_IN == (int)INIT_HE_NORMAL &&
                   (int)CONVOY_INIT_UNIFORM == (int)INIT_UNIFORM &&
                   (int)CONVOY_INIT_NORMAL == (int)INIT_NORMAL &&
                   (int)CONVOY_INIT_ONE == (int)INIT_ONE,
               "the inits of net.h are the first of layer.h");

/* Of the input: more has no product that fits. */
enum { MAX_SIDE = 1 << 16 };

convoy_status convoy_net_create(int channels, int height, int width, convoy_net **net)
{
    convoy_status status = CONVOY_OK;
    convoy_net *made = NULL;
    if (channels < 1 || height < 1 || width < 1 || channels > MAX_SIDE ||
        height > MAX_SIDE || width > MAX_SIDE)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a net's input needs 1 to %d channels, rows and columns, here "
                    "[%d, %d, %d]",
                    MAX_SIDE, channels, height, width);
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->logits = made->loss = -1;
    TRY(dnn_create(&made->dnn));
    TRY(mem_alloc_array(16, sizeof *made->nodes, (void **)&made->nodes));
    made->nodes_capacity = 16;
    TRY(mem_copy_text("input", &made->nodes[0].name));
    made->nodes[0].shape = (struct shape){.c = channels, .h = height, .w = width};
    made->n_nodes = 1;
    *net = made;
    made = NULL;
cleanup:
    convoy_net_destroy(made);
    return status;
}

static void free_node(struct node *node)
{
    mem_free(node->name);
    mem_free(node->src);
    mem_free(node->attributes);
}

void convoy_net_destroy(convoy_net *net)
{
    if (!net)
        return;
    for (int i = 0; i < net->n_nodes; i++)
        free_node(&net->nodes[i]);
    mem_free(net->nodes);
    param_store_free(&net->store);
    dnn_destroy(&net->dnn);
    mem_free(net);
}

convoy_status convoy_net_check(const convoy_net *net)
{
    if (net->failure.status != CONVOY_OK)
        return status_restore(&net->failure);
    if (net->loss < 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "the net has no loss: end it with "
                                           "convoy_net_loss");
    return CONVOY_OK;
}

convoy_node convoy_net_input(const convoy_net *net)
{
    (void)net;
    return 0;
}

void convoy_net_shape(const convoy_net *net, convoy_node x, int64_t shape[3])
{
    memset(shape, 0, 3 * sizeof *shape);
    if (x < 0 || x >= net->n_nodes)
        return;
    shape[0] = net->nodes[x].shape.c;
    shape[1] = net->nodes[x].shape.h;
    shape[2] = net->nodes[x].shape.w;
}

int64_t convoy_net_n_params(const convoy_net *net)
{
    int64_t n = 0;
    for (int i = 0; i < net->store.n_params; i++)
        n += param_store_n_values(&net->store, i);
    return n;
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* *n: how many of node's parameters begin with prefix; these are frozen. */
static convoy_status freeze_node(convoy_net *net, const struct node *node,
                                 const char *prefix, int *n)
{
    struct stored_param *params = net->store.params + node->first_param;
    *n = 0;
    for (int i = 0; i < node->n_params; i++)
        *n += begins_with(params[i].name, prefix);
    if (*n != 0 && *n != node->n_params)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "'%s' is the beginning of only some parameters of layer '%s'; a "
                    "layer is frozen as a whole: '%s.'",
                    prefix, node->name, node->name);
    for (int i = 0; *n > 0 && i < node->n_params; i++)
        params[i].frozen = true;
    return CONVOY_OK;
}

convoy_status net_freeze(convoy_net *net, const char *prefix)
{
    convoy_status status = CONVOY_OK;
    int total = 0, n = 0;
    assert(!net->store.param_data);
    for (int i = 0; i < net->n_nodes; i++) {
        TRY(freeze_node(net, &net->nodes[i], prefix, &n));
        total += n;
    }
    if (total == 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "no parameter of the net begins with '%s'; its first is '%s'",
                    prefix, net->store.n_params ? net->store.params[0].name : "none");
cleanup:
    return status;
}

static convoy_status check_node(const convoy_net *net, const char *kind,
                                const char *name, int n, const convoy_node *x)
{
    if (!name || !*name)
        return FAIL(CONVOY_ERROR_ARGUMENT, "a %s layer has no name", kind);
    for (int i = 0; i < net->n_nodes; i++)
        if (strcmp(net->nodes[i].name, name) == 0)
            return FAIL(CONVOY_ERROR_ARGUMENT, "two layers are called '%s'", name);
    for (int i = 0; i < n; i++)
        if (x[i] < 0 || x[i] >= net->n_nodes)
            return FAIL(CONVOY_ERROR_ARGUMENT, "there is no node %d", x[i]);
    if (net->loss >= 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "it comes after the loss, which ends a net");
    return CONVOY_OK;
}

static convoy_status grow_nodes(convoy_net *net)
{
    if (net->n_nodes < net->nodes_capacity)
        return CONVOY_OK;
    size_t bytes = (size_t)net->nodes_capacity * sizeof *net->nodes;
    convoy_status status = mem_reserve((void **)&net->nodes, &bytes, 2 * bytes);
    if (status == CONVOY_OK)
        net->nodes_capacity = (int)(bytes / sizeof *net->nodes);
    return status;
}

/* A copy of what kind is told; NULL where it has no options. */
static convoy_status copy_attributes(const struct layer_kind *kind,
                                     const void *attributes, void **copy)
{
    if (kind->about.size == 0)
        return CONVOY_OK;
    convoy_status status = mem_alloc(kind->about.size, copy);
    if (status == CONVOY_OK)
        memcpy(*copy, attributes, kind->about.size);
    return status;
}

static convoy_status append(convoy_net *net, const struct layer_kind *kind, int n,
                            const convoy_node *x, const char *name,
                            const void *attributes)
{
    convoy_status status = CONVOY_OK;
    struct shape shapes[LAYER_MAX_SRC];
    struct node made = {.kind = kind, .n_src = n};
    TRY(check_node(net, kind->about.name, name, n, x));
    for (int i = 0; i < n && i < LAYER_MAX_SRC; i++)
        shapes[i] = net->nodes[x[i]].shape;
    TRY(layer_infer(kind, attributes, n, shapes, &made.shape));
    TRY(grow_nodes(net));
    TRY(mem_copy_text(name, &made.name));
    TRY(mem_alloc_array((size_t)n, sizeof *made.src, (void **)&made.src));
    memcpy(made.src, x, (size_t)n * sizeof *x);
    TRY(copy_attributes(kind, attributes, &made.attributes));
    TRY(param_store_add(&net->store, name, kind, attributes, shapes, &made.first_param,
                        &made.first_buffer));
    made.n_params = net->store.n_params - made.first_param;
    if (kind->about.is_loss) {
        net->logits = x[0];
        net->loss = net->n_nodes;
    }
    net->nodes[net->n_nodes++] = made;
    memset(&made, 0, sizeof made);
cleanup:
    free_node(&made);
    return status;
}

/* Keeps why a node cannot be. */
convoy_node net_add(convoy_net *net, const struct layer_kind *kind, int n,
                    const convoy_node *x, const char *name, const void *attributes)
{
    if (net->failure.status != CONVOY_OK)
        return -1;
    convoy_status status = append(net, kind, n, x, name, attributes);
    if (status == CONVOY_OK)
        return net->n_nodes - 1;
    status_prefix(status, "layer '%s' (%s)", name ? name : "", kind->about.name);
    status_save(status, &net->failure);
    return -1;
}

/* The typed calls: what is 0 gets its default from the kind's table. */
static convoy_node add(convoy_net *net, const struct layer_kind *kind, int n,
                       const convoy_node *x, const char *name,
                       struct layer_attributes attributes)
{
    option_fill(&kind->about, &attributes);
    return net_add(net, kind, n, x, name, &attributes);
}

static convoy_node add_plain(convoy_net *net, const struct layer_kind *kind,
                             convoy_node x, const char *name)
{
    return add(net, kind, 1, &x, name, (struct layer_attributes){0});
}

static convoy_node add_windows(convoy_net *net, const struct layer_kind *kind,
                               convoy_node x, const char *name,
                               const convoy_conv *options)
{
    const convoy_conv o = options ? *options : (convoy_conv){0};
    return add(net, kind, 1, &x, name,
               (struct layer_attributes){.out = o.out,
                                         .kernel = {o.kernel, o.kernel},
                                         .stride = {o.stride, o.stride},
                                         .pad = {o.pad, o.pad},
                                         .dilation = {o.dilation, o.dilation},
                                         .groups = o.groups,
                                         .bias = !o.no_bias,
                                         .init = (enum param_init)o.init,
                                         .bias_init = (enum param_init)o.bias_init});
}

convoy_node convoy_net_conv(convoy_net *net, convoy_node x, const char *name,
                            const convoy_conv *options)
{
    return add_windows(net, &layer_conv, x, name, options);
}

convoy_node convoy_net_locally_connected(convoy_net *net, convoy_node x,
                                         const char *name, const convoy_conv *options)
{
    return add_windows(net, &layer_locally_connected, x, name, options);
}

convoy_node convoy_net_batch_norm(convoy_net *net, convoy_node x, const char *name,
                                  const convoy_batch_norm *options)
{
    const convoy_batch_norm o = options ? *options : (convoy_batch_norm){0};
    return add(net, &layer_batch_norm, 1, &x, name,
               (struct layer_attributes){.epsilon = o.epsilon,
                                         .momentum = o.momentum,
                                         .zero_init = o.zero_init});
}

convoy_node convoy_net_relu(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, &layer_relu, x, name);
}

convoy_node convoy_net_sigmoid(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, &layer_sigmoid, x, name);
}

convoy_node convoy_net_tanh(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, &layer_tanh, x, name);
}

static convoy_node add_pool(convoy_net *net, const struct layer_kind *kind,
                            convoy_node x, const char *name, const convoy_pool *options)
{
    const convoy_pool o = options ? *options : (convoy_pool){0};
    return add(net, kind, 1, &x, name,
               (struct layer_attributes){.kernel = {o.kernel, o.kernel},
                                         .stride = {o.stride, o.stride},
                                         .pad = {o.pad, o.pad},
                                         .ceil_mode = o.ceil_mode,
                                         .exclude_pad = o.exclude_pad});
}

convoy_node convoy_net_max_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options)
{
    return add_pool(net, &layer_max_pool, x, name, options);
}

convoy_node convoy_net_avg_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options)
{
    return add_pool(net, &layer_avg_pool, x, name, options);
}

convoy_node convoy_net_global_avg_pool(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, &layer_global_avg_pool, x, name);
}

convoy_node convoy_net_adaptive_avg_pool(convoy_net *net, convoy_node x,
                                         const char *name, int height, int width)
{
    return add(net, &layer_adaptive_avg_pool, 1, &x, name,
               (struct layer_attributes){.height = height, .width = width});
}

convoy_node convoy_net_blur_pool(convoy_net *net, convoy_node x, const char *name,
                                 int stride)
{
    const int s = stride ? stride : 2;
    return add(net, &layer_blur_pool, 1, &x, name,
               (struct layer_attributes){.stride = {s, s}});
}

convoy_node convoy_net_lrn(convoy_net *net, convoy_node x, const char *name,
                           const convoy_lrn *options)
{
    const convoy_lrn o = options ? *options : (convoy_lrn){0};
    return add(net, &layer_lrn, 1, &x, name,
               (struct layer_attributes){
                   .size = o.size, .alpha = o.alpha, .beta = o.beta, .k = o.k});
}

convoy_node convoy_net_dropout(convoy_net *net, convoy_node x, const char *name,
                               float p)
{
    return add(net, &layer_dropout, 1, &x, name, (struct layer_attributes){.p = p});
}

convoy_node convoy_net_inner_product(convoy_net *net, convoy_node x, const char *name,
                                     const convoy_inner_product *options)
{
    const convoy_inner_product o = options ? *options : (convoy_inner_product){0};
    return add(net, &layer_inner_product, 1, &x, name,
               (struct layer_attributes){.out = o.out,
                                         .bias = !o.no_bias,
                                         .init = (enum param_init)o.init,
                                         .bias_init = (enum param_init)o.bias_init});
}

convoy_node convoy_net_add(convoy_net *net, int n, const convoy_node *x,
                           const char *name)
{
    return add(net, &layer_add, n, x, name, (struct layer_attributes){0});
}

convoy_node convoy_net_concat(convoy_net *net, int n, const convoy_node *x,
                              const char *name)
{
    return add(net, &layer_concat, n, x, name, (struct layer_attributes){0});
}

convoy_node convoy_net_pad_channels(convoy_net *net, convoy_node x, const char *name,
                                    int channels)
{
    return add(net, &layer_pad_channels, 1, &x, name,
               (struct layer_attributes){.out = channels});
}

convoy_node convoy_net_flatten(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, &layer_flatten, x, name);
}

convoy_node convoy_net_loss(convoy_net *net, convoy_node logits, float label_smoothing)
{
    return add(net, &layer_softmax_cross_entropy, 1, &logits, "loss",
               (struct layer_attributes){.label_smoothing = label_smoothing});
}
