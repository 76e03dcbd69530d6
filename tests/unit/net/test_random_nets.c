/* Random nets of all kinds that share or overwrite memory, against the same graph
 * computed layer by layer in double with every value in a place of its own: losses of
 * both programs, and every parameter's gradient. The nets of a seed are always the
 * same; give other seeds as arguments to look further. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"
#include "reference/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4, CLASSES = 4, CHANNELS = 3, SIDE = 6, N_LAYERS = 14, MAX_NODES = 96 };
enum { MAX_VALUES = 1 << 18 }; /* of a parameter, or of a value in a batch */

/* A net, its double, and what both are fed. */
struct rig {
    uint64_t seed, n_draws;
    convoy_net *net;
    struct reference doubles[MAX_NODES]; /* [n_nodes]; the input's is unused */
    int n_readers[MAX_NODES];
    struct compiled *training, *evaluation;
    float *images, *leaf;
    float values[MAX_VALUES];       /* of one parameter */
    unsigned char kept[MAX_VALUES]; /* all of them: dropout has p = 0 */
    int32_t labels[N];
};

static int draw(struct rig *rig, int n)
{
    const struct rng rng = rng_stream(rig->seed, RNG_AUGMENT, 8, 8);
    return (int)(rng_unit(&rng, rig->n_draws++) * n);
}

/* A node of the latest, the later the likelier. */
static convoy_node draw_node(struct rig *rig)
{
    const int n = rig->net->n_nodes, back = draw(rig, 3) ? 3 : n;
    return n - 1 - draw(rig, back < n ? back : n);
}

/* Up to max different nodes whose size (and channels) are those of the first. */
static int draw_alike(struct rig *rig, int max, bool channels, convoy_node *x)
{
    const struct node *nodes = rig->net->nodes;
    const struct shape *first = &nodes[x[0]].shape;
    int n = 1;
    for (int i = 0; i < 12 && n < max; i++) {
        const convoy_node other = draw_node(rig);
        const struct shape *shape = &nodes[other].shape;
        if (shape->h == first->h && shape->w == first->w &&
            (!channels || shape->c == first->c))
            x[n++] = other;
    }
    return n;
}

static convoy_node add_conv(struct rig *rig, convoy_node x, const char *name)
{
    static const int widths[] = {16, 16, 16, 32, 8, 5};
    const int kernel = draw(rig, 2) ? 3 : 1;
    const convoy_conv conv = {.out = widths[draw(rig, 6)],
                              .kernel = kernel,
                              .pad = kernel / 2,
                              .init = CONVOY_INIT_HE_FAN_IN,
                              .bias_init = CONVOY_INIT_UNIFORM};
    return convoy_net_conv(rig->net, x, name, &conv);
}

static convoy_node add_pool(struct rig *rig, convoy_node x, const char *name)
{
    int64_t shape[3];
    convoy_net_shape(rig->net, x, shape);
    const convoy_pool pool = {.kernel = 3, .stride = 1 + draw(rig, 2), .pad = 1};
    if (shape[1] < 3)
        return convoy_net_adaptive_avg_pool(rig->net, x, name, (int)shape[1],
                                            (int)shape[2]);
    if (draw(rig, 2))
        return convoy_net_max_pool(rig->net, x, name, &pool);
    return convoy_net_avg_pool(rig->net, x, name, &pool);
}

/* An add if its parts are alike, else a concat; parts may be the same. */
static convoy_node add_joint(struct rig *rig, convoy_node x, const char *name,
                             bool concat)
{
    convoy_node src[REFERENCE_MAX_SRC] = {x};
    const int n = draw_alike(rig, 2 + draw(rig, 2), !concat, src);
    if (n > 1 && !concat)
        return convoy_net_add(rig->net, n, src, name);
    return convoy_net_concat(rig->net, n, src, name);
}

/* As in a DenseNet: what a convolution makes of the latest value stands behind it. */
static void add_dense(struct rig *rig, const char *name)
{
    const convoy_node x = rig->net->n_nodes - 1;
    char inner[32];
    snprintf(inner, sizeof inner, "%s.norm", name);
    const convoy_node norm = convoy_net_batch_norm(rig->net, x, inner, NULL);
    snprintf(inner, sizeof inner, "%s.conv", name);
    const convoy_node both[] = {x, add_conv(rig, norm, inner)};
    convoy_net_concat(rig->net, 2, both, name);
}

