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

/* Of an image of this size. */
static uint64_t multiply_adds(const convoy_recipe *recipe, const int shape[3])
{
    convoy_net *net = NULL;
    assert_int_equal(setup_net(recipe, shape, &net), CONVOY_OK);
    const int64_t n = net_multiply_adds(net);
    convoy_net_destroy(net);
    return (uint64_t)n;
}

/* In the mean over epochs. */
static uint64_t mean_multiply_adds(const convoy_recipe *recipe, const int shape[3])
{
    const uint64_t epochs = (uint64_t)recipe->schedule.epochs;
    uint64_t sum = 0, last = 0;
    int side = -1;
    for (uint64_t i = 0; i < epochs; i++) {
        const int crop = recipe_crop_at(&recipe->data.crop, i);
        const int own[3] = {shape[0], crop ? crop : shape[1], crop ? crop : shape[2]};
        if (crop != side)
            last = multiply_adds(recipe, own);
        side = crop;
        sum += last;
    }
    return sum / epochs;
}

static void the_list_says_what_the_recipes_say(void **state)
{
    (void)state;
    const struct shipped_recipe *listed;
    for (int i = 0; (listed = shipped_recipe(i)); i++) {
        char path[PATH_SIZE], classes[64];
        const char *const overrides[] = {classes};
        convoy_recipe *recipe = NULL;
        snprintf(path, sizeof path, "%s/%s.yaml", folder, listed->name);
        snprintf(classes, sizeof classes, "model.classes=%d", listed->classes);
        print_message("%s\n", path);
        assert_int_equal(convoy_recipe_load(path, overrides, 1, &recipe), CONVOY_OK);
        assert_string_equal(recipe->model.name, listed->model);
        assert_int_equal(recipe->schedule.epochs, listed->epochs);
        assert_int_equal(mean_multiply_adds(recipe, listed->shape),
                         listed->multiply_adds);
        convoy_recipe_destroy(recipe);
    }
    assert_int_equal(shipped_recipe(SHIPPED_IMAGENET_RECIPE)->images,
                     SHIPPED_IMAGENET_IMAGES);
    assert_int_equal(shipped_recipe(SHIPPED_IMAGENET_RECIPE)->epochs,
                     SHIPPED_IMAGENET_EPOCHS);
}

static int count_files(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += strstr(entry->d_name, ".yaml") != NULL;
    closedir(dir);
    return n;
}

static void every_recipe_is_listed(void **state)
{
    (void)state;
    const int n_files =
        count_files(folder) + count_files(CONVOY_SOURCE_DIR "/jobs/recipes/imagenet");
    int n_listed = 0;
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
