/* The builder: shapes, names and the reasons for which a layer is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

#include <string.h>

static int make(void **state)
{
    return convoy_net_create(3, 9, 7, (convoy_net **)state) != CONVOY_OK;
}

static int destroy(void **state)
{
    convoy_net_destroy(*state);
    return 0;
}

static void assert_text_has(const char *part)
{
    if (!strstr(convoy_status_text(), part))
        fail_msg("'%s' is not in '%s'", part, convoy_status_text());
}

static void assert_shape(const convoy_net *net, convoy_node x, int64_t c, int64_t h,
                         int64_t w)
{
    int64_t shape[3];
    convoy_net_shape(net, x, shape);
    assert_int_equal(shape[0], c);
    assert_int_equal(shape[1], h);
    assert_int_equal(shape[2], w);
}

static void shapes_follow_from_the_layers(void **state)
{
    convoy_net *net = *state;
    convoy_node x = convoy_net_input(net);
    assert_shape(net, x, 3, 9, 7);
    x = convoy_net_conv(net, x, "conv",
                        &(convoy_conv){.out = 6, .kernel = 3, .stride = 2, .pad = 1});
    assert_shape(net, x, 6, 5, 4);
    convoy_node pooled =
        convoy_net_max_pool(net, x, "pool", &(convoy_pool){.kernel = 3, .stride = 2});
    assert_shape(net, pooled, 6, 2, 1);
    convoy_node ceiled = convoy_net_max_pool(
        net, x, "ceil", &(convoy_pool){.kernel = 3, .stride = 2, .ceil_mode = true});
    assert_shape(net, ceiled, 6, 2, 2);
    const convoy_node both[] = {x, x};
    assert_shape(net, convoy_net_concat(net, 2, both, "cat"), 12, 5, 4);
    assert_shape(net, convoy_net_flatten(net, x, "flat"), 120, 1, 1);
}

static void parameters_are_counted_and_named(void **state)
{
    convoy_net *net = *state;
    convoy_node x = convoy_net_input(net);
    x = convoy_net_conv(net, x, "a.conv",
                        &(convoy_conv){.out = 4, .kernel = 3, .no_bias = true});
    x = convoy_net_batch_norm(net, x, "a.bn", NULL);
    x = convoy_net_flatten(net, x, "flat");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 5});
    assert_true(x > 0);
    assert_int_equal(convoy_net_n_params(net), 4 * 3 * 9 + 2 * 4 + 5 * (4 * 7 * 5) + 5);
    assert_string_equal(net->store.params[0].name, "a.conv.weight");
    assert_string_equal(net->store.params[2].name, "a.bn.bias");
    assert_string_equal(net->store.buffers[1].name, "a.bn.running_var");
}

static void each_place_has_a_kernel_and_a_bias(void **state)
{
    convoy_net *net = *state;
    const convoy_conv options = {.out = 6, .kernel = 3, .stride = 2, .groups = 3};
    convoy_node x =
        convoy_net_locally_connected(net, convoy_net_input(net), "local", &options);
    assert_shape(net, x, 6, 4, 3);
    assert_int_equal(convoy_net_n_params(net), 6 * 9 * 12 + 6 * 12);
    assert_string_equal(net->store.params[0].name, "local.weight");
    assert_string_equal(net->store.params[1].name, "local.bias");
}

static void shapes_that_differ_are_both_named(void **state)
{
    convoy_net *net = *state;
    convoy_node x = convoy_net_input(net);
    convoy_node y =
        convoy_net_conv(net, x, "thin", &(convoy_conv){.out = 2, .kernel = 1});
    const convoy_node both[] = {x, y};
    assert_int_equal(convoy_net_add(net, 2, both, "sum"), -1);
    assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
    assert_text_has("layer 'sum' (add)");
    assert_text_has("[3, 9, 7]");
    assert_text_has("[2, 9, 7]");
}

static void the_first_failure_is_kept(void **state)
{
    convoy_net *net = *state;
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), "big",
                                    &(convoy_conv){.out = 2, .kernel = 11});
    assert_int_equal(x, -1);
    x = convoy_net_relu(net, x, "after");
    x = convoy_net_relu(net, x, "after");
    assert_int_equal(x, -1);
    assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
    assert_text_has("layer 'big' (conv)");
    assert_text_has("[11, 11]");
    assert_text_has("[3, 9, 7]");
}

static void names_are_unique(void **state)
{
    convoy_net *net = *state;
    convoy_node x = convoy_net_relu(net, convoy_net_input(net), "same");
    assert_int_equal(convoy_net_relu(net, x, "same"), -1);
    convoy_net_check(net);
    assert_text_has("two layers are called 'same'");
}

static void a_net_ends_with_its_loss(void **state)
{
    convoy_net *net = *state;
    assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
    assert_text_has("no loss");
    convoy_node x = convoy_net_flatten(net, convoy_net_input(net), "flat");
    assert_true(convoy_net_loss(net, x, 0) > 0);
    assert_int_equal(convoy_net_check(net), CONVOY_OK);
    assert_int_equal(convoy_net_relu(net, x, "late"), -1);
    assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
    assert_text_has("layer 'late' (relu): it comes after the loss");
}

static void a_node_that_is_none_is_refused(void **state)
{
    convoy_net *net = *state;
    assert_int_equal(convoy_net_relu(net, 77, "on nothing"), -1);
    assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
    assert_string_equal(convoy_status_text(),
                        "layer 'on nothing' (relu): there is no node 77");
}

static void an_impossible_input_is_refused(void **state)
{
    convoy_net *net = NULL;
    (void)state;
    assert_int_equal(convoy_net_create(0, 1, 1, &net), CONVOY_ERROR_ARGUMENT);
    assert_int_equal(convoy_net_create(1, 65537, 1, &net), CONVOY_ERROR_ARGUMENT);
    assert_null(net);
    convoy_net_destroy(NULL);
}

static convoy_node add_conv(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_conv(net, x, name, NULL);
}

static convoy_node add_max_pool(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_max_pool(net, x, name, NULL);
}

static convoy_node add_avg_pool(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_avg_pool(net, x, name, NULL);
}

static convoy_node add_inner_product(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_inner_product(net, x, name, NULL);
}

static convoy_node add_batch_norm(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_batch_norm(net, x, name, NULL);
}

static convoy_node add_lrn(convoy_net *net, convoy_node x, const char *name)
{
    return convoy_net_lrn(net, x, name, NULL);
}

/* No options are a struct of zeros: for some layers not enough, for none a crash. */
static void options_may_be_null(void **state)
{
    (void)state;
    static const struct {
        convoy_node (*add)(convoy_net *net, convoy_node x, const char *name);
        const char *problem;
    } cases[] = {{add_conv, "out is 0, expected an integer at least 1"},
                 {add_max_pool, "kernel is 0, expected"},
                 {add_avg_pool, "kernel is 0, expected"},
                 {add_inner_product, "out is 0, expected"},
                 {add_batch_norm, NULL},
                 {add_lrn, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_net *net = NULL;
        assert_int_equal(convoy_net_create(3, 8, 8, &net), CONVOY_OK);
        const convoy_node x = cases[i].add(net, convoy_net_input(net), "x");
        assert_int_equal(x >= 0, !cases[i].problem);
        if (cases[i].problem) {
            assert_int_equal(convoy_net_check(net), CONVOY_ERROR_ARGUMENT);
            if (!strstr(convoy_status_text(), cases[i].problem))
                fail_msg("no '%s' in '%s'", cases[i].problem, convoy_status_text());
        }
        convoy_net_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shapes_follow_from_the_layers, make, destroy),
        cmocka_unit_test_setup_teardown(parameters_are_counted_and_named, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(each_place_has_a_kernel_and_a_bias, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(shapes_that_differ_are_both_named, make,
                                        destroy),
        cmocka_unit_test_setup_teardown(the_first_failure_is_kept, make, destroy),
        cmocka_unit_test_setup_teardown(names_are_unique, make, destroy),
        cmocka_unit_test_setup_teardown(a_net_ends_with_its_loss, make, destroy),
        cmocka_unit_test_setup_teardown(a_node_that_is_none_is_refused, make, destroy),
        cmocka_unit_test(an_impossible_input_is_refused),
        cmocka_unit_test(options_may_be_null),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
