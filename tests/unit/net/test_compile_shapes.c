/* A net compiled for images of another size than it was built with: the same as one
 * that was built with that size, on the same parameters and in the same memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"

#include <math.h>
#include <string.h>

enum { N = 5, CLASSES = 4, CHANNELS = 3, SMALL = 10, LARGE = 16 };

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

/* A strided block with a shortcut, a concat, pools with a rest, and a head that pools
 * the whole map. */
static convoy_net *build(int side)
{
    convoy_net *net = NULL;
    ok(convoy_net_create(CHANNELS, side, side, &net));
    const convoy_conv wide = {.out = 16, .kernel = 3, .pad = 1};
    const convoy_conv strided = {.out = 16, .kernel = 3, .pad = 1, .stride = 2};
    const convoy_conv shortcut = {.out = 16, .kernel = 1, .stride = 2};
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "stem", &wide);
    x = convoy_net_relu(net, convoy_net_batch_norm(net, x, "bn0", NULL), "relu0");
    const convoy_node both[] = {
        convoy_net_batch_norm(net, convoy_net_conv(net, x, "conv1", &strided), "bn1",
                              NULL),
        convoy_net_conv(net, x, "short", &shortcut)};
    x = convoy_net_relu(net, convoy_net_add(net, 2, both, "add"), "relu1");
    const convoy_node more[] = {x, convoy_net_conv(net, x, "conv2", &wide)};
    x = convoy_net_concat(net, 2, more, "cat");
    x = convoy_net_max_pool(net, x, "pool", &(convoy_pool){.kernel = 2, .stride = 2});
    x = convoy_net_flatten(net, convoy_net_global_avg_pool(net, x, "gap"), "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0.1F);
    ok(convoy_net_check(net));
    return net;
}

static struct compiled *compile(convoy_net *net, int side, bool training,
                                const struct compiled *lender)
{
    struct compiled *compiled = NULL;
    const struct compile_options options = {
        .n = N, .height = side, .width = side, .type = dnnl_f32, .training = training};
    ok(net_plan(net, &options, &compiled));
    ok(compiled_allocate(compiled, lender));
    ok(program_create_primitives(compiled->program, 0, 1));
    return compiled;
}

/* What a pass comes to. */
struct outcome {
    double loss;
    float *gradients; /* [params], of each parameter row-major, end to end */
    float *buffers;   /* running statistics afterwards */
    size_t n_gradients, n_buffers;
};

static void free_outcome(struct outcome *o)
{
    mem_free(o->gradients);
    mem_free(o->buffers);
}

static void take_gradients(const convoy_net *net, const float *leaf, struct outcome *o)
{
    const struct param_store *store = &net->store;
    size_t at = 0;
    o->n_gradients = (size_t)convoy_net_n_params(net);
    ok(mem_alloc_array(o->n_gradients, sizeof(float), (void **)&o->gradients));
    for (int i = 0; i < store->n_params; i++) {
        ok(param_store_get(store, &net->dnn, i, leaf, o->gradients + at));
        at += (size_t)param_store_n_values(store, i);
    }
}

/* One step's passes on images of side; the running statistics begin at their initial
 * values. */
static struct outcome run(struct compiled *compiled, int side)
{
    struct outcome o = {0};
    const convoy_net *net = compiled->net;
    const struct param_store *store = &net->store;
    const struct run_info info = {.seed = 1, .step = 2};
    const int32_t labels[N] = {0, 1, 2, 3, -1};
    const size_t n = (size_t)N * CHANNELS * (size_t)side * (size_t)side;
    const struct rng rng = rng_stream(3, RNG_AUGMENT, (uint64_t)side, 0);
    float *images = NULL, *leaf = NULL;
    ok(mem_alloc_array(n, sizeof *images, (void **)&images));
    ok(mem_alloc_array(net_leaf_floats(net), sizeof *leaf, (void **)&leaf));
    for (size_t i = 0; i < n; i++)
        images[i] = (float)rng_normal(&rng, i);
    ok(param_store_init(&compiled->net->store, &net->dnn, NULL, 7));
    ok(compiled_refresh(compiled));
    ok(compiled_forward(compiled, images, labels, leaf, &info));
    for (int i = 0; i < N; i++)
        o.loss += (double)compiled_losses(compiled)[i];
    if (compiled->training) {
        ok(compiled_backward(compiled, 0.25F, &info));
        compiled_update_buffers(compiled, leaf + net_param_floats(net), 1);
        take_gradients(net, leaf, &o);
    }
    o.n_buffers = store->buffer_floats;
    ok(mem_alloc_array(o.n_buffers, sizeof(float), (void **)&o.buffers));
    memcpy(o.buffers, store->buffer_data, o.n_buffers * sizeof(float));
    mem_free(images);
    mem_free(leaf);
    return o;
}

