/* The zoo: every model of the list builds; sizes are the published ones; options that a
 * model lacks are refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

#include <convoy/model.h>

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

static void expect_params(const char *name, const int shape[3], int classes,
                          int64_t expected)
{
    const convoy_model_options options = {.classes = classes};
    convoy_net *net = NULL;
    if (convoy_model_build(name, shape, &options, &net) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    if (convoy_net_n_params(net) != expected)
        fail_msg("%s: %lld parameters, not %lld", name,
                 (long long)convoy_net_n_params(net), (long long)expected);
    convoy_net_destroy(net);
}

static void small_models_have_the_published_sizes(void **state)
{
    (void)state;
    /* The weights and a bias for each of its 3 · 3333 + 10 units. */
    expect_params("mlp", digits, 10, 24864180 + 3 * 3333 + 10);
    expect_params("lenet", digits, 10, 20 * 26 + 50 * 501 + 500 * 801 + 10 * 501);
    /* He et al. 2015, table 6: 0.27, 0.46, 0.85 million. */
    expect_params("resnet20", cifar, 10, 269722);
    expect_params("resnet32", cifar, 10, 464154);
    expect_params("resnet56", cifar, 10, 853018);
    expect_params("plain20", cifar, 10, 269722);
    expect_params("plain56", cifar, 10, 853018);
}

static void large_models_have_torchvisions_sizes(void **state)
{
    /* Of 1000 classes; alexnet2012 is Caffe's count. plain: resnet's without the
     * projections, 64·128 + 128·256 + 256·512 weights and their norms. */
    static const struct {
        const char *name;
        int64_t n_params;
    } cases[] = {
        {"alexnet", 61100840},     {"alexnet2012", 60965224}, {"vgg11", 132863336},
        {"vgg13", 133047848},      {"vgg16", 138357544},      {"vgg19", 143667240},
        {"vgg11_bn", 132868840},   {"vgg13_bn", 133053736},   {"vgg16_bn", 138365992},
        {"vgg19_bn", 143678248},   {"resnet18", 11689512},    {"resnet34", 21797672},
        {"resnet50", 25557032},    {"resnet101", 44549160},   {"resnet152", 60192808},
        {"plain18", 11515688},     {"plain34", 21623848},     {"densenet121", 7978856},
        {"densenet161", 28681000}, {"densenet169", 14149480}, {"densenet201", 20013928},
    };
    static const int imagenet[3] = {3, 224, 224};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_params(cases[i].name, imagenet, 1000, cases[i].n_params);
        /* The input's size changes no parameter. */
        expect_params(cases[i].name, (const int[3]){3, 64, 96}, 1000,
                      cases[i].n_params);
    }
}

static void every_model_builds_for_its_own_data(void **state)
{
    (void)state;
    for (int i = 0; convoy_model_name(i); i++) {
        convoy_model_options options = {0};
        convoy_net *net = NULL;
        int shape[3];
        int64_t logits[3];
        assert_int_equal(
            convoy_model_defaults(convoy_model_name(i), shape, &options.classes),
            CONVOY_OK);
        if (convoy_model_build(convoy_model_name(i), shape, &options, &net) !=
            CONVOY_OK)
            fail_msg("%s", convoy_status_text());
        convoy_net_shape(net, net->logits, logits);
        assert_int_equal(logits[0], options.classes);
        convoy_net_destroy(net);
    }
}

