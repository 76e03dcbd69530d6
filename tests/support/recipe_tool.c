/* recipe_tool RECIPE STEPS [KEY=VALUE]...     takes so many steps of a training, and
 * prints for each the loss and the learning rate. Nothing is saved: the weights of the
 * largest nets would fill gigabytes.
 */
#include <convoy/trainer.h>

#include <stdio.h>
#include <stdlib.h>

static convoy_status train(convoy_world *world, convoy_recipe *recipe, int n)
{
    convoy_trainer *trainer = NULL;
    convoy_step_result result;
    convoy_status status = convoy_trainer_create(world, recipe, NULL, &trainer);
    for (int i = 0; i < n && status == CONVOY_OK; i++) {
        status = convoy_trainer_step(trainer, false, &result);
        if (status == CONVOY_OK)
            printf("%.9g %.9g\n", result.loss, result.lr);
    }
    convoy_trainer_destroy(trainer);
    return status;
}

int main(int argc, char **argv)
{
    convoy_world *world = NULL;
    convoy_recipe *recipe = NULL;
    if (argc < 3)
        return 2;
    convoy_status status = convoy_world_create(&world);
    if (status == CONVOY_OK)
        status = convoy_recipe_load(argv[1], (const char *const *)argv + 3, argc - 3,
                                    &recipe);
    if (status == CONVOY_OK)
        status = train(world, recipe, atoi(argv[2]));
    if (status != CONVOY_OK)
        fprintf(stderr, "recipe_tool: %s\n", convoy_status_text());
    convoy_recipe_destroy(recipe);
    convoy_world_destroy(world);
    return status == CONVOY_OK ? 0 : 1;
}
