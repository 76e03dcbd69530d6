/* What a net tells of its layers: outputs, parameters, multiply-adds by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/net.h>

static int make(void **state)
{
    convoy_net *net = NULL;
    if (convoy_net_create(3, 9, 7, &net) != CONVOY_OK)
        return -1;
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "conv",
                                    &(convoy_conv){.out = 6, .kernel = 3, .groups = 3});
    x = convoy_net_batch_norm(net, x, "bn", NULL);
    x = convoy_net_flatten(net, x, "flat");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 4});
    *state = net;
    return x < 0;
}

static int destroy(void **state)
{
    convoy_net_destroy(*state);
    return 0;
}

static void expect_layer(const convoy_net *net, int i, const convoy_layer *expected)
{
    convoy_layer layer;
    convoy_net_describe(net, i, &layer);
    assert_string_equal(layer.name, expected->name);
    assert_string_equal(layer.kind, expected->kind);
    for (int d = 0; d < 3; d++)
        assert_int_equal(layer.shape[d], expected->shape[d]);
    assert_int_equal(layer.flat, expected->flat);
    assert_int_equal(layer.n_params, expected->n_params);
    assert_int_equal(layer.n_weights, expected->n_weights);
    assert_int_equal(layer.n_macs, expected->n_macs);
    assert_int_equal(layer.bytes, expected->bytes);
}

static void each_layer_is_described(void **state)
{
    static const convoy_layer expected[] = {
        {"conv", "conv", {6, 7, 5}, false, 60, 54, 1890, 840},
        {"bn", "batch_norm", {6, 7, 5}, false, 12, 6, 0, 840},
        {"flat", "flatten", {210, 1, 1}, true, 0, 0, 0, 840},
        {"fc", "inner_product", {4, 1, 1}, true, 844, 840, 840, 16},
    };
    convoy_net *net = *state;
    assert_int_equal(convoy_net_n_layers(net), 4);
    for (int i = 0; i < 4; i++)
        expect_layer(net, i, &expected[i]);
}

static void the_loss_is_no_layer(void **state)
{
    convoy_net *net = *state;
    assert_true(convoy_net_loss(net, 4, 0) > 0);
    assert_int_equal(convoy_net_n_layers(net), 4);
}

static void an_empty_net_has_no_layers(void **state)
{
    convoy_net *net = NULL;
    (void)state;
    assert_int_equal(convoy_net_create(1, 1, 1, &net), CONVOY_OK);
    assert_int_equal(convoy_net_n_layers(net), 0);
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_layer_is_described, make, destroy),
        cmocka_unit_test_setup_teardown(the_loss_is_no_layer, make, destroy),
        cmocka_unit_test(an_empty_net_has_no_layers),
    };
    return cmocka_run_group_tests_name("net_describe", tests, NULL, NULL);
}
