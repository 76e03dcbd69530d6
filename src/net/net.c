/* Building a net: each function fills a layer's attributes and appends a node,
 * inferring its shape at once, so a layer that does not fit is named with both shapes.
 * The first failure is kept in the net; nodes after it are -1. */
#include "net/net.h"

#include "base/memory.h"

#include <assert.h>
#include <string.h>

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

void convoy_net_destroy(convoy_net *net)
{
    if (!net)
        return;
    for (int i = 0; i < net->n_nodes; i++) {
        mem_free(net->nodes[i].name);
        mem_free(net->nodes[i].src);
    }
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
            return FAIL(CONVOY_ERROR_ARGUMENT, "layer '%s' (%s): there is no node %d",
                        name, kind, x[i]);
    if (net->loss >= 0)
        return FAIL(CONVOY_ERROR_ARGUMENT, "layer '%s' (%s) comes after the loss", name,
                    kind);
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

static convoy_status append(convoy_net *net, const char *kind_name, const char *name,
                            int n, const convoy_node *x,
                            const struct layer_attributes *attributes)
{
    convoy_status status = CONVOY_OK;
    const struct layer_kind *kind = layer_find(kind_name);
    struct shape shapes[LAYER_MAX_SRC];
    struct node made = {.kind = kind, .attributes = *attributes, .n_src = n};
    TRY(check_node(net, kind_name, name, n, x));
    if (n < kind->min_src || n > kind->max_src)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "takes %d to %d inputs, found %d",
                 kind->min_src, kind->max_src, n));
    for (int i = 0; i < n; i++)
        shapes[i] = net->nodes[x[i]].shape;
    TRY(kind->infer(attributes, n, shapes, &made.shape));
    TRY(grow_nodes(net));
    TRY(mem_copy_text(name, &made.name));
    TRY(mem_alloc_array((size_t)n, sizeof *made.src, (void **)&made.src));
    memcpy(made.src, x, (size_t)n * sizeof *x);
    TRY(param_store_add(&net->store, name, kind, attributes, shapes, &made.first_param,
                        &made.first_buffer));
    made.n_params = net->store.n_params - made.first_param;
    net->nodes[net->n_nodes++] = made;
    memset(&made, 0, sizeof made);
cleanup:
    mem_free(made.name);
    mem_free(made.src);
    return status;
}

/* Appends a node, or keeps why it cannot be. */
static convoy_node add(convoy_net *net, const char *kind, const char *name, int n,
                       const convoy_node *x, const struct layer_attributes *attributes)
{
    if (net->failure.status != CONVOY_OK)
        return -1;
    convoy_status status = append(net, kind, name, n, x, attributes);
    if (status == CONVOY_OK)
        return net->n_nodes - 1;
    status_prefix(status, "layer '%s' (%s)", name ? name : "", kind);
    status_save(status, &net->failure);
    return -1;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

static enum param_init init_of(convoy_init init)
{
    static const enum param_init inits[] = {
        [CONVOY_INIT_DEFAULT] = INIT_DEFAULT, [CONVOY_INIT_HE_FAN_IN] = INIT_HE_NORMAL,
        [CONVOY_INIT_UNIFORM] = INIT_UNIFORM, [CONVOY_INIT_NORMAL] = INIT_NORMAL,
        [CONVOY_INIT_ONE] = INIT_ONE,
    };
    assert(init >= 0 && (size_t)init < sizeof inits / sizeof *inits);
    return inits[init];
}

convoy_node convoy_net_conv(convoy_net *net, convoy_node x, const char *name,
                            const convoy_conv *options)
{
    const convoy_conv o = options ? *options : (convoy_conv){0};
    const int64_t stride = or_default(o.stride, 1);
    const int64_t dilation = or_default(o.dilation, 1);
    const struct layer_attributes a = {.out = o.out,
                                       .kernel = {o.kernel, o.kernel},
                                       .stride = {stride, stride},
                                       .pad = {o.pad, o.pad},
                                       .dilation = {dilation, dilation},
                                       .groups = or_default(o.groups, 1),
                                       .bias = !o.no_bias,
                                       .init = init_of(o.init),
                                       .bias_init = init_of(o.bias_init)};
    return add(net, "conv", name, 1, &x, &a);
}

convoy_node convoy_net_batch_norm(convoy_net *net, convoy_node x, const char *name,
                                  const convoy_batch_norm *options)
{
    const convoy_batch_norm o = options ? *options : (convoy_batch_norm){0};
    const struct layer_attributes a = {.epsilon = o.epsilon != 0 ? o.epsilon : 1e-5F,
                                       .momentum = o.momentum != 0 ? o.momentum : 0.1F,
                                       .zero_init = o.zero_init};
    return add(net, "batch_norm", name, 1, &x, &a);
}

static convoy_node add_plain(convoy_net *net, const char *kind, convoy_node x,
                             const char *name)
{
    const struct layer_attributes a = {0};
    return add(net, kind, name, 1, &x, &a);
}

convoy_node convoy_net_relu(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, "relu", x, name);
}

