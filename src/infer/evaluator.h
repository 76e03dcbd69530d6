/* One pass over every sample of a pack, or over options' at_most first microbatches,
 * shared out over the ranks. */
#ifndef INFER_EVALUATOR_H
#define INFER_EVALUATOR_H

#include <convoy/train.h>

#include "load/loader.h"
#include "net/net_lanes.h"

struct evaluator;

/* Makes options, as of setup_loading, those of the loader that evaluates pack on this
 * rank; world NULL: all of it. Local. */
void evaluator_loading(const convoy_world *world, const convoy_pack *pack,
                       struct loader_options *options);

/* What a training that an evaluation interrupts lends it; {0}: nothing. Both outlive
 * the evaluator. After evaluator_run the training needs net_lanes_refresh (it has one
 * each step anyway) and loader_start. */
struct evaluator_loan {
    const struct net_lanes *net_lanes;
    struct loader *loader;
};

/* A plan of net (net_plan) to evaluate microbatches as options, those of setup_loading,
 * load them, with threads OpenMP threads a lane. */
convoy_status evaluator_plan(convoy_net *net, const struct loader_options *options,
                             int threads, struct compiled **plan);

/* options: as of setup_loading; the rest is set here. plan: as of evaluator_plan, for
 * options' microbatch and the lanes' threads; taken over, also on failure. The net's
 * parameters, lanes, pack and world are borrowed. world NULL: this process evaluates
 * the whole pack, and evaluator_run is local. Local. */
convoy_status evaluator_create(convoy_world *world, struct lanes *lanes,
                               struct compiled *plan, const convoy_pack *pack,
                               const struct loader_options *options,
                               const struct evaluator_loan *loan,
                               struct evaluator **evaluator);

/* From now on a sample is scored by the mean of its logits and its mirror image's
 * (eval.flip). Local. Errors: MEMORY. */
convoy_status evaluator_flip(struct evaluator *evaluator);

/* Takes NULL. */
void evaluator_destroy(struct evaluator *evaluator);

/* Collective; ranks agree on the outcome. progress: this rank's microbatches, may be
 * NULL; called on lanes, by one at a time. */
convoy_status evaluator_run(struct evaluator *evaluator,
                            void (*progress)(void *context, uint64_t done,
                                             uint64_t total),
                            void *context, convoy_eval_result *result);

#endif
