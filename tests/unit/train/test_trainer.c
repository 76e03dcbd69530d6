/* The public trainer: a loop of one's own gives a run's weights, goes on where it was
 * saved, and refuses what would not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/trainer.h>
#include <convoy/weights.h>

#include "support/idx_file.h"

#include <string.h>

enum { N = 96, N_STEPS = 8 }; /* two epochs of four steps */

static char folder[SCRATCH_PATH];
static convoy_world *world;

static int make(void **state)
{
    (void)state;
    if (scratch_make(folder) != 0 || idx_write_set(folder, N, 28, 28, 10) != 0 ||
        convoy_world_create(&world) != CONVOY_OK)
        return 1;
    return convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                              scratch_path(folder, "p.h5"), NULL) != CONVOY_OK;
}

static int clear(void **state)
{
    (void)state;
    convoy_world_destroy(world);
    return scratch_remove(folder);
}

static void assert_ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void assert_fails(convoy_status found, const char *text)
{
    if (found == CONVOY_OK || !strstr(convoy_status_text(), text))
        fail_msg("status %d, or no '%s' in '%s'", found, text, convoy_status_text());
}

/* val: whether it has validation data; sets: up to n overrides, or NULL from one on. */
static convoy_recipe *load_with(bool val, const char *const *sets, int n)
{
    char text[2 * SCRATCH_PATH + 512];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text,
             "model: {name: mlp, width: 16}\n"
             "data: {train: %s/p.h5, val: '%s%s', mean: [0.3], std: [0.3],\n"
             "       augment: {flip: true}}\n"
             "batch: {size: 24, microbatch: 8}\n"
             "schedule: {epochs: 2, lr: 0.05}\n"
             "threads: 1\n",
             folder, val ? folder : "", val ? "/p.h5" : "");
    for (int i = 0; i < n; i++)
        n = sets[i] ? n : i;
    assert_ok(convoy_recipe_load_text("test", text, sets, n, &recipe));
    return recipe;
}

static convoy_recipe *load(bool val, const char *set)
{
    return load_with(val, &set, 1);
}

static convoy_trainer *create(convoy_recipe *recipe)
{
    convoy_trainer *trainer = NULL;
    assert_ok(convoy_trainer_create(world, recipe, NULL, &trainer));
    return trainer;
}

static void step(convoy_trainer *trainer, int n)
{
    convoy_step_result result;
    for (int i = 0; i < n; i++)
        assert_ok(convoy_trainer_step(trainer, false, &result));
}

/* The hash of trainer's weights, saved under name. */
static const char *hash_of(convoy_trainer *trainer, const char *name)
{
    static char hex[2][33];
    static int turn;
    turn = !turn;
    assert_ok(convoy_trainer_save(trainer, scratch_path(folder, name)));
    assert_ok(convoy_weights_hash(scratch_path(folder, name), false, hex[turn]));
    return hex[turn];
}

static void a_loop_of_ones_own_gives_the_weights_of_a_run(void **state)
{
    (void)state;
    char run[33], out[SCRATCH_PATH], weights[SCRATCH_PATH + 64];
    convoy_recipe *recipe = load(true, NULL), *same = load(true, NULL);
    snprintf(out, sizeof out, "%s", scratch_path(folder, "run"));
    const convoy_train_options options = {.out = out};
    assert_ok(convoy_train_run(world, recipe, &options));
    snprintf(weights, sizeof weights, "%s/checkpoints/step-00000008.h5", out);
    assert_ok(convoy_weights_hash(weights, false, run));
    convoy_trainer *trainer = create(same);
    for (int i = 0; i < N_STEPS; i++) {
        convoy_eval_result eval;
        step(trainer, 1);
        if (i % 3 == 0) /* evaluating leaves no trace */
            assert_ok(convoy_trainer_evaluate(trainer, NULL, NULL, &eval));
    }
    assert_string_equal(hash_of(trainer, "own.h5"), run);
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
    convoy_recipe_destroy(same);
}

