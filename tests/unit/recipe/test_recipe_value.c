/* Values: what each type takes and refuses. */
#include "unit/recipe/recipe_support.h"

#include "base/text.h"
#include "recipe/recipe_value.h"

struct refused {
    const char *set, *found, *expected;
};

/* The message of "--set SET" is made of the key, found and expected. */
static void assert_all_refused(const struct refused *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char message[512];
        snprintf(message, sizeof message, "--set %s: key '%.*s'%s, expected %s",
                 cases[i].set, (int)strcspn(cases[i].set, "="), cases[i].set,
                 cases[i].found, cases[i].expected);
        assert_refuses_set(cases[i].set, message);
    }
}

static void floats_are_read_by_the_type_of_their_key(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1e-4", 1e-4}, {"1.0e-4", 1e-4},
                 {"1E+0", 1},    {"3", 3},
                 {".5", 0.5},    {"5.", 5},
                 {"+0.1", 0.1},  {"010", 10},
                 {"-0", 0},      {"4.9406564584124654e-324", 0x1p-1074}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char set[64];
        snprintf(set, sizeof set, "schedule.lr=%s", cases[i].text);
        convoy_recipe *r = load_set(set);
        assert_true(r->schedule.lr == cases[i].value);
        convoy_recipe_destroy(r);
    }
}

static void what_is_no_float_is_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"schedule.lr=fast", " is 'fast'", "a number at least 0"},
        {"schedule.lr=\"0.1\"", " is the quoted text '0.1'", "a number at least 0"},
        {"schedule.lr=0x1p-3", " is '0x1p-3'", "a number at least 0"},
        {"schedule.lr=inf", " is 'inf'", "a number at least 0"},
        {"schedule.lr=.nan", " is '.nan'", "a number at least 0"},
        {"schedule.lr=1e999", " is '1e999'", "a number at least 0"},
        {"schedule.lr=1e", " is '1e'", "a number at least 0"},
        {"schedule.lr=0,1", " is '0,1'", "a number at least 0"},
        {"schedule.lr=-0.1", " is '-0.1'", "a number at least 0"},
        {"schedule.lr=[0.1]", " is a list", "a number at least 0"},
        {"schedule.lr=~", " is without a value", "a number at least 0"},
        {"model.dropout=1", " is '1'", "a number at least 0 and below 1, or -1"},
        {"model.dropout=-0.5", " is '-0.5'", "a number at least 0 and below 1, or -1"},
        {"loss.label_smoothing=-1", " is '-1'", "a number at least 0 and below 1"},
        {"optimizer.momentum=1", " is '1'", "a number at least 0 and below 1"},
        {"schedule.gamma=0", " is '0'", "a number above 0 and at most 1"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void what_is_no_integer_is_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"batch.size=0", " is '0'", "an integer at least 1"},
        {"batch.size=-3", " is '-3'", "an integer at least 1"},
        {"batch.size=3.0", " is '3.0'", "an integer at least 1"},
        {"batch.size=1e3", " is '1e3'", "an integer at least 1"},
        {"batch.size=2147483648", " is '2147483648'", "an integer at least 1"},
        {"batch.size=99999999999999999999", " is '99999999999999999999'",
         "an integer at least 1"},
        {"batch.size='32'", " is the quoted text '32'", "an integer at least 1"},
        {"batch.size=+-1", " is '+-1'", "an integer at least 1"},
        {"model.classes=1", " is '1'", "an integer at least 2, or 0"},
        {"model.classes=many", " is 'many'", "an integer at least 2, or 0"},
        {"checkpoint.keep=0", " is '0'", "an integer at least 1"},
        {"seed=-1", " is '-1'", "an integer from 0 to 18446744073709551615"},
        {"seed=18446744073709551616", " is '18446744073709551616'",
         "an integer from 0 to 18446744073709551615"},
        {"threads=0", " is '0'", "auto or an integer at least 1 and at most 4096"},
        {"lanes=4097", " is '4097'", "auto or an integer at least 1 and at most 4096"},
        {"data.threads=some", " is 'some'",
         "auto or an integer at least 1 and at most 4096"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void true_and_false_are_read_as_yaml_spells_them(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        bool truth;
    } cases[] = {{"true", true},   {"True", true},   {"TRUE", true},
                 {"false", false}, {"False", false}, {"FALSE", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char set[64];
        snprintf(set, sizeof set, "data.augment.flip=%s", cases[i].word);
        convoy_recipe *r = load_set(set);
        assert_int_equal(r->data.augment.flip, cases[i].truth);
        convoy_recipe_destroy(r);
        snprintf(set, sizeof set, "data.augment.resized_crop=%s", cases[i].word);
        r = load_set(set); /* a word among others there */
        assert_int_equal(r->data.augment.resized_crop, cases[i].truth
                                                           ? RECIPE_RESIZED_CROP_SCALED
                                                           : RECIPE_RESIZED_CROP_OFF);
        convoy_recipe_destroy(r);
    }
}

static void what_is_no_bool_or_choice_is_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"data.shuffle=yes", " is 'yes'", "true or false"},
        {"data.shuffle=1", " is '1'", "true or false"},
        {"data.shuffle=tRUE", " is 'tRUE'", "true or false"},
        {"data.shuffle='true'", " is the quoted text 'true'", "true or false"},
        {"schedule.decay=cosin", " is 'cosin'",
         "one of constant, step, cosine, polynomial, linear, one_cycle"},
        {"model.variant=v2", " is 'v2'", "one of \"\", v1.5, v1"},
        {"precision=fp32", " is 'fp32'", "one of f32, bf16"},
        {"exchange.algorithm=[auto]", " is a list", "a name"},
        {"model.name=[a]", " is a list", "text"},
        {"data.val=null", " is without a value", "text"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void what_is_no_list_of_numbers_is_refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"data.mean=0.5", " is '0.5'", "a list of numbers at least 0 and at most 1"},
        {"data.mean=[0.5, grey]", " entry 2 is 'grey'",
         "a list of numbers at least 0 and at most 1"},
        {"data.mean=[123.675]", " entry 1 is '123.675'",
         "a list of numbers at least 0 and at most 1"},
        {"data.std=[0]", " entry 1 is '0'", "a list of numbers above 0"},
        {"schedule.milestones=[1, [2]]", " entry 2 is a list",
         "a list of numbers above 0"},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void a_list_has_a_largest_length(void **state)
{
    (void)state;
    char set[256] = "schedule.milestones=[1";
    for (int i = 2; i <= RECIPE_MAX_NUMBERS; i++)
        snprintf(set + strlen(set), sizeof set - strlen(set), ",%d", i);
    char longer[256];
    snprintf(longer, sizeof longer, "%s,99]", set);
    snprintf(set + strlen(set), sizeof set - strlen(set), "]");
    convoy_recipe *r = load_set(set);
    assert_int_equal(r->schedule.milestones.n, RECIPE_MAX_NUMBERS);
    convoy_recipe_destroy(r);
    const char *const overrides[] = {longer};
    r = NULL;
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, overrides, 1, &r),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(),
                           "key 'schedule.milestones' has more than 32 numbers"));
}

