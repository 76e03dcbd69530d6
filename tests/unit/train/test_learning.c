/* Which parameters learn and how fast: frozen ones are in no range and cost no backward
 * work and no exchange; learning rates go by the longest prefix. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "train/learning.h"

#include <stdio.h>
#include <string.h>

struct rig {
    convoy_recipe *recipe;
    convoy_net *net;
    struct compiled *compiled;
    struct update_range *ranges;
    int n_ranges;
};

/* Two convolutions with batch norm, then "fc". */
static convoy_net *build(void)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(3, 8, 8, &net), CONVOY_OK);
    convoy_node x = convoy_net_input(net);
    for (int i = 1; i <= 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "conv%d", i);
        x = convoy_net_conv(net, x, name,
                            &(convoy_conv){.out = 8 * i, .kernel = 3, .pad = 1});
        snprintf(name, sizeof name, "bn%d", i);
        x = convoy_net_batch_norm(net, x, name, NULL);
        snprintf(name, sizeof name, "relu%d", i);
        x = convoy_net_relu(net, x, name);
    }
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 4});
    convoy_net_loss(net, x, 0);
    return net;
}

static void load(struct rig *rig, const char *init, const char *optimizer)
{
    char text[1024];
    *rig = (struct rig){.net = build()};
    snprintf(text, sizeof text,
             "model: {name: small}\ndata: {train: x.h5}\ninit: {%s}\noptimizer: {%s}\n",
             init, optimizer);
    if (convoy_recipe_load_text("test", text, NULL, 0, &rig->recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

/* Freezes, compiles for training, finds the ranges. */
static void set_up(struct rig *rig, const char *init, const char *optimizer)
{
    const struct compile_options options = {.n = 4, .type = dnnl_f32, .training = true};
    load(rig, init, optimizer);
    if (learning_freeze(rig->net, rig->recipe) != CONVOY_OK ||
        net_compile(rig->net, &options, &rig->compiled) != CONVOY_OK ||
        learning_ranges(rig->net, rig->recipe, &rig->ranges, &rig->n_ranges) !=
            CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void tear_down(struct rig *rig)
{
    mem_free(rig->ranges);
    compiled_destroy(rig->compiled);
    convoy_net_destroy(rig->net);
    convoy_recipe_destroy(rig->recipe);
}

/* The one range that holds parameter i; NULL: none does. */
static const struct update_range *range_of(const struct rig *rig, int i)
{
    const struct stored_param *p = &rig->net->store.params[i];
    const struct update_range *found = NULL;
    for (int r = 0; r < rig->n_ranges; r++) {
        const struct update_range *range = &rig->ranges[r];
        const size_t begin = p->offset, end = begin + p->n_floats;
        if (end <= range->begin || begin >= range->end)
            continue;
        assert_null(found);
        assert_true(begin >= range->begin && end <= range->end);
        found = range;
    }
    return found;
}

/* Ops of layer in the backward pass; of all layers where it is NULL. */
static int count_backward(const struct rig *rig, const char *layer)
{
    int n = 0;
    for (int op = 0; op < program_n_ops(rig->compiled->program); op++) {
        const struct program_cost cost = program_cost(rig->compiled->program, op);
        n += cost.phase == PHASE_BACKWARD &&
             (!layer || (cost.layer && strcmp(cost.layer, layer) == 0));
    }
    return n;
}

static void parameters_that_learn_alike_share_a_range(void **state)
{
    struct rig rig;
    (void)state;
    set_up(&rig, "", "lr_scale: {\"conv\": 1}");
    assert_int_equal(rig.n_ranges, 1);
    assert_int_equal(rig.ranges[0].begin, 0);
    assert_int_equal(rig.ranges[0].end, net_param_floats(rig.net));
    assert_true(rig.ranges[0].weight_decay == 1e-4);
    assert_true(rig.ranges[0].lr_scale == 1.0);
    tear_down(&rig);
}

static void assert_a_range_each(const char *optimizer)
{
    struct rig rig;
    int n_whole = 0;
    set_up(&rig, "freeze: [\"conv1.\"]", optimizer);
    for (int i = 0; i < rig.net->store.n_params; i++) {
        const struct stored_param *p = &rig.net->store.params[i];
        const struct update_range *range = range_of(&rig, i);
        assert_true(p->frozen == (range == NULL));
        if (!range)
            continue;
        assert_int_equal(range->begin, p->offset);
        assert_int_equal(range->end, p->offset + p->n_floats);
        assert_int_equal(range->adapts, p->param.decay);
        n_whole++;
    }
    assert_int_equal(n_whole, rig.n_ranges);
    tear_down(&rig);
}

static void tensors_have_a_range_each_where_norms_are_asked_for(void **state)
{
    (void)state;
    assert_a_range_each("clip_norm: 1");
    assert_a_range_each("name: lars");
    assert_a_range_each("name: lamb, decay_norm_and_bias: true");
}

static void norms_and_biases_decay_if_the_recipe_says_so(void **state)
{
    static const struct {
        const char *optimizer;
        bool all;
    } cases[] = {
        {"name: sgd", true},   {"decay_norm_and_bias: false", false},
        {"name: adamw", true}, {"name: lars", false},
        {"name: lamb", false}, {"name: lars, decay_norm_and_bias: true", true}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct rig rig;
        set_up(&rig, "", cases[c].optimizer);
        for (int i = 0; i < rig.net->store.n_params; i++) {
            const char *name = rig.net->store.params[i].name;
            const bool is_weight = !strstr(name, "bn") && !strstr(name, "bias");
            assert_int_equal(range_of(&rig, i)->weight_decay > 0,
                             is_weight || cases[c].all);
        }
        tear_down(&rig);
    }
}

static void the_longest_prefix_sets_the_learning_rate(void **state)
{
    static const struct {
        const char *name;
        double scale;
    } expected[] = {{"conv1.weight", 2}, {"conv1.bias", 2},   {"bn1.weight", 1},
                    {"bn1.bias", 1},     {"conv2.weight", 3}, {"conv2.bias", 0},
                    {"bn2.weight", 0.5}, {"bn2.bias", 0.5},   {"fc.weight", 1},
                    {"fc.bias", 1}};
    struct rig rig;
    (void)state;
    set_up(&rig, "",
           "lr_scale: {\"conv2.bias\": 0, \"conv\": 2, \"conv2.\": 3, \"bn2\": 0.5}");
    for (int i = 0; i < rig.net->store.n_params; i++) {
        assert_string_equal(rig.net->store.params[i].name, expected[i].name);
        assert_true(range_of(&rig, i)->lr_scale == expected[i].scale);
    }
    tear_down(&rig);
}

static void frozen_parameters_are_in_no_range(void **state)
{
    struct rig rig;
    (void)state;
    set_up(&rig, "freeze: [\"conv1.\", \"bn1.\", \"conv2.\"]", "lr_scale: {\"bn\": 2}");
    size_t total = 0;
    for (int i = 0; i < rig.net->store.n_params; i++) {
        const struct stored_param *p = &rig.net->store.params[i];
        const bool frozen = strncmp(p->name, "bn2", 3) != 0 && p->name[0] != 'f';
        assert_int_equal(p->frozen, frozen);
        assert_true(frozen == (range_of(&rig, i) == NULL));
    }
    for (int r = 0; r < rig.n_ranges; r++)
        total += rig.ranges[r].end - rig.ranges[r].begin;
    assert_int_equal(total, net_param_floats(rig.net));
    tear_down(&rig);
}

static void the_exchange_carries_no_frozen_gradients(void **state)
{
    struct rig all, part;
    size_t frozen = 0;
    (void)state;
    set_up(&all, "", "");
    set_up(&part, "freeze: [\"conv2.\"]", "");
    for (int i = 0; i < part.net->store.n_params; i++)
        if (part.net->store.params[i].frozen)
            frozen += mem_round_up_floats(part.net->store.params[i].n_floats);
    assert_true(frozen >= 16 * 8 * 9 + 16);
    assert_int_equal(net_leaf_floats(part.net), net_leaf_floats(all.net) - frozen);
    tear_down(&all);
    tear_down(&part);
}

static void below_the_first_layer_that_learns_nothing_runs_backward(void **state)
{
    static const char *const idle[] = {"conv1", "bn1", "relu1"};
    struct rig all, part;
    (void)state;
    set_up(&all, "", "");
    set_up(&part, "freeze: [\"conv1.\", \"bn1.\"]", "");
    assert_true(count_backward(&all, "conv1") > 0);
    assert_true(count_backward(&all, "bn1") > 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_backward(&part, idle[i]), 0);
    /* nor the gradient of what conv2 gets from them */
    assert_true(count_backward(&part, "conv2") > 0);
    assert_true(count_backward(&part, "conv2") < count_backward(&all, "conv2"));
    assert_int_equal(count_backward(&part, "fc"), count_backward(&all, "fc"));
    tear_down(&all);
    tear_down(&part);
}

static void a_frozen_layer_between_others_only_passes_the_gradient_on(void **state)
{
    struct rig all, part;
    (void)state;
    set_up(&all, "", "");
    set_up(&part, "freeze: [\"conv2.\"]", "");
    assert_true(count_backward(&part, "conv2") > 0);
    assert_true(count_backward(&part, "conv2") < count_backward(&all, "conv2"));
    assert_int_equal(count_backward(&part, "conv1"), count_backward(&all, "conv1"));
    tear_down(&all);
    tear_down(&part);
}

static void assert_says(convoy_status found, const char *text)
{
    assert_int_equal(found, CONVOY_ERROR_FORMAT);
    if (!strstr(convoy_status_text(), text))
        fail_msg("no '%s' in '%s'", text, convoy_status_text());
}

static void what_cannot_be_frozen_is_refused(void **state)
{
    static const struct {
        const char *init, *text;
    } cases[] = {
        {"freeze: [\"layer1.\"]",
         "test:3: key 'init.freeze' does not fit: no parameter "
         "of the net begins with 'layer1.'"},
        {"freeze: [\"conv1.bias\"]", "only some parameters of layer 'conv1'"},
        {"freeze: [\"conv\", \"bn\", \"fc.\"]",
         "freezes every parameter: nothing is left to learn"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        load(&rig, cases[i].init, "");
        assert_says(learning_freeze(rig.net, rig.recipe), cases[i].text);
        tear_down(&rig);
    }
}

static void learning_rates_of_nothing_are_refused(void **state)
{
    static const struct {
        const char *optimizer, *text;
    } cases[] = {
        {"lr_scale: {\"fc\": 2, \"head.\": 2}",
         "test:4: key 'optimizer.lr_scale' has 'head.', but no parameter of the net "
         "begins so; its first is 'conv1.weight'"},
        {"lr_scale: {\"conv1.weight\": 2}",
         "has 'conv1.weight', but init.freeze freezes all parameters that begin so"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        load(&rig, "freeze: [\"conv1.\"]", cases[i].optimizer);
        assert_int_equal(learning_freeze(rig.net, rig.recipe), CONVOY_OK);
        assert_says(learning_ranges(rig.net, rig.recipe, &rig.ranges, &rig.n_ranges),
                    cases[i].text);
        assert_null(rig.ranges);
        tear_down(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_that_learn_alike_share_a_range),
        cmocka_unit_test(tensors_have_a_range_each_where_norms_are_asked_for),
        cmocka_unit_test(norms_and_biases_decay_if_the_recipe_says_so),
        cmocka_unit_test(the_longest_prefix_sets_the_learning_rate),
        cmocka_unit_test(frozen_parameters_are_in_no_range),
        cmocka_unit_test(the_exchange_carries_no_frozen_gradients),
        cmocka_unit_test(below_the_first_layer_that_learns_nothing_runs_backward),
        cmocka_unit_test(a_frozen_layer_between_others_only_passes_the_gradient_on),
        cmocka_unit_test(what_cannot_be_frozen_is_refused),
        cmocka_unit_test(learning_rates_of_nothing_are_refused),
    };
    return cmocka_run_group_tests_name("learning", tests, NULL, NULL);
}
