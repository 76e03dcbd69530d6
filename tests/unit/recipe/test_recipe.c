/* Reading YAML: what loads, where errors point, overrides. */
#include "unit/recipe/recipe_support.h"

#include "optim/sgd.h"
#include "recipe/recipe_catalog.h"
#include "support/scratch.h"

static void a_minimal_recipe_has_all_defaults(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("");
    assert_string_equal(r->model.name, "lenet");
    assert_int_equal(r->model.classes, 0);
    assert_true(r->model.dropout == -1);
    assert_int_equal(r->model.activation, RECIPE_ACTIVATION_RELU);
    assert_false(r->model.batch_norm);
    assert_int_equal(r->model.width, 0);
    assert_false(r->model.zero_init_residual);
    assert_int_equal(r->model.variant, RECIPE_VARIANT_OWN);
    assert_false(r->model.pre_activation);
    assert_string_equal(r->data.train, "t.h5");
    assert_string_equal(r->data.val, "");
    assert_int_equal(r->data.crop.list[0].crop, 0);
    assert_int_equal(r->data.resize, 0);
    assert_true(r->data.shuffle);
    assert_int_equal(r->data.threads, 0);
    assert_int_equal(r->data.mean.n, 0);
    assert_int_equal(r->data.std.n, 0);
    assert_int_equal(r->data.read, RECIPE_READ_DIRECT);
    assert_int_equal(r->data.on_bad_record, RECIPE_BAD_RECORD_STOP);
    assert_int_equal(r->data.augment.resized_crop, RECIPE_RESIZED_CROP_OFF);
    assert_int_equal(r->data.augment.pad, 0);
    assert_false(r->data.augment.flip);
    assert_int_equal(r->batch.size, 256);
    assert_int_equal(r->batch.microbatch, 32);
    convoy_recipe_destroy(r);
}

static void a_minimal_recipe_trains_with_all_defaults(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("");
    const struct sgd_settings *sgd = r->optimizer.kind.settings;
    assert_string_equal(r->optimizer.kind.owner->name, "sgd");
    assert_true(sgd->momentum == 0.9);
    assert_true(r->optimizer.weight_decay == 1e-4);
    assert_false(sgd->nesterov);
    assert_true(r->optimizer.decay_norm_and_bias);
    assert_int_equal(r->optimizer.lr_scale.n, 0);
    assert_int_equal(r->schedule.epochs, 90);
    assert_true(r->schedule.lr == 0.1);
    assert_true(r->schedule.warmup_epochs == 0);
    assert_true(r->schedule.warmup_lr == 0);
    assert_int_equal(r->schedule.decay, RECIPE_DECAY_COSINE);
    assert_int_equal(r->schedule.milestones.n, 3);
    assert_true(r->schedule.milestones.values[2] == 80);
    assert_true(r->schedule.gamma == 0.1);
    assert_true(r->schedule.final_lr == 0);
    assert_true(r->loss.label_smoothing == 0);
    assert_string_equal(r->init.weights, "");
    assert_int_equal(r->init.skip.n, 0);
    assert_int_equal(r->init.freeze.n, 0);
    assert_int_equal(r->precision, RECIPE_PRECISION_F32);
    assert_int_equal(r->seed, 1);
    assert_int_equal(r->threads, 0);
    assert_int_equal(r->lanes, 0);
    assert_string_equal(r->exchange.algorithm.owner->name, "auto");
    assert_int_equal(r->checkpoint.every_epochs, 1);
    assert_int_equal(r->checkpoint.keep, 3);
    assert_int_equal(r->metrics.every_steps, 10);
    convoy_recipe_destroy(r);
}