static void add_layer(struct rig *rig, const char *name)
{
    const convoy_node x = draw_node(rig);
    switch (draw(rig, 15)) {
    case 0:
    case 1:
        convoy_net_batch_norm(rig->net, x, name, NULL);
        return;
    case 2:
    case 3:
        convoy_net_relu(rig->net, x, name);
        return;
    case 4:
        convoy_net_tanh(rig->net, x, name);
        return;
    case 5:
        convoy_net_dropout(rig->net, x, name, 0);
        return;
    case 6:
        add_pool(rig, x, name);
        return;
    case 7:
    case 8:
        add_joint(rig, x, name, true);
        return;
    case 9:
        add_joint(rig, x, name, false);
        return;
    case 10:
    case 11:
    case 12:
        add_dense(rig, name);
        return;
    default:
        add_conv(rig, x, name);
    }
}

static void count_readers(struct rig *rig)
{
    memset(rig->n_readers, 0, sizeof rig->n_readers);
    for (int i = 1; i < rig->net->n_nodes; i++)
        for (int s = 0; s < rig->net->nodes[i].n_src; s++)
            rig->n_readers[rig->net->nodes[i].src[s]]++;
}

/* Every value that nothing reads yet goes into the classifier, flat before or behind
 * the concats. */
static void finish(struct rig *rig)
{
    const int n = rig->net->n_nodes;
    const bool early = draw(rig, 2) == 1;
    convoy_node joined = -1;
    char name[16];
    count_readers(rig);
    for (int i = 1; i < n; i++) {
        if (rig->n_readers[i] > 0)
            continue;
        snprintf(name, sizeof name, "gap%d", i);
        convoy_node mean = convoy_net_global_avg_pool(rig->net, i, name);
        snprintf(name, sizeof name, "flat%d", i);
        mean = early ? convoy_net_flatten(rig->net, mean, name) : mean;
        const convoy_node both[] = {joined, mean};
        snprintf(name, sizeof name, "join%d", i);
        joined = joined < 0 ? mean : convoy_net_concat(rig->net, 2, both, name);
    }
    joined = convoy_net_flatten(rig->net, joined, "flatten");
    joined = convoy_net_inner_product(rig->net, joined, "fc",
                                      &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(rig->net, joined, 0);
    if (convoy_net_check(rig->net) != CONVOY_OK)
        fail_msg("seed %d: %s", (int)rig->seed, convoy_status_text());
}

static void create_doubles(struct rig *rig)
{
    const convoy_net *net = rig->net;
    assert_in_range(net->n_nodes, 3, MAX_NODES);
    memset(rig->kept, 1, sizeof rig->kept);
    for (int i = 1; i < net->n_nodes; i++) {
        const struct node *node = &net->nodes[i];
        struct reference *r = &rig->doubles[i];
        r->kind = reference_find(node->kind->about.name);
        if (node->attributes)
            memcpy(&r->a, node->attributes, sizeof r->a);
        for (int d = 0; d < 2; d++)
            r->a.dilation[d] = r->a.dilation[d] ? r->a.dilation[d] : 1;
        r->n = N;
        r->n_src = node->n_src;
        r->labels = rig->labels;
        r->kept = rig->kept;
        for (int s = 0; s < node->n_src; s++)
            r->src_shapes[s] = net->nodes[node->src[s]].shape;
        r->dst_shape = node->shape;
        assert_in_range(reference_dst_values(r), 1, MAX_VALUES);
        assert_true(reference_create(r));
    }
}

/* Parameters and running statistics, as the net has them. */
static void copy_parameters(struct rig *rig)
{
    const struct param_store *store = &rig->net->store;
    float *values = rig->values;
    for (int i = 1; i < rig->net->n_nodes; i++) {
        const struct node *node = &rig->net->nodes[i];
        struct reference *r = &rig->doubles[i];
        for (int p = 0; p < node->n_params; p++) {
            const int64_t n = reference_param_values(r, p);
            assert_in_range(n, 1, MAX_VALUES);
            assert_int_equal(param_store_get(store, &rig->net->dnn,
                                             node->first_param + p, store->param_data,
                                             values),
                             CONVOY_OK);
            for (int64_t k = 0; k < n; k++)
                r->params[p][k] = (double)values[k];
        }
        for (int b = 0; b < REFERENCE_MAX_STATISTICS && r->running[b]; b++) {
            const size_t at = store->buffers[node->first_buffer + b].offset;
            for (int64_t k = 0; k < reference_statistic_values(r, b); k++)
                r->running[b][k] = (double)store->buffer_data[at + (size_t)k];
        }
    }
}

static void forward_doubles(struct rig *rig, bool training)
{
    for (int i = 1; i < rig->net->n_nodes; i++) {
        const struct node *node = &rig->net->nodes[i];
        struct reference *r = &rig->doubles[i];
        r->training = training;
        for (int s = 0; s < node->n_src; s++)
            for (int64_t k = 0; k < reference_src_values(r, s); k++)
                r->src[s][k] = node->src[s] > 0 ? rig->doubles[node->src[s]].dst[k]
                                                : (double)rig->images[k];
        reference_forward(r);
    }
}

static void backward_doubles(struct rig *rig)
{
    for (int i = 1; i < rig->net->n_nodes; i++)
        memset(rig->doubles[i].diff_dst, 0,
               (size_t)reference_dst_values(&rig->doubles[i]) * sizeof(double));
    for (int i = 0; i < N; i++)
        rig->doubles[rig->net->loss].diff_dst[i] = 1;
    for (int i = rig->net->n_nodes - 1; i > 0; i--) {
        const struct node *node = &rig->net->nodes[i];
        struct reference *r = &rig->doubles[i];
        reference_backward(r);
        for (int s = 0; s < node->n_src; s++)
            for (int64_t k = 0; node->src[s] > 0 && k < reference_src_values(r, s); k++)
                rig->doubles[node->src[s]].diff_dst[k] += r->diff_src[s][k];
    }
}

static struct compiled *compile(convoy_net *net, bool training, bool recompute)
{
    struct compiled *compiled = NULL;
    const struct compile_options options = {
        .n = N, .type = dnnl_f32, .training = training, .recompute = recompute};
    if (net_compile(net, &options, &compiled) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return compiled;
}

static void set_up(struct rig *rig, uint64_t seed)
{
    const size_t n_images = (size_t)N * CHANNELS * SIDE * SIDE;
    const struct rng rng = rng_stream(seed, RNG_AUGMENT, 1, 2);
    char name[16];
    rig->seed = seed;
    assert_int_equal(convoy_net_create(CHANNELS, SIDE, SIDE, &rig->net), CONVOY_OK);
    add_conv(rig, convoy_net_input(rig->net), "stem");
    for (int i = 0; i < N_LAYERS; i++) {
        snprintf(name, sizeof name, "layer%d", i);
        add_layer(rig, name);
    }
    finish(rig);
    create_doubles(rig);
    rig->training = compile(rig->net, true, false);
    rig->evaluation = compile(rig->net, false, false);
    assert_int_equal(param_store_init(&rig->net->store, &rig->net->dnn, NULL, seed),
                     CONVOY_OK);
    copy_parameters(rig);
    assert_int_equal(mem_alloc(n_images * 4, (void **)&rig->images), CONVOY_OK);
    assert_int_equal(mem_alloc(net_leaf_floats(rig->net) * 4, (void **)&rig->leaf),
                     CONVOY_OK);
    for (size_t i = 0; i < n_images; i++)
        rig->images[i] = (float)rng_normal(&rng, i);
    for (int i = 0; i < N; i++)
        rig->labels[i] = i % CLASSES;
}

static void tear_down(struct rig *rig)
{
    for (int i = 1; i < rig->net->n_nodes; i++)
        reference_free(&rig->doubles[i]);
    compiled_destroy(rig->training);
    compiled_destroy(rig->evaluation);
    convoy_net_destroy(rig->net);
    mem_free(rig->images);
    mem_free(rig->leaf);
}

/* So that a failure tells which net it was. */
static void print_net(const struct rig *rig)
{
    for (int i = 1; i < rig->net->n_nodes; i++) {
        const struct node *node = &rig->net->nodes[i];
        char shape[64];
        print_message("%3d %-12s %-22s %s from", i, node->name, node->kind->about.name,
                      layer_shape_text(&node->shape, shape));
        for (int s = 0; s < node->n_src; s++)
            print_message(" %d", node->src[s]);
        print_message("\n");
    }
}

static void assert_losses(struct rig *rig, struct compiled *compiled, bool training)
{
    const struct run_info info = {.seed = 1, .step = 2};
    const double *expected = rig->doubles[rig->net->loss].dst;
    assert_int_equal(compiled_refresh(compiled), CONVOY_OK);
    assert_int_equal(compiled_forward(compiled, rig->images, rig->labels,
                                      training ? rig->leaf : NULL, &info),
                     CONVOY_OK);
    forward_doubles(rig, training);
    for (int i = 0; i < N; i++) {
        const double loss = (double)compiled_losses(compiled)[i];
        if (fabs(loss - expected[i]) < 1e-3 * (1 + fabs(expected[i])))
            continue;
        print_net(rig);
        fail_msg("seed %d, %s: loss %d is %g, expected %g", (int)rig->seed,
                 training ? "training" : "evaluation", i, loss, expected[i]);
    }
}

/* Norm-wise, beside the norm of all gradients: batch norm makes some of them 0. */
static void assert_gradients(struct rig *rig)
{
    const struct run_info info = {.seed = 1, .step = 2};
    const struct param_store *store = &rig->net->store;
    float *values = rig->values;
    memset(rig->leaf, 0xff, net_param_floats(rig->net) * sizeof(float));
    assert_int_equal(compiled_backward(rig->training, 1, &info), CONVOY_OK);
    backward_doubles(rig);
    for (int i = 1; i < rig->net->n_nodes; i++) {
        const struct node *node = &rig->net->nodes[i];
        for (int p = 0; p < node->n_params; p++) {
            const double *expected = rig->doubles[i].diff_params[p];
            double error = 0, norm = 0;
            assert_int_equal(param_store_get(store, &rig->net->dnn,
                                             node->first_param + p, rig->leaf, values),
                             CONVOY_OK);
            for (int64_t k = 0; k < reference_param_values(&rig->doubles[i], p); k++) {
                error += pow((double)values[k] - expected[k], 2);
                norm += expected[k] * expected[k];
            }
            if (sqrt(error) <= 1e-3 * (0.1 + sqrt(norm)))
                continue;
            print_net(rig);
            fail_msg("seed %d: the gradient of %s is off by %g, its norm is %g",
                     (int)rig->seed, store->params[node->first_param + p].name,
                     sqrt(error), sqrt(norm));
        }
    }
}

/* The same bits by a program that computes cheap values once more. */
static void assert_recomputed(struct rig *rig)
{
    const struct run_info info = {.seed = 1, .step = 2};
    struct compiled *compiled = compile(rig->net, true, true);
    const size_t bytes = net_leaf_floats(rig->net) * sizeof(float);
    float *leaf = NULL;
    assert_int_equal(mem_alloc(bytes, (void **)&leaf), CONVOY_OK);
    memset(leaf, 0xff, bytes);
    memcpy(leaf + net_param_floats(rig->net), rig->leaf + net_param_floats(rig->net),
           bytes - net_param_floats(rig->net) * sizeof(float));
    assert_int_equal(compiled_refresh(compiled), CONVOY_OK);
    assert_int_equal(compiled_forward(compiled, rig->images, rig->labels, leaf, &info),
                     CONVOY_OK);
    assert_int_equal(compiled_backward(compiled, 1, &info), CONVOY_OK);
    if (memcmp(leaf, rig->leaf, bytes) != 0) {
        print_net(rig);
        fail_msg("seed %d: recomputing gives other bits", (int)rig->seed);
    }
    mem_free(leaf);
    compiled_destroy(compiled);
}

static void check(uint64_t seed)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    set_up(rig, seed);
    assert_losses(rig, rig->training, true);
    assert_gradients(rig);
    assert_recomputed(rig);
    assert_losses(rig, rig->evaluation, false);
    tear_down(rig);
    free(rig);
}

static uint64_t first_seed = 60, n_seeds = 40;

static void random_nets_compute_what_their_layers_say(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
        check(seed);
}

/* [FIRST_SEED [SEEDS]] */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_nets_compute_what_their_layers_say),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        n_seeds = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests_name("random_nets", tests, NULL, NULL);
}
