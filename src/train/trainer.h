/* A training run's parts, and one step of it. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include <convoy/train.h>

#include "comm/exchange.h"
#include "load/loader.h"
#include "net/net.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "recipe/recipe.h"
#include "infer/evaluator.h"
#include "train/learning.h"
#include "train/records.h"
#include "infer/score.h"

/* What ranks tell each other about each microbatch: its scores, its first damaged
 * record (+ 1; 0: none), and whether its rank failed or was asked to stop. */
enum { SHARED_BAD_RECORD = N_SCORES, SHARED_FAILED, SHARED_STOP, N_SHARED };

struct trainer {
    convoy_world *world;
    convoy_recipe *recipe; /* borrowed; resolved in place */
    convoy_pack *train_pack, *val_pack;
    int shape[3]; /* of a sample: channels, height, width */
    float mean[3], std[3];
    int n_microbatches; /* M */
    uint64_t steps_per_epoch, total_steps;
    uint64_t step; /* steps done */

    convoy_net *net;
    struct compiled *compiled;
    struct exchange *exchange;
    struct optimizer *optimizer;
    struct schedule schedule;
    struct learning_range *ranges; /* [n_ranges] */
    int n_ranges;
    int cpus;                              /* that a rank can count on */
    struct records *records, *val_records; /* NULL: read from the pack */
    struct loader *loader;
    struct evaluator *evaluator; /* NULL: no validation data */
    double *shared; /* [M, N_SHARED]: what ranks tell each other each step */
};

/* Where the time of a step went on this rank; waited is a part of input, the others
 * are apart and are all of it. */
struct step_seconds {
    double compute;   /* forward, backward, and the sum over this rank's microbatches */
    double exchange;  /* between ranks, with the wait for slower ones */
    double input;     /* waiting for samples or sending them between ranks */
    double waited;    /* for the loader's threads */
    double optimizer; /* the update */
};

/* What a step came to; the same on every rank but for seconds. */
struct step_result {
    double loss; /* mean over the global batch, label smoothing included */
    double top1; /* share */
    double lr;
    int n_skipped;          /* damaged samples that were left out */
    uint64_t first_skipped; /* the first one's record */
    bool stop;              /* some rank was asked to stop */
    struct step_seconds seconds;
};

/* Opens the packs, builds and compiles the net, draws the initial weights; the loader
 * is not yet started. Local but for the exchange: agree on the outcome. */
convoy_status trainer_create(convoy_world *world, convoy_recipe *recipe,
                             struct trainer **trainer);
/* Takes NULL and half-built ones. */
void trainer_destroy(struct trainer *trainer);

/* One step, from trainer->step to the next. Collective; ranks agree on the outcome.
 * stop: this rank was asked to stop. */
convoy_status trainer_step(struct trainer *trainer, bool stop,
                           struct step_result *result);

#endif
