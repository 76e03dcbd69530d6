/* What a net tells of its layers: outputs, parameters, multiply-adds and the weights
 * that other kinds would need, by hand. */
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

/* conv: [3, 9, 7] to [6, 7, 5] by 3 x 3 of a single channel. */
static void other_kinds_weights_are_counted(void **state)
{
    convoy_net *net = *state;
    convoy_comparison c;
    assert_true(convoy_net_compare(net, 0, &c));
    assert_int_equal(c.src[0] * c.src[1] * c.src[2], 189);
    assert_int_equal(c.dst[0] * c.dst[1] * c.dst[2], 210);
    assert_int_equal(c.channels, 1);
    assert_int_equal(c.kernel[0] * c.kernel[1], 9);
    assert_int_equal(c.fully_connected, 189 * 210);
    assert_int_equal(c.locally_connected, 9 * 210);
    assert_int_equal(c.convolutional, 9 * 6);
    assert_true(convoy_net_compare(net, 3, &c));
    assert_int_equal(c.fully_connected, 840);
    assert_int_equal(c.locally_connected, 840);
    assert_int_equal(c.convolutional, 840);
    c.channels = -1;
    assert_false(convoy_net_compare(net, 1, &c));
    assert_false(convoy_net_compare(net, 2, &c));
    assert_int_equal(c.channels, -1);
}

/* The weights that are counted are those that a net has. */
static void counts_are_those_of_nets(void **state)
{
    const convoy_conv options = {.out = 6, .kernel = 5, .stride = 2, .pad = 2};
    convoy_net *net = NULL;
    convoy_layer layer;
    convoy_comparison of_conv, of_local;
    (void)state;
    assert_int_equal(convoy_net_create(4, 11, 8, &net), CONVOY_OK);
    const convoy_node x = convoy_net_input(net);
    convoy_net_conv(net, x, "conv", &options);
    convoy_net_locally_connected(net, x, "local", &options);
    convoy_net_inner_product(net, convoy_net_flatten(net, x, "flat"), "full",
                             &(convoy_inner_product){.out = 6 * 6 * 4});
    assert_true(convoy_net_compare(net, 0, &of_conv));
    assert_true(convoy_net_compare(net, 1, &of_local));
    assert_memory_equal(&of_conv, &of_local, sizeof of_conv);
    convoy_net_describe(net, 0, &layer);
    assert_int_equal(layer.n_weights, of_conv.convolutional);
    convoy_net_describe(net, 1, &layer);
    assert_int_equal(layer.n_weights, of_conv.locally_connected);
    convoy_net_describe(net, 3, &layer);
    assert_int_equal(layer.n_weights, of_conv.fully_connected);
    convoy_net_destroy(net);
}

static void counts_beyond_64_bits_stay_at_the_largest(void **state)
{
    convoy_net *net = NULL;
    convoy_comparison c;
    (void)state;
    assert_int_equal(convoy_net_create(1, 65536, 65536, &net), CONVOY_OK);
    convoy_net_conv(net, convoy_net_input(net), "conv",
                    &(convoy_conv){.out = 2, .kernel = 1});
    assert_true(convoy_net_compare(net, 0, &c));
    assert_true(c.fully_connected == INT64_MAX);
    assert_int_equal(c.locally_connected, INT64_C(1) << 33);
    assert_int_equal(c.convolutional, 2);
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_kinds_weights_are_counted, make, destroy),
        cmocka_unit_test(counts_are_those_of_nets),
        cmocka_unit_test(counts_beyond_64_bits_stay_at_the_largest),
        cmocka_unit_test_setup_teardown(each_layer_is_described, make, destroy),
        cmocka_unit_test_setup_teardown(the_loss_is_no_layer, make, destroy),
        cmocka_unit_test(an_empty_net_has_no_layers),
    };
    return cmocka_run_group_tests_name("net_describe", tests, NULL, NULL);
}
