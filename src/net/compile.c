/* From graph to program: every layer's forward ops in order, then, training, the
 * backward ops in reverse. A value that several layers read gets the sum of their
 * gradients, in the reverse of the order in which they read it. */
#include "net/compile_parts.h"

#include "base/cpus.h"
#include "base/memory.h"
#include "layer/slice.h"
#include "net/net_probe.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

/* The part of its chain's tensor that concat i fills; the tensor is made in the layout
 * of what comes first. Layouts without blocks are left to the layer. */
static convoy_status place_concat(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    struct compiled_node *e = &c->entries[i], *end = &c->entries[e->chain_end];
    const struct shape *shape = &e->shape, *last = &end->shape;
    const dnnl_format_tag_t tag = layer_tag(&e->build, e->src[1], &e->src_shapes[1]);
    const int64_t dims[] = {c->options->n, last->c, last->h, last->w};
    struct dnn_md md = {0};
    if (end->whole == NO_TENSOR) {
        if (tag != dnnl_nChw16c && tag != dnnl_nChw8c)
            return CONVOY_OK;
        TRY(dnn_md_make(4, dims, c->options->type, tag, &md));
        TRY(program_tensor(c->program, dnn_md_ref(&md), HOME_ARENA, 0, &end->whole));
    }
    TRY(slice_channels(&e->build, end->whole, 0, shape, &e->build.place));
cleanup:
    dnn_md_free(&md);
    return status;
}

/* Whether node i has parameters, and they are not frozen. */
static bool node_learns(const convoy_net *net, int i)
{
    const int first = net->nodes[i].first_param;
    return net->nodes[i].n_params > 0 && !net->store.params[first].frozen;
}