static void an_input_too_small_is_refused_with_the_layer(void **state)
{
    /* The largest size that is too small, and the layer on which it fails. */
    static const struct {
        const char *name;
        int size;
        const char *layer;
    } cases[] = {
        {"lenet", 15, "'pool2' (max_pool)"},
        {"alexnet", 62, "'features.12' (max_pool)"},
        {"alexnet2012", 62, "'pool5' (max_pool)"},
        {"vgg16", 31, "'features.30' (max_pool)"},
        {"vgg16_bn", 31, "'features.43' (max_pool)"},
        {"densenet121", 28, "'features.transition3.pool' (avg_pool)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const convoy_model_options options = {.classes = 10};
        int shape[3] = {3, cases[i].size, cases[i].size};
        convoy_net *net = NULL;
        assert_int_equal(convoy_model_build(cases[i].name, shape, &options, &net),
                         CONVOY_ERROR_ARGUMENT);
        if (!strstr(convoy_status_text(), cases[i].layer))
            fail_msg("'%s' is not in '%s'", cases[i].layer, convoy_status_text());
        shape[1]++;
        shape[2]++;
        assert_int_equal(convoy_model_build(cases[i].name, shape, &options, &net),
                         CONVOY_OK);
        convoy_net_destroy(net);
    }
}

static void a_twin_has_the_same_parameters(void **state)
{
    convoy_net *residual = build("resnet32", cifar, (convoy_model_options){0});
    convoy_net *plain = build("plain32", cifar, (convoy_model_options){0});
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

/* The node called name. */
static const struct node *find_node(const convoy_net *net, const char *name)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (strcmp(net->nodes[i].name, name) == 0)
            return &net->nodes[i];
    fail_msg("there is no layer '%s'", name);
    return NULL;
}

static void expect_sources(const convoy_net *net, const char *name, const char *first,
                           const char *second)
{
    const struct node *node = find_node(net, name);
    assert_string_equal(net->nodes[node->src[0]].name, first);
    if (second)
        assert_string_equal(net->nodes[node->src[1]].name, second);
}

static void a_pre_activated_block_starts_with_its_norm(void **state)
{
    static const int photo[3] = {3, 64, 64};
    const convoy_model_options options = {.pre_activation = true};
    (void)state;
    convoy_net *net = build("resnet50", photo, options);
    expect_sources(net, "layer1.0.conv1", "maxpool", NULL);
    expect_sources(net, "layer1.0.downsample.0", "maxpool", NULL);
    expect_sources(net, "layer1.1.bn1", "layer1.0.add", NULL);
    expect_sources(net, "layer1.1.add", "layer1.1.conv3", "layer1.0.add");
    expect_sources(net, "layer2.0.conv1", "layer2.0.relu1", NULL);
    expect_sources(net, "layer2.0.downsample.0", "layer2.0.relu1", NULL);
    expect_sources(net, "layer2.0.add", "layer2.0.conv3", "layer2.0.downsample.0");
    expect_sources(net, "bn2", "layer4.2.add", NULL);
    convoy_net_destroy(net);
    net = build("resnet20", cifar, options);
    expect_sources(net, "layer1.0.conv1", "relu1", NULL);
    expect_sources(net, "layer1.1.bn1", "layer1.0.add", NULL);
    expect_sources(net, "layer2.0.shortcut.pool", "layer1.2.add", NULL);
    expect_sources(net, "bn2", "layer3.2.add", NULL);
    convoy_net_destroy(net);
}

/* Where a 1 x 1 convolution follows, the blur has the stride. */
static void strided_convolutions_see_their_input_through_a_blur(void **state)
{
    static const int photo[3] = {3, 64, 64};
    (void)state;
    convoy_net *net =
        build("resnet50", photo, (convoy_model_options){.blur_pool = true});
    convoy_net *without = build("resnet50", photo, (convoy_model_options){0});
    expect_sources(net, "layer2.0.conv2", "layer2.0.blur2", NULL);
    expect_sources(net, "layer2.0.blur2", "layer2.0.relu1", NULL);
    expect_sources(net, "layer2.0.downsample.0", "layer2.0.downsample.blur", NULL);
    expect_sources(net, "conv1", "input", NULL);
    expect_sources(net, "layer1.0.downsample.0", "maxpool", NULL);
    assert_int_equal(find_node(net, "layer2.0.blur2")->shape.h, 16);
    assert_int_equal(find_node(net, "layer2.0.conv2")->shape.h, 8);
    assert_int_equal(find_node(net, "layer2.0.downsample.blur")->shape.h, 8);
    assert_int_equal(net->n_nodes, without->n_nodes + 6);
    assert_int_equal(convoy_net_n_params(net), convoy_net_n_params(without));
    convoy_net_destroy(net);
    convoy_net_destroy(without);
    net = build("resnet50", photo,
                (convoy_model_options){.blur_pool = true, .variant = "v1"});
    expect_sources(net, "layer2.0.conv1", "layer2.0.blur1", NULL);
    assert_int_equal(find_node(net, "layer2.0.blur1")->shape.h, 8);
    convoy_net_destroy(net);
    net = build("resnet18", photo,
                (convoy_model_options){.blur_pool = true, .pre_activation = true});
    expect_sources(net, "layer2.0.blur1", "layer2.0.relu1", NULL);
    expect_sources(net, "layer2.0.downsample.blur", "layer2.0.relu1", NULL);
    convoy_net_destroy(net);
}

static void the_stride_is_where_the_variant_says(void **state)
{
    static const int photo[3] = {3, 64, 64};
    static const char *const variants[] = {NULL, "v1.5", "v1"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        convoy_net *net =
            build("resnet50", photo, (convoy_model_options){.variant = variants[i]});
        const int64_t height = i == 2 ? 8 : 16;
        assert_int_equal(find_node(net, "layer2.0.conv1")->shape.h, height);
        assert_int_equal(find_node(net, "layer2.0.conv2")->shape.h, 8);
        convoy_net_destroy(net);
    }
}

/* How many dropout layers there are, all of probability p. */
static int count_dropout(const char *name, float dropout, float p)
{
    static const int photo[3] = {3, 64, 64};
    convoy_net *net = build(name, photo, (convoy_model_options){.dropout = dropout});
    int n = 0;
    for (int i = 1; i < net->n_nodes; i++) {
        if (strcmp(net->nodes[i].kind->about.name, "dropout") != 0)
            continue;
        const struct layer_attributes *a = net->nodes[i].attributes;
        assert_true(a->p == p);
        n++;
    }
    convoy_net_destroy(net);
    return n;
}

static void dropout_is_the_models_own_unless_given(void **state)
{
    (void)state;
    static const char *const names[] = {"alexnet", "alexnet2012", "vgg11", "vgg11_bn"};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(count_dropout(names[i], 0, 0.5F), 2);
        assert_int_equal(count_dropout(names[i], -1, 0), 0);
        assert_int_equal(count_dropout(names[i], 0.25F, 0.25F), 2);
    }
    assert_int_equal(count_dropout("densenet121", 0, 0), 0);
    assert_int_equal(count_dropout("densenet121", 0.25F, 0.25F), 6 + 12 + 24 + 16);
}

