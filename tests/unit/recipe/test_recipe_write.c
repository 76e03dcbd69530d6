/* The resolved recipe loads to the same recipe. */
#include "unit/recipe/recipe_support.h"

#include "base/memory.h"
#include "recipe/recipe_keys.h"

#include <locale.h>

/* Loads text, writes it, loads that; returns both. */
static void round_trip(const char *text, convoy_recipe **a, convoy_recipe **b)
{
    char *written = NULL;
    if (convoy_recipe_load_text("a", text, NULL, 0, a) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    assert_int_equal(recipe_text(*a, &written), CONVOY_OK);
    if (convoy_recipe_load_text("b", written, NULL, 0, b) != CONVOY_OK)
        fail_msg("%s\n%s", convoy_status_text(), written);
    mem_free(written);
}

static size_t field_bytes(enum option_type type)
{
    static const size_t bytes[] = {[OPTION_INT] = sizeof(int),
                                   [OPTION_U64] = sizeof(uint64_t),
                                   [OPTION_FLOAT] = sizeof(double),
                                   [OPTION_BOOL] = sizeof(bool),
                                   [OPTION_CHOICE] = sizeof(int),
                                   [OPTION_AUTO] = sizeof(int),
                                   [OPTION_OWNER] = sizeof(struct option_owner *),
                                   [OPTION_NUMBERS] = sizeof(struct recipe_numbers),
                                   [OPTION_CROPS] = sizeof(struct recipe_crops)};
    return bytes[type];
}

static void assert_same_texts(const struct recipe_texts *a,
                              const struct recipe_texts *b)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++)
        assert_string_equal(a->values[i], b->values[i]);
}

static void assert_same_scales(const struct recipe_scales *a,
                               const struct recipe_scales *b)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        assert_string_equal(a->prefixes[i], b->prefixes[i]);
        assert_true(a->factors[i] == b->factors[i]);
    }
}

static void assert_same(const convoy_recipe *a, const convoy_recipe *b)
{
    for (int i = 0; i < recipe_n_keys(a); i++) {
        const struct option *key = recipe_key_at(a, i);
        const char *x = (const char *)a + key->offset,
                   *y = (const char *)b + key->offset;
        if (key->type == OPTION_TEXT)
            assert_string_equal(*(char *const *)(const void *)x,
                                *(char *const *)(const void *)y);
        else if (key->type == OPTION_TEXTS)
            assert_same_texts((const void *)x, (const void *)y);
        else if (key->type == OPTION_NETWORK)
            assert_int_equal(!a->network, !b->network);
        else if (key->type == OPTION_SCALES)
            assert_same_scales((const void *)x, (const void *)y);
        else
            assert_memory_equal(x, y, field_bytes(key->type));
    }
}

static void assert_round_trip(const char *text)
{
    convoy_recipe *a = NULL, *b = NULL;
    round_trip(text, &a, &b);
    assert_same(a, b);
    convoy_recipe_destroy(a);
    convoy_recipe_destroy(b);
}

static void defaults_survive(void **state)
{
    (void)state;
    assert_round_trip(MINIMAL);
}

static void values_other_than_the_defaults_survive(void **state)
{
    (void)state;
    assert_round_trip(
        "model: {name: x, classes: 7, dropout: 0.25, activation: sigmoid, "
        "batch_norm: true, width: 9, zero_init_residual: true, variant: v1.5, "
        "pre_activation: true}\n"
        "data: {train: a, val: b, crop: 32, resize: 40, shuffle: false, threads: 3, "
        "mean: [0.1, 0.2, 0.30000000000000004], std: [1e-300, 1e300, 0.333], "
        "augment: {pad: 4, flip: true}}\n"
        "batch: {size: 12, microbatch: 3}\n"
        "optimizer: {name: sgd, momentum: 0.89999999999999991, weight_decay: 0, "
        "nesterov: true, decay_norm_and_bias: false, "
        "lr_scale: {fc.: 10, \"a: b\": 0.1, '~': 0}}\n"
        "schedule: {epochs: 7, lr: 3.2, warmup_epochs: 2.5, warmup_lr: 0.01, "
        "decay: step, milestones: [1.5, 3], gamma: 0.5, final_lr: 4.9e-324}\n"
        "init: {weights: w, skip: [fc., 'null', '{'], freeze: [\"a\\nb\", '1']}\n"
        "loss: {label_smoothing: 0.1}\nprecision: bf16\nseed: 18446744073709551615\n"
        "threads: 5\nlanes: 2\ntrain: {recompute: true}\nexchange: native\ncheckpoint: "
        "{every_epochs: 0, keep: "
        "8}\n"
        "metrics: {every_steps: 1}\n");
}

