/* Reading a network's list: what is read, what is refused, and that it survives being
 * written. */
#include "unit/recipe/recipe_support.h"

#include "layer/layer.h"

#include <convoy/net.h>

#include "base/memory.h"
#include "recipe/recipe_network.h"

#define BEGINNING "data: {train: t.h5}\nnetwork:\n"

/* The network of entries, which begin on line 3. */
static convoy_recipe *load_network(const char *entries)
{
    char text[8192];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text, "%s%s", BEGINNING, entries);
    if (convoy_recipe_load_text("r.yaml", text, NULL, 0, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

static void assert_refuses_network(const char *entries, const char *message)
{
    char text[8192];
    snprintf(text, sizeof text, "%s%s", BEGINNING, entries);
    assert_refuses(text, message);
}

struct refused {
    const char *entries, *message;
};

static void assert_all_refused(const struct refused *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_refuses_network(cases[i].entries, cases[i].message);
}

static const struct layer_attributes *told(const struct recipe_entry *entry)
{
    return entry->attributes;
}

static void entries_are_words_or_sections(void **state)
{
    (void)state;
    convoy_recipe *r =
        load_network("  - conv:\n      out: 8\n      kernel: 3\n    as: stem.0\n"
                     "  - relu\n  - {relu: , as: a}\n  - {relu, as: b}\n  - tanh: {}\n"
                     "  - {conv: {out: classes, kernel: 1, bias: false, stride: 2}}\n");
    const struct recipe_entry *entries = r->network->list.layers;
    assert_int_equal(r->network->list.n_layers, 6);
    assert_string_equal(entries[0].name, "stem.0");
    assert_string_equal(entries[0].kind->name, "conv");
    assert_int_equal(told(&entries[0])->out, 8);
    assert_int_equal(told(&entries[0])->kernel[1], 3);
    assert_int_equal(told(&entries[0])->stride[0], 1);
    assert_true(told(&entries[0])->bias);
    assert_int_equal(entries[0].line, 3);
    assert_string_equal(entries[0].number, "1");
    assert_string_equal(entries[1].name, "relu1");
    assert_string_equal(entries[2].name, "a");
    assert_string_equal(entries[3].name, "b");
    assert_string_equal(entries[4].kind->name, "tanh");
    assert_string_equal(entries[5].name, "conv2");
    assert_int_equal(told(&entries[5])->out, 0);
    assert_int_equal(told(&entries[5])->stride[1], 2);
    assert_false(told(&entries[5])->bias);
    assert_int_equal(entries[5].line, 11);
    convoy_recipe_destroy(r);
}

static void every_option_of_every_kind_is_read(void **state)
{
    (void)state;
    convoy_recipe *r = load_network(
        "- {conv: {out: 8, kernel: 3, stride: 2, pad: 1, dilation: 2, groups: 4, bias: "
        "true, init: uniform, bias_init: one}}\n"
        "- {batch_norm: {epsilon: 1e-3, momentum: 0.2, zero_init: true}}\n"
        "- {avg_pool: {kernel: 3, stride: 1, pad: 1, ceil_mode: true, exclude_pad: "
        "true}}\n"
        "- {lrn: {size: 7, alpha: 2, beta: 3, k: 4}}\n"
        "- {adaptive_avg_pool: {height: 5, width: 6}}\n"
        "- {pad_channels: {channels: 99}}\n- {dropout: {p: 0.25}}\n");
    const struct recipe_entry *e = r->network->list.layers;
    assert_int_equal(told(&e[0])->pad[1], 1);
    assert_int_equal(told(&e[0])->dilation[1], 2);
    assert_int_equal(told(&e[0])->groups, 4);
    assert_int_equal(told(&e[0])->init, CONVOY_INIT_UNIFORM);
    assert_int_equal(told(&e[0])->bias_init, CONVOY_INIT_ONE);
    assert_true(told(&e[1])->epsilon == 1e-3F);
    assert_true(told(&e[1])->momentum == 0.2F);
    assert_true(told(&e[1])->zero_init);
    assert_true(told(&e[2])->ceil_mode);
    assert_true(told(&e[2])->exclude_pad);
    assert_int_equal(told(&e[3])->size, 7);
    assert_true(told(&e[3])->alpha == 2);
    assert_true(told(&e[3])->beta == 3);
    assert_true(told(&e[3])->k == 4);
    assert_int_equal(told(&e[4])->height, 5);
    assert_int_equal(told(&e[4])->width, 6);
    assert_int_equal(told(&e[5])->out, 99);
    assert_true(told(&e[6])->p == 0.25);
    convoy_recipe_destroy(r);
}

static void an_entry_that_is_none_is_named_with_its_line(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"- relu\n- cnv\n",
         "r.yaml:4: entry 2: kind 'cnv' is unknown; the nearest is 'conv'"},
        {"- {batchnorm: {}, as: x}\n",
         "r.yaml:3: entry 1: kind 'batchnorm' is unknown; the nearest is 'batch_norm'"},
        {"- {conv: {out: 1, kernel: 1}, form: x}\n",
         "r.yaml:3: entry 1: kind 'form' is unknown; the nearest is 'from'"},
        {"- softmax_cross_entropy\n",
         "r.yaml:3: entry 1: the loss 'softmax_cross_entropy' is added behind the last "
         "entry by itself; remove this one"},
        {"- [relu]\n", "r.yaml:3: entry 1: is a list, expected a kind of layer"},
        {"-\n", "r.yaml:3: entry 1: is without a value, expected a kind of layer"},
        {"- {as: x}\n", "r.yaml:3: entry 1: has no kind of layer, and no layers"},
        {"- relu:\n  tanh:\n",
         "r.yaml:4: entry 1: has two kinds, 'relu' and 'tanh'; make two entries of it"},
        {"- {relu: , relu: }\n",
         "r.yaml:3: entry 1: has two kinds, 'relu' and 'relu'; make two entries of it"},
        {"- {relu: , as: a, as: b}\n", "r.yaml:3: entry 1: key 'as' is there twice"},
        {"- {relu: , layers: [relu]}\n",
         "r.yaml:3: entry 1: has a kind, 'relu', and layers; make two entries of it"},
        {"- {relu: , repeat: 2}\n",
         "r.yaml:3: entry 1: repeats a single layer; put it into layers"},
        {"- {? [a] : 1}\n", "r.yaml:3: entry 1: a list or a section stands as a key, "
                            "expected a kind of layer"},
        {"- !!map {relu: }\n- !x relu\n",
         "r.yaml:4: entry 2: has a YAML tag; remove it"},
        {"  relu:\n",
         "r.yaml:3: key 'network' is a section of keys, expected a list of "
         "layers"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void an_option_that_is_wrong_is_named_with_its_entry(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"- relu\n- conv:\n    out: 3\n    kernle: 2\n  as: c\n",
         "r.yaml:6: entry 2 'c' (conv): key 'kernle' is unknown; the nearest is "
         "'kernel'"},
        {"- {relu: {kernel: 1}}\n",
         "r.yaml:3: entry 1 'relu1' (relu): key 'kernel' is unknown: a relu has no "
         "options"},
        {"- {max_pool: {kernel: 2, exclude_pad: true}}\n",
         "r.yaml:3: entry 1 'max_pool1' (max_pool): key 'exclude_pad' is unknown; the "
         "nearest is 'pad'"},
        {"- {conv: {out: 3}}\n", "r.yaml:3: entry 1 'conv1' (conv): key 'kernel' is "
                                 "missing and has no default; "
                                 "add it (height and width of the window)"},
        {"- inner_product\n",
         "r.yaml:3: entry 1 'inner_product1' (inner_product): key 'out' is missing and "
         "has no default; add it (output features)"},
        {"- {conv: {out: 0, kernel: 1}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): key 'out' is '0', expected an integer at "
         "least 1 and at most 65536, or classes"},
        {"- {conv: {out: clases, kernel: 1}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): key 'out' is 'clases', expected an integer "
         "at least 1 and at most 65536, or classes"},
        {"- {conv: {out: 1, kernel: [3, 3]}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): key 'kernel' is a list, expected an "
         "integer "
         "at least 1 and at most 256"},
        {"- {conv: {out: 1, kernel: 1, stride: 0}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): key 'stride' is '0', expected an integer "
         "at "
         "least 1 and at most 256"},
        {"- {conv: {out: 1, kernel: 1, init: he}}\n",
         "r.yaml:3: entry 1 'conv1' (conv): key 'init' is 'he', expected one of "
         "default, he_fan_in, uniform, normal, one"},
        {"- {max_pool: {kernel: 2, stride: 0}}\n",
         "r.yaml:3: entry 1 'max_pool1' (max_pool): key 'stride' is '0', expected an "
         "integer at least 1 and at most 256"},
        {"- {batch_norm: {epsilon: 0}}\n",
         "r.yaml:3: entry 1 'batch_norm1' (batch_norm): key 'epsilon' is '0', expected "
         "a number above 0 and at most 1"},
        {"- {dropout: {p: 1}}\n",
         "r.yaml:3: entry 1 'dropout1' (dropout): key 'p' is '1', expected a number at "
         "least 0 and below 1"},
        {"- {dropout: {p: 0.1, p: 0.2}}\n",
         "r.yaml:3: entry 1 'dropout1' (dropout): key 'p' is there twice"},
        {"- {dropout: {p: !!float 0.1}}\n",
         "r.yaml:3: entry 1 'dropout1' (dropout): key 'p' has a YAML tag; remove it"},
        {"- {dropout: 0.5}\n",
         "r.yaml:3: entry 1 'dropout1' (dropout): key 'dropout' is '0.5', expected a "
         "section of options"},
        {"- {dropout: {? [p] : 1}}\n",
         "r.yaml:3: entry 1 'dropout1' (dropout): a list or a section stands as an "
         "option's name"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void names_sources_and_blocks_are_checked(void **state)
{
    (void)state;
    static const char name[] =
        ", expected a name of at most 63 letters, digits, '_', '-' "
        "and single dots between them";
    static const char *const odd[] = {"a b", ".a", "a.", "a..b", "a/b", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char entries[64], message[256];
        snprintf(entries, sizeof entries, "- {relu: , as: %s}\n", odd[i]);
        snprintf(message, sizeof message, "r.yaml:3: entry 1: key 'as' is '%s'%s",
                 odd[i], name);
        assert_refuses_network(entries, message);
    }
    static const struct refused cases[] = {
        {"- {relu: , as: in}\n",
         "r.yaml:3: entry 1: key 'as' is 'in', which has a meaning of its own"},
        {"- {relu: , from: []}\n",
         "r.yaml:3: entry 1 'relu1' (relu): key 'from' names 0 entries, expected 1 to "
         "256"},
        {"- {relu: , from: {a: b}}\n", "r.yaml:3: entry 1 'relu1' (relu): key 'from' "
                                       "names a section of keys, expected "
                                       "an entry's name"},
        {"- relu\n- {tanh: , from: [in, relu1]}\n",
         "r.yaml:4: entry 2 'tanh1' (tanh): takes one input, found 2 in `from`"},
        {"- relu\n- concat\n", "r.yaml:4: entry 2 'concat1' (concat): takes 2 to 64 "
                               "inputs, found 1; list them "
                               "in `from`"},
        {"- {layers: [relu], from: [in, in]}\n",
         "r.yaml:3: entry 1 'block1' (block): takes one input, found 2 in `from`"},
        {"- {layers: [], as: b}\n",
         "r.yaml:3: entry 1 'b' (block): key 'layers' is an empty list"},
        {"- {layers: relu, as: b}\n",
         "r.yaml:3: entry 1 'b' (block): key 'layers' is 'relu', expected a list of "
         "entries"},
        {"- {layers: [relu], repeat: 0}\n", "r.yaml:3: entry 1 'block1' (block): key "
                                            "'repeat' is '0', expected an integer at "
                                            "least 1 and at most 4096"},
        {"- {layers: [relu], repeat: [2]}\n", "r.yaml:3: entry 1 'block1' (block): key "
                                              "'repeat' is a list, expected an integer "
                                              "at least 1 and at most 4096"},
        {"- relu\n- repeat: 2\n  layers:\n  - tanh\n  - sigmod\n",
         "r.yaml:7: entry 2.2: kind 'sigmod' is unknown; the nearest is 'sigmoid'"},
        {"- &b {layers: [relu, *b]}\n", "r.yaml:3: entry 1.2.2.2.2.2.2.2.2 'block1' "
                                        "(block): is a block within more than "
                                        "7 others"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void append(char *text, size_t size, const char *more)
{
    const size_t n = strlen(text);
    snprintf(text + n, size - n, "%s", more);
}

static void there_is_a_largest_number_of_entries(void **state)
{
    (void)state;
    char text[30000] = BEGINNING "- relu\n- {layers: [&x {layers: [";
    for (int i = 0; i < 63; i++)
        append(text, sizeof text, "relu,");
    append(text, sizeof text, "relu]}");
    for (int i = 0; i < 64; i++)
        append(text, sizeof text, ", *x");
    append(text, sizeof text, "]}\n");
    convoy_recipe *recipe = NULL;
    assert_int_equal(convoy_recipe_load_text("r.yaml", text, NULL, 0, &recipe),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(
        strstr(convoy_status_text(), "is one too many: a network has at most 4096"));
}

static void a_network_stands_in_place_of_a_model(void **state)
{
    (void)state;
    convoy_recipe *r = load_network("- relu\n");
    assert_string_equal(r->model.name, RECIPE_NETWORK_NAME);
    convoy_recipe_destroy(r);
    r = load_network("- relu\nmodel: {name: network, classes: 7}\n");
    assert_int_equal(r->model.classes, 7);
    convoy_recipe_destroy(r);
    static const struct refused cases[] = {
        {"- relu\nmodel: {name: lenet}\n", "r.yaml:4: key 'model.name' is 'lenet', but "
                                           "there is a 'network' too; remove one "
                                           "of the two"},
        {"  []\n",
         "r.yaml: key 'model.name' is missing; name a model, or list the layers of "
         "a net of your own below 'network'"},
        {"  []\nmodel:\n  name: network\n", "r.yaml:5: key 'model.name' is 'network', "
                                            "but there is no list of layers below "
                                            "'network'"},
        {"- relu\nmodel: {dropout: 0.5}\n",
         "r.yaml:4: key 'model.dropout' is 0.5, an option of models by name; a network "
         "says in its list what it is made of"},
        {"- relu\nmodel: {pre_activation: true}\n",
         "r.yaml:4: key 'model.pre_activation' is true, an option of models by name; a "
         "network says in its list what it is made of"},
        {"- relu\nmodel: {variant: v1}\n",
         "r.yaml:4: key 'model.variant' is v1, an option of models by name; a network "
         "says in its list what it is made of"},
        {"- relu\nnetwork: []\n",
         "r.yaml:4: key 'network' is there twice; the first is on line 2"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void assert_same_entry(const struct recipe_entry *a,
                              const struct recipe_entry *b)
{
    assert_ptr_equal(a->kind, b->kind);
    if (a->name) /* the whole list has none */
        assert_string_equal(a->name, b->name);
    assert_int_equal(a->is_named, b->is_named);
    assert_int_equal(a->given, b->given);
    assert_int_equal(a->repeat, b->repeat);
    assert_string_equal(a->number, b->number);
    assert_int_equal(a->from.n, b->from.n);
    for (int i = 0; i < a->from.n; i++)
        assert_string_equal(a->from.values[i], b->from.values[i]);
    assert_int_equal(a->n_layers, b->n_layers);
    for (int i = 0; i < a->n_layers; i++)
        assert_same_entry(&a->layers[i], &b->layers[i]);
    for (int i = 0; a->kind && i < a->kind->n_options; i++) {
        char x[OPTION_VALUE_SIZE], y[OPTION_VALUE_SIZE];
        option_get(&a->kind->options[i], a->attributes, x);
        option_get(&a->kind->options[i], b->attributes, y);
        assert_string_equal(x, y);
    }
}

static void assert_round_trip(const char *entries)
{
    convoy_recipe *a = load_network(entries), *b = NULL;
    char *text = NULL, *again = NULL;
    assert_int_equal(recipe_text(a, &text), CONVOY_OK);
    if (convoy_recipe_load_text("b", text, NULL, 0, &b) != CONVOY_OK)
        fail_msg("%s\n%s", convoy_status_text(), text);
    if (a->network)
        assert_same_entry(&a->network->list, &b->network->list);
    assert_int_equal(recipe_text(b, &again), CONVOY_OK);
    assert_string_equal(text, again);
    mem_free(text);
    mem_free(again);
    convoy_recipe_destroy(a);
    convoy_recipe_destroy(b);
}

static void networks_survive_being_written(void **state)
{
    (void)state;
    assert_round_trip(
        "- {conv: {out: 8, kernel: 3, stride: 2, bias: false, init: one}, as: '0'}\n"
        "- {batch_norm: {epsilon: 0.30000000000000004, momentum: 1e-3}, from: '0'}\n"
        "- {layers: [relu, {add: , from: [in, relu1]}], repeat: 3, as: 'null'}\n"
        "- layers:\n  - repeat: 1\n    layers: [{dropout: {p: 0}}]\n    as: b-1_c\n"
        "    from: input\n  - {concat: , from: [in, '0', b-1_c]}\n  - {relu: , as: "
        "1e3}\n"
        "  - {add: , from: [1e3, concat1]}\n"
        "- {conv: {out: classes, kernel: 1}}\n");
}

static void each_kind_survives_with_all_its_options(void **state)
{
    (void)state;
    static const char *const values[] = {
        [OPTION_INT] = "3",  [OPTION_CLASSES] = "classes", [OPTION_F32] = "0.125",
        [OPTION_PAIR] = "2", [OPTION_BOOL] = "true",       [OPTION_CHOICE] = "one"};
    for (int i = 0; layer_kinds[i]; i++) {
        const struct option_owner *kind = &layer_kinds[i]->about;
        char text[512];
        if (kind->is_loss)
            continue;
        int n = snprintf(text, sizeof text, "- {%s: {", kind->name);
        for (int j = 0; j < kind->n_options; j++)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%s: %s", j ? ", " : "",
                          kind->options[j].name, values[kind->options[j].type]);
        snprintf(text + n, sizeof text - (size_t)n, "}, from: [in%s]}\n",
                 kind->max_src > 1 ? ", in" : "");
        assert_round_trip(text);
    }
}

static void a_network_is_written_one_layer_a_line(void **state)
{
    (void)state;
    convoy_recipe *r = load_network(
        "- relu\n- {repeat: 2, as: b, layers: [{conv: {kernel: 3, out: 4}, as: c}]}\n");
    char *text = NULL;
    assert_int_equal(recipe_text(r, &text), CONVOY_OK);
    assert_non_null(strstr(text,
                           "\nnetwork:\n- {relu: {}}\n- repeat: 2\n  as: \"b\"\n"
                           "  layers:\n"
                           "  - {conv: {out: 4, kernel: 3}, as: \"c\"}\ndata:\n"));
    mem_free(text);
    convoy_recipe_destroy(r);
    r = load_with("");
    assert_int_equal(recipe_text(r, &text), CONVOY_OK);
    assert_non_null(strstr(text, "\nnetwork: []\ndata:\n"));
    mem_free(text);
    convoy_recipe_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_words_or_sections),
        cmocka_unit_test(every_option_of_every_kind_is_read),
        cmocka_unit_test(an_entry_that_is_none_is_named_with_its_line),
        cmocka_unit_test(an_option_that_is_wrong_is_named_with_its_entry),
        cmocka_unit_test(names_sources_and_blocks_are_checked),
        cmocka_unit_test(there_is_a_largest_number_of_entries),
        cmocka_unit_test(a_network_stands_in_place_of_a_model),
        cmocka_unit_test(networks_survive_being_written),
        cmocka_unit_test(each_kind_survives_with_all_its_options),
        cmocka_unit_test(a_network_is_written_one_layer_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
