/* A run may go on with the same recipe, whatever it says in other words, leaves out, or
 * changes where nothing depends on it. */
#include "unit/recipe/recipe_support.h"

#include "base/memory.h"
#include "recipe/recipe_compare.h"

/* The changes that a comparison has visited: "key: was -> now", "!" before those that
 * break the promise. */
struct seen {
    char text[512];
    int n;
};

static convoy_status see(void *context, const struct recipe_change *change)
{
    struct seen *seen = context;
    snprintf(seen->text, sizeof seen->text, "%s%s: %s -> %s", change->breaks ? "!" : "",
             change->key, change->was, change->now);
    seen->n++;
    return CONVOY_OK;
}

/* Of the last change. */
static struct seen compare(convoy_recipe *now, convoy_recipe *then)
{
    struct seen seen = {.n = 0};
    assert_int_equal(recipe_compare(now, then, see, &seen), CONVOY_OK);
    convoy_recipe_destroy(now);
    convoy_recipe_destroy(then);
    return seen;
}

static void assert_same(convoy_recipe *now, convoy_recipe *then)
{
    const struct seen seen = compare(now, then);
    if (seen.n > 0)
        fail_msg("%s", seen.text);
}

static void assert_changed(convoy_recipe *now, convoy_recipe *then, const char *text)
{
    const struct seen seen = compare(now, then);
    assert_string_equal(seen.text, text);
    assert_int_equal(seen.n, 1);
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
    assert_same(load_with(""), load_with(""));
    assert_same(load_with(""), written(load_with(""), ""));
    assert_same(load_with("seed: 1\n"), load_with(""));
    assert_same(load_with("schedule: {lr: 0.10}\n"),
                load_with("schedule: {lr: 1e-1}\n"));
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
        assert_same(load_set(changes[i]), written(load_with(""), ""));
}

static void what_ends_a_run_is_noted(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"schedule.epochs=120", "schedule.epochs: 90 -> 120"},
        {"schedule.milestones=[30, 60]",
         "schedule.milestones: [30, 60, 80] -> [30, 60]"},
        {"schedule.gamma=0.5", "schedule.gamma: 0.1 -> 0.5"},
        {"schedule.final_lr=1e-3", "schedule.final_lr: 0 -> 0.001"},
        {"data.on_bad_record=skip", "data.on_bad_record: stop -> skip"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_changed(load_set(changes[i][0]), written(load_with(""), ""),
                       changes[i][1]);
}

static void everything_else_breaks_the_promise(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"model.name=alexnet", "!model.name: \"lenet\" -> \"alexnet\""},
        {"data.augment.pad=4", "!data.augment.pad: 0 -> 4"},
        {"data.mean=[0.5]", "!data.mean: [] -> [0.5]"},
        {"data.shuffle=false", "!data.shuffle: true -> false"},
        {"batch.microbatch=64", "!batch.microbatch: 32 -> 64"},
        {"optimizer.momentum=0.5", "!optimizer.momentum: 0.9 -> 0.5"},
        {"optimizer.lr_scale={fc: 2}", "!optimizer.lr_scale: {} -> {\"fc\": 2}"},
        {"schedule.lr=0.2", "!schedule.lr: 0.1 -> 0.2"},
        {"init.freeze=[conv]", "!init.freeze: [] -> [\"conv\"]"},
        {"threads=2", "!threads: auto -> 2"},
        {"seed=2", "!seed: 1 -> 2"},
        {"exchange.algorithm=native", "!exchange.algorithm: auto -> native"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_changed(load_set(changes[i][0]), written(load_with(""), ""),
                       changes[i][1]);
}

/* All of them are told, in the table's order; what the visitor refuses ends it. */
static convoy_status refuse(void *context, const struct recipe_change *change)
{
    see(context, change);
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s", change->key);
}

static void every_change_is_visited(void **state)
{
    (void)state;
    convoy_recipe *now =
                      load_with("seed: 2\nbatch: {size: 64}\nschedule: {epochs: 1}\n"),
                  *then = load_with("");
    struct seen seen = {.n = 0};
    assert_int_equal(recipe_compare(now, then, see, &seen), CONVOY_OK);
    assert_int_equal(seen.n, 3);
    assert_string_equal(seen.text, "!seed: 1 -> 2");
    seen.n = 0;
    assert_int_equal(recipe_compare(now, then, refuse, &seen), CONVOY_ERROR_ARGUMENT);
    assert_string_equal(seen.text, "!batch.size: 256 -> 64");
    assert_int_equal(seen.n, 1);
    convoy_recipe_destroy(now);
    convoy_recipe_destroy(then);
}

/* An older convoy wrote no such key, and a run of it goes on with the default. */
static void a_key_that_was_not_known_has_its_default(void **state)
{
    (void)state;
    assert_same(load_with(""), written(load_with(""), "    erasing:"));
    assert_same(load_with(""), written(load_with(""), "  gamma:"));
    assert_same(load_set("data.augment.erasing=0"),
                written(load_with(""), "    erasing:"));
    assert_changed(load_set("data.augment.erasing=0.5"),
                   written(load_with(""), "    erasing:"),
                   "!data.augment.erasing: 0 -> 0.5");
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
    assert_same(network(one), written(network(one), ""));
    assert_changed(
        network(two), written(network(one), ""),
        "!network: … - {inner_product: {out: classes}, as: \"fc\"} -> … - {relu: {}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_recipe_goes_on),
        cmocka_unit_test(what_changes_no_result_may_change),
        cmocka_unit_test(what_ends_a_run_is_noted),
        cmocka_unit_test(everything_else_breaks_the_promise),
        cmocka_unit_test(every_change_is_visited),
        cmocka_unit_test(a_key_that_was_not_known_has_its_default),
        cmocka_unit_test(networks_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