static void lists_of_texts_are_read(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("init: {weights: w.h5, skip: [\"fc.\", head.0, "
                                 "'null'], freeze:\n  [&a x, y]}\n");
    assert_int_equal(r->init.skip.n, 3);
    assert_string_equal(r->init.skip.values[0], "fc.");
    assert_string_equal(r->init.skip.values[1], "head.0");
    assert_string_equal(r->init.skip.values[2], "null");
    assert_int_equal(r->init.freeze.n, 2);
    assert_string_equal(r->init.freeze.values[1], "y");
    convoy_recipe_destroy(r);
    const char *const sets[] = {"init.weights=w", "init.skip=[\"fc.\"]",
                                "init.skip=[b.]", "model.variant=v1",
                                "model.pre_activation=true"};
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, sets, 5, &r), CONVOY_OK);
    assert_int_equal(r->init.skip.n, 1);
    assert_string_equal(r->init.skip.values[0], "b.");
    assert_int_equal(r->model.variant, RECIPE_VARIANT_V1);
    assert_true(r->model.pre_activation);
    convoy_recipe_destroy(r);
}

static void what_is_no_list_of_texts_is_refused(void **state)
{
    (void)state;
    static const char texts[] = "a list of different texts, none empty";
    static const struct refused cases[] = {
        {"init.skip=fc.", " is 'fc.'", texts},
        {"init.freeze=", " is without a value", texts},
        {"init.freeze={a: 1}", " is a section of keys", texts},
        {"init.freeze=[a, '']", " entry 2 is the quoted text ''", texts},
        {"init.freeze=[a, ~]", " entry 2 is without a value", texts},
        {"init.freeze=[[a]]", " entry 1 is a list", texts},
        {"init.freeze=[\"a\\0b\"]", " entry 1 is the quoted text 'a'", texts},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
    assert_refuses_set("init.freeze=[a, b, a]",
                       "--set init.freeze=[a, b, a]: key 'init.freeze' has 'a' twice");
}

static void scales_are_read(void **state)
{
    (void)state;
    convoy_recipe *r =
        load_set("optimizer.lr_scale={\"fc.\": 10, layer1.: 1e-1, x: 0}");
    const struct recipe_scales *scales = &r->optimizer.lr_scale;
    assert_int_equal(scales->n, 3);
    assert_string_equal(scales->prefixes[0], "fc.");
    assert_string_equal(scales->prefixes[1], "layer1.");
    assert_true(scales->factors[0] == 10);
    assert_true(scales->factors[1] == 0.1);
    assert_true(scales->factors[2] == 0);
    convoy_recipe_destroy(r);
    r = load_with("optimizer:\n  lr_scale:\n    fc.: 2\n    \"a b.\": 3\n");
    assert_string_equal(r->optimizer.lr_scale.prefixes[1], "a b.");
    convoy_recipe_destroy(r);
}

static void what_are_no_scales_is_refused(void **state)
{
    (void)state;
    static const char scales[] =
        "{name: number, ...} with different names, each number at least 0";
    static const struct refused cases[] = {
        {"optimizer.lr_scale=10", " is '10'", scales},
        {"optimizer.lr_scale=[10]", " is a list", scales},
        {"optimizer.lr_scale={fc.: -1}", " entry 1 is '-1'", scales},
        {"optimizer.lr_scale={a: 1, fc.: fast}", " entry 2 is 'fast'", scales},
        {"optimizer.lr_scale={fc.: '1'}", " entry 1 is the quoted text '1'", scales},
        {"optimizer.lr_scale={'': 1}", " entry 1 is the quoted text ''", scales},
        {"optimizer.lr_scale={fc.: {a: 1}}", " entry 1 is a section of keys", scales},
    };
    assert_all_refused(cases, sizeof cases / sizeof cases[0]);
    assert_refuses_set("optimizer.lr_scale={a: 1, a: 2}",
                       "--set optimizer.lr_scale={a: 1, a: 2}: key "
                       "'optimizer.lr_scale' has 'a' twice");
}

static void lists_of_texts_have_a_largest_length(void **state)
{
    (void)state;
    char more[4096] = "init: {freeze: [0";
    for (int i = 1; i <= RECIPE_MAX_ENTRIES; i++)
        snprintf(more + strlen(more), sizeof more - strlen(more), ", %d", i);
    snprintf(more + strlen(more), sizeof more - strlen(more), "]}\n");
    assert_refuses_with(more, "r.yaml:3: key 'init.freeze' has more than 256 entries, "
                              "the most there can be");
}

static void extreme_values_are_kept(void **state)
{
    (void)state;
    convoy_recipe *r = load_set("seed=18446744073709551615");
    assert_true(r->seed == UINT64_MAX);
    convoy_recipe_destroy(r);
    r = load_set("threads=4096");
    assert_int_equal(r->threads, 4096);
    convoy_recipe_destroy(r);
    r = load_set("data.threads=auto");
    assert_int_equal(r->data.threads, 0);
    convoy_recipe_destroy(r);
    r = load_set("model.dropout=-1");
    assert_true(r->model.dropout == -1);
    convoy_recipe_destroy(r);
}

static void null_characters_and_tags_are_refused(void **state)
{
    (void)state;
    assert_refuses_with("precision: \"f32\\0\"\n",
                        "r.yaml:3: key 'precision' holds a null character; remove it");
    assert_refuses_with("seed: !!int 3\n",
                        "r.yaml:3: key 'seed' has a YAML tag; remove it");
}

static void numbers_are_written_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1e-4, "0.0001"},
                 {30, "30"},
                 {0, "0"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1.0 / 3, "0.3333333333333333"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_NUMBER_SIZE];
        text_of_number(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    char shown[RECIPE_SHOWN_SIZE], text[200] = "";
    for (size_t i = 0; i < 60; i++)
        memcpy(text + i * (sizeof "é" - 1), "é", sizeof "é");
    recipe_show_text(text, shown);
    assert_int_equal(strlen(shown), 60 + 3);
    assert_string_equal(shown + 58, "é...");
    recipe_show_text("a\tb", shown);
    assert_string_equal(shown, "a?b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_read_by_the_type_of_their_key),
        cmocka_unit_test(what_is_no_float_is_refused),
        cmocka_unit_test(what_is_no_integer_is_refused),
        cmocka_unit_test(true_and_false_are_read_as_yaml_spells_them),
        cmocka_unit_test(what_is_no_bool_or_choice_is_refused),
        cmocka_unit_test(what_is_no_list_of_numbers_is_refused),
        cmocka_unit_test(a_list_has_a_largest_length),
        cmocka_unit_test(lists_of_texts_are_read),
        cmocka_unit_test(what_is_no_list_of_texts_is_refused),
        cmocka_unit_test(scales_are_read),
        cmocka_unit_test(what_are_no_scales_is_refused),
        cmocka_unit_test(lists_of_texts_have_a_largest_length),
        cmocka_unit_test(extreme_values_are_kept),
        cmocka_unit_test(null_characters_and_tags_are_refused),
        cmocka_unit_test(numbers_are_written_short_and_exact),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
