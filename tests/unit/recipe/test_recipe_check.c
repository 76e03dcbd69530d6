/* Rules between keys, and rejecting a value later. */
#include "unit/recipe/recipe_support.h"

static void contradictions_name_the_keys_and_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *more, *message;
    } cases[] = {
        {"batch: {microbatch: 48}\n",
         "r.yaml:3: key 'batch.microbatch' does not fit: batch.size 256 is no multiple "
         "of "
         "batch.microbatch 48; take a batch.size of 240 or another batch.microbatch"},
        {"batch:\n  microbatch: 48\n  size: 100\n",
         "r.yaml:5: key 'batch.size' does not fit: batch.size 100 is no multiple of "
         "batch.microbatch 48; take a batch.size of 96 or another batch.microbatch"},
        {"batch: {size: 8}\n",
         "r.yaml:3: key 'batch.size' does not fit: batch.size 8 is less than "
         "batch.microbatch 32; lower batch.microbatch to 8"},
        {"optimizer: {momentum: 0, nesterov: true}\n",
         "r.yaml:3: key 'optimizer.nesterov' is true, which needs momentum, but "
         "optimizer.momentum is 0; set one of the two"},
        {"schedule: {epochs: 3, warmup_epochs: 5}\n",
         "r.yaml:3: key 'schedule.warmup_epochs' does not fit: schedule.warmup_epochs "
         "5 "
         "is more than schedule.epochs 3; shorten the warmup, or train longer"},
        {"schedule: {milestones: [30, 30]}\n",
         "r.yaml:3: key 'schedule.milestones' has 30 after 30, expected ascending "
         "epochs"},
        {"schedule: {decay: one_cycle}\n",
         "r.yaml: key 'schedule.warmup_epochs' is 0, but schedule.decay one_cycle "
         "begins "
         "with a rise of so many epochs; set it, to 0.3 of schedule.epochs perhaps, or "
         "take another decay"},
        {"schedule: {decay: one_cycle, warmup_epochs: 9, base_momentum: 0.96}\n",
         "r.yaml:3: key 'schedule.base_momentum' does not fit: schedule.base_momentum "
         "0.96 is more than schedule.max_momentum 0.95"},
        {"schedule: {warmup_momentum: 0.5}\n",
         "r.yaml:3: key 'schedule.warmup_momentum' is 0.5, but there is no warmup; set "
         "schedule.warmup_epochs, or leave it out"},
        {"schedule: {decay: one_cycle, warmup_epochs: 9, warmup_momentum: 0}\n",
         "r.yaml:3: key 'schedule.warmup_momentum' is 0, but schedule.decay one_cycle "
         "has a momentum of its own; leave it out, or set schedule.cycle_momentum to "
         "false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refuses_with(cases[i].more, cases[i].message);
}

static void data_contradictions_name_the_keys_and_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *message;
    } cases[] = {
        {"  mean: [0.5, 0.5]\n",
         "r.yaml:4: key 'data.mean' has 2 numbers, expected one a channel: 1 or 3 (or "
         "none)"},
        {"  std: [1, 1, 1, 1]\n",
         "r.yaml:4: key 'data.std' has 4 numbers, expected one a channel: 1 or 3 (or "
         "none)"},
        {"  mean: [0.5]\n  std: [1, 1, 1]\n",
         "r.yaml:4: key 'data.mean' has another number of channels, 1, than data.std, "
         "3"},
        {"  crop: 224\n  resize: 200\n",
         "r.yaml:5: key 'data.resize' does not fit: data.resize 200 is less than "
         "data.crop 224; set data.resize to at least 224, or lower data.crop"},
        {"  crop: 32\n  resize: 27\n  augment: {pad: 2}\n",
         "r.yaml:5: key 'data.resize' does not fit: data.resize 27 is less than "
         "data.crop 32; set data.resize to at least 28, or lower data.crop"},
        {"  augment: {resized_crop: true, pad: 4}\n",
         "r.yaml:4: key 'data.augment.pad' is 4, but data.augment.resized_crop is "
         "on: both choose the crop; set one of the two"},
        {"  augment: {mixup: 0.2}\nbatch: {size: 8, microbatch: 1}\n",
         "r.yaml:5: key 'batch.microbatch' does not fit: data.augment.mixup mixes the "
         "samples of a microbatch, and batch.microbatch is 1; take a batch.microbatch "
         "of 2 or more, or set data.augment.mixup to 0"},
        {"  augment: {cutmix: 1}\nbatch: {size: 8, microbatch: 1}\n",
         "r.yaml:5: key 'batch.microbatch' does not fit: data.augment.cutmix mixes the "
         "samples of a microbatch, and batch.microbatch is 1; take a batch.microbatch "
         "of 2 or more, or set data.augment.cutmix to 0"},
        {"  augment: {repeats: 3}\n",
         "r.yaml:4: key 'data.augment.repeats' does not fit: batch.size 256 is no "
         "multiple of data.augment.repeats 3; take a divisor of batch.size, or 1"},
        {"  augment: {repeats: 8, flip: true}\nbatch: {size: 8, microbatch: 2}\n",
         "r.yaml:4: key 'data.augment.repeats' does not fit: data.augment.repeats 8 "
         "leaves one record to a batch.size of 8; take a smaller divisor of "
         "batch.size, 4 is usual"},
        {"  augment: {repeats: 4}\n",
         "r.yaml:4: key 'data.augment.repeats' is 4, but nothing in data.augment is "
         "random: all samples of a record would be the same; switch flip, resized_crop "
         "or trivial on, or take 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "model: {name: lenet}\ndata:\n  train: t.h5\n%s",
                 cases[i].keys);
        assert_refuses(text, cases[i].message);
    }
}

