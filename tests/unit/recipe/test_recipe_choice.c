/* Keys that choose, and what is chosen brings keys of its own; with a catalogue made
 * for the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "recipe/recipe_catalog.h"
#include "recipe/recipe_keys.h"

#include <stdlib.h>
#include <string.h>

#define MINIMAL "model: {name: lenet}\ndata: {train: t.h5}\n"

struct heavy {
    double momentum, friction;
    int delay;
};

struct sign {
    double momentum;
    bool loud;
};

static convoy_status check_heavy(const void *settings, const char **name)
{
    const struct heavy *heavy = settings;
    *name = "delay";
    return heavy->delay < 5 ? CONVOY_OK
                            : FAIL(CONVOY_ERROR_ARGUMENT, "is %d, which nobody awaits",
                                   heavy->delay);
}

static const struct option heavy_options[] = {
    {"momentum", OPTION_FLOAT, offsetof(struct heavy, momentum), "0.9", 0, 1,
     OPTION_BELOW_MAX, NULL, "momentum"},
    {"friction", OPTION_FLOAT, offsetof(struct heavy, friction), "0.5", 0, 2, 0, NULL,
     "friction"},
    {"delay", OPTION_INT, offsetof(struct heavy, delay), "3", 1, 8, 0, NULL, "delay"}};

static const struct option sign_options[] = {
    {"momentum", OPTION_FLOAT, offsetof(struct sign, momentum), "0.25", 0, 1, 0, NULL,
     "momentum"},
    {"loud", OPTION_BOOL, offsetof(struct sign, loud), "true", 0, 0, 0, NULL, "loud"}};

static const struct option_owner heavy = {.name = "heavy",
                                          .help = "a ball",
                                          OPTION_TABLE(heavy_options, struct heavy),
                                          .check = check_heavy},
                                 sign = {.name = "sign",
                                         .help = "signs",
                                         OPTION_TABLE(sign_options, struct sign)},
                                 plain = {.name = "plain", .help = "nothing to say"},
                                 automatic = {.name = "auto", .help = "some"},
                                 native = {.name = "native", .help = "MPI's"};
static const struct option_owner *const layers[] = {NULL},
                                        *const optimizers[] = {&heavy, &sign, &plain,
                                                               NULL},
                                        *const exchanges[] = {&automatic, &native,
                                                              NULL};
static const struct recipe_catalog catalog = {layers, optimizers, exchanges};

static convoy_status try(const char *more, const char *override, convoy_recipe **recipe)
{
    char text[1024];
    snprintf(text, sizeof text, "%s%s", MINIMAL, more);
    return recipe_load_text(&catalog, "r.yaml", text, &override, override != NULL,
                            recipe);
}

static convoy_recipe *load(const char *more, const char *override)
{
    convoy_recipe *recipe = NULL;
    if (try(more, override, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

static void assert_refuses(const char *more, const char *override, const char *message)
{
    convoy_recipe *recipe = NULL;
    assert_int_equal(try(more, override, &recipe), CONVOY_ERROR_FORMAT);
    assert_null(recipe);
    assert_string_equal(convoy_status_text(), message);
}

static void the_first_of_the_list_is_the_default(void **state)
{
    (void)state;
    convoy_recipe *r = load("", NULL);
    const struct heavy *settings = r->optimizer.kind.settings;
    assert_ptr_equal(r->optimizer.kind.owner, &heavy);
    assert_true(settings->momentum == 0.9 && settings->friction == 0.5);
    assert_int_equal(settings->delay, 3);
    assert_ptr_equal(r->exchange.algorithm.owner, &automatic);
    convoy_recipe_destroy(r);
}

static void a_choice_has_its_own_options_and_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "optimizer: {name: sign, loud: false}\n",
        "optimizer: {loud: false, name: sign}\n",
        "optimizer: {loud: false, name: \"sign\", weight_decay: 1}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        convoy_recipe *r = load(texts[i], NULL);
        const struct sign *settings = r->optimizer.kind.settings;
        assert_ptr_equal(r->optimizer.kind.owner, &sign);
        assert_true(settings->momentum == 0.25);
        assert_false(settings->loud);
        assert_int_equal(recipe_key_find(r, "optimizer.friction"), -1);
        assert_true(recipe_key_find(r, "optimizer.loud") > 0);
        convoy_recipe_destroy(r);
    }
}

static void an_override_chooses_for_the_file_too(void **state)
{
    (void)state;
    convoy_recipe *r =
        load("optimizer: {name: heavy, momentum: 0.5}\n", "optimizer.name=sign");
    const struct sign *settings = r->optimizer.kind.settings;
    assert_ptr_equal(r->optimizer.kind.owner, &sign);
    assert_true(settings->momentum == 0.5 && settings->loud);
    convoy_recipe_destroy(r);
    assert_refuses("optimizer: {name: heavy, friction: 0.1}\n", "optimizer.name=sign",
                   "r.yaml:3: key 'optimizer.friction' is an option of heavy; sign has "
                   "momentum, loud");
}

static void options_are_checked_as_keys(void **state)
{
    (void)state;
    assert_refuses("optimizer:\n  friction: 3\n", NULL,
                   "r.yaml:4: key 'optimizer.friction' is '3', expected a number at "
                   "least 0 and at most 2");
    assert_refuses(
        "", "optimizer.delay=two",
        "--set optimizer.delay=two: key 'optimizer.delay' is 'two', expected "
        "an integer at least 1 and at most 8");
    assert_refuses(
        "optimizer:\n  name: plain\n  delay: 2\n", NULL,
        "r.yaml:5: key 'optimizer.delay' is an option of heavy; plain has no "
        "options");
    assert_refuses("optimizer: {fricton: 1}\n", NULL,
                   "r.yaml:3: key 'optimizer.fricton' is unknown; the nearest is "
                   "'optimizer.friction'; heavy has momentum, friction, delay");
    assert_refuses("optimizer:\n  delay: 7\n", NULL,
                   "r.yaml:4: key 'optimizer.delay' is 7, which nobody awaits");
}

static void unknown_names_have_a_line_and_the_nearest(void **state)
{
    (void)state;
    assert_refuses("optimizer:\n  name: sgin\n", NULL,
                   "r.yaml:4: key 'optimizer.name' is 'sgin', which is not known; the "
                   "nearest is 'sign'; there are: heavy, sign, plain");
    assert_refuses("", "exchange.algorithm=natve",
                   "--set exchange.algorithm=natve: key 'exchange.algorithm' is "
                   "'natve', which is not known; the nearest is 'native'; there are: "
                   "auto, native");
    assert_refuses("optimizer:\n  name: [sign]\n", NULL,
                   "r.yaml:4: key 'optimizer.name' is a list, expected a name");
    assert_refuses("optimizer: sign\n", NULL,
                   "r.yaml:3: key 'optimizer' is a section, expected keys below it");
}

static void the_short_form_of_exchange_holds(void **state)
{
    (void)state;
    static const struct {
        const char *text, *override;
        const struct option_owner *owner;
    } cases[] = {
        {"exchange: native\n", NULL, &native},
        {"exchange: {algorithm: native}\n", NULL, &native},
        {"", "exchange=native", &native},
        {"", "exchange.algorithm=native", &native},
        {"exchange: ordered\n", NULL, &automatic},
        {"exchange: {algorithm: ordered}\n", NULL, &automatic},
        {"exchange: native\n", "exchange=ordered", &automatic},
        {"exchange: native\n", "exchange.algorithm=auto", &automatic},
        {"exchange: {}\n", NULL, &automatic},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_recipe *r = load(cases[i].text, cases[i].override);
        assert_ptr_equal(r->exchange.algorithm.owner, cases[i].owner);
        convoy_recipe_destroy(r);
    }
    assert_refuses("exchange: natve\n", NULL,
                   "r.yaml:3: key 'exchange.algorithm' is 'natve', which is not known; "
                   "the nearest is 'native'; there are: auto, native");
    assert_refuses("", "exchange={algorithm: native}",
                   "--set exchange={algorithm: native}: key 'exchange' is a section; "
                   "set one of its keys");
    assert_refuses("exchange: [native]\n", NULL,
                   "r.yaml:3: key 'exchange' is a section, expected keys below it");
    assert_refuses(
        "exchange:\n", NULL,
        "r.yaml:3: key 'exchange.algorithm' is without a value, expected a name");
}

static void what_was_chosen_survives_writing(void **state)
{
    (void)state;
    convoy_recipe *a = load("optimizer: {name: sign, momentum: 0.125, loud: false}\n"
                            "exchange: native\n",
                            NULL),
                  *b = NULL;
    char *text = NULL;
    assert_int_equal(recipe_text(a, &text), CONVOY_OK);
    assert_non_null(strstr(text, "\noptimizer:\n  name: sign\n  momentum: 0.125\n"
                                 "  loud: false\n  weight_decay: "));
    assert_non_null(strstr(text, "\nexchange:\n  algorithm: native\n"));
    assert_int_equal(recipe_load_text(&catalog, "t", text, NULL, 0, &b), CONVOY_OK);
    const struct sign *settings = b->optimizer.kind.settings;
    assert_ptr_equal(b->optimizer.kind.owner, &sign);
    assert_true(settings->momentum == 0.125);
    assert_false(settings->loud);
    assert_ptr_equal(b->exchange.algorithm.owner, &native);
    mem_free(text);
    convoy_recipe_destroy(a);
    convoy_recipe_destroy(b);
}

static void help_names_every_choice_with_its_options(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\noptimizer.name                heavy|sign|plain                  heavy       "
        "  same    the opt",
        "\n                              sign                                          "
        "          signs\n",
        "\noptimizer.friction            number                            0.5         "
        "  same    heavy: friction\n",
        "\noptimizer.loud                true|false                        true        "
        "  same    sign: loud\n",
    };
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    assert_int_equal(recipe_describe_keys(&catalog, stream), CONVOY_OK);
    assert_int_equal(fclose(stream), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(text, lines[i]))
            fail_msg("no '%s' in '%s'", lines[i], text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_the_list_is_the_default),
        cmocka_unit_test(a_choice_has_its_own_options_and_defaults),
        cmocka_unit_test(an_override_chooses_for_the_file_too),
        cmocka_unit_test(options_are_checked_as_keys),
        cmocka_unit_test(unknown_names_have_a_line_and_the_nearest),
        cmocka_unit_test(the_short_form_of_exchange_holds),
        cmocka_unit_test(what_was_chosen_survives_writing),
        cmocka_unit_test(help_names_every_choice_with_its_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
