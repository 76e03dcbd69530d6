/* What training by a recipe would take on this machine, before anything is allocated:
 * the plan that convoy train makes as it starts; and what its epochs would do. */
#include "cli/info_recipe.h"

#include "cli/info_compare.h"
#include "cli/info_schedule.h"

#include <convoy/json.h>
#include <convoy/trainer.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 512 };

bool info_is_recipe(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void print_row(const char *what, int n, uint64_t bytes)
{
    char count[24] = "";
    if (n > 0)
        snprintf(count, sizeof count, "%d x ", n);
    printf("  %-36s %6s%10.1f MiB\n", what, count, mib(bytes));
}

/* What there is to print. */
struct plan {
    const char *path;
    int ranks;
    convoy_trainer_info info;
    char lanes[TEXT_SIZE];
    struct info_schedule schedule;
};

static void print(const struct plan *plan)
{
    const convoy_trainer_info *info = &plan->info;
    const convoy_memory *m = &info->memory;
    cli_put_text(stdout, plan->path);
    printf(": a recipe\n  parameters  %" PRId64 "\n  input       [%d, %d, %d], %d "
           "classes\n  batch       %d x %d, %" PRIu64 " steps an epoch, %d epoch%s\n"
           "  ranks       %d\n  lanes       %s\n\nmemory of a rank\n",
           info->n_params, info->shape[0], info->shape[1], info->shape[2],
           info->classes, info->n_microbatches, info->microbatch, info->steps_per_epoch,
           info->epochs, info->epochs == 1 ? "" : "s", plan->ranks, plan->lanes);
    print_row("weights and running statistics", 0, m->weights);
    print_row("their copies in other layouts", 0, m->prepared);
    print_row("state of the optimizer", 0, m->optimizer);
    if (m->averages > 0)
        print_row("averages of weights and statistics", 0, m->averages);
    print_row("activations, of each lane", m->lanes, m->activations);
    print_row("gradients, of lanes and open sums", m->n_gradients, m->gradients);
    print_row("gradients of other ranks", 0, m->exchange);
    print_row("input", 0, m->input);
    print_row("copies, while a checkpoint is saved", 0, m->saving);
    print_row("all of it", 0, m->total);
    if (m->left > 0)
        print_row("free on this machine", 0, m->left);
    info_schedule_print(&plan->schedule);
}

static void print_json(const struct plan *plan)
{
    const convoy_trainer_info *info = &plan->info;
    const convoy_memory *m = &info->memory;
    convoy_json json = {.stream = stdout};
    convoy_json_begin_object(&json, NULL);
    convoy_json_text(&json, "kind", "recipe");
    convoy_json_text(&json, "file", plan->path);
    convoy_json_integer(&json, "parameters", info->n_params);
    convoy_json_integers(&json, "input", info->shape, 3);
    convoy_json_integer(&json, "classes", info->classes);
    convoy_json_integer(&json, "microbatch", info->microbatch);
    convoy_json_integer(&json, "microbatches", info->n_microbatches);
    convoy_json_count(&json, "steps_per_epoch", info->steps_per_epoch);
    convoy_json_integer(&json, "epochs", info->epochs);
    convoy_json_integer(&json, "ranks", plan->ranks);
    convoy_json_integer(&json, "lanes", info->lanes);
    convoy_json_integer(&json, "threads", info->threads);
    convoy_json_text(&json, "lanes_text", plan->lanes);
    convoy_json_begin_object(&json, "memory_bytes");
    convoy_json_count(&json, "weights", m->weights);
    convoy_json_count(&json, "prepared", m->prepared);
    convoy_json_count(&json, "optimizer", m->optimizer);
    convoy_json_count(&json, "averages", m->averages);
    convoy_json_count(&json, "activations_of_a_lane", m->activations);
    convoy_json_count(&json, "gradient", m->gradients);
    convoy_json_integer(&json, "gradients", m->n_gradients);
    convoy_json_count(&json, "exchange", m->exchange);
    convoy_json_count(&json, "input", m->input);
    convoy_json_count(&json, "saving", m->saving);
    convoy_json_count(&json, "total", m->total);
    convoy_json_count(&json, "free", m->left);
    convoy_json_end(&json);
    info_schedule_json(&json, &plan->schedule);
    convoy_json_end(&json);
}

static int compare(const convoy_recipe *recipe, const struct plan *plan,
                   const struct info_recipe_options *options)
{
    convoy_net *net = NULL;
    int code = cli_finish(convoy_trainer_foresee_net(recipe, &plan->info, &net));
    if (code == CLI_DONE)
        code = info_compare(&(struct info_comparison){.model = plan->path,
                                                      .shape = plan->info.shape,
                                                      .classes = plan->info.classes,
                                                      .net = net,
                                                      .layer = options->layer,
                                                      .json = options->json});
    convoy_net_destroy(net);
    return code;
}

int info_recipe(const char *path, const struct info_recipe_options *options)
{
    struct plan plan = {.path = path, .ranks = options->ranks > 0 ? options->ranks : 1};
    convoy_recipe *recipe = NULL;
    convoy_status status =
        convoy_recipe_load(path, options->overrides, options->n_overrides, &recipe);
    if (status == CONVOY_OK)
        status = convoy_trainer_foresee(recipe, plan.ranks, &plan.info, plan.lanes,
                                        sizeof plan.lanes);
    int code = cli_finish(status);
    const bool plans = code == CLI_DONE && !options->compare;
    if (code == CLI_DONE && options->compare)
        code = compare(recipe, &plan, options);
    if (plans)
        code = info_schedule_make(recipe, &plan.info, &plan.schedule);
    if (plans && code == CLI_DONE)
        (options->json ? print_json : print)(&plan);
    info_schedule_free(&plan.schedule);
    convoy_recipe_destroy(recipe);
    return code;
}