/* Fills what does not depend on tensors. */
static convoy_status prepare(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    const size_t n = (size_t)node->n_src;
    TRY(mem_alloc_array(n, sizeof *e->src, (void **)&e->src));
    TRY(mem_alloc_array(n, sizeof *e->diff_src, (void **)&e->diff_src));
    TRY(mem_alloc_array(n, sizeof *e->src_shapes, (void **)&e->src_shapes));
    const bool learns = !c->options->probe && node_learns(c->net, i);
    e->learns = learns || (c->options->probe && !node->kind);
    for (int s = 0; s < node->n_src; s++) {
        e->src_shapes[s] = c->entries[node->src[s]].shape;
        e->learns = e->learns || c->entries[node->src[s]].learns;
    }
    TRY(compile_shape(c, i));
    e->build = (struct layer_build){
        .program = c->program,
        .attributes = node->attributes,
        .n = c->options->n,
        .type = c->options->type,
        .training = c->options->training,
        .index = i,
        .n_src = node->n_src,
        .src_shapes = e->src_shapes,
        .dst_shape = e->shape,
        .src = e->src,
        .diff_src = e->diff_src,
        .saved = {NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
        .dst = NO_TENSOR,
        .place = NO_TENSOR,
        .diff_sum = NO_TENSOR,
        .store = &c->net->store,
        .first_param = node->first_param,
        .first_buffer = node->first_buffer,
        .learns = learns,
    };
    for (int s = 0; s < node->n_src; s++)
        e->build.needs_diff_src =
            e->build.needs_diff_src || c->entries[node->src[s]].learns;
cleanup:
    return status;
}

static convoy_status input_tensor(struct compiler *c, const int64_t *dims, int n_dims,
                                  dnnl_data_type_t type, enum home home, tensor *out)
{
    struct dnn_md md = {0};
    convoy_status status = dnn_md_make_plain(n_dims, dims, type, &md);
    if (status == CONVOY_OK)
        status = program_tensor(c->program, dnn_md_ref(&md), home, 0, out);
    dnn_md_free(&md);
    return status;
}

/* Tells the op that node i has just appended of oneDNN's own for it. What oneDNN cannot
 * do, or only by a reference kernel, is nothing to be compared with. */
static convoy_status add_rival(struct compiler *c, int i, enum phase phase)
{
    const struct node *node = &c->net->nodes[i];
    dnnl_primitive_desc_t pd = NULL;
    if (!c->options->rivals || !node->kind->rival)
        return CONVOY_OK;
    if (node->kind->rival(&c->entries[i].build, phase, &pd) != CONVOY_OK || !pd)
        return CONVOY_OK;
    if (!dnn_is_reference(pd))
        return program_rival(c->program, pd);
    dnnl_primitive_desc_destroy(pd);
    return CONVOY_OK;
}

/* Hands node i its sources' tensors and takes its own. The order of nodes is the order
 * in which they were added, which is topological: a node can only be added on earlier
 * ones. What it may overwrite is decided before it is built; nodes behind it cannot
 * take that back, since compile_may_overwrite looks at all readers in the graph, built
 * or not.
 */
static convoy_status forward_node(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    for (int s = 0; s < node->n_src; s++)
        e->src[s] = c->entries[node->src[s]].build.dst;
    if (e->fused) {
        e->build.dst = e->src[0];
        return CONVOY_OK;
    }
    program_label(c->program, node->name, node->kind->about.name);
    e->build.labels = c->labels;
    e->build.mixes = c->options->mixes;
    e->build.partners = c->partners;
    e->build.shares = c->shares;
    e->build.may_overwrite_src = compile_may_overwrite(c, node->src[0], i);
    if (e->chain_end > 0)
        status = place_concat(c, i);
    if (status == CONVOY_OK)
        status = node->kind->forward(&e->build);
    if (status == CONVOY_OK)
        status = add_rival(c, i, PHASE_FORWARD);
    if (status != CONVOY_OK)
        status_prefix(status, "layer '%s' (%s)", node->name, node->kind->about.name);
    return status;
}

static convoy_status forward_all(struct compiler *c)
{
    convoy_status status = CONVOY_OK;
    const struct shape *in = &c->entries[0].shape;
    const int64_t n = c->options->n, image[] = {n, in->c, in->h, in->w};
    TRY(input_tensor(c, image, 4, c->options->type, HOME_IMAGES,
                     &c->entries[0].build.dst));
    TRY(input_tensor(c, &n, 1, dnnl_s32, HOME_LABELS, &c->labels));
    if (c->options->mixes) {
        TRY(input_tensor(c, &n, 1, dnnl_s32, HOME_PARTNERS, &c->partners));
        TRY(input_tensor(c, &n, 1, dnnl_f32, HOME_SHARES, &c->shares));
    }
    for (int i = 1; i < c->net->n_nodes; i++)
        TRY(forward_node(c, i));
    c->out->losses = c->entries[c->net->loss].build.dst;
    c->out->logits = c->entries[c->net->loss].build.saved[0];
    program_keep(c->program, c->out->losses);
    program_keep(c->program, c->out->logits);
cleanup:
    return status;
}

/* diff in the layout of value t. Layers may hand back row-major [n, c·h·w] for a value
 * that is still [n, c, h, w], or the other way round. */
static convoy_status match_layout(struct compiler *c, tensor t,
                                  struct contribution *diff)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md plain = {0}, seen = {0};
    int64_t dims[DNN_MAX_DIMS], diff_dims[DNN_MAX_DIMS];
    int n_dims = dnn_md_dims(program_md(c->program, t), dims);
    int n_diff = dnn_md_dims(program_md(c->program, diff->tensor), diff_dims);
    tensor matched = diff->tensor;
    if (n_dims != n_diff) {
        TRY(dnn_md_make_plain(n_diff, diff_dims, c->options->type, &plain));
        TRY(program_want(c->program, PHASE_BACKWARD, matched, dnn_md_ref(&plain),
                         &matched));
        TRY(dnn_md_make_plain(n_dims, dims, c->options->type, &seen));
        TRY(program_view(c->program, matched, dnn_md_ref(&seen), &matched));
    }
    TRY(program_want(c->program, PHASE_BACKWARD, matched, program_md(c->program, t),
                     &matched));
    diff->tensor = matched;
cleanup:
    dnn_md_free(&plain);
    dnn_md_free(&seen);
    return status;
}

/* Adds a gradient to what has reached the value of node i so far. The order of sums is
 * that of the backward pass, which is the graph's: bits depend on nothing else. The sum
 * goes into a tensor that nobody else reads, of either side; where both are read
 * elsewhere (an add hands one tensor to all its sources), into a new one. */
static convoy_status contribute(struct compiler *c, int i, struct contribution add)
{
    convoy_status status = CONVOY_OK;
    struct compiled_node *e = &c->entries[i];
    struct contribution *sum = &e->diff;
    dnnl_primitive_desc_t pd = NULL;
    tensor dst;
    TRY(match_layout(c, e->build.dst, &add));
    if (!sum->any) {
        *sum = add;
        sum->any = true;
        return CONVOY_OK;
    }
    dnn_cmd md = program_md(c->program, e->build.dst);
    program_label(c->program, c->net->nodes[i].name, "sum of gradients");
    TRY(dnn_add(&c->net->dnn, md, md, md, false, &pd));
    TRY(program_adopt(c->program, pd));
    if (sum->exclusive)
        dst = sum->tensor;
    else if (add.exclusive)
        dst = add.tensor;
    else
        TRY(program_tensor(c->program, md, HOME_ARENA, 0, &dst));
    const struct program_arg args[] = {{DNNL_ARG_SRC_0, sum->tensor},
                                       {DNNL_ARG_SRC_1, add.tensor},
                                       {DNNL_ARG_DST, dst}};
    TRY(program_emit(c->program, PHASE_BACKWARD, pd, 3, args));
    *sum = (struct contribution){.tensor = dst, .exclusive = true, .any = true};
cleanup:
    return status;
}

