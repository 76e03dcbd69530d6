/* The zoo: every model of the list builds, compiles and learns; sizes are the published
 * ones; options that a model lacks are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "net/net.h"

#include <convoy/model.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int digits[3] = {1, 28, 28}, cifar[3] = {3, 32, 32};

static convoy_net *build(const char *name, const int shape[3],
                         convoy_model_options options)
{
    convoy_net *net = NULL;
    options.classes = 10;
    if (convoy_model_build(name, shape, &options, &net) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return net;
}

static void assert_refused(const char *name, const convoy_model_options *options,
                           const char *part)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_model_build(name, digits, options, &net),
                     CONVOY_ERROR_ARGUMENT);
    assert_null(net);
    if (!strstr(convoy_status_text(), part))
        fail_msg("'%s' is not in '%s'", part, convoy_status_text());
}

static void sizes_are_the_published_ones(void **state)
{
    /* He et al. 2015, table 6: 0.27, 0.46, 0.85 million; mlp: the weights and a bias
     * for each of its 3 · 3333 + 10 units. */
    static const struct {
        const char *name;
        const int *shape;
        int64_t n_params;
    } cases[] = {
        {"mlp", digits, 24864180 + 3 * 3333 + 10},
        {"lenet", digits, 20 * 26 + 50 * 501 + 500 * 801 + 10 * 501},
        {"resnet20", cifar, 269722},
        {"resnet32", cifar, 464154},
        {"resnet56", cifar, 853018},
        {"plain20", cifar, 269722},
        {"plain56", cifar, 853018},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_net *net =
            build(cases[i].name, cases[i].shape, (convoy_model_options){.dropout = -1});
        if (convoy_net_n_params(net) != cases[i].n_params)
            fail_msg("%s: %lld parameters", cases[i].name,
                     (long long)convoy_net_n_params(net));
        convoy_net_destroy(net);
    }
}

/* A few steps of plain gradient descent on one batch of two samples. */
static void assert_learns(const char *name)
{
    const struct compile_options options = {.n = 2, .type = dnnl_f32, .training = true};
    const struct run_info info = {.seed = 1};
    const int32_t labels[2] = {3, 7};
    convoy_net *net =
        build(name, digits, (convoy_model_options){.dropout = -1, .width = 8});
    struct compiled *compiled = NULL;
    float *images = NULL, *leaf = NULL;
    double losses[6];
    assert_int_equal(net_compile(net, &options, &compiled), CONVOY_OK);
    assert_int_equal(param_store_init(&net->store, &net->dnn, 5), CONVOY_OK);
    assert_int_equal(mem_alloc_array((size_t)2 * 784, sizeof *images, (void **)&images),
                     CONVOY_OK);
    assert_int_equal(
        mem_alloc_array(net_leaf_floats(net), sizeof *leaf, (void **)&leaf), CONVOY_OK);
    for (int i = 0; i < 2 * 784; i++)
        images[i] = (float)(i % 11) / 11.0F - (i < 784 ? 0 : 1);
    for (int step = 0; step < 6; step++) {
        assert_int_equal(compiled_refresh(compiled), CONVOY_OK);
        assert_int_equal(compiled_forward(compiled, images, labels, leaf, &info),
                         CONVOY_OK);
        assert_int_equal(compiled_backward(compiled, 0.5F, &info), CONVOY_OK);
        losses[step] =
            (double)compiled_losses(compiled)[0] + (double)compiled_losses(compiled)[1];
        for (size_t i = 0; i < net_param_floats(net); i++)
            net->store.param_data[i] -= 0.01F * leaf[i];
    }
    if (!(isfinite(losses[5]) && losses[5] < losses[0]))
        fail_msg("%s: loss %g after %g", name, losses[5], losses[0]);
    mem_free(images);
    mem_free(leaf);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

static void every_model_learns(void **state)
{
    (void)state;
    for (int i = 0; convoy_model_name(i); i++) {
        assert_true(strlen(convoy_model_summary(i)) > 10);
        assert_learns(convoy_model_name(i));
    }
    assert_null(convoy_model_name(-1));
    assert_null(convoy_model_summary(1000));
}

static void a_twin_has_the_same_parameters(void **state)
{
    convoy_net *residual =
        build("resnet32", cifar, (convoy_model_options){.dropout = -1});
    convoy_net *plain = build("plain32", cifar, (convoy_model_options){.dropout = -1});
    (void)state;
    assert_int_equal(residual->store.n_params, plain->store.n_params);
    for (int i = 0; i < plain->store.n_params; i++)
        assert_string_equal(residual->store.params[i].name,
                            plain->store.params[i].name);
    assert_string_equal(plain->store.params[0].name, "conv1.weight");
    assert_string_equal(plain->store.params[plain->store.n_params - 1].name, "fc.bias");
    convoy_net_destroy(residual);
    convoy_net_destroy(plain);
}

static void options_do_what_they_say(void **state)
{
    (void)state;
    convoy_net *net =
        build("resnet20", cifar,
              (convoy_model_options){.zero_init_residual = true, .width = 8});
    int zeros = 0;
    for (int i = 0; i < net->store.n_params; i++)
        zeros += strstr(net->store.params[i].name, "bn2.weight") &&
                 net->store.params[i].param.init == INIT_ZERO;
    assert_int_equal(zeros, 9);
    assert_int_equal(net->store.params[0].param.dims[0], 8);
    convoy_net_destroy(net);
    net = build("lenet", digits,
                (convoy_model_options){.batch_norm = true, .dropout = 0.5F});
    assert_string_equal(net->store.params[1].name, "bn1.weight");
    convoy_net_destroy(net);
}

static void what_a_model_lacks_is_refused(void **state)
{
    (void)state;
    assert_refused("resnet20", &(convoy_model_options){.classes = 10, .dropout = 0.5F},
                   "model.dropout: resnet20 has no such option");
    assert_refused("mlp", &(convoy_model_options){.classes = 10, .batch_norm = true},
                   "model.batch_norm: mlp");
    assert_refused("plain20",
                   &(convoy_model_options){.classes = 10, .zero_init_residual = true},
                   "model.zero_init_residual: plain20");
    assert_refused("mlp", &(convoy_model_options){.classes = 1}, "model.classes");
    assert_refused("resnet21", &(convoy_model_options){.classes = 10},
                   "resnet20, resnet32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_the_published_ones),
        cmocka_unit_test(every_model_learns),
        cmocka_unit_test(a_twin_has_the_same_parameters),
        cmocka_unit_test(options_do_what_they_say),
        cmocka_unit_test(what_a_model_lacks_is_refused),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