convoy_node convoy_net_sigmoid(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, "sigmoid", x, name);
}

convoy_node convoy_net_tanh(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, "tanh", x, name);
}

static struct layer_attributes pool_attributes(const convoy_pool *options)
{
    const convoy_pool o = options ? *options : (convoy_pool){0};
    const int64_t stride = or_default(o.stride, o.kernel);
    return (struct layer_attributes){.kernel = {o.kernel, o.kernel},
                                     .stride = {stride, stride},
                                     .pad = {o.pad, o.pad},
                                     .dilation = {1, 1},
                                     .ceil_mode = o.ceil_mode,
                                     .count_include_pad = !o.exclude_pad};
}

convoy_node convoy_net_max_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options)
{
    const struct layer_attributes a = pool_attributes(options);
    return add(net, "max_pool", name, 1, &x, &a);
}

convoy_node convoy_net_avg_pool(convoy_net *net, convoy_node x, const char *name,
                                const convoy_pool *options)
{
    const struct layer_attributes a = pool_attributes(options);
    return add(net, "avg_pool", name, 1, &x, &a);
}

convoy_node convoy_net_global_avg_pool(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, "global_avg_pool", x, name);
}

convoy_node convoy_net_adaptive_avg_pool(convoy_net *net, convoy_node x,
                                         const char *name, int height, int width)
{
    const struct layer_attributes a = {.size_out = {height, width}};
    return add(net, "adaptive_avg_pool", name, 1, &x, &a);
}

convoy_node convoy_net_lrn(convoy_net *net, convoy_node x, const char *name,
                           const convoy_lrn *options)
{
    const convoy_lrn o = options ? *options : (convoy_lrn){0};
    const struct layer_attributes a = {.size = or_default(o.size, 5),
                                       .alpha = o.alpha != 0 ? o.alpha : 1e-4F,
                                       .beta = o.beta != 0 ? o.beta : 0.75F,
                                       .k = o.k != 0 ? o.k : 1.0F};
    return add(net, "lrn", name, 1, &x, &a);
}

convoy_node convoy_net_dropout(convoy_net *net, convoy_node x, const char *name,
                               float p)
{
    const struct layer_attributes a = {.p = p};
    return add(net, "dropout", name, 1, &x, &a);
}

convoy_node convoy_net_inner_product(convoy_net *net, convoy_node x, const char *name,
                                     const convoy_inner_product *options)
{
    const convoy_inner_product o = options ? *options : (convoy_inner_product){0};
    const struct layer_attributes a = {.out = o.out,
                                       .bias = !o.no_bias,
                                       .init = init_of(o.init),
                                       .bias_init = init_of(o.bias_init)};
    return add(net, "inner_product", name, 1, &x, &a);
}

convoy_node convoy_net_add(convoy_net *net, int n, const convoy_node *x,
                           const char *name)
{
    const struct layer_attributes a = {0};
    return add(net, "add", name, n, x, &a);
}

convoy_node convoy_net_concat(convoy_net *net, int n, const convoy_node *x,
                              const char *name)
{
    const struct layer_attributes a = {0};
    return add(net, "concat", name, n, x, &a);
}

convoy_node convoy_net_pad_channels(convoy_net *net, convoy_node x, const char *name,
                                    int channels)
{
    const struct layer_attributes a = {.out = channels};
    return add(net, "pad_channels", name, 1, &x, &a);
}

convoy_node convoy_net_flatten(convoy_net *net, convoy_node x, const char *name)
{
    return add_plain(net, "flatten", x, name);
}

convoy_node convoy_net_loss(convoy_net *net, convoy_node logits, float label_smoothing)
{
    const struct layer_attributes a = {.label_smoothing = label_smoothing};
    convoy_node loss = add(net, "softmax_cross_entropy", "loss", 1, &logits, &a);
    if (loss >= 0) {
        net->logits = logits;
        net->loss = loss;
    }
    return loss;
}