/* Whether diff_src[s] of e is the one tensor that only this source gets. */
static bool is_exclusive(const struct compiled_node *e, int s)
{
    for (int other = 0; other < e->build.n_src; other++)
        if (other != s && e->diff_src[other] == e->diff_src[s])
            return false;
    const struct program *program = e->build.program;
    return program_root(program, e->diff_src[s]) !=
               program_root(program, e->build.diff_dst) ||
           e->build.may_overwrite_diff_dst;
}

/* Runs node i backwards, if a gradient reached it and something at or before it learns.
 * All readers of its value come later in the graph, so their gradients are all in. A
 * kind that adds to diff_src does so only into a sum that is exclusive: then no second
 * sum is needed, and contribute is not called for it. */
static convoy_status backward_node(struct compiler *c, int i)
{
    convoy_status status = CONVOY_OK;
    const struct node *node = &c->net->nodes[i];
    struct compiled_node *e = &c->entries[i];
    if (!node->kind || !e->learns || !e->diff.any)
        return CONVOY_OK;
    e->build.diff_dst = e->diff.tensor;
    e->build.may_overwrite_diff_dst = e->diff.exclusive && !c->options->probe;
    if (node->kind->adds_to_diff_src) {
        const struct contribution *sum = &c->entries[node->src[0]].diff;
        e->build.diff_sum = sum->any && sum->exclusive ? sum->tensor : NO_TENSOR;
    }
    if (e->fused) {
        e->diff_src[0] = e->build.diff_dst;
    } else {
        TRY(compile_recompute(c, i));
        program_label(c->program, node->name, node->kind->about.name);
        status = node->kind->backward(&e->build);
        if (status == CONVOY_OK)
            status = add_rival(c, i, PHASE_BACKWARD);
        if (status != CONVOY_OK)
            return status_prefix(status, "layer '%s' (%s)", node->name,
                                 node->kind->about.name);
    }
    for (int s = 0; s < node->n_src; s++) {
        const bool added = e->diff_src[s] == e->build.diff_sum;
        if (!c->entries[node->src[s]].learns || (s == 0 && added))
            continue;
        const struct contribution add = {.tensor = e->diff_src[s],
                                         .exclusive = is_exclusive(e, s)};
        TRY(contribute(c, node->src[s], add));
    }
cleanup:
    return status;
}

/* Where gradients begin: at the losses, or, of a probe, at the logits. */
static convoy_status seed_gradients(struct compiler *c)
{
    convoy_status status = CONVOY_OK;
    const int from = c->options->probe ? c->net->logits : c->net->loss;
    const int64_t dims[] = {c->options->n, c->entries[from].shape.c};
    struct contribution seed = {.any = true};
    TRY(input_tensor(c, dims, 2, dnnl_f32, HOME_LOSS_SCALE, &seed.tensor));
    if (c->options->probe) /* whose layout may be that of a map */
        TRY(contribute(c, from, seed));
    else
        c->entries[from].diff = seed;
cleanup:
    return status;
}

static convoy_status backward_all(struct compiler *c)
{
    convoy_status status = CONVOY_OK;
    TRY(seed_gradients(c));
    for (int i = c->net->n_nodes - 1; i > 0; i--)
        TRY(backward_node(c, i));
cleanup:
    return status;
}

static void free_entries(struct compiler *c)
{
    for (int i = 0; c->entries && i < c->net->n_nodes; i++) {
        mem_free(c->entries[i].src);
        mem_free(c->entries[i].diff_src);
        mem_free(c->entries[i].src_shapes);
    }
    mem_free(c->entries);
}

/* Another compilation of the net, for images of another size, has others. */
static convoy_status keep_n_values(struct compiler *c)
{
    const struct param_store *store = &c->net->store;
    const convoy_status status = mem_alloc_array(
        (size_t)store->n_buffers, sizeof *c->out->n_values, (void **)&c->out->n_values);
    for (int i = 0; status == CONVOY_OK && i < store->n_buffers; i++)
        c->out->n_values[i] = store->buffers[i].n_values;
    return status;
}

