/* Unrolling a network: names, sources, repetitions. */
#include "unit/recipe/recipe_support.h"

#include "recipe/recipe_network.h"

#define BEGINNING "data: {train: t.h5}\nnetwork:\n"

/* "name<a,b name<c": each layer with its sources, "" for the input. */
static void assert_layers(const char *entries, const char *expected)
{
    char text[8192], found[4096] = "";
    convoy_recipe *r = NULL;
    snprintf(text, sizeof text, "%s%s", BEGINNING, entries);
    if (convoy_recipe_load_text("r.yaml", text, NULL, 0, &r) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    const struct recipe_layer *layers = r->network->layers;
    size_t n = 0;
    for (int i = 0; i < r->network->n_layers; i++) {
        n += (size_t)snprintf(found + n, sizeof found - n, "%s%s<", i ? " " : "",
                              layers[i].name);
        for (int j = 0; j < layers[i].n_src; j++) {
            const int src = layers[i].src[j];
            assert_true(src < i);
            n += (size_t)snprintf(found + n, sizeof found - n, "%s%s", j ? "," : "",
                                  src == RECIPE_INPUT ? "" : layers[src].name);
        }
    }
    assert_string_equal(found, expected);
    convoy_recipe_destroy(r);
}

static void assert_refuses_network(const char *entries, const char *message)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s", BEGINNING, entries);
    assert_refuses(text, message);
}

static void entries_follow_each_other(void **state)
{
    (void)state;
    assert_layers("  [relu, tanh, relu]\n", "relu1< tanh1<relu1 relu2<tanh1");
}

static void names_without_as_count_their_kind_in_their_list(void **state)
{
    (void)state;
    assert_layers("- {relu: , as: a}\n- relu\n- layers: [relu, tanh, relu]\n- relu\n"
                  "- layers: [relu]\n",
                  "a< relu2<a block1.relu1<relu2 block1.tanh1<block1.relu1 "
                  "block1.relu2<block1.tanh1 relu3<block1.relu2 block2.relu1<relu3");
}

static void sources_are_taken_by_name(void **state)
{
    (void)state;
    assert_layers("- {relu: , as: a}\n- tanh\n- {add: , from: [a, tanh1, in]}\n"
                  "- {relu: , from: input}\n- {concat: , from: [relu2, add1]}\n",
                  "a< tanh1<a add1<a,tanh1, relu2< concat1<relu2,add1");
}

static void a_block_repeats_on_what_it_gave(void **state)
{
    (void)state;
    assert_layers("- relu\n- repeat: 2\n  as: b\n  layers:\n    - {tanh: , as: x}\n"
                  "    - {concat: , from: [in, x]}\n- relu\n",
                  "relu1< b.0.x<relu1 b.0.concat1<relu1,b.0.x b.1.x<b.0.concat1 "
                  "b.1.concat1<b.0.concat1,b.1.x relu2<b.1.concat1");
    assert_layers("- {repeat: 1, as: b, layers: [relu]}\n", "b.0.relu1<");
    assert_layers("- {as: b, layers: [relu]}\n", "b.relu1<");
}

static void blocks_nest_and_see_the_names_around_them(void **state)
{
    (void)state;
    assert_layers("- {relu: , as: x}\n- {tanh: , as: y}\n- repeat: 2\n  as: a\n"
                  "  layers:\n    - {relu: , as: x}\n    - layers:\n"
                  "        - {add: , from: [x, y, in]}\n      as: b\n",
                  "x< y<x a.0.x<y a.0.b.add1<a.0.x,y,a.0.x a.1.x<a.0.b.add1 "
                  "a.1.b.add1<a.1.x,y,a.1.x");
}

static void a_block_can_be_named_and_looked_into(void **state)
{
    (void)state;
    assert_layers("- {repeat: 2, as: b, layers: [relu, {tanh: , as: t}]}\n"
                  "- {add: , from: [b, b.0, b.0.relu1, b.1.t]}\n",
                  "b.0.relu1< b.0.t<b.0.relu1 b.1.relu1<b.0.t b.1.t<b.1.relu1 "
                  "add1<b.1.t,b.0.t,b.0.relu1,b.1.t");
}

static void a_block_takes_what_from_says(void **state)
{
    (void)state;
    assert_layers("- {relu: , as: a}\n- {layers: [tanh], as: b, from: a}\n"
                  "- {layers: [{tanh: , from: in}], as: c, from: a}\n"
                  "- {add: , from: [b, c]}\n",
                  "a< b.tanh1<a c.tanh1<a add1<b.tanh1,c.tanh1");
}

