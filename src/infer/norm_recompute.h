/* Statistics of batch norms afresh, from some training batches, for an evaluation
 * (eval.batch_norm: recompute): what running averages only follow. */
#ifndef INFER_NORM_RECOMPUTE_H
#define INFER_NORM_RECOMPUTE_H

#include <convoy/world.h>

#include "load/loader.h"
#include "net/net_lanes.h"
#include "recipe/recipe.h"

struct norm_recompute;

struct norm_options {
    convoy_net *net;     /* compiled for training; its running statistics change */
    struct lanes *lanes; /* that compute */
    int n_microbatches;  /* of a training batch, M */
    int microbatch;      /* m */
    int batches;         /* N: training batches to take */
    uint64_t seed;       /* of dropout, as in training */
};

/* Training batches, in the order of steps. */
struct norm_batches {
    struct net_lanes *net_lanes; /* the net, compiled for training, on these lanes */
    struct loader *loader;       /* of training, of this rank's microbatches */
    uint64_t first_step;
    /* Before each step, once the loader has started: gets what it needs. Collective;
     * ranks agree on the outcome. NULL: nothing */
    convoy_status (*feed)(void *context, uint64_t step);
    void *context;
};

/* How many batches the recipe wants: its own number, or as many as 8,192 samples take,
 * but no more than an epoch has. */
int norm_n_batches(const convoy_recipe *recipe, uint64_t steps_per_epoch);

/* The first step of the epoch that step, the number of steps done, ends or is in. */
uint64_t norm_first_step(uint64_t step, uint64_t steps_per_epoch);

/* Whether some batch norm of the net, which is planned for training, learns. Local. */
bool norm_has_any(const convoy_net *net);

/* Bytes that norm_recompute_create takes on a rank with so many lanes: for memory
 * plans. Local. */
uint64_t norm_recompute_bytes(const convoy_net *net, int n_microbatches, int rank,
                              int n_ranks, int lanes);

/* *norm is new; free with norm_recompute_destroy. What options name is borrowed.
 * Collective; ranks agree on the outcome. Errors: those of exchange_create. */
convoy_status norm_recompute_create(convoy_world *world,
                                    const struct norm_options *options,
                                    struct norm_recompute **norm);

/* Takes NULL. Local. */
void norm_recompute_destroy(struct norm_recompute *norm);

/* The net's running statistics become those of the batches, passed through the net as
 * it is: means over all microbatches, of variances the unbiased ones', as PyTorch's
 * update_bn makes them. Layers that do not learn keep theirs. Starts and stops the
 * loader. Allocates nothing. Collective; ranks agree on the outcome. Errors: those of
 * loading and computing; the statistics are then as before. */
convoy_status norm_recompute_run(struct norm_recompute *norm,
                                 const struct norm_batches *batches);

/* After norm_recompute_run: the running statistics are again what they were. Local. */
void norm_recompute_undo(struct norm_recompute *norm);

#endif
