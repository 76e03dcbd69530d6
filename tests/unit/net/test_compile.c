/* Compiled nets: gradients of branching graphs against central differences, fusion,
 * memory reuse, and the same parameters in a training and an evaluation program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 5, CLASSES = 4, CHANNELS = 3, SIDE = 8 };

struct rig {
    convoy_net *net;
    struct compiled *training, *evaluation;
    float *images, *leaf;
    int32_t labels[N];
    size_t n_params;
};

static struct compiled *compile(convoy_net *net, bool training,
                                const struct compiled *lender)
{
    struct compiled *compiled = NULL;
    const struct compile_options options = {
        .n = N, .type = dnnl_f32, .training = training};
    if (net_plan(net, &options, &compiled) != CONVOY_OK ||
        compiled_allocate(compiled, lender) != CONVOY_OK ||
        program_create_primitives(compiled->program, 0, 1) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return compiled;
}

/* Compiles net, draws parameters and a batch whose last sample is absent. */
static void set_up(struct rig *rig, convoy_net *net)
{
    const size_t n_images = (size_t)N * CHANNELS * SIDE * SIDE;
    struct rng rng = rng_stream(3, RNG_AUGMENT, 1, 2);
    rig->net = net;
    rig->training = compile(net, true, NULL);
    rig->evaluation = compile(net, false, NULL);
    rig->n_params = net_param_floats(net);
    assert_int_equal(param_store_init(&net->store, &net->dnn, NULL, 7), CONVOY_OK);
    assert_int_equal(mem_alloc(n_images * 4, (void **)&rig->images), CONVOY_OK);
    assert_int_equal(mem_alloc(net_leaf_floats(net) * 4, (void **)&rig->leaf),
                     CONVOY_OK);
    for (size_t i = 0; i < n_images; i++)
        rig->images[i] = (float)rng_normal(&rng, i);
    for (int i = 0; i < N; i++)
        rig->labels[i] = i == N - 1 ? -1 : i % CLASSES;
}

static void tear_down(struct rig *rig)
{
    compiled_destroy(rig->training);
    compiled_destroy(rig->evaluation);
    convoy_net_destroy(rig->net);
    mem_free(rig->images);
    mem_free(rig->leaf);
}

static double loss_of(struct rig *rig, struct compiled *compiled)
{
    const struct run_info info = {.seed = 1, .step = 2};
    double sum = 0;
    assert_int_equal(compiled_refresh(compiled), CONVOY_OK);
    assert_int_equal(
        compiled_forward(compiled, rig->images, rig->labels, rig->leaf, &info),
        CONVOY_OK);
    for (int i = 0; i < N; i++)
        sum += (double)compiled_losses(compiled)[i];
    return sum;
}

/* The gradient along random directions equals the central difference of the loss. */
static void assert_gradient(struct rig *rig)
{
    const struct run_info info = {.seed = 1, .step = 2};
    const double h = 4e-3;
    float *params = rig->net->store.param_data;
    float *kept = NULL, *direction = NULL;
    assert_int_equal(mem_alloc(rig->n_params * 4, (void **)&kept), CONVOY_OK);
    assert_int_equal(mem_alloc(rig->n_params * 4, (void **)&direction), CONVOY_OK);
    memcpy(kept, params, rig->n_params * 4);
    for (uint64_t d = 0; d < 4; d++) {
        struct rng rng = rng_stream(d, RNG_INIT, 5, 6);
        double slope = 0, length = 0;
        loss_of(rig, rig->training);
        assert_int_equal(compiled_backward(rig->training, 1, &info), CONVOY_OK);
        for (size_t i = 0; i < rig->n_params; i++) {
            /* Padding of a layout is zero and has a zero gradient: it is left alone. */
            direction[i] = rig->leaf[i] != 0 ? (float)rng_normal(&rng, i) : 0;
            length += (double)direction[i] * (double)direction[i];
        }
        length = sqrt(length);
        for (size_t i = 0; i < rig->n_params; i++) {
            direction[i] /= (float)length;
            slope += (double)direction[i] * (double)rig->leaf[i];
        }
        double ends[2];
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < rig->n_params; i++)
                params[i] = kept[i] + (side ? 1 : -1) * (float)h * direction[i];
            ends[side] = loss_of(rig, rig->training);
        }
        memcpy(params, kept, rig->n_params * 4);
        const double difference = (ends[1] - ends[0]) / (2 * h);
        if (fabs(difference - slope) > 2e-3 * (1 + fabs(slope)))
            fail_msg("along direction %d: gradient %g, difference %g", (int)d, slope,
                     difference);
    }
    mem_free(kept);
    mem_free(direction);
}