static void assert_near(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)b[i]));
    for (size_t i = 0; i < n; i++)
        if (fabs((double)a[i] - (double)b[i]) > 1e-5 * most)
            fail_msg("value %zu is %g, expected %g", i, (double)a[i], (double)b[i]);
}

/* Both are freed. */
static void assert_alike(struct outcome a, struct outcome b)
{
    assert_true(fabs(a.loss - b.loss) < 1e-5 * fabs(b.loss));
    assert_int_equal(a.n_gradients, b.n_gradients);
    assert_int_equal(a.n_buffers, b.n_buffers);
    assert_near(a.gradients, b.gradients, a.n_gradients);
    assert_near(a.buffers, b.buffers, a.n_buffers);
    free_outcome(&a);
    free_outcome(&b);
}

static void a_pass_is_that_of_a_net_built_with_this_size(void **state)
{
    static const int sides[] = {SMALL, 13, LARGE, 22};
    convoy_net *net = build(LARGE);
    struct compiled *largest = compile(net, 0, true, NULL);
    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        convoy_net *own = build(sides[i]);
        struct compiled *there = compile(net, sides[i], true, largest),
                        *here = compile(own, 0, true, NULL);
        assert_alike(run(there, sides[i]), run(here, sides[i]));
        compiled_destroy(there);
        compiled_destroy(here);
        there = compile(net, sides[i], false, largest);
        here = compile(own, 0, false, NULL);
        assert_alike(run(there, sides[i]), run(here, sides[i]));
        compiled_destroy(there);
        compiled_destroy(here);
        convoy_net_destroy(own);
    }
    compiled_destroy(largest);
    convoy_net_destroy(net);
}

/* Also those of statistics, which have other numbers of values behind them. */
static void sizes_in_turn_leave_each_other_s_bits(void **state)
{
    convoy_net *net = build(LARGE);
    struct compiled *large = compile(net, 0, true, NULL),
                    *small = compile(net, SMALL, true, large);
    (void)state;
    assert_true(program_arena_bytes(small->program) <
                program_arena_bytes(large->program));
    struct outcome first = run(large, LARGE);
    for (int i = 0; i < 2; i++) {
        struct outcome between = run(small, SMALL), again = run(large, LARGE);
        assert_true(again.loss == first.loss);
        assert_memory_equal(again.gradients, first.gradients, first.n_gradients * 4);
        assert_memory_equal(again.buffers, first.buffers, first.n_buffers * 4);
        free_outcome(&between);
        free_outcome(&again);
    }
    free_outcome(&first);
    compiled_destroy(small);
    compiled_destroy(large);
    convoy_net_destroy(net);
}

static void assert_refused(convoy_net *net, int side, const char *layer,
                           const char *why)
{
    struct compiled *compiled = NULL;
    const struct compile_options options = {
        .n = N, .height = side, .width = side, .type = dnnl_f32, .training = true};
    assert_int_equal(net_plan(net, &options, &compiled), CONVOY_ERROR_ARGUMENT);
    assert_null(compiled);
    assert_non_null(strstr(convoy_status_text(), layer));
    assert_non_null(strstr(convoy_status_text(), why));
}

static void sizes_that_a_net_cannot_take_are_refused(void **state)
{
    convoy_net *net = NULL;
    struct compiled *compiled = NULL;
    (void)state;
    ok(convoy_net_create(1, LARGE, LARGE, &net));
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "conv",
                                    &(convoy_conv){.out = 8, .kernel = 5});
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0);
    assert_refused(net, 12, "layer 'fc' (inner_product): fc.weight would be [4, 512]",
                   "but is [4, 1152]");
    assert_refused(net, 4, "layer 'conv' (conv)", "4");
    ok(net_compile(net, &(struct compile_options){.n = N, .type = dnnl_f32},
                   &compiled));
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

static void kernels_of_places_are_for_one_size(void **state)
{
    convoy_net *net = NULL;
    (void)state;
    ok(convoy_net_create(1, LARGE, LARGE, &net));
    convoy_node x = convoy_net_locally_connected(net, convoy_net_input(net), "local",
                                                 &(convoy_conv){.out = 2, .kernel = 5});
    x = convoy_net_flatten(net, convoy_net_global_avg_pool(net, x, "gap"), "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0);
    assert_refused(net, 12,
                   "layer 'local' (locally_connected): local.weight would be [2, 1, 5, "
                   "5, 64]",
                   "but is [2, 1, 5, 5, 144]");
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_is_that_of_a_net_built_with_this_size),
        cmocka_unit_test(sizes_in_turn_leave_each_other_s_bits),
        cmocka_unit_test(sizes_that_a_net_cannot_take_are_refused),
        cmocka_unit_test(kernels_of_places_are_for_one_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