static void nested_and_flow_sections_read_alike(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "model: {name: vgg16, classes: 10, dropout: 0.5, activation: tanh}\n"
        "data: {train: a.h5, augment: {pad: 4, flip: true}, mean: [0.5, 0.4, 0.3]}\n"
        "precision: bf16\n",
        "model:\n  name: vgg16\n  classes: 10\n  dropout: .5\n  activation: 'tanh'\n"
        "data:\n  train: \"a.h5\"\n  augment:\n    pad: 4\n    flip: true\n"
        "  mean:\n    - 0.5\n    - 4e-1\n    - 0.3\nprecision: bf16\n"};
    for (int i = 0; i < 2; i++) {
        convoy_recipe *r = NULL;
        assert_int_equal(convoy_recipe_load_text("r", texts[i], NULL, 0, &r),
                         CONVOY_OK);
        assert_string_equal(r->model.name, "vgg16");
        assert_int_equal(r->model.classes, 10);
        assert_true(r->model.dropout == 0.5);
        assert_int_equal(r->model.activation, RECIPE_ACTIVATION_TANH);
        assert_string_equal(r->data.train, "a.h5");
        assert_int_equal(r->data.augment.pad, 4);
        assert_true(r->data.augment.flip);
        assert_int_equal(r->data.mean.n, 3);
        assert_true(r->data.mean.values[1] == 0.4);
        assert_int_equal(r->precision, RECIPE_PRECISION_BF16);
        convoy_recipe_destroy(r);
    }
}

static void an_alias_stands_for_its_value(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("schedule: {lr: &lr 0.2, final_lr: *lr}\n");
    assert_true(r->schedule.final_lr == 0.2);
    convoy_recipe_destroy(r);
}

