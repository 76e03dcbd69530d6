/* Shapes of values for images of another size than the net was built with. The graph,
 * what layers are told and the parameters stay; a layer whose parameters would not (an
 * inner product on a whole map, say) is named, and so is one that the size leaves
 * nothing to work on. */
#include "net/compile_parts.h"

#include <stdio.h>
#include <string.h>

static bool is_same(const struct param *a, const struct param *b)
{
    return a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims) == 0;
}

static const char *dims_text(const struct param *param, char *out, size_t size)
{
    int n = 0;
    for (int d = 0; d < param->n_dims && (size_t)n < size; d++)
        n += snprintf(out + n, size - (size_t)n, "%s%lld", d ? ", " : "",
                      (long long)param->dims[d]);
    return out;
}

static convoy_status check_params(const struct compiler *c, const struct node *node,
                                  const struct shape *src)
{
    struct param params[LAYER_MAX_PARAMS];
    const struct layer_kind *kind = node->kind;
    const int n = kind->params ? kind->params(node->attributes, src, params) : 0;
    for (int i = 0; i < n; i++) {
        const struct stored_param *kept = &c->net->store.params[node->first_param + i];
        char wanted[64], has[64];
        if (!is_same(&params[i], &kept->param))
            return FAIL(
                CONVOY_ERROR_ARGUMENT,
                "%s would be [%s], but is [%s]: only a net that pools the whole "
                "map before it (global_avg_pool, adaptive_avg_pool) takes images "
                "of several sizes",
                kept->name, dims_text(&params[i], wanted, sizeof wanted),
                dims_text(&kept->param, has, sizeof has));
    }
    return CONVOY_OK;
}

/* Buffers have a value a channel, and channels do not depend on the images' size. */
static convoy_status infer(const struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    TRY(layer_infer(node->kind, node->attributes, node->n_src, e->src_shapes,
                    &e->shape));
    TRY(check_params(c, node, e->src_shapes));
cleanup:
    return status == CONVOY_OK ? status
                               : status_prefix(status, "layer '%s' (%s)", node->name,
                                               node->kind->about.name);
}

convoy_status compile_shape(struct compiler *c, int i)
{
    const struct compile_options *options = c->options;
    const struct node *node = &c->net->nodes[i];
    struct shape *shape = &c->entries[i].shape;
    const struct shape *input = &c->net->nodes[0].shape;
    *shape = node->shape;
    if (options->height == 0 ||
        (options->height == input->h && options->width == input->w))
        return CONVOY_OK;
    if (node->kind)
        return infer(c, i);
    shape->h = options->height;
    shape->w = options->width;
    return CONVOY_OK;
}
