/* The recipe in a checkpoint, of this version of convoy and of others. */
#include "unit/checkpoint/checkpoint_support.h"

#include "weights/weights_checkpoint.h"

#include <convoy/version.h>

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

static convoy_status recipe_of(const char *version, const char *text)
{
    static struct sample s;
    const char *path = scratch_path(folder, "recipe.h5");
    struct checkpoint *checkpoint = NULL;
    convoy_recipe *recipe = NULL;
    sample_init(&s);
    s.contents.facts.recipe = text;
    s.contents.facts.convoy_version = version;
    sample_write(&s, path);
    assert_int_equal(weights_checkpoint_open(NULL, path, &checkpoint), CONVOY_OK);
    const convoy_status status = weights_checkpoint_recipe(checkpoint, &recipe);
    convoy_recipe_destroy(recipe);
    checkpoint_close(checkpoint);
    return status;
}

#define RECIPE "model: {name: lenet}\ndata: {train: t.h5}\n"

static void keys_that_it_does_not_have_are_the_defaults(void **state)
{
    (void)state;
    assert_int_equal(recipe_of("0.0.1", RECIPE), CONVOY_OK);
}

static void a_key_of_a_newer_version_is_named_with_that_version(void **state)
{
    (void)state;
    assert_fails(recipe_of("9.8.7", RECIPE "future: {key: 1}\n"), CONVOY_ERROR_FORMAT,
                 "written by convoy 9.8.7");
    assert_non_null(strstr(convoy_status_text(), "'future.key' is unknown"));
    assert_non_null(strstr(convoy_status_text(), "recipe.h5"));
    assert_fails(recipe_of(CONVOY_VERSION, RECIPE "future: {key: 1}\n"),
                 CONVOY_ERROR_FORMAT, "'future.key' is unknown");
    assert_null(strstr(convoy_status_text(), "written by"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_it_does_not_have_are_the_defaults),
        cmocka_unit_test(a_key_of_a_newer_version_is_named_with_that_version),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
