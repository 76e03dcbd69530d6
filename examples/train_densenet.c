/* train_densenet: trains the DenseNet of densenet_net.c with a loop of its own, under
 * MPI.
 *
 *     train_densenet TRAIN.h5 TEST.h5 WEIGHTS.h5 [STEPS]
 *     mpirun -np 2 train_densenet TRAIN.h5 TEST.h5 WEIGHTS.h5 [STEPS]
 *
 * TRAIN.h5 and TEST.h5 are packs (`convoy pack`) of square images, Fashion-MNIST's say.
 * The weights in WEIGHTS.h5 are those of `convoy train
 * jobs/recipes/fashion-mnist-densenet.yaml` after as many steps, on any number of ranks
 * and cores, and `convoy eval`, `convoy predict` and `convoy weights` take them.
 *
 * Every call here can fail on one rank. The collective ones then fail on all of them,
 * with a text on one and CONVOY_ERROR_ELSEWHERE on the others; for the rest,
 * convoy_world_agree makes it so. */
#include "densenet_net.h"

#include <convoy/trainer.h>

#include <stdio.h>
#include <stdlib.h>

/* All but the net; the packs are given to the trainer. */
static const char recipe_text[] =
    "data: {train: '', mean: [0.2860], std: [0.3530], augment: {pad: 2, flip: true}}\n"
    "batch: {size: 128, microbatch: 64}\n"
    "optimizer: {name: sgd, momentum: 0.9, nesterov: true, weight_decay: 5.0e-4}\n"
    "schedule: {epochs: 10, lr: 0.1, warmup_epochs: 1, decay: cosine}\n"
    "seed: 1\n";

struct program {
    convoy_world *world;
    convoy_pack *train, *test;
    convoy_recipe *recipe;
    convoy_trainer *trainer;
};

/* A net for the images of the pack, and the recipe with it. Local. */
static convoy_status make_recipe(struct program *p)
{
    const convoy_pack_info *info = convoy_pack_describe(p->train);
    const struct densenet form = {.channels = info->shape[0],
                                  .size = info->shape[1],
                                  .classes = info->n_classes,
                                  .layers = 4};
    convoy_net *net = NULL;
    convoy_status status = densenet_build(&form, &net);
    if (status == CONVOY_OK)
        status = convoy_recipe_load_net(net, "train_densenet", recipe_text, NULL, 0,
                                        &p->recipe);
    convoy_net_destroy(net);
    return status;
}

static convoy_status open_all(struct program *p, char **paths)
{
    convoy_status status = convoy_pack_open(paths[0], &p->train);
    if (status == CONVOY_OK)
        status = convoy_pack_open(paths[1], &p->test);
    if (status == CONVOY_OK)
        status = make_recipe(p);
    status = convoy_world_agree(p->world, status);
    if (status != CONVOY_OK)
        return status;
    const convoy_trainer_options options = {.train = p->train, .val = p->test};
    return convoy_trainer_create(p->world, p->recipe, &options, &p->trainer);
}

static convoy_status evaluate(struct program *p, const convoy_trainer_info *info,
                              const convoy_step_result *last)
{
    convoy_eval_result eval;
    const convoy_status status = convoy_trainer_evaluate(p->trainer, NULL, NULL, &eval);
    if (status == CONVOY_OK && convoy_world_rank(p->world) == 0)
        printf("step %llu of %llu: loss %.4f; test loss %.4f, %.2f %% right of %llu\n",
               (unsigned long long)info->step, (unsigned long long)info->total_steps,
               last->loss, eval.loss, 100 * eval.top1,
               (unsigned long long)eval.n_samples);
    return status;
}

/* How the work is divided: over ranks, and on each over its cores. */
static void print_start(const struct program *p, const convoy_trainer_info *info)
{
    if (convoy_world_rank(p->world) == 0)
        printf("a step: %d microbatches of %d; ranks: %d; lanes of rank 0: %d\n",
               info->n_microbatches, info->microbatch, convoy_world_size(p->world),
               info->lanes);
}

/* Steps until end, and an evaluation after every epoch and the last step. */
static convoy_status train(struct program *p, uint64_t end)
{
    convoy_trainer_info info;
    convoy_step_result result;
    convoy_status status = CONVOY_OK;
    convoy_trainer_describe(p->trainer, &info);
    print_start(p, &info);
    if (end > info.total_steps)
        end = info.total_steps;
    while (status == CONVOY_OK && info.step < end) {
        status = convoy_trainer_step(p->trainer, false, &result);
        convoy_trainer_describe(p->trainer, &info);
        if (status == CONVOY_OK &&
            (info.step % info.steps_per_epoch == 0 || info.step == end))
            status = evaluate(p, &info, &result);
    }
    return status;
}

/* The line that ends a job which has lost a rank. */
static void say(void *context, const char *text)
{
    fprintf(stderr, "%s: %s\n", (const char *)context, text);
}

int main(int argc, char **argv)
{
    struct program p = {0};
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: train_densenet TRAIN.h5 TEST.h5 WEIGHTS.h5 [STEPS]\n");
        return 2;
    }
    convoy_status status = convoy_world_create(&p.world);
    if (status == CONVOY_OK) /* without a watch it works, too */
        convoy_world_watch(p.world, say, argv[0]);
    if (status == CONVOY_OK)
        status = open_all(&p, argv + 1);
    if (status == CONVOY_OK)
        status = train(&p, argc == 5 ? strtoull(argv[4], NULL, 10) : UINT64_MAX);
    if (status == CONVOY_OK)
        status = convoy_trainer_save(p.trainer, argv[3]);
    if (status != CONVOY_OK && status != CONVOY_ERROR_ELSEWHERE)
        fprintf(stderr, "train_densenet: %s\n", convoy_status_text());
    if (status != CONVOY_OK && !convoy_status_agreed())
        convoy_world_abort(p.world, 1); /* the other ranks wait for this one */
    convoy_trainer_destroy(p.trainer);
    convoy_recipe_destroy(p.recipe);
    convoy_pack_close(p.train);
    convoy_pack_close(p.test);
    convoy_world_destroy(p.world);
    return status == CONVOY_OK ? 0 : 1;
}
