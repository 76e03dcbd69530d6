/* An evaluation of a checkpoint on a pack, in the steps in which it is made: for one
 * pass over the pack, and for what takes many of them with other weights. */
#ifndef INFER_EVALUATION_H
#define INFER_EVALUATION_H

#include <convoy/train.h>

#include "comm/cores.h"
#include "infer/eval_norm.h"
#include "infer/evaluator.h"
#include "infer/inference.h"

/* Start with {0}, but for inference.ema; free with evaluation_free. Its steps:
 * inference_open, evaluation_prepare, evaluation_check_same, cores_share,
 * evaluation_make, inference_load, and eval_norm_run where it recomputes. */
struct evaluation {
    struct inference inference;
    struct eval_norm norm;
    bool recomputes; /* norm is used */
    convoy_pack *pack;
    struct cores cores; /* of this rank */
    struct lanes *lanes;
    struct evaluator *evaluator;
    int threads; /* of a lane */
    bool flips;  /* images are scored with their mirror images */
};

/* What each rank does by itself before memory is taken: builds the net, opens the pack
 * and decides by options how it is evaluated. Local. Errors: those of
 * convoy_eval_run. */
convoy_status evaluation_prepare(const convoy_world *world, struct evaluation *e,
                                 const char *weights, const char *data,
                                 const convoy_eval_options *options);

/* Refuses ranks that read other files, or compute in another way: they would add up
 * scores of different nets. Collective. Errors, agreed on: ARGUMENT. */
convoy_status evaluation_check_same(convoy_world *world, const struct evaluation *e,
                                    const char *weights);

/* Lanes for this rank's microbatches, and the evaluator on them. e->cores are there.
 * world NULL: this rank evaluates all of the pack by itself (evaluator_create). left:
 * bytes that the rank may take; 0: unknown. Local. */
convoy_status evaluation_make(struct evaluation *e, convoy_world *world, uint64_t left,
                              const convoy_eval_options *options);

/* Takes one that is half made. */
void evaluation_free(struct evaluation *e);

#endif
