/* A snapshot is of its step, whatever the trainer does before it is written, and holds
 * what convoy_trainer_save would have written then. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/weights.h>

#include "support/idx_file.h"
#include "train/snapshot.h"

static char folder[SCRATCH_PATH];
static convoy_world *world;
static convoy_recipe *recipe;
static convoy_trainer *trainer;

static void assert_ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static int make(void **state)
{
    (void)state;
    char text[2 * SCRATCH_PATH + 512];
    if (scratch_make(folder) != 0 || idx_write_set(folder, 96, 28, 28, 10) != 0)
        return 1;
    assert_ok(convoy_world_create(&world));
    assert_ok(convoy_pack_create(scratch_path(folder, "train-images-idx3-ubyte"),
                                 scratch_path(folder, "p.h5"), NULL));
    snprintf(text, sizeof text,
             "model: {name: lenet, batch_norm: true, width: 4}\n"
             "data: {train: %s/p.h5, val: %s/p.h5, mean: [0.3], std: [0.3]}\n"
             "batch: {size: 24, microbatch: 8}\n"
             "schedule: {epochs: 2, lr: 0.05}\n"
             "ema: {decay: 0.99, every_steps: 1}\n"
             "lanes: 2\n",
             folder, folder);
    const convoy_trainer_options options = {.oversubscribe = true};
    assert_ok(convoy_recipe_load_text("test", text, NULL, 0, &recipe));
    assert_ok(convoy_trainer_create(world, recipe, &options, &trainer));
    return 0;
}

static int clear(void **state)
{
    (void)state;
    convoy_trainer_destroy(trainer);
    convoy_recipe_destroy(recipe);
    convoy_world_destroy(world);
    return scratch_remove(folder);
}

static void step(void)
{
    convoy_step_result result;
    assert_ok(convoy_trainer_step(trainer, false, &result));
}

/* The hash of all that the file holds. */
static void content_hash(const char *path, char hex[33])
{
    struct checkpoint *checkpoint = NULL;
    assert_ok(checkpoint_open(path, &checkpoint));
    snprintf(hex, 33, "%s", checkpoint_content_hash(checkpoint));
    checkpoint_close(checkpoint);
}

static void steps_after_it_change_nothing(void **state)
{
    (void)state;
    const char *saved = scratch_path(folder, "saved.h5");
    const char *written = scratch_path(folder, "written.h5");
    char expected[33], found[33], weights[33];
    struct snapshot *snapshot = NULL;
    assert_ok(snapshot_create(trainer, &snapshot));
    assert_false(snapshot_is_of(snapshot, 0));
    for (uint64_t turn = 0; turn < 2; turn++) {
        step();
        assert_ok(snapshot_take(snapshot, trainer));
        assert_ok(convoy_trainer_save(trainer, saved));
        step();
        assert_true(snapshot_is_of(snapshot, 2 * turn + 1));
        assert_false(snapshot_is_of(snapshot, 2 * turn + 2));
        assert_ok(snapshot_write(snapshot, written));
        content_hash(saved, expected);
        content_hash(written, found);
        assert_string_equal(found, expected);
        assert_ok(snapshot_hash(snapshot, weights));
        assert_ok(convoy_weights_hash(written, false, found));
        assert_string_equal(weights, found);
    }
    snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_after_it_change_nothing)};
    return cmocka_run_group_tests(tests, make, clear);
}