static convoy_net *create(void)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(CHANNELS, SIDE, SIDE, &net), CONVOY_OK);
    return net;
}

static void finish(convoy_net *net, convoy_node x)
{
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0.1F);
    if (convoy_net_check(net) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static convoy_node conv(convoy_net *net, convoy_node x, const char *name, int out)
{
    return convoy_net_conv(net, x, name,
                           &(convoy_conv){.out = out, .kernel = 3, .pad = 1});
}

/* One value read by three layers, an add of the same value twice, a concat of parts of
 * odd widths: every way in which gradients meet. */
static convoy_net *branching(void)
{
    convoy_net *net = create();
    convoy_node x = conv(net, convoy_net_input(net), "stem", 8);
    x = convoy_net_tanh(net, x, "tanh0");
    convoy_node a = convoy_net_sigmoid(net, conv(net, x, "a", 8), "sigmoid_a");
    const convoy_node sum[] = {a, x, x};
    convoy_node b = convoy_net_tanh(net, convoy_net_add(net, 3, sum, "sum"), "tanh_b");
    convoy_node c = conv(net, x, "c", 5);
    const convoy_node cat[] = {b, c, a};
    x = convoy_net_concat(net, 3, cat, "cat");
    x = convoy_net_avg_pool(net, x, "pool", &(convoy_pool){.kernel = 3, .stride = 2});
    finish(net, x);
    return net;
}

static convoy_net *residual(void)
{
    convoy_net *net = create();
    convoy_node x =
        convoy_net_tanh(net, conv(net, convoy_net_input(net), "stem", 8), "t0");
    convoy_node y = convoy_net_batch_norm(net, conv(net, x, "conv1", 16), "bn1", NULL);
    y = convoy_net_tanh(net, y, "t1");
    y = convoy_net_batch_norm(net, conv(net, y, "conv2", 16), "bn2", NULL);
    const convoy_node both[] = {y, convoy_net_pad_channels(net, x, "pad", 16)};
    x = convoy_net_tanh(net, convoy_net_add(net, 2, both, "add"), "t2");
    x = convoy_net_dropout(net, x, "drop", 0.3F);
    finish(net, convoy_net_global_avg_pool(net, x, "gap"));
    return net;
}

static void gradients_of_branches_add_up(void **state)
{
    struct rig rig = {0};
    (void)state;
    set_up(&rig, branching());
    assert_gradient(&rig);
    tear_down(&rig);
}

static void gradients_of_a_residual_block_are_right(void **state)
{
    struct rig rig = {0};
    (void)state;
    set_up(&rig, residual());
    assert_gradient(&rig);
    tear_down(&rig);
}

static void evaluation_uses_the_same_parameters(void **state)
{
    struct rig rig = {0};
    (void)state;
    set_up(&rig, branching());
    /* No batch norm, no dropout: both programs compute the same logits. The losses
     * differ by the label smoothing, which evaluation leaves out. */
    loss_of(&rig, rig.training);
    loss_of(&rig, rig.evaluation);
    for (int i = 0; i < N * CLASSES; i++) {
        const double a = (double)compiled_logits(rig.training)[i];
        const double b = (double)compiled_logits(rig.evaluation)[i];
        if (fabs(a - b) > 1e-5 * (1 + fabs(a)))
            fail_msg("logit %d: training %g, evaluation %g", i, a, b);
    }
    tear_down(&rig);
}

static void an_absent_sample_counts_nothing(void **state)
{
    struct rig rig = {0};
    (void)state;
    set_up(&rig, branching());
    loss_of(&rig, rig.evaluation);
    assert_true(compiled_losses(rig.evaluation)[N - 1] == 0.0F);
    assert_true(compiled_losses(rig.evaluation)[0] > 0.0F);
    tear_down(&rig);
}

/* Ops of batch norm in a plan of net that are told what oneDNN has for them. */
static int count_rivals(convoy_net *net, const struct compile_options *options)
{
    struct compiled *plan = NULL;
    int n = 0;
    assert_int_equal(net_plan(net, options, &plan), CONVOY_OK);
    for (int i = 0; i < program_n_ops(plan->program); i++) {
        dnnl_primitive_desc_t pd = program_primitive(plan->program, i);
        const bool is_norm =
            strcmp(program_cost(plan->program, i).kind, "batch_norm") == 0;
        if (is_norm && pd)
            assert_int_equal(dnn_work_of(pd).kind, dnnl_batch_normalization);
        n += is_norm && pd;
    }
    compiled_destroy(plan);
    return n;
}

static void batch_norms_have_rivals_where_they_are_asked_for(void **state)
{
    const struct compile_options ways[] = {
        {.n = N, .type = dnnl_f32, .training = true, .rivals = true},
        {.n = N, .type = dnnl_f32, .training = true},
        {.n = N, .type = dnnl_f32, .rivals = true},
    };
    const int expected[] = {4, 0, 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        convoy_net *net = residual();
        assert_int_equal(count_rivals(net, &ways[i]), expected[i]);
        convoy_net_destroy(net);
    }
}

static void memory_is_used_again(void **state)
{
    struct rig rig = {0};
    convoy_net *net = create();
    convoy_node x = convoy_net_input(net);
    char name[16];
    (void)state;
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "conv%d", i);
        x = conv(net, x, name, 16);
        snprintf(name, sizeof name, "relu%d", i);
        x = convoy_net_relu(net, x, name);
    }
    finish(net, x);
    set_up(&rig, net);
    const size_t one = (size_t)N * 16 * SIDE * SIDE * sizeof(float);
    assert_in_range(program_arena_bytes(rig.evaluation->program), one, 5 * one);
    assert_true(program_arena_bytes(rig.training->program) <
                program_tensor_bytes(rig.training->program) * 8 / 10);
    tear_down(&rig);
}

