/* One pass over every sample of a pack, shared out over the ranks. */
#ifndef INFER_EVALUATOR_H
#define INFER_EVALUATOR_H

#include <convoy/train.h>

#include "load/loader.h"
#include "net/net.h"

struct evaluator;

/* Makes options, as of setup_loading, those of the loader that evaluates pack on this
 * rank. Local. */
void evaluator_loading(const convoy_world *world, const convoy_pack *pack,
                       struct loader_options *options);

/* What a training that an evaluation interrupts lends it; {0}: nothing. Both outlive
 * the evaluator. After evaluator_run the training needs compiled_refresh (it has one
 * each step anyway) and loader_start. */
struct evaluator_loan {
    const struct compiled *compiled;
    struct loader *loader;
};

/* options: as of setup_loading; the rest is set here. net's parameters and world are
 * borrowed. Local. */
convoy_status evaluator_create(convoy_world *world, convoy_net *net,
                               const convoy_pack *pack,
                               const struct loader_options *options,
                               const struct evaluator_loan *loan,
                               struct evaluator **evaluator);

/* Takes NULL. */
void evaluator_destroy(struct evaluator *evaluator);

/* Collective; ranks agree on the outcome. progress: this rank's microbatches, may be
 * NULL. */
convoy_status evaluator_run(struct evaluator *evaluator,
                            void (*progress)(void *context, uint64_t done,
                                             uint64_t total),
                            void *context, convoy_eval_result *result);

#endif
