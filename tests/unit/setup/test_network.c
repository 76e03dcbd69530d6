/* Nets from recipes' networks: every kind with every option, messages about shapes, and
 * the example program's net beside the recipe's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/network.h"

#include "net/net.h"

#include <math.h>
#include <string.h>

#include "../examples/densenet_net.c" /* NOLINT(bugprone-suspicious-include) */

int densenet_main(int argc, char **argv);
#define main densenet_main        /* NOLINT(readability-identifier-naming) */
#include "../examples/densenet.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

#define ENDING "- flatten\n- {inner_product: {out: classes}, as: last}\n"

static const int small[] = {1, 8, 8};

static convoy_recipe *load(const char *entries)
{
    char text[4096];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text, "data: {train: t.h5}\nnetwork:\n%s", entries);
    if (convoy_recipe_load_text("r.yaml", text, NULL, 0, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

static convoy_net *build_network(const char *entries, const int shape[3], int classes)
{
    convoy_net *net = NULL;
    convoy_recipe *recipe = load(entries);
    if (network_build(recipe->network, shape, classes, 0, &net) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    convoy_recipe_destroy(recipe);
    return net;
}

/* The text of kind as entry x, with what options it cannot do without. */
static void describe_entry(const struct option_owner *kind, char *text, size_t size)
{
    int n = snprintf(text, size, "- {%s: {", kind->name);
    for (int i = 0; i < kind->n_options; i++)
        if (!kind->options[i].default_text)
            n += snprintf(text + n, size - (size_t)n, "%s: %s, ", kind->options[i].name,
                          kind->options[i].type == OPTION_F32 ? "0.5" : "1");
    snprintf(text + n, size - (size_t)n, "}, as: x%s}\n",
             kind->max_src > 1 ? ", from: [in, in]" : "");
}

/* Whether kind takes the map that comes in. */
static bool takes_maps(const struct layer_kind *kind)
{
    char entry[256], entries[512];
    convoy_net *net = NULL;
    describe_entry(&kind->about, entry, sizeof entry);
    snprintf(entries, sizeof entries, "%s%s", entry, ENDING);
    convoy_recipe *recipe = load(entries);
    const bool takes = network_build(recipe->network, small, 3, 0, &net) == CONVOY_OK;
    convoy_recipe_destroy(recipe);
    convoy_net_destroy(net);
    return takes;
}

static void every_layer_of_the_library_can_stand_in_a_network(void **state)
{
    (void)state;
    for (int i = 0; layer_kinds[i]; i++) {
        const struct layer_kind *kind = layer_kinds[i];
        char entry[256], entries[512];
        if (kind->about.is_loss)
            continue;
        const bool wants_flat = !takes_maps(kind);
        describe_entry(&kind->about, entry, sizeof entry);
        snprintf(entries, sizeof entries, "%s%s%s", wants_flat ? "- flatten\n" : "",
                 entry, ENDING);
        convoy_net *net = build_network(entries, small, 3);
        assert_ptr_equal(net->nodes[wants_flat ? 2 : 1].kind, kind);
        convoy_net_destroy(net);
    }
}

static void assert_same_attributes(const struct layer_attributes *a,
                                   const struct layer_attributes *b)
{
    for (int d = 0; d < 2; d++) {
        assert_int_equal(a->kernel[d], b->kernel[d]);
        assert_int_equal(a->stride[d], b->stride[d]);
        assert_int_equal(a->pad[d], b->pad[d]);
        assert_int_equal(a->dilation[d], b->dilation[d]);
    }
    assert_int_equal(a->out, b->out);
    assert_int_equal(a->groups, b->groups);
    assert_int_equal(a->bias, b->bias);
    assert_int_equal(a->init, b->init);
    assert_int_equal(a->bias_init, b->bias_init);
    assert_int_equal(a->zero_init, b->zero_init);
    assert_int_equal(a->ceil_mode, b->ceil_mode);
    assert_int_equal(a->exclude_pad, b->exclude_pad);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->width, b->width);
    assert_true(a->epsilon == b->epsilon && a->momentum == b->momentum);
    assert_true(a->alpha == b->alpha && a->beta == b->beta && a->k == b->k);
    assert_int_equal(a->size, b->size);
    assert_true(a->p == b->p);
}

/* The last node before the ending, of either net. */
static const struct layer_attributes *attributes_of_x(const convoy_net *net)
{
    const struct layer_attributes *found = NULL;
    for (int i = 0; i < net->n_nodes; i++)
        if (strcmp(net->nodes[i].name, "x") == 0)
            found = net->nodes[i].attributes;
    assert_non_null(found);
    return found;
}

/* What the calls of net.h make that the entries below stand for. */
static void add_x(convoy_net *net, int i)
{
    const convoy_node in = convoy_net_input(net);
    const convoy_conv full = {.out = 8,
                              .kernel = 3,
                              .stride = 2,
                              .pad = 1,
                              .dilation = 2,
                              .groups = 1,
                              .no_bias = true,
                              .init = CONVOY_INIT_UNIFORM,
                              .bias_init = CONVOY_INIT_ONE};
    const convoy_conv plain = {.out = 8, .kernel = 3};
    const convoy_batch_norm norm = {
        .epsilon = 0.25F, .momentum = 0.5F, .zero_init = true};
    const convoy_pool pool = {
        .kernel = 3, .stride = 2, .pad = 1, .ceil_mode = true, .exclude_pad = true};
    const convoy_pool halve = {.kernel = 2};
    const convoy_lrn lrn = {.size = 3, .alpha = 0.5F, .beta = 0.25F, .k = 2};
    if (i == 0)
        convoy_net_conv(net, in, "x", &full);
    else if (i == 1)
        convoy_net_conv(net, in, "x", &plain);
    else if (i == 2)
        convoy_net_batch_norm(net, in, "x", &norm);
    else if (i == 3)
        convoy_net_batch_norm(net, in, "x", NULL);
    else if (i == 4)
        convoy_net_avg_pool(net, in, "x", &pool);
    else if (i == 5)
        convoy_net_max_pool(net, in, "x", &halve);
    else if (i == 6)
        convoy_net_lrn(net, in, "x", &lrn);
    else if (i == 7)
        convoy_net_lrn(net, in, "x", NULL);
    else if (i == 8)
        convoy_net_adaptive_avg_pool(net, in, "x", 2, 3);
    else if (i == 9)
        convoy_net_dropout(net, in, "x", 0.25F);
    else if (i == 10)
        convoy_net_pad_channels(net, in, "x", 5);
    else
        convoy_net_locally_connected(net, in, "x", &full);
}

static void options_reach_the_layers(void **state)
{
    (void)state;
    static const char *const entries[] = {
        "- {conv: {out: 8, kernel: 3, stride: 2, pad: 1, dilation: 2, groups: 1, bias: "
        "false, init: uniform, bias_init: one}, as: x}\n" ENDING,
        "- {conv: {out: 8, kernel: 3}, as: x}\n" ENDING,
        "- {batch_norm: {epsilon: 0.25, momentum: 0.5, zero_init: true}, as: "
        "x}\n" ENDING,
        "- {batch_norm, as: x}\n" ENDING,
        "- {avg_pool: {kernel: 3, stride: 2, pad: 1, ceil_mode: true, exclude_pad: "
        "true}, as: x}\n" ENDING,
        "- {max_pool: {kernel: 2}, as: x}\n" ENDING,
        "- {lrn: {size: 3, alpha: 0.5, beta: 0.25, k: 2}, as: x}\n" ENDING,
        "- {lrn, as: x}\n" ENDING,
        "- {adaptive_avg_pool: {height: 2, width: 3}, as: x}\n" ENDING,
        "- {dropout: {p: 0.25}, as: x}\n" ENDING,
        "- {pad_channels: {channels: 5}, as: x}\n" ENDING,
        "- {locally_connected: {out: 8, kernel: 3, stride: 2, pad: 1, dilation: 2, "
        "groups: 1, bias: false, init: uniform, bias_init: one}, as: x}\n" ENDING,
    };
    for (int i = 0; i < (int)(sizeof entries / sizeof entries[0]); i++) {
        convoy_net *ours = build_network(entries[i], small, 3), *theirs = NULL;
        assert_int_equal(convoy_net_create(1, 8, 8, &theirs), CONVOY_OK);
        add_x(theirs, i);
        assert_same_attributes(attributes_of_x(ours), attributes_of_x(theirs));
        convoy_net_destroy(ours);
        convoy_net_destroy(theirs);
    }
}

static void the_word_classes_is_their_number(void **state)
{
    (void)state;
    convoy_net *net = build_network(ENDING, small, 7);
    assert_int_equal(convoy_net_n_params(net), 64 * 7 + 7);
    convoy_net_destroy(net);
    net = build_network("- {conv: {out: classes, kernel: 1}}\n- global_avg_pool\n"
                        "- flatten\n",
                        small, 5);
    assert_int_equal(convoy_net_n_params(net), 5 + 5);
    convoy_net_destroy(net);
}

static void what_does_not_fit_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *entries, *message;
    } cases[] = {
        {"- {conv: {out: 4, kernel: 9}, as: c}\n" ENDING,
         "r.yaml:3: entry 1 'c' (conv): a kernel of [9, 9] (dilation 1, pad 0) does "
         "not "
         "fit into the input [1, 8, 8]: make the images larger (data.crop), or the "
         "kernel smaller"},
        {"- relu\n- repeat: 4\n  as: b\n  layers:\n  - relu\n"
         "  - {max_pool: {kernel: 2}}\n" ENDING,
         "r.yaml:8: entry 2.2 'b.3.max_pool1' (max_pool): a kernel of [2, 2] (dilation "
         "1, pad 0) does not fit into the input [1, 1, 1]: make the "
         "images larger (data.crop), or the kernel smaller"},
        {"- {conv: {out: 2, kernel: 1}}\n- {add: , from: [in, conv1]}\n" ENDING,
         "r.yaml:4: entry 2 'add1' (add): "},
        {"- {inner_product: {out: 3}}\n",
         "r.yaml:3: entry 1 'inner_product1' (inner_product): needs a flat input "
         "[features], found [1, 8, 8]: put a flatten before it"},
        {"- {lrn: {size: 4}}\n" ENDING,
         "r.yaml:3: entry 1 'lrn1' (lrn): size must be odd, here 4"},
        {"- flatten\n- {inner_product: {out: 4}}\n",
         "r.yaml:4: entry 2 'inner_product1' (inner_product): ends the network with 4 "
         "values a sample, but there are 3 classes; end it with {inner_product: {out: "
         "classes}}"},
        {"- {conv: {out: 3, kernel: 8}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): ends the network with [3, 1, 1], and the "
         "loss "
         "needs flat values; put a flatten behind it"},
        {"- {adaptive_avg_pool: {height: 65536, width: 65536}}\n" ENDING,
         "r.yaml:3: entry 1 'adaptive_avg_pool1' (adaptive_avg_pool): gives [1, 65536, "
         "65536], more than the 268435456 values a sample that a layer can have"},
        {"- {adaptive_avg_pool: {height: 16384, width: 16384}}\n- flatten\n"
         "- {inner_product: {out: 1048576}}\n- {inner_product: {out: classes}}\n",
         "r.yaml:5: entry 3 'inner_product1' (inner_product): takes the net to "
         "281474977759232 parameters, more than the 1099511627776 that it can have"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        convoy_net *net = NULL;
        convoy_recipe *recipe = load(cases[i].entries);
        assert_int_not_equal(network_build(recipe->network, small, 3, 0, &net),
                             CONVOY_OK);
        assert_null(net);
        char text[STATUS_TEXT_SIZE];
        snprintf(text, sizeof text, "%s", convoy_status_text());
        if (cases[i].message[strlen(cases[i].message) - 1] == ' ')
            text[strlen(cases[i].message)] = '\0'; /* the beginning is enough */
        assert_string_equal(text, cases[i].message);
        convoy_recipe_destroy(recipe);
    }
}

static void the_example_builds_the_recipes_net(void **state)
{
    (void)state;
    static const char path[] =
        CONVOY_SOURCE_DIR "/jobs/recipes/fashion-mnist-densenet.yaml";
    const struct densenet form = {
        .channels = 1, .size = 28, .classes = 10, .layers = 4};
    const int shape[] = {1, 28, 28};
    convoy_net *ours = NULL, *theirs = NULL;
    convoy_recipe *recipe = NULL;
    if (convoy_recipe_load(path, NULL, 0, &recipe) != CONVOY_OK ||
        network_build(recipe->network, shape, 10, 0, &ours) != CONVOY_OK ||
        densenet_build(&form, &theirs) != CONVOY_OK) {
        fail_msg("%s", convoy_status_text());
        return;
    }
    const int n = convoy_net_n_layers(ours);
    assert_int_equal(n, convoy_net_n_layers(theirs));
    assert_true(n > 60);
    for (int i = 0; i < n; i++) {
        convoy_layer a, b;
        convoy_net_describe(ours, i, &a);
        convoy_net_describe(theirs, i, &b);
        assert_string_equal(a.name, b.name);
        assert_string_equal(a.kind, b.kind);
        assert_int_equal(a.n_params, b.n_params);
        assert_memory_equal(a.shape, b.shape, sizeof a.shape);
    }
    assert_int_equal(ours->store.n_params, theirs->store.n_params);
    for (int i = 0; i < ours->store.n_params; i++)
        assert_string_equal(ours->store.params[i].name, theirs->store.params[i].name);
    assert_int_equal(convoy_net_n_params(ours), convoy_net_n_params(theirs));
    convoy_recipe_destroy(recipe);
    convoy_net_destroy(ours);
    convoy_net_destroy(theirs);
}

static void the_example_tells_what_is_wrong(void **state)
{
    (void)state;
    char program[] = "densenet", channels[] = "1", size[] = "3";
    char *arguments[] = {program, channels, size, NULL};
    assert_int_equal(densenet_main(1, arguments), 0);
    assert_int_equal(densenet_main(3, arguments), 1);
    assert_non_null(strstr(convoy_status_text(), "transition2.avg_pool1"));
    assert_int_equal(densenet_main(6, arguments), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_of_the_library_can_stand_in_a_network),
        cmocka_unit_test(options_reach_the_layers),
        cmocka_unit_test(the_word_classes_is_their_number),
        cmocka_unit_test(what_does_not_fit_is_told_with_its_line),
        cmocka_unit_test(the_example_builds_the_recipes_net),
        cmocka_unit_test(the_example_tells_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