static void two_runs_give_the_same_bits(void **state)
{
    struct rig rig = {0};
    const struct run_info info = {.seed = 1, .step = 2};
    float *first = NULL;
    (void)state;
    set_up(&rig, residual());
    const size_t bytes = net_leaf_floats(rig.net) * sizeof(float);
    assert_int_equal(mem_alloc(bytes, (void **)&first), CONVOY_OK);
    loss_of(&rig, rig.training);
    compiled_backward(rig.training, 0.5F, &info);
    memcpy(first, rig.leaf, bytes);
    loss_of(&rig, rig.evaluation);
    memset(rig.leaf, 0, bytes);
    loss_of(&rig, rig.training);
    compiled_backward(rig.training, 0.5F, &info);
    assert_memory_equal(first, rig.leaf, bytes);
    mem_free(first);
    tear_down(&rig);
}

/* Turn and turn about in the same memory, both compute what they compute alone. */
static void an_evaluation_works_in_the_memory_of_training(void **state)
{
    struct rig rig = {0};
    const struct run_info info = {.seed = 1, .step = 2};
    float *first = NULL;
    (void)state;
    set_up(&rig, residual());
    struct compiled *borrower = compile(rig.net, false, rig.training);
    const size_t bytes = net_leaf_floats(rig.net) * sizeof(float);
    assert_int_equal(mem_alloc(bytes, (void **)&first), CONVOY_OK);
    loss_of(&rig, rig.training);
    compiled_backward(rig.training, 0.5F, &info);
    memcpy(first, rig.leaf, bytes);
    const char *begin = (const char *)compiled_logits(borrower);
    const char *arena = (const char *)compiled_logits(rig.training);
    const size_t size = program_arena_bytes(rig.training->program);
    assert_true(begin < arena + size && arena < begin + size);
    for (int round = 0; round < 2; round++) {
        const double alone = loss_of(&rig, rig.evaluation);
        assert_true(loss_of(&rig, borrower) == alone);
        memset(rig.leaf, 0, bytes);
        loss_of(&rig, rig.training);
        compiled_backward(rig.training, 0.5F, &info);
        assert_memory_equal(first, rig.leaf, bytes);
    }
    mem_free(first);
    compiled_destroy(borrower);
    tear_down(&rig);
}

/* Two stages with batch norm and a classifier, prefixes frozen. */
static convoy_net *frozen(int n, const char *const *prefixes)
{
    convoy_net *net = create();
    convoy_node x = convoy_net_input(net);
    x = convoy_net_batch_norm(net, conv(net, x, "conv1", 8), "bn1", NULL);
    x = convoy_net_tanh(net, x, "act1");
    x = convoy_net_batch_norm(net, conv(net, x, "conv2", 8), "bn2", NULL);
    x = convoy_net_tanh(net, x, "act2");
    finish(net, x);
    for (int i = 0; i < n; i++)
        assert_int_equal(net_freeze(net, prefixes[i]), CONVOY_OK);
    return net;
}