static void figures_are_told(void **state)
{
    (void)state;
    convoy_recipe *recipe = load(true, NULL);
    convoy_trainer *trainer = create(recipe);
    convoy_trainer_info info;
    convoy_step_result result = {.loss = -1};
    convoy_eval_result eval = {.loss = -1};
    convoy_trainer_describe(trainer, &info);
    assert_int_equal(info.step, 0);
    assert_int_equal(info.steps_per_epoch, 4);
    assert_int_equal(info.total_steps, N_STEPS);
    assert_int_equal(info.microbatch, 8);
    assert_int_equal(info.n_microbatches, 3);
    assert_int_equal(info.threads, 1);
    assert_int_equal(info.classes, 10);
    assert_int_equal(info.shape[0], 1);
    assert_int_equal(info.shape[2], 28);
    assert_true(info.n_params > 12544);
    step(trainer, 4);
    assert_ok(convoy_trainer_step(trainer, true, &result));
    assert_true(result.stop);
    assert_int_equal(result.n_samples, 24);
    assert_int_equal(result.n_skipped, 0);
    assert_true(result.loss > 0 && result.lr > 0 && result.top1 >= 0);
    assert_true(result.seconds.compute > 0 && result.seconds.waited >= 0);
    convoy_trainer_describe(trainer, &info);
    assert_int_equal(info.step, 5);
    assert_int_equal(info.epoch, 1);
    assert_ok(convoy_trainer_evaluate(trainer, NULL, NULL, &eval));
    assert_int_equal(eval.n_samples, N);
    assert_true(eval.loss > 0);
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
}

static void training_goes_on_where_it_was_saved(void **state)
{
    (void)state;
    convoy_recipe *recipe = load(false, NULL), *other = load(false, NULL);
    const convoy_trainer_options options = {.goes_on = true};
    convoy_trainer *trainer = create(recipe), *second = NULL;
    step(trainer, 3);
    assert_ok(convoy_trainer_save(trainer, scratch_path(folder, "three.h5")));
    step(trainer, 5);
    char whole[33];
    snprintf(whole, sizeof whole, "%s", hash_of(trainer, "eight.h5"));
    assert_ok(convoy_trainer_create(world, other, &options, &second));
    assert_ok(convoy_trainer_load(second, scratch_path(folder, "three.h5"), false));
    step(second, 5);
    assert_string_equal(hash_of(second, "again.h5"), whole);
    /* Back in the same trainer, whose loader was further on. */
    assert_ok(convoy_trainer_load(trainer, scratch_path(folder, "three.h5"), false));
    step(trainer, 5);
    assert_string_equal(hash_of(trainer, "back.h5"), whole);
    convoy_trainer_destroy(trainer);
    convoy_trainer_destroy(second);
    convoy_recipe_destroy(recipe);
    convoy_recipe_destroy(other);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    convoy_recipe *recipe = load(false, NULL), *other = load(false, "schedule.lr=0.04");
    convoy_trainer *trainer = create(recipe), *second = create(other);
    convoy_step_result result = {.loss = -1};
    convoy_eval_result eval;
    const convoy_status none = convoy_trainer_evaluate(trainer, NULL, NULL, &eval);
    assert_int_equal(none, CONVOY_ERROR_ARGUMENT);
    assert_fails(none, "data.val");
    step(trainer, N_STEPS);
    assert_fails(convoy_trainer_step(trainer, false, &result),
                 "all 8 steps of the schedule are done");
    assert_true(result.loss < 0);
    assert_ok(convoy_trainer_save(trainer, scratch_path(folder, "all.h5")));
    assert_fails(convoy_trainer_load(second, scratch_path(folder, "all.h5"), false),
                 "lr");
    assert_ok(convoy_trainer_load(second, scratch_path(folder, "all.h5"), true));
    assert_fails(convoy_trainer_load(second, scratch_path(folder, "none.h5"), true),
                 "none.h5");
    convoy_trainer_destroy(trainer);
    convoy_trainer_destroy(second);
    convoy_trainer_destroy(NULL);
    convoy_recipe_destroy(recipe);
    convoy_recipe_destroy(other);
}