static void an_unknown_key_names_the_line_and_the_nearest_key(void **state)
{
    (void)state;
    static const struct {
        const char *more, *message;
    } cases[] = {
        {"optimizer:\n  momentun: 0.9\n",
         "r.yaml:4: key 'optimizer.momentun' is unknown; the nearest is "
         "'optimizer.momentum'; sgd has momentum, nesterov"},
        {"optimzer:\n  momentum: 0.9\n",
         "r.yaml:3: key 'optimzer.momentum' is unknown; the nearest is "
         "'optimizer.momentum'"},
        {"sead: 3\n", "r.yaml:3: key 'sead' is unknown; the nearest is 'seed'"},
        {"lr: 0.2\n", "r.yaml:3: key 'lr' is unknown; the nearest is 'schedule.lr'"},
        {"optimzer: sgd\n",
         "r.yaml:3: key 'optimzer' is unknown; the nearest is 'optimizer'"},
        {"batch: {sise: 3}\n",
         "r.yaml:3: key 'batch.sise' is unknown; the nearest is 'batch.size'"},
        {"exchange: {buckets: 3}\n",
         "r.yaml:3: key 'exchange.buckets' is unknown; the nearest is "
         "'exchange.bucket'; exchange has algorithm, bucket, timeout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refuses_with(cases[i].more, cases[i].message);
}

static void keys_of_other_programs_are_unknown(void **state)
{
    (void)state;
    static const struct {
        const char *more, *beginning;
    } cases[] = {
        {"layers: [conv, relu]\n", "r.yaml:3: key 'layers' is unknown; the nearest is"},
        {"init: {from: w.h5}\n",
         "r.yaml:3: key 'init.from' is unknown; the nearest is"},
        {"batch: {read: x}\n", "r.yaml:3: key 'batch.read' is unknown; the nearest is"},
        {"loss: {'': 1}\n", "r.yaml:3: key 'loss.' is unknown; the nearest is"},
        {"<<: {seed: 1}\n", "r.yaml:3: key '<<.seed' is unknown; the nearest is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        convoy_recipe *r = NULL;
        snprintf(text, sizeof text, "%s%s", MINIMAL, cases[i].more);
        assert_int_equal(convoy_recipe_load_text("r.yaml", text, NULL, 0, &r),
                         CONVOY_ERROR_FORMAT);
        assert_memory_equal(convoy_status_text(), cases[i].beginning,
                            strlen(cases[i].beginning));
    }
}

static void an_odd_key_is_shown_on_one_line_and_cut(void **state)
{
    (void)state;
    char text[1024], key[300];
    convoy_recipe *r = NULL;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    snprintf(text, sizeof text, "%s\"a\\n%s\": 1\n", MINIMAL, key);
    assert_int_equal(convoy_recipe_load_text("r.yaml", text, NULL, 0, &r),
                     CONVOY_ERROR_FORMAT);
    assert_memory_equal(convoy_status_text(), "r.yaml:3: key 'a?kkkk", 21);
    assert_non_null(strstr(convoy_status_text(), "k...' is unknown"));
    assert_null(strchr(convoy_status_text(), '\n'));
}

static void a_repeated_key_names_both_lines(void **state)
{
    (void)state;
    assert_refuses_with("batch:\n  size: 32\n  microbatch: 8\n  size: 64\n",
                        "r.yaml:6: key 'size' is there twice; the first is on line 4");
    assert_refuses_with("batch: {size: 32}\nbatch: {microbatch: 8}\n",
                        "r.yaml:4: key 'batch' is there twice; the first is on line 3");
}

static void a_key_with_a_dot_is_refused(void **state)
{
    (void)state;
    assert_refuses_with("batch.size: 32\n",
                        "r.yaml:3: key 'batch.size' holds a dot; write one section in "
                        "the other");
}

static void a_missing_required_key_is_named(void **state)
{
    (void)state;
    assert_refuses("data: {train: t.h5}\n", "r.yaml: key 'model.name' is missing; name "
                                            "a model, or list the layers of a net "
                                            "of your own below 'network'");
    assert_refuses(
        "model: {name: lenet}\n",
        "r.yaml: key 'data.train' is missing and has no default; add it (pack "
        "to train on)");
    convoy_recipe *r = NULL;
    assert_int_equal(convoy_recipe_load_text(
                         "r", "model: {name: lenet}\ndata: {train: ''}\n", NULL, 0, &r),
                     CONVOY_OK);
    assert_string_equal(r->data.train, "");
    convoy_recipe_destroy(r);
    assert_refuses(
        "model: {name: ''}\ndata: {train: t.h5}\n",
        "r.yaml:1: key 'model.name' is missing; name a model, or list the layers of a "
        "net of your own below 'network'");
}

static void a_file_without_a_recipe_is_refused(void **state)
{
    (void)state;
    const char *empty = "r.yaml: is empty, expected at least model.name and data.train";
    assert_refuses("", empty);
    assert_refuses("# nothing\n\n", empty);
    assert_refuses("\n- a\n- b\n", "r.yaml:2: holds a list, expected sections of keys");
    assert_refuses("\n\nhello\n", "r.yaml:3: holds a text, expected sections of keys");
    assert_refuses("model: {name: lenet}\n---\nseed: 2\n",
                   "r.yaml:2: a second YAML document begins, expected one");
}

static void text_that_is_no_yaml_names_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *beginning;
    } cases[] = {
        {"model: {name: lenet\n", "r.yaml:2: not YAML: "},
        {"model:\n  name: lenet\n\tdata: 1\n", "r.yaml:3: not YAML: "},
        {"seed: 1\nx: *none\n", "r.yaml:2: not YAML: "},
        {"seed: 1\nx: \"\xff\"\n", "r.yaml:2: not YAML: "},
        {"\x01", "r.yaml:1: not YAML: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        convoy_recipe *r = NULL;
        assert_int_equal(convoy_recipe_load_text("r.yaml", cases[i].text, NULL, 0, &r),
                         CONVOY_ERROR_FORMAT);
        assert_memory_equal(convoy_status_text(), cases[i].beginning,
                            strlen(cases[i].beginning));
    }
}

static void a_section_needs_keys(void **state)
{
    (void)state;
    assert_refuses("model: lenet\n",
                   "r.yaml:1: key 'model' is a section, expected keys below it");
    assert_refuses_with("batch:\n",
                        "r.yaml:3: key 'batch' is a section, expected keys below it");
    assert_refuses_with(
        "? [a, b]\n: 1\n",
        "r.yaml:3: a list or a section stands as a key, expected a name");
}

static void a_section_that_holds_itself_ends(void **state)
{
    (void)state;
    assert_refuses("model: &m {name: lenet, model: *m}\n",
                   "r.yaml:1: key 'model.model.name' is unknown; the nearest is "
                   "'model.name'");
}

static void overrides_replace_what_the_file_says(void **state)
{
    (void)state;
    static const char *const overrides[] = {
        "batch.size=64",          "schedule.lr=1e-3",
        "data.train=/tmp/a b.h5", "data.mean=[0.5]",
        "data.augment.flip=true", "schedule.lr=2e-3",
        "schedule.milestones=[]", "data.val=",
        "model.name='x=y'"};
    convoy_recipe *r = NULL;
    const char *text = "model: {name: lenet}\ndata: {train: t.h5, val: v.h5}\n"
                       "batch: {size: 32}\n";
    int n = (int)(sizeof overrides / sizeof overrides[0]);
    assert_int_equal(convoy_recipe_load_text("r", text, overrides, n, &r), CONVOY_OK);
    assert_int_equal(r->batch.size, 64);
    assert_true(r->schedule.lr == 2e-3);
    assert_string_equal(r->data.train, "/tmp/a b.h5");
    assert_int_equal(r->data.mean.n, 1);
    assert_true(r->data.augment.flip);
    assert_int_equal(r->schedule.milestones.n, 0);
    assert_string_equal(r->data.val, "");
    assert_string_equal(r->model.name, "x=y");
    convoy_recipe_destroy(r);
}

static void an_override_keeps_what_yaml_takes_for_a_comment(void **state)
{
    (void)state;
    static const char *const overrides[] = {"data.train=dir #1/x.h5", "data.val=#é #/v",
                                            "init.weights='w.h5' "};
    convoy_recipe *r = NULL;
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, overrides, 3, &r),
                     CONVOY_OK);
    assert_string_equal(r->data.train, "dir #1/x.h5");
    assert_string_equal(r->data.val, "#é #/v");
    assert_string_equal(r->init.weights, "w.h5");
    convoy_recipe_destroy(r);
    r = load_with("seed: 7 # a recipe may have comments\n");
    assert_int_equal(r->seed, 7);
    convoy_recipe_destroy(r);
    assert_refuses_set("seed=3 #4",
                       "--set seed=3 #4: what stands behind # is a comment "
                       "in YAML; remove it");
    assert_refuses_set(
        "data.mean=[0.5] # grey",
        "--set data.mean=[0.5] # grey: what stands behind # is a comment "
        "in YAML; remove it");
    assert_refuses_set("data.train='a' #b",
                       "--set data.train='a' #b: what stands behind # is a comment in "
                       "YAML; remove it");
}