static void expect_init(const convoy_net *net, const char *name, enum param_init init,
                        int64_t fan)
{
    for (int i = 0; i < net->store.n_params; i++) {
        const struct stored_param *p = &net->store.params[i];
        if (strcmp(p->name, name) != 0)
            continue;
        assert_int_equal(p->param.init, init);
        if (fan)
            assert_int_equal(p->param.fan, fan);
        return;
    }
    fail_msg("there is no parameter '%s'", name);
}

/* What torchvision's modules do by themselves (and the paper of alexnet2012). */
static void initial_values_are_the_familys(void **state)
{
    static const struct {
        const char *model, *param;
        enum param_init init;
        int64_t fan;
    } cases[] = {
        {"alexnet", "features.3.weight", INIT_UNIFORM, (int64_t)64 * 25},
        {"alexnet", "features.3.bias", INIT_UNIFORM, (int64_t)64 * 25},
        {"alexnet", "classifier.6.bias", INIT_UNIFORM, 4096},
        {"alexnet2012", "conv1.weight", INIT_NORMAL, 0},
        {"alexnet2012", "conv1.bias", INIT_ZERO, 0},
        {"alexnet2012", "conv2.bias", INIT_ONE, 0},
        {"alexnet2012", "conv3.bias", INIT_ZERO, 0},
        {"alexnet2012", "conv5.bias", INIT_ONE, 0},
        {"alexnet2012", "fc7.bias", INIT_ONE, 0},
        {"alexnet2012", "fc8.bias", INIT_ZERO, 0},
        {"vgg11", "features.3.weight", INIT_HE_NORMAL, (int64_t)128 * 9},
        {"vgg11", "features.3.bias", INIT_ZERO, 0},
        {"vgg11", "classifier.0.weight", INIT_NORMAL, 0},
        {"vgg11", "classifier.6.bias", INIT_ZERO, 0},
        {"resnet18", "layer2.0.conv1.weight", INIT_HE_NORMAL, (int64_t)128 * 9},
        {"resnet18", "fc.weight", INIT_UNIFORM, 512},
        {"resnet18", "fc.bias", INIT_UNIFORM, 512},
        {"densenet121", "features.conv0.weight", INIT_HE_NORMAL, (int64_t)3 * 49},
        {"densenet121", "features.denseblock1.denselayer1.conv2.weight", INIT_HE_NORMAL,
         (int64_t)128 * 9},
        {"densenet121", "classifier.weight", INIT_UNIFORM, 1024},
        {"densenet121", "classifier.bias", INIT_ZERO, 0},
        {"resnet20", "fc.weight", INIT_HE_NORMAL, 64},
        {"resnet20", "fc.bias", INIT_ZERO, 0},
    };
    static const int photo[3] = {3, 64, 64};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_net *net = build(cases[i].model, photo, (convoy_model_options){0});
        expect_init(net, cases[i].param, cases[i].init, cases[i].fan);
        convoy_net_destroy(net);
    }
}

