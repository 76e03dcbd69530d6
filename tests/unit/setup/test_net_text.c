/* A net that a program built as a recipe's network: every model of the zoo comes back
 * as it was, and what cannot be written down is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/net_text.h"

#include <convoy/model.h>
#include <convoy/recipe.h>

#include "base/memory.h"
#include "layer/layer.h"
#include "net/net.h"
#include "recipe/recipe.h"
#include "setup/setup.h"

#include <string.h>

static const char rest[] = "data: {train: t.h5}\n";

static void assert_fails(convoy_status found, const char *text)
{
    if (found == CONVOY_OK || !strstr(convoy_status_text(), text))
        fail_msg("status %d, or no '%s' in '%s'", found, text, convoy_status_text());
}

static convoy_status load(const convoy_net *net, const char *text,
                          convoy_recipe **recipe)
{
    return convoy_recipe_load_net(net, "program", text, NULL, 0, recipe);
}

static void assert_same_node(const struct node *a, const struct node *b)
{
    assert_string_equal(a->name, b->name);
    assert_ptr_equal(a->kind, b->kind);
    assert_int_equal(a->n_src, b->n_src);
    if (a->n_src > 0)
        assert_memory_equal(a->src, b->src, (size_t)a->n_src * sizeof *a->src);
    for (int i = 0; a->kind && i < a->kind->about.n_options; i++) {
        char x[OPTION_VALUE_SIZE], y[OPTION_VALUE_SIZE];
        option_get(&a->kind->about.options[i], a->attributes, x);
        option_get(&a->kind->about.options[i], b->attributes, y);
        assert_string_equal(x, y);
    }
}

static void assert_same_param(const struct stored_param *a,
                              const struct stored_param *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->param.n_dims, b->param.n_dims);
    assert_memory_equal(a->param.dims, b->param.dims,
                        (size_t)a->param.n_dims * sizeof *a->param.dims);
    assert_int_equal(a->param.init, b->param.init);
    assert_int_equal(a->param.fan, b->param.fan);
    assert_int_equal(a->param.decay, b->param.decay);
}

static void assert_same_net(const convoy_net *a, const convoy_net *b)
{
    assert_int_equal(a->n_nodes, b->n_nodes);
    for (int i = 0; i < a->n_nodes; i++)
        assert_same_node(&a->nodes[i], &b->nodes[i]);
    assert_int_equal(a->store.n_params, b->store.n_params);
    for (int i = 0; i < a->store.n_params; i++)
        assert_same_param(&a->store.params[i], &b->store.params[i]);
    assert_int_equal(a->logits, b->logits);
}

/* net again, from the recipe that was made of it, and from that recipe's own text. */
static void assert_comes_back(const convoy_net *net, const int shape[3])
{
    convoy_recipe *recipe = NULL, *again = NULL;
    convoy_net *made = NULL, *second = NULL;
    char *text = NULL;
    if (load(net, rest, &recipe) != CONVOY_OK ||
        setup_net(recipe, shape, &made) != CONVOY_OK ||
        recipe_text(recipe, &text) != CONVOY_OK ||
        convoy_recipe_load_text("again", text, NULL, 0, &again) != CONVOY_OK ||
        setup_net(again, shape, &second) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    if (made)
        assert_same_net(net, made);
    if (second)
        assert_same_net(net, second);
    mem_free(text);
    convoy_net_destroy(made);
    convoy_net_destroy(second);
    convoy_recipe_destroy(recipe);
    convoy_recipe_destroy(again);
}

static void every_model_of_the_zoo_comes_back(void **state)
{
    (void)state;
    int n = 0;
    for (; convoy_model_name(n); n++) {
        convoy_model_options options = {.label_smoothing = 0.1F};
        convoy_net *net = NULL;
        int shape[3];
        assert_int_equal(
            convoy_model_defaults(convoy_model_name(n), shape, &options.classes),
            CONVOY_OK);
        assert_int_equal(
            convoy_model_build(convoy_model_name(n), shape, &options, &net), CONVOY_OK);
        assert_comes_back(net, shape);
        convoy_net_destroy(net);
    }
    assert_true(n > 10);
}

/* [1, 8, 8], a convolution called name, and three classes. */
static convoy_net *small(const char *name)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(1, 8, 8, &net), CONVOY_OK);
    convoy_node x = convoy_net_conv(net, convoy_net_input(net), name,
                                    &(convoy_conv){.out = 2, .kernel = 3});
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 3});
    convoy_net_loss(net, x, 0.25F);
    return net;
}

static void what_the_text_leaves_open_is_the_nets(void **state)
{
    (void)state;
    convoy_net *net = small("conv");
    convoy_recipe *recipe = NULL;
    assert_int_equal(load(net, rest, &recipe), CONVOY_OK);
    assert_int_equal(recipe->model.classes, 3);
    assert_int_equal(recipe->data.crop.list[0].crop, 8);
    assert_true(recipe->loss.label_smoothing == 0.25);
    assert_string_equal(recipe->model.name, "network");
    convoy_recipe_destroy(recipe);
    convoy_net_destroy(net);
}

static void a_second_net_in_the_text_is_refused(void **state)
{
    (void)state;
    convoy_net *net = small("conv");
    convoy_recipe *recipe = NULL;
    assert_fails(load(net, "data: {train: t}\nmodel: {name: mlp}\n", &recipe),
                 "program:2: key 'model.name' is 'mlp'");
    assert_fails(load(net, "data: {train: t}\nnetwork: [flatten]\n", &recipe),
                 "program:2: key 'network' is there");
    assert_fails(load(net, "data: {train: t}\nloss: {label_smoothing: 0}\n", &recipe),
                 "program:2: key 'loss.label_smoothing' is for the program's net");
    assert_null(recipe);
    convoy_net_destroy(net);
}

static void names_that_a_recipe_cannot_have_are_refused(void **state)
{
    (void)state;
    static const char plain[] = "needs names of letters";
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"a b", plain},
        {"x\"]}", plain},
        {"a\nb", plain},
        {"\xc3\xa4", plain},
        {"in", "has a meaning of its own"},
        {"a..b", "expected a name of at most 63"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_net *net = small(cases[i].name);
        convoy_recipe *recipe = NULL;
        assert_int_equal(convoy_net_check(net), CONVOY_OK);
        assert_fails(load(net, rest, &recipe), cases[i].text);
        assert_null(recipe);
        convoy_net_destroy(net);
    }
}

static void a_net_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    convoy_net *net = NULL;
    char *text = NULL;
    assert_int_equal(convoy_net_create(1, 8, 8, &net), CONVOY_OK);
    assert_fails(net_text(net, &text), "no loss");
    const convoy_node x = convoy_net_flatten(net, convoy_net_input(net), "first");
    convoy_net_relu(net, x, "after");
    convoy_net_loss(net, x, 0);
    assert_fails(net_text(net, &text), "layer 'after' goes nowhere");
    assert_null(text);
    convoy_net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_of_the_zoo_comes_back),
        cmocka_unit_test(what_the_text_leaves_open_is_the_nets),
        cmocka_unit_test(a_second_net_in_the_text_is_refused),
        cmocka_unit_test(names_that_a_recipe_cannot_have_are_refused),
        cmocka_unit_test(a_net_that_is_not_whole_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