static void an_override_can_give_a_required_key(void **state)
{
    (void)state;
    const char *const overrides[] = {"data.train=t.h5"};
    convoy_recipe *r = NULL;
    assert_int_equal(
        convoy_recipe_load_text("r", "model: {name: lenet}\n", overrides, 1, &r),
        CONVOY_OK);
    assert_string_equal(r->data.train, "t.h5");
    convoy_recipe_destroy(r);
}

static void errors_of_overrides_name_the_override(void **state)
{
    (void)state;
    static const struct {
        const char *override, *message;
    } cases[] = {
        {"optimzer.momentum=0.9",
         "--set optimzer.momentum=0.9: key 'optimzer.momentum' "
         "is unknown; the nearest is 'optimizer.momentum'"},
        {"seed", "--set seed: expected key.path=value, such as schedule.lr=0.2"},
        {"=3", "--set =3: expected key.path=value, such as schedule.lr=0.2"},
        {"batch={size: 3}",
         "--set batch={size: 3}: key 'batch' is a section; set one of its keys"},
        {"seed=",
         "--set seed=: key 'seed' is without a value, expected an integer from "
         "0 to 18446744073709551615"},
        {"model.name=",
         "--set model.name=: key 'model.name' is missing; name a model, or list the "
         "layers of a net of your own below 'network'"},
        {"network=[relu]",
         "--set network=[relu]: key 'network' cannot be set on the command line; write "
         "the list of layers in a recipe"},
        {"data.val={a: b}",
         "--set data.val={a: b}: key 'data.val' is a section of keys, "
         "expected text"},
        {"batch.size=100",
         "--set batch.size=100: key 'batch.size' does not fit: batch.size 100 is no "
         "multiple of batch.microbatch 32; take a batch.size of 96 or another "
         "batch.microbatch"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refuses_set(cases[i].override, cases[i].message);
    convoy_recipe *r = NULL;
    const char *const broken[] = {"data.mean=[0.5"};
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, broken, 1, &r),
                     CONVOY_ERROR_FORMAT);
    assert_non_null(
        strstr(convoy_status_text(), "--set data.mean=[0.5: the value is not YAML: "));
}

