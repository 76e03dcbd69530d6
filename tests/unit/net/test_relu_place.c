/* Where a ReLU is done: in the layer before it, behind the max pooling that reads it,
 * or by itself. That the values are right test_random_nets.c and the comparison with
 * PyTorch say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

#include <string.h>

enum { N = 2, CHANNELS = 3, SIDE = 7, CLASSES = 4 };

static convoy_node conv(convoy_net *net, convoy_node x, const char *name, int out)
{
    return convoy_net_conv(net, x, name,
                           &(convoy_conv){.out = out, .kernel = 3, .pad = 1});
}

static convoy_net *create(void)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(CHANNELS, SIDE, SIDE, &net), CONVOY_OK);
    return net;
}

static struct compiled *plan(convoy_net *net, convoy_node x)
{
    const struct compile_options options = {.n = N, .type = dnnl_f32, .training = true};
    struct compiled *compiled = NULL;
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = CLASSES});
    convoy_net_loss(net, x, 0.1F);
    if (net_plan(net, &options, &compiled) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return compiled;
}

/* Ops of a kind, all of a layer of this name; NULL: of any. */
static int count_ops(const struct compiled *compiled, const char *kind,
                     const char *layer)
{
    int n = 0;
    for (int i = 0; i < program_n_ops(compiled->program); i++) {
        const struct program_cost cost = program_cost(compiled->program, i);
        if (strcmp(cost.kind, kind) != 0)
            continue;
        if (layer)
            assert_string_equal(cost.layer, layer);
        n++;
    }
    return n;
}

static void it_is_fused_where_nobody_else_reads(void **state)
{
    convoy_net *net = create();
    convoy_node x = convoy_net_input(net);
    (void)state;
    x = convoy_net_relu(net, convoy_net_batch_norm(net, x, "bn1", NULL), "fused1");
    convoy_node bn2 = convoy_net_batch_norm(net, conv(net, x, "conv", 3), "bn2", NULL);
    convoy_node relu2 = convoy_net_relu(net, bn2, "apart");
    const convoy_node both[] = {bn2, relu2};
    x = convoy_net_relu(net, convoy_net_add(net, 2, both, "add"), "fused2");
    struct compiled *compiled = plan(net, x);
    assert_int_equal(count_ops(compiled, "relu", "apart"), 2); /* both passes */
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

static void it_goes_behind_the_max_pooling_that_alone_reads_it(void **state)
{
    convoy_net *net = create();
    const convoy_pool pool = {.kernel = 2, .stride = 1};
    convoy_node x = conv(net, convoy_net_input(net), "conv1", 8);
    (void)state;
    x = convoy_net_max_pool(net, convoy_net_relu(net, x, "relu1"), "pool1", &pool);
    x = convoy_net_relu(net, conv(net, x, "conv2", 8), "apart");
    const convoy_node both[] = {convoy_net_max_pool(net, x, "pool2", &pool),
                                convoy_net_avg_pool(net, x, "pool3", &pool)};
    struct compiled *compiled = plan(net, convoy_net_add(net, 2, both, "add"));
    assert_int_equal(count_ops(compiled, "relu", "apart"), 2);
    assert_int_equal(count_ops(compiled, "max_pool", NULL), 2 + 2 + 2);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_fused_where_nobody_else_reads),
        cmocka_unit_test(it_goes_behind_the_max_pooling_that_alone_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
