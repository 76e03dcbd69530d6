/* A trainer from the inside: what runs, metrics and checkpoints look at. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include <convoy/trainer.h>

#include "checkpoint/checkpoint.h"
#include "comm/cores.h"
#include "comm/exchange.h"
#include "comm/launch.h"
#include "infer/evaluator.h"
#include "infer/norm_recompute.h"
#include "infer/score.h"
#include "load/loader.h"
#include "net/net_lanes.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "optim/update.h"
#include "recipe/recipe.h"
#include "setup/setup_lanes.h"
#include "train/grad_norms.h"
#include "train/guard.h"
#include "train/learning.h"
#include "train/records.h"
#include "train/resume_changes.h"

#include <pthread.h>

/* What ranks tell each other about each microbatch: its scores, its first damaged
 * record (+ 1; 0: none), and whether its rank failed or was asked to stop. */
enum { SHARED_BAD_RECORD = N_SCORES, SHARED_FAILED, SHARED_STOP, N_SHARED };

/* The most values that a rank tells the others between steps. */
enum { N_OF_RANKS = 12 };

/* How many of this rank's microbatches have their scores in this step. */
struct scored {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int n;
    bool failed; /* a lane has: there will be no more */
};

/* Of a lane's step: when it had computed, and ended (clock_now_s); how long it waited
 * for sums; and was at microbatches and own sums, sleeping in them included. */
struct lane_seconds {
    double computed, ended, exposed, at_work;
};

/* A bucket of the last step, in seconds since it began: the rank's own sum of it was
 * there, it was sent, the sum over all ranks was there. Of one rank alone, which sends
 * nothing, ready is when the last lane had made its gradients, the others are 0. */
struct bucket_seconds {
    double ready, sent, done;
};

/* A size of images, and the net for it. */
struct resolution {
    int shape[3];
    struct compiled *plan; /* until net_lanes are made of it */
    struct net_lanes *net_lanes;
};

struct convoy_trainer {
    convoy_world *world;
    convoy_recipe *recipe;         /* borrowed; resolved in place */
    const convoy_pack *train_pack; /* borrowed, or owned[0] */
    const convoy_pack *val_pack;   /* borrowed, or owned[1]; NULL: none */
    convoy_pack *owned[2];         /* NULL: borrowed */
    int shape[3];                  /* of a sample: channels, height, width; of several
                                      sizes the largest */
    int val_shape[3];              /* of one that is evaluated */
    float mean[3], std[3];
    int threads;        /* T: OpenMP threads of a lane */
    int n_microbatches; /* M */
    uint64_t steps_per_epoch, total_steps;
    uint64_t step; /* steps done */

    struct cores cores; /* of this rank */
    struct cores_use use;
    bool has_place;               /* the thread that exchanges, a step long: */
    cpu_set_t exchange_place;     /* where */
    struct loader_places loading; /* processors of the loaders' threads */
    char places[320];             /* who is where, in words */
    struct launch launch;         /* of the job's worst rank */
    struct lanes *lanes;
    struct lane_choice choice; /* how many, and why */
    convoy_memory memory;      /* with so many */

    convoy_net *net;
    struct resolution resolutions[RECIPE_MAX_CROPS]; /* [n_resolutions], the largest
                                                        first */
    int n_resolutions, lender; /* lender: whose memory the others borrow */
    struct loader_crop crops[RECIPE_MAX_CROPS]; /* [n_crops]; 0: one size for all */
    int n_crops;
    struct net_lanes *net_lanes; /* of the step's resolution */
    struct compiled *eval_plan;  /* until the evaluator has it; NULL: none */
    struct exchange *exchange;
    struct optimizer *optimizer;
    struct average *average; /* NULL: none is wanted */
    struct schedule schedule;
    struct update_range *ranges; /* [n_ranges]: what learns, and how */
    int n_ranges;
    struct update *update;                 /* of these ranges, by the lanes */
    struct grad_norms *grad_norms;         /* NULL: not asked for */
    struct records *records, *val_records; /* NULL: read from the pack */
    struct loader *loader;
    bool is_loading;             /* the loader works ahead of step */
    struct evaluator *evaluator; /* NULL: no validation data */
    struct norm_recompute *norm; /* NULL: evaluations have the running statistics */
    double *shared;   /* [M, N_SHARED]: what ranks tell each other each step. What a
                         rank leaves open in its rows is 0 */
    double *of_ranks; /* [size, N_OF_RANKS]: what they tell each other otherwise */
    struct lane_seconds *lane_seconds;     /* [lanes] */
    struct bucket_seconds *bucket_seconds; /* [exchange_buckets] */
    double *lane_ready_s; /* [lanes, exchange_buckets] when the gradients of a lane's
                             last microbatch were made (clock_now_s); NULL of several
                             ranks, whose exchange has such times */
    struct guard guard;
    struct trace *trace;           /* NULL: none */
    struct resume_changes changes; /* since what is gone on from was saved */
    char *history; /* of all changes since the run was begun, a line each; NULL: "" */
    /* Of the step that lanes are at: */
    struct scored scored;
    double lr, momentum; /* momentum: below 0: the optimizer's */
    atomic_int n_taken;  /* of this rank's microbatches */
};

/* The part of making a trainer that needs neither other ranks nor memory: opens packs,
 * resolves the recipe, plans the net. Local. */
convoy_status trainer_plan(convoy_trainer *trainer,
                           const convoy_trainer_options *options, int n_ranks);

/* The locks of scored. */
void step_scored_init(struct scored *scored);
void step_scored_fini(struct scored *scored);

/* The loader works at the samples of the next step. Collective. Errors: ARGUMENT (there
 * is none), those of loader_start and records_feed. */
convoy_status step_begin_loading(convoy_trainer *trainer);

/* Frees what *trainer, whatever of it is made, holds. */
void trainer_free(convoy_trainer *trainer);

/* The training loader's options, or the evaluation's, on one of n_ranks ranks. */
struct loader_options trainer_loading(const convoy_trainer *trainer, int rank,
                                      int n_ranks);

/* The exchange's options, on a rank with so many lanes. */
struct exchange_options trainer_exchange(const convoy_trainer *trainer, int lanes);

/* The recipe's learning rates, of epochs with so many steps. Local. */
convoy_status trainer_schedule(const convoy_recipe *recipe, uint64_t steps_per_epoch,
                               struct schedule *schedule);

/* Refuses rates that go backwards or turn weights' signs, and milestones that the
 * training ends before or that come within the warmup. Local. FORMAT. */
convoy_status trainer_check_schedule(const convoy_recipe *recipe,
                                     uint64_t steps_per_epoch);

/* Goes on from an open checkpoint: convoy_trainer_load's work. What has changed since
 * is in the trainer then. Collective; ranks agree on the outcome. */
convoy_status trainer_go_on(convoy_trainer *trainer,
                            const struct checkpoint *checkpoint, bool may_change);

#endif