/* In this order: what the graph alone decides (readers, fusing, chains) before the
 * first layer is built; the whole forward pass before the backward one, which needs its
 * layouts. */
static convoy_status build(struct compiler *c)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < c->net->n_nodes; i++)
        TRY(prepare(c, i));
    compile_look(c);
    if (c->options->training && c->options->recompute)
        compile_choose_recomputed(c);
    TRY(forward_all(c));
    if (c->options->training)
        TRY(backward_all(c));
    if (c->options->probe)
        TRY(compile_probe(c));
    TRY(program_place(c->program));
    if (c->options->training)
        TRY(keep_n_values(c));
cleanup:
    return status;
}

convoy_status net_plan(convoy_net *net, const struct compile_options *options,
                       struct compiled **compiled)
{
    convoy_status status = CONVOY_OK;
    struct compiled *made = NULL;
    struct compiler c = {.net = net, .options = options};
    const int threads = omp_get_max_threads(); /* which oneDNN asks for, too */
    if (options->threads > CPUS_MAX_THREADS)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "threads is %d; at most %d threads of a lane work",
                    options->threads, CPUS_MAX_THREADS);
    if (options->threads > 0)
        omp_set_num_threads(options->threads);
    assert(!options->probe ||
           (options->training && options->type == dnnl_f32 && !options->mixes));
    TRY(dnn_check_type(options->type));
    TRY(convoy_net_check(net));
    TRY(mem_alloc(sizeof *made, (void **)&made));
    made->net = net;
    made->n = options->n;
    made->training = options->training;
    TRY(program_create(&net->dnn, &made->program));
    TRY(mem_alloc_array((size_t)net->n_nodes, sizeof *c.entries, (void **)&c.entries));
    c.out = made;
    c.program = made->program;
    TRY(build(&c));
    *compiled = made;
    made = NULL;
cleanup:
    omp_set_num_threads(threads);
    free_entries(&c);
    compiled_destroy(made);
    return status;
}

/* Of a sample: its loss, or a probe's logits. */
static size_t n_seeds(const struct compiled *compiled)
{
    const convoy_net *net = compiled->net;
    return compiled->probe ? (size_t)net->nodes[net->logits].shape.c : 1;
}

/* What the net keeps, and a scale of this copy's own. */
static convoy_status bind(struct compiled *compiled)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &compiled->net->store;
    struct program *program = compiled->program;
    TRY(mem_alloc_array((size_t)compiled->n * n_seeds(compiled), sizeof(float),
                        (void **)&compiled->loss_scale));
    TRY(program_bind(program, HOME_PARAMS, store->param_data));
    TRY(program_bind(program, HOME_FROZEN,
                     store->param_data + net_param_floats(compiled->net)));
    TRY(program_bind(program, HOME_BUFFERS, store->buffer_data));
    TRY(program_bind(program, HOME_LOSS_SCALE, compiled->loss_scale));
cleanup:
    return status;
}

/* The parameters' arena comes after the first program, which fixed their layouts, and
 * once for all compilations of the net. */
convoy_status compiled_allocate(struct compiled *compiled,
                                const struct compiled *lender)
{
    convoy_status status = CONVOY_OK;
    if (!compiled->net->store.param_data)
        TRY(param_store_allocate(&compiled->net->store));
    TRY(program_allocate(compiled->program, lender ? lender->program : NULL));
    TRY(bind(compiled));
cleanup:
    return status;
}

convoy_status net_compile(convoy_net *net, const struct compile_options *options,
                          struct compiled **compiled)
{
    convoy_status status = CONVOY_OK;
    struct compiled *made = NULL;
    TRY(net_plan(net, options, &made));
    TRY(compiled_allocate(made, NULL));
    TRY(program_create_primitives(made->program, 0, 1));
    *compiled = made;
    made = NULL;
cleanup:
    compiled_destroy(made);
    return status;
}

convoy_status compiled_copy(const struct compiled *original,
                            const struct compiled *lender, struct compiled **copy)
{
    convoy_status status = CONVOY_OK;
    struct compiled *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    *made = *original;
    made->program = NULL;
    made->loss_scale = NULL;
    made->n_values = NULL;
    made->probe = NULL;
    TRY(program_copy(original->program, lender ? lender->program : NULL,
                     &made->program));
    TRY(bind(made));
    *copy = made;
    made = NULL;
cleanup:
    compiled_destroy(made);
    return status;
}

void compiled_destroy(struct compiled *compiled)
{
    if (!compiled)
        return;
    program_destroy(compiled->program);
    mem_free(compiled->loss_scale);
    mem_free(compiled->n_values);
    probe_free(compiled->probe);
    mem_free(compiled);
}