static void what_a_model_lacks_is_refused(void **state)
{
    (void)state;
    assert_refused("resnet20", &(convoy_model_options){.classes = 10, .dropout = 0.5F},
                   "dropout: is no option of resnet20");
    assert_refused("mlp", &(convoy_model_options){.classes = 10, .batch_norm = true},
                   "batch_norm: is no option of mlp");
    assert_refused("plain20",
                   &(convoy_model_options){.classes = 10, .zero_init_residual = true},
                   "zero_init_residual: is no option of plain20");
    assert_refused("mlp", &(convoy_model_options){.classes = 1}, "classes");
    assert_refused("alexnet", &(convoy_model_options){.classes = 10, .width = 8},
                   "width: is no option of alexnet");
    assert_refused("resnet20",
                   &(convoy_model_options){.classes = 10, .width = 1000000000},
                   "width: must be at most 65536, here 1000000000");
}

static void variant_and_pre_activation_belong_to_some(void **state)
{
    (void)state;
    assert_refused("vgg11", &(convoy_model_options){.classes = 10, .blur_pool = true},
                   "blur_pool: is no option of vgg11; leave it out, or take another "
                   "model: resnet");
    assert_refused(
        "vgg11",
        &(convoy_model_options){.classes = 10, .blur_pool = true, .activation = "tanh"},
        "is no option of vgg11; leave it out");
    assert_refused("resnet34", &(convoy_model_options){.classes = 10, .variant = "v1"},
                   "variant: is no option of resnet34");
    assert_refused("resnet50", &(convoy_model_options){.classes = 10, .variant = "v2"},
                   "v1 or v1.5, here 'v2'");
    assert_refused("plain18",
                   &(convoy_model_options){.classes = 10, .pre_activation = true},
                   "pre_activation: is no option of plain18");
    assert_refused("plain56",
                   &(convoy_model_options){.classes = 10, .pre_activation = true},
                   "pre_activation: is no option of plain56");
    assert_refused("resnet18",
                   &(convoy_model_options){.classes = 10,
                                           .pre_activation = true,
                                           .zero_init_residual = true},
                   "zero_init_residual: does not go with pre_activation");
}

static void an_unknown_model_is_answered_with_the_nearest_and_all(void **state)
{
    int shape[3], classes;
    (void)state;
    assert_refused("vgg16bn", &(convoy_model_options){.classes = 10},
                   "no model 'vgg16bn'; the nearest is vgg16_bn; there are mlp, lenet");
    for (int i = 0; convoy_model_name(i); i++)
        assert_refused("resnet21", &(convoy_model_options){.classes = 10},
                       convoy_model_name(i));
    assert_int_equal(convoy_model_defaults("", shape, &classes), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "there is no model ''"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_models_have_the_published_sizes),
        cmocka_unit_test(large_models_have_torchvisions_sizes),
        cmocka_unit_test(every_model_builds_for_its_own_data),
        cmocka_unit_test(an_input_too_small_is_refused_with_the_layer),
        cmocka_unit_test(a_twin_has_the_same_parameters),
        cmocka_unit_test(options_do_what_they_say),
        cmocka_unit_test(what_a_model_lacks_is_refused),
        cmocka_unit_test(variant_and_pre_activation_belong_to_some),
        cmocka_unit_test(an_unknown_model_is_answered_with_the_nearest_and_all),
        cmocka_unit_test(a_pre_activated_block_starts_with_its_norm),
        cmocka_unit_test(strided_convolutions_see_their_input_through_a_blur),
        cmocka_unit_test(the_stride_is_where_the_variant_says),
        cmocka_unit_test(dropout_is_the_models_own_unless_given),
        cmocka_unit_test(initial_values_are_the_familys),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