static void skipping_needs_weights_and_freezing_does_not(void **state)
{
    (void)state;
    assert_refuses_with(
        "init: {skip: [fc.]}\n",
        "r.yaml:3: key 'init.skip' says what not to take from a file of "
        "weights, but init.weights names none; set it or remove "
        "init.skip");
    convoy_recipe_destroy(load_with("init: {skip: [fc.], weights: w.h5}\n"));
    convoy_recipe_destroy(load_with("init: {freeze: [conv1.]}\n"));
    convoy_recipe_destroy(load_with("init: {skip: []}\n"));
}

static void neighbouring_values_that_fit_are_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "batch: {size: 32}\n",
        "optimizer: {momentum: 0}\n",
        "optimizer: {momentum: 0.1, nesterov: true}\n",
        "schedule: {epochs: 3, warmup_epochs: 3}\n",
        "schedule: {milestones: []}\n",
        "schedule: {milestones: [0.5, 200]}\n",
        "schedule: {decay: step, epochs: 20}\n", /* the trainer's to refuse */
        "schedule: {decay: one_cycle, warmup_epochs: 9, base_momentum: 0.95}\n",
        "schedule: {decay: one_cycle, warmup_epochs: 9}\noptimizer: {name: adamw}\n",
        "schedule: {decay: one_cycle, warmup_epochs: 9, cycle_momentum: false}\n",
        "schedule: {decay: linear, warmup_epochs: 9, warmup_momentum: 0.95}\n",
    };
    static const char *const padded[] = {"data.crop=32", "data.resize=28",
                                         "data.augment.pad=2"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        convoy_recipe_destroy(load_with(texts[i]));
    convoy_recipe *r = NULL;
    const char *const sets[] = {"data.crop=224", "data.resize=224", "data.mean=[0.5]",
                                "data.augment.pad=4"};
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, sets, 4, &r), CONVOY_OK);
    convoy_recipe_destroy(r);
    assert_int_equal(convoy_recipe_load_text("r", MINIMAL, padded, 3, &r), CONVOY_OK);
    convoy_recipe_destroy(r);
}

static void a_later_rejection_points_at_the_key(void **state)
{
    (void)state;
    convoy_recipe *r = load_with("");
    assert_int_equal(recipe_reject(r, "model.name", "is '%s'", r->model.name),
                     CONVOY_ERROR_FORMAT);
    assert_string_equal(convoy_status_text(), "r.yaml:1: key 'model.name' is 'lenet'");
    recipe_reject(r, "data.crop", "is too large");
    assert_string_equal(convoy_status_text(), "r.yaml: key 'data.crop' is too large");
    convoy_recipe_destroy(r);
    r = load_set("data.crop=7");
    recipe_reject(r, "data.crop", "is too small");
    assert_string_equal(convoy_status_text(),
                        "--set data.crop=7: key 'data.crop' is too small");
    convoy_recipe_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contradictions_name_the_keys_and_the_line),
        cmocka_unit_test(data_contradictions_name_the_keys_and_the_line),
        cmocka_unit_test(skipping_needs_weights_and_freezing_does_not),
        cmocka_unit_test(neighbouring_values_that_fit_are_taken),
        cmocka_unit_test(a_later_rejection_points_at_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