static void sources_that_are_not_there_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *entries, *message;
    } cases[] = {
        {"- {relu: , as: stem}\n- {tanh: , from: setm}\n",
         "r.yaml:4: entry 2 'tanh1' (tanh): key 'from' names 'setm', and no entry "
         "before "
         "it is called so; the nearest is 'stem'"},
        {"- {relu: , from: relu1}\n", "r.yaml:3: entry 1 'relu1' (relu): key 'from' "
                                      "names 'relu1', and no entry before "
                                      "it is called so; the nearest is 'in'"},
        {"- {tanh: , from: late}\n- {relu: , as: late}\n",
         "r.yaml:3: entry 1 'tanh1' (tanh): key 'from' names 'late', and no entry "
         "before "
         "it is called so; the nearest is 'in'"},
        {"- repeat: 2\n  as: b\n  layers:\n  - {relu: , as: new}\n"
         "  - {add: , from: [in, nev]}\n",
         "r.yaml:7: entry 1.2 'b.0.add1' (add): key 'from' names 'nev', and no entry "
         "before it is called so; the nearest is 'new'"},
        {"- {layers: [relu], as: b, from: c}\n",
         "r.yaml:3: entry 1 'b' (block): key 'from' names 'c', and no entry before it "
         "is "
         "called so; the nearest is 'in'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refuses_network(cases[i].entries, cases[i].message);
}

static void a_name_can_be_given_once(void **state)
{
    (void)state;
    assert_refuses_network(
        "- {relu: , as: relu2}\n- relu\n",
        "r.yaml:4: entry 2 'relu2' (relu): an entry before it has the "
        "same name; give one of them another with `as`");
    assert_refuses_network("- {relu: , as: b.0.x}\n"
                           "- {repeat: 1, as: b, layers: [{relu: , as: x}]}\n",
                           "r.yaml:4: entry 2.1 'b.0.x' (relu): an entry before it has "
                           "the same name; give one of them another with `as`");
}

static void a_layer_that_nothing_takes_is_refused(void **state)
{
    (void)state;
    assert_refuses_network(
        "- {relu: , as: a}\n- {tanh: , as: lost}\n"
        "- {relu: , from: a}\n",
        "r.yaml:4: entry 2 'lost' (tanh): goes nowhere: no entry takes "
        "what it gives; name it in a `from`, or remove it");
}

static void there_is_a_largest_number_of_layers(void **state)
{
    (void)state;
    assert_refuses_network("- {repeat: 4096, as: a, layers: [{repeat: 4096, as: b, "
                           "layers: [relu, tanh]}]}\n",
                           "r.yaml:3: entry 1.1.1 'a.0.b.2048.relu1' (relu): is one "
                           "layer too many: a network "
                           "has at most 4096");
}

static void names_have_a_largest_length(void **state)
{
    (void)state;
    char entries[2048] = "- ", name[64];
    memset(name, 'n', 60);
    name[60] = '\0';
    for (int i = 0; i < 6; i++)
        snprintf(entries + strlen(entries), 128, "{as: %s, layers: [", name);
    snprintf(entries + strlen(entries), 32, "relu]}]}]}]}]}]}\n");
    convoy_recipe *r = NULL;
    char text[4096];
    snprintf(text, sizeof text, "%s%s", BEGINNING, entries);
    assert_int_equal(convoy_recipe_load_text("r.yaml", text, NULL, 0, &r),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), "makes a name that is too long"));
    assert_memory_equal(convoy_status_text(), "r.yaml:3: entry 1.1.1.1.1 'nnn", 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_follow_each_other),
        cmocka_unit_test(names_without_as_count_their_kind_in_their_list),
        cmocka_unit_test(sources_are_taken_by_name),
        cmocka_unit_test(a_block_repeats_on_what_it_gave),
        cmocka_unit_test(blocks_nest_and_see_the_names_around_them),
        cmocka_unit_test(a_block_can_be_named_and_looked_into),
        cmocka_unit_test(a_block_takes_what_from_says),
        cmocka_unit_test(sources_that_are_not_there_are_named),
        cmocka_unit_test(a_name_can_be_given_once),
        cmocka_unit_test(a_layer_that_nothing_takes_is_refused),
        cmocka_unit_test(there_is_a_largest_number_of_layers),
        cmocka_unit_test(names_have_a_largest_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
