/* What makes runs comparable: of recipe.yaml only what decides the speed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "report/report_facts.h"
#include "support/scratch.h"

static char folder[SCRATCH_PATH];

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static const char run[] =
    "{\"convoy\": \"0.2.0\", \"onednn\": \"3.7\", \"mpi\": \"M\", "
    "\"isa\": \"avx2\", \"train_pack\": \"ab\", \"ranks\": 4, "
    "\"onednn_isa\": \"avx2_vnni\"}";
static const char recipe[] = "model:\n  name: \"lenet\"\n  width: 4\n"
                             "network: []\n"
                             "data:\n  train: \"/a/b\"\n  crop: 16\n  threads: auto\n"
                             "  augment:\n    pad: 1\n    flip: true\n"
                             "batch:\n  size: 24\n  microbatch: 2\n"
                             "optimizer:\n  name: sgd\n  momentum: 0.9\n"
                             "schedule:\n  lr: 0.1\nseed: 1\n"
                             "train:\n  recompute: true\n"
                             "exchange:\n  algorithm: auto\n";
static const char facts_expected[] =
    "convoy: 0.2.0\nonednn: 3.7\nmpi: M\nisa: avx2\ntrain_pack: ab\n"
    "onednn_isa: avx2_vnni\n"
    "model:\nmodel.name: \"lenet\"\nmodel.width: 4\nnetwork: []\n"
    "data.crop: 16\ndata.augment:\ndata.augment.pad: 1\ndata.augment.flip: true\n"
    "batch.microbatch: 2\noptimizer.name: sgd\n"
    "train.recompute: true\nexchange:\nexchange.algorithm: auto\n";

static void write(const char *name, const char *text)
{
    assert_int_equal(scratch_write(scratch_path(folder, name), text, strlen(text)), 0);
}

static convoy_status read_facts(const char *run_text, const char *recipe_text,
                                char **facts, char **model)
{
    write("run.json", run_text);
    write("recipe.yaml", recipe_text);
    return report_facts_read(folder, facts, model);
}

static void facts_are_what_decides_the_speed(void **state)
{
    (void)state;
    char *facts = NULL, *model = NULL, value[32];
    assert_int_equal(read_facts(run, recipe, &facts, &model), CONVOY_OK);
    assert_string_equal(facts, facts_expected);
    assert_string_equal(model, "lenet");
    report_facts_value(facts, "data.augment.pad", value, sizeof value);
    assert_string_equal(value, "1");
    report_facts_value(facts, "seed", value, sizeof value);
    assert_string_equal(value, "");
    mem_free(facts);
    mem_free(model);
}

static void values_are_unquoted(void **state)
{
    (void)state;
    static const char facts[] = "a: \"x \\\"y\\\" \\\\\"\nb: \"\"\nc: plain \"z\"\nd:\n"
                                "e: \"\\t\"\n";
    static const char *const expected[][2] = {
        {"a", "x \"y\" \\"}, {"b", ""}, {"c", "plain \"z\""}, {"d", ""}, {"e", "\\t"}};
    char value[32];
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        report_facts_value(facts, expected[i][0], value, sizeof value);
        assert_string_equal(value, expected[i][1]);
    }
    report_facts_value(facts, "a", value, 4);
    assert_string_equal(value, "x \"");
}

/* A network's entries have keys of their own at any depth. */
static void of_a_network_every_line_counts(void **state)
{
    (void)state;
    static const char network[] = "model:\n  name: network\nnetwork:\n"
                                  "  - conv: {out: 8}\n    name: a\n"
                                  "  - repeat: 2\n    of:\n      - relu\n"
                                  "data:\n  train: \"x\"\n";
    char *facts = NULL, *model = NULL;
    assert_int_equal(read_facts(run, network, &facts, &model), CONVOY_OK);
    for (const char *word = "out: 8} a repeat: 2 relu", *end; *word; word = end) {
        char text[16];
        end = word + strcspn(word, " ");
        snprintf(text, sizeof text, "%.*s", (int)(end - word), word);
        assert_non_null(strstr(facts, text));
        end += *end == ' ';
    }
    assert_null(strstr(facts, "train:"));
    mem_free(facts);
    mem_free(model);
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    char a[64], b[64];
    report_facts_difference("x: 1\ny: 2\n", "x: 1\ny: 3\nz: 4\n", a, b, sizeof a);
    assert_string_equal(a, "y: 2");
    assert_string_equal(b, "y: 3");
    report_facts_difference("x: 1\n", "x: 1\nz: 4\n", a, b, sizeof a);
    assert_string_equal(a, "");
    assert_string_equal(b, "z: 4");
}

static void what_is_missing_is_refused(void **state)
{
    (void)state;
    char *facts = NULL, *model = NULL;
    assert_int_equal(read_facts("{\"convoy\": \"1\"}", recipe, &facts, &model),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), "onednn"));
    assert_int_equal(remove(scratch_path(folder, "recipe.yaml")), 0);
    write("run.json", run);
    assert_int_equal(report_facts_read(folder, &facts, &model), CONVOY_ERROR_IO);
    assert_null(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_what_decides_the_speed),
        cmocka_unit_test(values_are_unquoted),
        cmocka_unit_test(of_a_network_every_line_counts),
        cmocka_unit_test(the_first_difference_is_named),
        cmocka_unit_test(what_is_missing_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
