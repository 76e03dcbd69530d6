/* Training with a loop of your own: what `convoy train` is built on, and with the same
 * bits.
 *
 *     convoy_world_create(&world);
 *     convoy_recipe_load("recipe.yaml", NULL, 0, &recipe);
 *     convoy_trainer_create(world, recipe, NULL, &trainer);
 *     convoy_trainer_describe(trainer, &info);
 *     while (info.step < info.total_steps) {
 *         convoy_trainer_step(trainer, false, &result);
 *         convoy_trainer_describe(trainer, &info);
 *     }
 *     convoy_trainer_save(trainer, "weights.h5");
 *
 * A rank computes on lanes: threads that the trainer starts, each of which takes one
 * microbatch at a time (recipe: lanes, threads). The weights after step t depend on the
 * recipe, the pack and the instruction set; not on the number of ranks, nodes, cores or
 * lanes, OpenMP's environment, nor on evaluations and saving in between. Collective
 * functions return OK on every rank or on none; of the errors, the ranks that others
 * report for get CONVOY_ERROR_ELSEWHERE. One thread at a time may be in these
 * functions, any thread.
 */
#ifndef CONVOY_TRAINER_H
#define CONVOY_TRAINER_H

#include <convoy/pack.h>
#include <convoy/recipe.h>
#include <convoy/train.h>
#include <convoy/world.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_trainer convoy_trainer;

/* {0} is the default. */
typedef struct convoy_trainer_options {
    const convoy_pack *train, *val; /* open packs, borrowed until destroy; NULL: opened
                                       at the recipe's data.train and data.val, and
                                       closed by destroy */
    bool goes_on;       /* init.weights is not read: convoy_trainer_load comes next */
    bool oversubscribe; /* takes the launch as it is: ranks and threads may share cores.
                           Rank 0's counts */
} convoy_trainer_options;

/* Makes all that training takes: opens what packs are not given, builds the recipe's
 * net, draws its initial weights or reads init.weights, starts loader threads.
 * Collective, with the same recipe and packs on every rank. The recipe is borrowed
 * until destroy and resolved in place: what it left to be found out is filled in
 * (classes, crop, …; threads as 1, so before convoy_trainer_load from a training with
 * more the recipe has to say how many). options may be NULL. *trainer is new; free with
 * convoy_trainer_destroy, before world, recipe and packs.
 * Lanes are pinned to the processors that the calling thread may use. Ranks that share
 * cores, or have fewer of them than threads, are refused. Nothing large is
 * allocated before the plan of all of it is known to fit.
 * Errors: those of convoy_pack_open; FORMAT (a key of the recipe does not fit the pack
 * or the net), ARGUMENT (packs that do not go together; ranks
 * that share cores, the text names the launcher's option that mends it; memory that
 * does not hold what is planned, the text has the numbers), UNSUPPORTED, IO, MEMORY,
 * LIBRARY. */
convoy_status convoy_trainer_create(convoy_world *world, convoy_recipe *recipe,
                                    const convoy_trainer_options *options,
                                    convoy_trainer **trainer);

/* Takes NULL. Local, but every rank does it or none. */
void convoy_trainer_destroy(convoy_trainer *trainer);

/* The memory that a rank of a training needs, in bytes; without libraries and
 * code. */
typedef struct convoy_memory {
    uint64_t weights;     /* parameters and running statistics */
    uint64_t prepared;    /* copies of weights in other layouts */
    uint64_t optimizer;   /* its state */
    uint64_t averages;    /* of weights, and of running statistics, for evaluations */
    uint64_t activations; /* of each lane: values, their gradients, scratch */
    uint64_t gradients;   /* each of n_gradients vectors */
    int n_gradients;      /* as many as lanes and unfinished sums need */
    int lanes;
    uint64_t exchange; /* what it holds of other ranks' gradients */
    uint64_t input;  /* samples that are ready or being made; of data.read: memory also
                        what the rank holds of the packs */
    uint64_t saving; /* copies from which a checkpoint is written */
    uint64_t total;  /* of all that */
    uint64_t left;   /* what the rank could take when it was planned; 0: unknown */
} convoy_memory;

