/* Batch norms' statistics afresh for an evaluation of a checkpoint: the training whose
 * batches they are from, as its recipe says it. */
#ifndef INFER_EVAL_NORM_H
#define INFER_EVAL_NORM_H

#include "infer/inference.h"
#include "infer/norm_recompute.h"

/* Start with {0}; free with eval_norm_free, after what borrows of it. */
struct eval_norm {
    convoy_pack *pack;             /* that was trained on */
    struct loader_options loading; /* of its batches, on this rank */
    struct compiled *plan;         /* of the net for training; until it is made */
    struct net_lanes *net_lanes;
    struct loader *loader;
    struct norm_recompute *norm;
    uint64_t first_step;
    int batches;
};

/* Opens the pack, and plans the inference's net for it: before it is planned for
 * evaluations. Local. Errors: ARGUMENT (no batch norm learns, the checkpoint has no
 * such pack, another one has its place, more ranks than microbatches of a batch), those
 * of convoy_pack_open and net_plan; the text says what does without. */
convoy_status eval_norm_plan(const convoy_world *world, struct inference *inference,
                             int threads, struct eval_norm *e);

/* Makes net and loader on these lanes. Local. */
convoy_status eval_norm_make(struct eval_norm *e, struct lanes *lanes);

/* The net's running statistics, whose weights are loaded, become those of the batches.
 * Collective; ranks agree on the outcome. */
convoy_status eval_norm_run(convoy_world *world, struct inference *inference,
                            struct lanes *lanes, struct eval_norm *e);

void eval_norm_free(struct eval_norm *e);

#endif