/* But a training that is gone on with may have them: its rates are what they were. */
static void milestones_beyond_the_last_epoch_are_refused(void **state)
{
    (void)state;
    const convoy_trainer_options goes_on = {.goes_on = true};
    convoy_trainer *trainer = NULL;
    convoy_recipe *recipe = load(false, "schedule.decay=step");
    assert_fails(convoy_trainer_create(world, recipe, NULL, &trainer),
                 "test: key 'schedule.milestones' has 30, but the last of "
                 "schedule.epochs 2 ends at 2: the learning rate would never fall "
                 "there; leave it out, or train longer");
    assert_null(trainer);
    assert_ok(convoy_trainer_create(world, recipe, &goes_on, &trainer));
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
}

/* An epoch has four steps. */
static void schedules_that_go_backwards_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *sets[3], *message;
    } cases[] = {
        {{"schedule.decay=step", "schedule.milestones=[1.9]"},
         "key 'schedule.milestones' has 1.9, but the last"},
        {{"schedule.decay=step", "schedule.milestones=[0.5]",
          "schedule.warmup_epochs=1"},
         "key 'schedule.milestones' has 0.5, but the warmup of "
         "schedule.warmup_epochs 1 has to be over before the learning rate falls; take "
         "a later milestone, or a shorter warmup"},
        {{"schedule.decay=step", "schedule.milestones=[1]", "schedule.warmup_epochs=1"},
         "has 1, but the warmup"},
        {{"schedule.warmup_epochs=1", "schedule.warmup_lr=0.06"},
         "'schedule.warmup_lr' does not fit: schedule.warmup_lr 0.06 is more than "
         "schedule.lr 0.05, to which the warmup rises; lower schedule.warmup_lr"},
        {{"schedule.decay=linear", "schedule.final_lr=0.1"},
         "'schedule.final_lr' does not fit: schedule.final_lr 0.1 is more than "
         "schedule.lr 0.05, from which the rate falls; lower schedule.final_lr"},
        {{"schedule.warmup_epochs=1", "schedule.warmup_momentum=0.95"},
         "key 'schedule.warmup_momentum' is 0.95, more than the optimizer's 0.9, to "
         "which the warmup rises; lower it, or leave it out"},
        {{"schedule.warmup_epochs=1", "schedule.warmup_momentum=0.5",
          "optimizer.momentum=0"},
         "key 'schedule.warmup_momentum' is 0.5, more than the optimizer's 0"},
        {{"optimizer.name=adamw", "optimizer.weight_decay=20"},
         "key 'optimizer.weight_decay' does not fit: adamw takes schedule.lr times "
         "optimizer.weight_decay, 1 here, of the weights away in each step; lower "
         "optimizer.weight_decay to well below 20"},
        {{"optimizer.name=adamw", "optimizer.weight_decay=19"}, NULL},
        {{"optimizer.name=lamb", "optimizer.weight_decay=20"}, NULL},
        {{"schedule.decay=step", "schedule.milestones=[1.5]",
          "schedule.warmup_epochs=1"},
         NULL},
        {{"schedule.warmup_lr=0.06", "schedule.decay=step", "schedule.milestones=[1]"},
         NULL}, /* there is no warmup */
        {{"schedule.warmup_epochs=1", "schedule.warmup_lr=0.05",
          "schedule.final_lr=0.05"},
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        convoy_trainer *trainer = NULL;
        convoy_recipe *recipe = load_with(false, cases[i].sets, 3);
        const convoy_status made = convoy_trainer_create(world, recipe, NULL, &trainer);
        if (cases[i].message)
            assert_fails(made, cases[i].message);
        else
            assert_ok(made);
        convoy_trainer_destroy(trainer);
        convoy_recipe_destroy(recipe);
    }
}

