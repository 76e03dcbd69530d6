/* A run may go on with the same recipe, whatever it says in other words, leaves out, or
 * changes where nothing depends on it. */
#include "unit/recipe/recipe_support.h"

#include "base/memory.h"
#include "recipe/recipe_compare.h"

static convoy_status compare(convoy_recipe *now, convoy_recipe *then)
{
    const convoy_status status = recipe_compare(now, then, "step-00000007.h5");
    convoy_recipe_destroy(now);
    convoy_recipe_destroy(then);
    return status;
}

/* The recipe as a checkpoint has it, without the lines that begin with one of skip. */
static convoy_recipe *written(convoy_recipe *recipe, const char *skip)
{
    char *text = NULL;
    convoy_recipe *loaded = NULL;
    assert_int_equal(recipe_text(recipe, &text), CONVOY_OK);
    char *line = *skip ? strstr(text, skip) : NULL;
    if (line) {
        const char *next = strchr(line, '\n') + 1;
        memmove(line, next, strlen(next) + 1);
    }
    assert_true(line || !*skip);
    if (convoy_recipe_load_text("then", text, NULL, 0, &loaded) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    mem_free(text);
    convoy_recipe_destroy(recipe);
    return loaded;
}

static void the_same_recipe_goes_on(void **state)
{
    (void)state;
    assert_int_equal(compare(load_with(""), load_with("")), CONVOY_OK);
    assert_int_equal(compare(load_with(""), written(load_with(""), "")), CONVOY_OK);
    assert_int_equal(compare(load_with("seed: 1\n"), load_with("")), CONVOY_OK);
    assert_int_equal(compare(load_with("schedule: {lr: 0.10}\n"),
                             load_with("schedule: {lr: 1e-1}\n")),
                     CONVOY_OK);
}

static void what_changes_no_result_may_change(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "data.train=other.h5",
        "data.val=v.h5",
        "data.threads=7",
        "data.read=memory",
        "lanes=3",
        "checkpoint.every_epochs=0",
        "checkpoint.keep=17",
        "metrics.every_steps=3",
        "exchange.bucket=3",
        "exchange.timeout=9",
        "exchange.algorithm=direct",
        "exchange.algorithm=two-level",
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        if (compare(load_set(changes[i]), written(load_with(""), "")) != CONVOY_OK)
            fail_msg("%s: %s", changes[i], convoy_status_text());
}

static void everything_else_may_not(void **state)
{
    (void)state;
    static const char *const changes[][3] = {
        {"model.name=alexnet", "'model.name: \"alexnet\"'", "'model.name: \"lenet\"'"},
        {"data.augment.pad=4", "'data.augment.pad: 4'", "'data.augment.pad: 0'"},
        {"data.mean=[0.5]", "'data.mean: [0.5]'", "'data.mean: []'"},
        {"data.shuffle=false", "'data.shuffle: false'", "'data.shuffle: true'"},
        {"batch.microbatch=64", "'batch.microbatch: 64'", "'batch.microbatch: 32'"},
        {"optimizer.momentum=0.5", "'optimizer.momentum: 0.5'",
         "'optimizer.momentum: 0.9'"},
        {"optimizer.lr_scale={fc: 2}", "'optimizer.lr_scale: {\"fc\": 2}'",
         "'optimizer.lr_scale: {}'"},
        {"schedule.lr=0.2", "'schedule.lr: 0.2'", "'schedule.lr: 0.1'"},
        {"init.freeze=[conv]", "'init.freeze: [\"conv\"]'", "'init.freeze: []'"},
        {"threads=2", "'threads: 2'", "'threads: auto'"},
        {"seed=2", "'seed: 2'", "'seed: 1'"},
        {"exchange.algorithm=native", "'exchange.algorithm: native'",
         "'exchange.algorithm: auto'"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        assert_int_equal(compare(load_set(changes[i][0]), written(load_with(""), "")),
                         CONVOY_ERROR_ARGUMENT);
        for (int k = 1; k < 3; k++)
            if (!strstr(convoy_status_text(), changes[i][k]))
                fail_msg("'%s' is not in '%s'", changes[i][k], convoy_status_text());
        assert_non_null(strstr(convoy_status_text(), "(step-00000007.h5)"));
    }
}

/* An older convoy wrote no such key, and a run of it goes on with the default. */
static void a_key_that_was_not_known_has_its_default(void **state)
{
    (void)state;
    assert_int_equal(compare(load_with(""), written(load_with(""), "    erasing:")),
                     CONVOY_OK);
    assert_int_equal(compare(load_with(""), written(load_with(""), "  gamma:")),
                     CONVOY_OK);
    assert_int_equal(compare(load_set("data.augment.erasing=0"),
                             written(load_with(""), "    erasing:")),
                     CONVOY_OK);
    assert_int_equal(compare(load_set("data.augment.erasing=0.5"),
                             written(load_with(""), "    erasing:")),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(
        strstr(convoy_status_text(), "begun with 'data.augment.erasing: 0'"));
}

static convoy_recipe *network(const char *layers)
{
    char text[512];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text, "network: [%s]\ndata: {train: t.h5}\n", layers);
    if (convoy_recipe_load_text("r.yaml", text, NULL, 0, &recipe) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return recipe;
}

static void networks_are_compared_whole(void **state)
{
    (void)state;
    static const char one[] = "flatten, {inner_product: {out: classes}, as: fc}",
                      two[] = "flatten, relu, {inner_product: {out: classes}, as: fc}";
    assert_int_equal(compare(network(one), written(network(one), "")), CONVOY_OK);
    assert_int_equal(compare(network(two), written(network(one), "")),
                     CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "the recipe's 'network' says '"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_recipe_goes_on),
        cmocka_unit_test(what_changes_no_result_may_change),
        cmocka_unit_test(everything_else_may_not),
        cmocka_unit_test(a_key_that_was_not_known_has_its_default),
        cmocka_unit_test(networks_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