/* Where a training stands, and how large it is. The same on every rank, but for lanes
 * and memory. */
typedef struct convoy_trainer_info {
    uint64_t step; /* steps done */
    uint64_t steps_per_epoch, total_steps;
    int epoch, epochs;  /* epochs done, and all of the schedule's */
    int microbatch;     /* samples, m */
    int n_microbatches; /* of a step, M: a step takes m · M samples */
    int lanes;          /* microbatches that this rank computes at a time */
    int threads;        /* OpenMP threads of a lane */
    convoy_memory memory;
    int shape[3]; /* of a sample: channels, height, width; of several sizes the largest
                   */
    int classes;
    int64_t n_params; /* learned values, frozen ones included */
} convoy_trainer_info;

/* Local. */
void convoy_trainer_describe(const convoy_trainer *trainer, convoy_trainer_info *info);

/* What a training of recipe, whose packs are opened for it, would take on the first of
 * so many ranks, if that has all that this process may use of this machine. Nothing
 * large is allocated. text (may be NULL): how many lanes and why, in a line. The recipe
 * is resolved in place. Local; needs no MPI.
 * Errors: those of convoy_trainer_create. */
convoy_status convoy_trainer_foresee(convoy_recipe *recipe, int ranks,
                                     convoy_trainer_info *info, char *text,
                                     size_t text_size);

/* What a training does in an epoch. */
typedef struct convoy_epoch_plan {
    double lr, last_lr;             /* in its first and in its last step */
    double momentum, last_momentum; /* below 0: the optimizer's own */
    int shape[3];                   /* of a sample: channels, height, width */
    int64_t n_macs; /* multiply-adds of a sample's forward pass, convolutions and inner
                       products */
} convoy_epoch_plan;

/* The epochs [info->epochs] of a training that convoy_trainer_foresee described in info
 * and whose recipe it resolved. Local; needs no MPI. Errors: MEMORY, and those of the
 * net that the recipe describes. */
convoy_status convoy_trainer_foresee_epochs(const convoy_recipe *recipe,
                                            const convoy_trainer_info *info,
                                            convoy_epoch_plan *epochs);

/* The learning rates of n steps of that training, evenly from its first to its last:
 * *lr [n]. Local. */
convoy_status convoy_trainer_foresee_rates(const convoy_recipe *recipe,
                                           const convoy_trainer_info *info, int n,
                                           double *lr);

/* The net of that training, for samples of info->shape. *net is new; free with
 * convoy_net_destroy. Local. Errors: MEMORY, and those of the net that the recipe
 * describes. */
convoy_status convoy_trainer_foresee_net(const convoy_recipe *recipe,
                                         const convoy_trainer_info *info,
                                         convoy_net **net);

/* Where the time of a step went on this rank. The sum of all but waited, hidden
 * and working is all of it. */
typedef struct convoy_step_seconds {
    double compute; /* forward, backward, and the sum over this rank's microbatches */
    double
        exchange;  /* waiting for other ranks' sums with nothing left to do: exposed */
    double hidden; /* the rest of the exchange, beside compute or optimizer */
    double input;  /* waiting for samples or sending them between ranks */
    double waited; /* a part of input: for the loader's threads */
    double optimizer; /* the update */
    double working; /* beside these: in the mean over lanes, what a lane really works at
                       passes, own sums and updates */
} convoy_step_seconds;