static int backward_ops(const struct rig *rig)
{
    int n = 0;
    for (int i = 0; i < program_n_ops(rig->training->program); i++)
        n += program_cost(rig->training->program, i).phase == PHASE_BACKWARD;
    return n;
}

static void gradients_pass_through_frozen_layers(void **state)
{
    static const char *const prefixes[] = {"conv2.", "bn2."};
    struct rig rig = {0}, whole = {0};
    (void)state;
    set_up(&whole, frozen(0, NULL));
    set_up(&rig, frozen(2, prefixes));
    assert_true(rig.n_params < whole.n_params);
    assert_gradient(&rig);
    assert_true(backward_ops(&rig) < backward_ops(&whole));
    tear_down(&rig);
    tear_down(&whole);
}

static void nothing_runs_backwards_before_the_first_layer_that_learns(void **state)
{
    static const char *const prefixes[] = {"conv", "bn1.", "bn2."};
    struct rig rig = {0};
    (void)state;
    set_up(&rig, frozen(3, prefixes));
    assert_gradient(&rig);
    for (int i = 0; i < program_n_ops(rig.training->program); i++) {
        const struct program_cost op = program_cost(rig.training->program, i);
        if (op.phase == PHASE_BACKWARD && strcmp(op.layer, "fc") != 0)
            assert_string_equal(op.layer, "loss");
    }
    tear_down(&rig);
}

static void frozen_batch_norm_keeps_its_running_statistics(void **state)
{
    static const char *const prefixes[] = {"bn1."};
    struct rig rig = {0};
    (void)state;
    set_up(&rig, frozen(1, prefixes));
    const struct param_store *store = &rig.net->store;
    const size_t bytes = store->buffer_floats * sizeof(float);
    float *before = NULL;
    assert_int_equal(mem_alloc(bytes, (void **)&before), CONVOY_OK);
    memcpy(before, store->buffer_data, bytes);
    memset(rig.leaf, 0xff, net_leaf_floats(rig.net) * sizeof(float));
    loss_of(&rig, rig.training);
    compiled_update_buffers(rig.training, rig.leaf + net_param_floats(rig.net), 1);
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        const bool same = memcmp(before + b->offset, store->buffer_data + b->offset,
                                 (size_t)b->buffer.n * sizeof(float)) == 0;
        assert_int_equal(same, strncmp(b->name, "bn1.", 4) == 0);
    }
    mem_free(before);
    tear_down(&rig);
}

static void freezing_names_what_it_cannot_freeze(void **state)
{
    convoy_net *net = frozen(0, NULL);
    (void)state;
    assert_int_equal(net_freeze(net, "conv9."), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "conv9."));
    assert_int_equal(net_freeze(net, "conv1.bias"), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "'conv1'"));
    convoy_net_destroy(net);
}

/* A dense block of three layers with growth channels each, and its classifier. */
static convoy_net *dense(int growth)
{
    convoy_net *net = create();
    char name[16];
    convoy_node x = conv(net, convoy_net_input(net), "stem", 16);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "norm%d", i);
        convoy_node y = convoy_net_batch_norm(net, x, name, NULL);
        snprintf(name, sizeof name, "act%d", i);
        y = convoy_net_tanh(net, y, name);
        snprintf(name, sizeof name, "conv%d", i);
        const convoy_node both[] = {x, conv(net, y, name, growth)};
        snprintf(name, sizeof name, "concat%d", i);
        x = convoy_net_concat(net, 2, both, name);
    }
    x = convoy_net_batch_norm(net, x, "norm3", NULL);
    finish(net, convoy_net_tanh(net, x, "act3"));
    return net;
}

static int ops_of(const struct rig *rig, const char *kind)
{
    int n = 0;
    for (int i = 0; i < program_n_ops(rig->training->program); i++)
        n += strcmp(program_cost(rig->training->program, i).kind, kind) == 0;
    return n;
}

static void gradients_of_a_dense_block_are_right(void **state)
{
    static const int growths[] = {16, 12}; /* the second cannot share a tensor */
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig rig = {0};
        set_up(&rig, dense(growths[i]));
        assert_gradient(&rig);
        tear_down(&rig);
    }
}

/* A tanh takes the block's last value, of which norms have read the parts; and a norm
 * reads a part only after it. */