static void odd_texts_survive(void **state)
{
    (void)state;
    static const char long_name[] =
        "'a very long name with many words, so long that a writer which breaks lines "
        "would break this one somewhere, and with two  spaces in it'";
    static const char *const names[] = {"'true'",
                                        "'1e-4'",
                                        "' '",
                                        "\"a\\\"b\\\\c\"",
                                        "\"line\\nline\\ttab\"",
                                        "'#no: {'",
                                        "'été'",
                                        "null x",
                                        "\"\\x7f\\u0085\\u2028\\U0001F600\"",
                                        long_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "model: {name: %s}\ndata: {train: t}\n", names[i]);
        assert_round_trip(text);
    }
}

static void the_text_holds_every_key_nested(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("");
    char *text = NULL;
    assert_int_equal(recipe_text(r, &text), CONVOY_OK);
    static const char beginning[] = "model:\n  name: \"lenet\"\n  classes: 0\n";
    assert_memory_equal(text, beginning, sizeof beginning - 1);
    assert_non_null(strstr(text, "\n  mean: []\n  std: []\n  augment:\n"
                                 "    resized_crop: false\n    pad: 0\n"
                                 "    flip: false\n    brightness: 0\n"
                                 "    contrast: 0\n    saturation: 0\n    hue: 0\n"
                                 "    erasing: 0\n    trivial: false\n    mixup: 0\n"
                                 "    cutmix: 0\n    repeats: 1\n"
                                 "batch:\n  size: 256\n"));
    assert_non_null(strstr(text, "\nprecision: f32\nseed: 1\nthreads: auto\n"
                                 "lanes: auto\ntrain:\n  recompute: false\nexchange:\n "
                                 " algorithm: auto\n  bucket: "
                                 "auto\n  timeout: 300\ncheckpoint:\n"));
    assert_non_null(strstr(text, "\n  variant: \"\"\n"));
    assert_non_null(strstr(text, "\n  lr_scale: {}\n"));
    assert_non_null(strstr(text, "\ninit:\n  weights: \"\"\n  skip: []\n"));
    mem_free(text);
    convoy_recipe_destroy(r);
}

static void lists_are_written_on_one_line(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("init: {freeze: [a.b, c]}\noptimizer:\n  lr_scale:\n"
                                 "    fc.: 10\n    layer1.: 0.1\n");
    char *text = NULL;
    assert_int_equal(recipe_text(r, &text), CONVOY_OK);
    assert_non_null(strstr(text, "\n  freeze: [\"a.b\", \"c\"]\n"));
    assert_non_null(strstr(text, "\n  lr_scale: {\"fc.\": 10, \"layer1.\": 0.1}\n"));
    mem_free(text);
    convoy_recipe_destroy(r);
}

static void the_callers_locale_does_not_matter(void **state)
{
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        skip();
    assert_round_trip("model: {name: x}\ndata: {train: t}\nschedule: {lr: 0.125}\n");
    setlocale(LC_NUMERIC, "C");
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("");
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(convoy_recipe_write(r, full), CONVOY_ERROR_IO);
    fclose(full);
    convoy_recipe_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_survive),
        cmocka_unit_test(values_other_than_the_defaults_survive),
        cmocka_unit_test(odd_texts_survive),
        cmocka_unit_test(the_text_holds_every_key_nested),
        cmocka_unit_test(lists_are_written_on_one_line),
        cmocka_unit_test(the_callers_locale_does_not_matter),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