/* The figures of a step. The same on every rank, but for the seconds. */
typedef struct convoy_step_result {
    double loss; /* mean over the step's samples, label smoothing included, with the
                    weights from before the step */
    double top1, top5; /* shares, 0 to 1: right at first, among the first five */
    double lr;
    double grad_norm; /* of the whole gradient, before optimizer.clip_norm; not a number
                         without that, or where the step was left out */
    bool clipped;     /* it was scaled down */
    /* Where the recipe's metrics.grad_norms is true, in steps whose number is a
     * multiple of metrics.every_steps, else NULL and 0: of each parameter
     * that learns and is neither a bias nor a norm's, in the order of the net's layers,
     * the gradient's length before clipping, and the name. [n_grad_norms], valid until
     * the next step. Of a step that was left out they may be no numbers. */
    const double *grad_norms;
    const char *const *grad_names;
    int n_grad_norms;
    int n_samples;          /* trained on, over all ranks */
    int n_skipped;          /* damaged ones that were left out */
    uint64_t first_skipped; /* the first one's record */
    bool stop;              /* some rank said stop */
    const char *left_out;   /* NULL; else the step changed neither weights nor state,
                               since loss or gradient are no finite number
                               (guard.on_nonfinite: skip): why, in a line that is valid
                               until the next step */
    convoy_step_seconds seconds;
} convoy_step_result;

/* Takes one step. Collective. stop: this rank would like to end, after a signal
 * perhaps; the step is taken all the same, and result->stop tells all ranks.
 * Errors: ARGUMENT (the schedule has no more steps, and nothing was done; the loss or a
 * gradient is no finite number, and weights, state and the count of steps are those
 * from before), FORMAT (a damaged record), IO, MEMORY, LIBRARY: after these all that
 * can be done is to destroy the trainer. */
convoy_status convoy_trainer_step(convoy_trainer *trainer, bool stop,
                                  convoy_step_result *result);

/* Evaluates the weights as they are on every sample of the validation pack, once each.
 * Collective. *result is the same on every rank. progress is called on each rank with
 * its own microbatches, done and in all, on a thread of the trainer's, one call at a
 * time; NULL for none. Errors: ARGUMENT (there is no
 * validation pack), those of convoy_trainer_step; the weights are untouched. */
convoy_status convoy_trainer_evaluate(convoy_trainer *trainer,
                                      void (*progress)(void *context, uint64_t done,
                                                       uint64_t total),
                                      void *context, convoy_eval_result *result);

/* The same of the average of the weights, in their place (the recipe's ema). Errors:
 * ARGUMENT (there is none), those of convoy_trainer_evaluate. */
convoy_status convoy_trainer_evaluate_ema(convoy_trainer *trainer,
                                          void (*progress)(void *context, uint64_t done,
                                                           uint64_t total),
                                          void *context, convoy_eval_result *result);

/* Writes a checkpoint (docs/run-directory.md): weights, their average, state of the
 * optimizer, step and recipe, all that convoy_trainer_load, `convoy train --resume`,
 * `convoy eval`, `convoy predict` and convoy/weights.h take. Collective; rank 0 writes,
 * and path is read there only. path appears, or is replaced, only when complete.
 * Errors: IO, MEMORY. */
convoy_status convoy_trainer_save(convoy_trainer *trainer, const char *path);

/* Goes on from a checkpoint: its weights, state of the optimizer and step replace the
 * trainer's. Collective; rank 0 reads path, and tells the others. changed: recipe,
 * packs, threads and instruction sets may be others than the checkpoint's, as long as
 * the tensors fit; else this is refused, since the weights would not be those of an
 * uninterrupted training (docs/recipe.md has the keys that may change all the same).
 * What has changed is in the checkpoints that follow. Errors:
 * IO, FORMAT (no checkpoint, damaged, or of another net; the text names the tensor),
 * ARGUMENT (another recipe, pack or machine, more steps than the schedule has),
 * UNSUPPORTED (of a newer version), MEMORY. After FORMAT, IO and MEMORY weights may be
 * partly replaced. */
convoy_status convoy_trainer_load(convoy_trainer *trainer, const char *path,
                                  bool changed);

#ifdef __cplusplus
}
#endif
#endif