static void nothing_is_written_over_a_dense_block_that_is_read(void **state)
{
    struct rig rig = {0};
    convoy_net *net = create();
    (void)state;
    convoy_node stem = conv(net, convoy_net_input(net), "stem", 16);
    const convoy_node two[] = {stem, conv(net, stem, "conv1", 16)};
    convoy_node part = convoy_net_concat(net, 2, two, "concat1");
    convoy_node norm = convoy_net_batch_norm(net, part, "norm1", NULL);
    const convoy_node three[] = {part, conv(net, norm, "conv2", 16)};
    convoy_node x = convoy_net_concat(net, 2, three, "concat2");
    x = conv(net, convoy_net_tanh(net, x, "tanh"), "conv3", 32);
    const convoy_node both[] = {x, convoy_net_batch_norm(net, part, "norm2", NULL)};
    finish(net, convoy_net_add(net, 2, both, "add"));
    set_up(&rig, net);
    assert_gradient(&rig);
    assert_int_equal(ops_of(&rig, "concat"), 0);
    for (int i = 0; i < program_n_ops(rig.evaluation->program); i++) {
        const struct program_cost cost = program_cost(rig.evaluation->program, i);
        assert_string_not_equal(cost.kind, "concat");
    }
    tear_down(&rig);
}

static void a_dense_block_shares_one_tensor(void **state)
{
    struct rig shared = {0}, apart = {0};
    (void)state;
    set_up(&shared, dense(16));
    set_up(&apart, dense(12));
    assert_int_equal(ops_of(&shared, "concat"), 0);
    assert_int_equal(ops_of(&shared, "sum of gradients"), 0);
    assert_int_equal(ops_of(&apart, "concat"), 3);
    tear_down(&shared);
    tear_down(&apart);
}

/* The layers of a net that ends in one pixel a channel, norm being one of them. */
static convoy_net *pixel_net(void)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(CHANNELS, SIDE, SIDE, &net), CONVOY_OK);
    convoy_node x = convoy_net_global_avg_pool(net, convoy_net_input(net), "gap");
    x = convoy_net_batch_norm(net, x, "norm", NULL);
    x = convoy_net_flatten(net, x, "flatten");
    convoy_net_loss(net, x, 0);
    return net;
}

static void batch_norm_over_one_value_does_not_train(void **state)
{
    (void)state;
    const struct compile_options one = {.n = 1, .type = dnnl_f32, .training = true},
                                 two = {.n = 2, .type = dnnl_f32, .training = true},
                                 evaluation = {.n = 1, .type = dnnl_f32};
    struct compiled *compiled = NULL;
    convoy_net *net = pixel_net();
    assert_int_equal(net_compile(net, &one, &compiled), CONVOY_ERROR_ARGUMENT);
    assert_null(compiled);
    assert_non_null(strstr(convoy_status_text(), "layer 'norm' (batch_norm): has one "
                                                 "value a channel"));
    assert_non_null(strstr(convoy_status_text(), "[3, 1, 1]"));
    convoy_net_destroy(net);
    net = pixel_net();
    assert_int_equal(net_compile(net, &two, &compiled), CONVOY_OK);
    compiled_destroy(compiled);
    assert_int_equal(net_compile(net, &evaluation, &compiled), CONVOY_OK);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
    net = pixel_net(); /* frozen, it uses the running statistics */
    assert_int_equal(net_freeze(net, "norm."), CONVOY_OK);
    assert_int_equal(net_compile(net, &one, &compiled), CONVOY_OK);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_branches_add_up),
        cmocka_unit_test(gradients_of_a_residual_block_are_right),
        cmocka_unit_test(evaluation_uses_the_same_parameters),
        cmocka_unit_test(an_absent_sample_counts_nothing),
        cmocka_unit_test(batch_norms_have_rivals_where_they_are_asked_for),
        cmocka_unit_test(memory_is_used_again),
        cmocka_unit_test(two_runs_give_the_same_bits),
        cmocka_unit_test(an_evaluation_works_in_the_memory_of_training),
        cmocka_unit_test(gradients_of_a_dense_block_are_right),
        cmocka_unit_test(nothing_is_written_over_a_dense_block_that_is_read),
        cmocka_unit_test(a_dense_block_shares_one_tensor),
        cmocka_unit_test(gradients_pass_through_frozen_layers),
        cmocka_unit_test(nothing_runs_backwards_before_the_first_layer_that_learns),
        cmocka_unit_test(frozen_batch_norm_keeps_its_running_statistics),
        cmocka_unit_test(batch_norm_over_one_value_does_not_train),
        cmocka_unit_test(freezing_names_what_it_cannot_freeze),
    };
    return cmocka_run_group_tests_name("compile", tests, NULL, NULL);
}