static void a_recipe_loads_from_a_file(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH];
    assert_int_equal(scratch_make(folder), 0);
    const char *path = scratch_path(folder, "r.yaml");
    assert_int_equal(scratch_write(path, MINIMAL, strlen(MINIMAL)), 0);
    convoy_recipe *r = NULL;
    assert_int_equal(convoy_recipe_load(path, NULL, 0, &r), CONVOY_OK);
    assert_string_equal(r->model.name, "lenet");
    convoy_recipe_destroy(r);
    assert_int_equal(scratch_remove(folder), 0);
}

static void a_file_that_is_no_recipe_is_named(void **state)
{
    (void)state;
    char folder[SCRATCH_PATH];
    assert_int_equal(scratch_make(folder), 0);
    convoy_recipe *r = NULL;
    const char *path = scratch_path(folder, "none.yaml");
    assert_int_equal(convoy_recipe_load(path, NULL, 0, &r), CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "none.yaml: cannot open: No such"));
    assert_int_equal(convoy_recipe_load(folder, NULL, 0, &r), CONVOY_ERROR_FORMAT);
    path = scratch_path(folder, "zeros.yaml");
    char *zeros = calloc(1, (1 << 20) + 1);
    assert_non_null(zeros);
    assert_int_equal(scratch_write(path, zeros, 100), 0);
    assert_int_equal(convoy_recipe_load(path, NULL, 0, &r), CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), "it holds null bytes"));
    assert_int_equal(scratch_write(path, zeros, (1 << 20) + 1), 0);
    assert_int_equal(convoy_recipe_load(path, NULL, 0, &r), CONVOY_ERROR_FORMAT);
    assert_non_null(strstr(convoy_status_text(), "it has 1048577 bytes"));
    assert_null(r);
    free(zeros);
    assert_int_equal(scratch_remove(folder), 0);
}

static void destroy_takes_null(void **state)
{
    (void)state;
    convoy_recipe_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_recipe_has_all_defaults),
        cmocka_unit_test(a_minimal_recipe_trains_with_all_defaults),
        cmocka_unit_test(nested_and_flow_sections_read_alike),
        cmocka_unit_test(an_alias_stands_for_its_value),
        cmocka_unit_test(an_unknown_key_names_the_line_and_the_nearest_key),
        cmocka_unit_test(keys_of_other_programs_are_unknown),
        cmocka_unit_test(an_odd_key_is_shown_on_one_line_and_cut),
        cmocka_unit_test(a_repeated_key_names_both_lines),
        cmocka_unit_test(a_key_with_a_dot_is_refused),
        cmocka_unit_test(a_missing_required_key_is_named),
        cmocka_unit_test(a_file_without_a_recipe_is_refused),
        cmocka_unit_test(text_that_is_no_yaml_names_the_line),
        cmocka_unit_test(a_section_needs_keys),
        cmocka_unit_test(a_section_that_holds_itself_ends),
        cmocka_unit_test(overrides_replace_what_the_file_says),
        cmocka_unit_test(an_override_keeps_what_yaml_takes_for_a_comment),
        cmocka_unit_test(an_override_can_give_a_required_key),
        cmocka_unit_test(errors_of_overrides_name_the_override),
        cmocka_unit_test(a_recipe_loads_from_a_file),
        cmocka_unit_test(a_file_that_is_no_recipe_is_named),
        cmocka_unit_test(destroy_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
