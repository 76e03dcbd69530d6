/* Reading a probe. Its tensors are in layouts of oneDNN's choice, and are copied to
 * plain ones when they are asked for: that takes primitives of its own each time, which
 * is nothing beside what is done with the values.
 *
 * The gradient is seeded at the logits by [n, classes] zeros with a one in the class'
 * column, so what is propagated is the derivative of that logit and of nothing else. */
#include "net/net_probe.h"

#include "base/memory.h"
#include "net/compile_parts.h"

#include <assert.h>
#include <string.h>

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    mem_free(probe->values);
    mem_free(probe->diffs);
    mem_free(probe);
}

/* compile_look has seen to it that no op overwrites what another has made. Nor may two
 * tensors share a place: what is read stays, and so does all that a layer has kept of
 * the forward pass (where a maximum was), so the backward pass may run again. */
convoy_status compile_probe(struct compiler *c)
{
    convoy_status status = CONVOY_OK;
    struct probe *probe = NULL;
    const size_t n = (size_t)c->net->n_nodes;
    TRY(mem_alloc(sizeof *probe, (void **)&probe));
    TRY(mem_alloc_array(n, sizeof *probe->values, (void **)&probe->values));
    TRY(mem_alloc_array(n, sizeof *probe->diffs, (void **)&probe->diffs));
    probe->n_nodes = c->net->n_nodes;
    for (int i = 0; i < c->net->n_nodes; i++) {
        const struct compiled_node *e = &c->entries[i];
        probe->values[i] = e->build.dst;
        probe->diffs[i] = e->diff.any ? e->diff.tensor : NO_TENSOR;
    }
    program_keep_all(c->program);
    c->out->probe = probe;
    probe = NULL;
cleanup:
    probe_free(probe);
    return status;
}

int probe_find(const convoy_net *net, const char *name)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (net->nodes[i].name && strcmp(net->nodes[i].name, name) == 0)
            return i;
    return -1;
}

size_t probe_size(const struct compiled *compiled, int node)
{
    const struct shape *s = &compiled->net->nodes[node].shape;
    return (size_t)(s->c * s->h * s->w);
}

static convoy_status copy_plain(const struct compiled *compiled, tensor t, float *out)
{
    convoy_status status = CONVOY_OK;
    const struct program *program = compiled->program;
    int64_t dims[DNN_MAX_DIMS];
    struct dnn_md plain = {0};
    dnn_cmd md = program_md(program, t);
    const int n_dims = dnn_md_dims(md, dims);
    TRY(dnn_md_make_plain(n_dims, dims, dnnl_f32, &plain));
    TRY(dnn_reorder_now(&compiled->net->dnn, md, program_data(program, t),
                        dnn_md_ref(&plain), out));
cleanup:
    dnn_md_free(&plain);
    return status;
}

static convoy_status check_node(const struct compiled *compiled, int node)
{
    assert(compiled->probe);
    if (node < 0 || node >= compiled->probe->n_nodes || node == compiled->net->loss)
        return FAIL(CONVOY_ERROR_ARGUMENT, "node %d has no value to read", node);
    return CONVOY_OK;
}

convoy_status probe_value(const struct compiled *compiled, int node, float *out)
{
    const convoy_status status = check_node(compiled, node);
    return status == CONVOY_OK
               ? copy_plain(compiled, compiled->probe->values[node], out)
               : status;
}

convoy_status probe_gradient(const struct compiled *compiled, int node, float *out)
{
    const convoy_status status = check_node(compiled, node);
    if (status != CONVOY_OK)
        return status;
    if (compiled->probe->diffs[node] != NO_TENSOR)
        return copy_plain(compiled, compiled->probe->diffs[node], out);
    memset(out, 0, (size_t)compiled->n * probe_size(compiled, node) * sizeof *out);
    return CONVOY_OK;
}

convoy_status probe_backward(struct compiled *compiled, int c)
{
    const struct run_info none = {0};
    const convoy_net *net = compiled->net;
    const int64_t classes = net->nodes[net->logits].shape.c;
    assert(compiled->probe && c >= 0 && c < classes);
    memset(compiled->loss_scale, 0,
           (size_t)compiled->n * (size_t)classes * sizeof *compiled->loss_scale);
    for (int i = 0; i < compiled->n; i++)
        compiled->loss_scale[i * classes + c] = 1;
    return program_run(compiled->program, PHASE_BACKWARD, &none);
}
