/* What evaluations during a training need beside the evaluator: batch norms' statistics
 * afresh, where the recipe wants them (eval.batch_norm). */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "train/trainer.h"

/* FORMAT: what the recipe says of it does not go together with the train pack. Local.
 */
convoy_status evaluate_check(const convoy_trainer *trainer);

/* The same of the net, once it is planned. Local. */
convoy_status evaluate_check_net(const convoy_trainer *trainer);

/* The bytes that evaluate_create takes on a rank with so many lanes: for memory plans.
 * Local. */
uint64_t evaluate_bytes(const convoy_trainer *trainer, int rank, int n_ranks,
                        int lanes);

/* Makes trainer->norm, where it is wanted. Collective; ranks agree on the outcome. */
convoy_status evaluate_create(convoy_trainer *trainer);

#endif
