/* The list of shipped recipes against the files themselves. */
#include "report/shipped_recipes.h"

#include "setup/setup.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PATH_SIZE = 4096 };

static const char folder[] = CONVOY_SOURCE_DIR "/jobs/recipes";

static void the_list_says_what_the_recipes_say(void **state)
{
    (void)state;
    const struct shipped_recipe *listed;
    for (int i = 0; (listed = shipped_recipe(i)); i++) {
        char path[PATH_SIZE], classes[64];
        const char *const overrides[] = {classes};
        convoy_recipe *recipe = NULL;
        convoy_net *net = NULL;
        int64_t n = 0;
        snprintf(path, sizeof path, "%s/%s.yaml", folder, listed->name);
        snprintf(classes, sizeof classes, "model.classes=%d", listed->classes);
        print_message("%s\n", path);
        assert_int_equal(convoy_recipe_load(path, overrides, 1, &recipe), CONVOY_OK);
        assert_string_equal(recipe->model.name, listed->model);
        assert_int_equal(recipe->schedule.epochs, listed->epochs);
        assert_int_equal(setup_net(recipe, listed->shape, &net), CONVOY_OK);
        for (int k = 0; k < convoy_net_n_layers(net); k++) {
            convoy_layer layer;
            convoy_net_describe(net, k, &layer);
            n += layer.n_macs;
        }
        assert_int_equal(n, listed->multiply_adds);
        convoy_net_destroy(net);
        convoy_recipe_destroy(recipe);
    }
    assert_int_equal(shipped_recipe(SHIPPED_IMAGENET_RECIPE)->images,
                     SHIPPED_IMAGENET_IMAGES);
    assert_int_equal(shipped_recipe(SHIPPED_IMAGENET_RECIPE)->epochs,
                     SHIPPED_IMAGENET_EPOCHS);
}

static void every_recipe_is_listed(void **state)
{
    (void)state;
    DIR *dir = opendir(folder);
    int n_files = 0, n_listed = 0;
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        n_files += strstr(entry->d_name, ".yaml") != NULL;
    closedir(dir);
    while (shipped_recipe(n_listed))
        n_listed++;
    assert_int_equal(n_listed, n_files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_says_what_the_recipes_say),
        cmocka_unit_test(every_recipe_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