/* Images as large as no float is. */
static void a_step_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    convoy_recipe *recipe = load(false, "data.std=[1e-40]");
    convoy_trainer *trainer = create(recipe);
    convoy_trainer_info info;
    convoy_step_result result = {.loss = -1};
    char first[33];
    snprintf(first, sizeof first, "%s", hash_of(trainer, "first.h5"));
    for (int i = 0; i < 2; i++) { /* the same step again */
        assert_fails(convoy_trainer_step(trainer, false, &result),
                     "at step 1: the image itself");
        assert_true(result.loss < 0);
        convoy_trainer_describe(trainer, &info);
        assert_int_equal(info.step, 0);
        assert_string_equal(hash_of(trainer, "same.h5"), first);
    }
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
}

static void a_step_can_be_left_out(void **state)
{
    (void)state;
    static const char *const set[] = {"data.std=[1e-40]", "guard.on_nonfinite=skip"};
    char text[SCRATCH_PATH + 256];
    convoy_recipe *recipe = NULL;
    snprintf(text, sizeof text,
             "model: {name: mlp, width: 16}\n"
             "data: {train: %s/p.h5, mean: [0.3]}\n"
             "batch: {size: 24, microbatch: 8}\n"
             "schedule: {epochs: 9}\n",
             folder);
    assert_ok(convoy_recipe_load_text("test", text, set, 2, &recipe));
    convoy_trainer *trainer = create(recipe);
    convoy_trainer_info info;
    convoy_step_result result = {0};
    char first[33];
    snprintf(first, sizeof first, "%s", hash_of(trainer, "first.h5"));
    for (int i = 0; i < 20; i++) {
        assert_ok(convoy_trainer_step(trainer, false, &result));
        assert_non_null(result.left_out);
        /* Why is looked for now and then only. */
        assert_int_equal(strstr(result.left_out, "the image itself") != NULL, i < 10);
        assert_non_null(strstr(result.left_out, "the step is left out"));
    }
    assert_string_equal(hash_of(trainer, "same.h5"), first);
    assert_fails(convoy_trainer_step(trainer, false, &result),
                 "the 20 steps before it were left out");
    convoy_trainer_describe(trainer, &info);
    assert_int_equal(info.step, 20);
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
}

static void open_packs_are_taken(void **state)
{
    (void)state;
    convoy_pack *pack = NULL;
    convoy_trainer *trainer = NULL;
    convoy_eval_result eval;
    convoy_recipe *recipe = load(false, "data.train=''");
    assert_ok(convoy_pack_open(scratch_path(folder, "p.h5"), &pack));
    assert_fails(convoy_trainer_create(world, recipe, NULL, &trainer), "data.train");
    assert_null(trainer);
    const convoy_trainer_options options = {.train = pack, .val = pack};
    assert_ok(convoy_trainer_create(world, recipe, &options, &trainer));
    step(trainer, 1);
    assert_ok(convoy_trainer_evaluate(trainer, NULL, NULL, &eval));
    convoy_trainer_destroy(trainer);
    assert_int_equal(convoy_pack_describe(pack)->n_records, N);
    convoy_pack_close(pack);
    convoy_recipe_destroy(recipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_of_ones_own_gives_the_weights_of_a_run),
        cmocka_unit_test(figures_are_told),
        cmocka_unit_test(training_goes_on_where_it_was_saved),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(milestones_beyond_the_last_epoch_are_refused),
        cmocka_unit_test(schedules_that_go_backwards_are_refused),
        cmocka_unit_test(a_step_that_is_not_finite_changes_nothing),
        cmocka_unit_test(a_step_can_be_left_out),
        cmocka_unit_test(open_packs_are_taken),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
