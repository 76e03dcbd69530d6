/* What evaluating and predicting need of a checkpoint. */
#ifndef INFER_INFERENCE_H
#define INFER_INFERENCE_H

#include "load/loader.h"
#include "net/net.h"
#include "recipe/recipe.h"
#include "checkpoint/checkpoint.h"

struct inference {
    struct checkpoint *checkpoint;
    convoy_recipe *recipe;
    convoy_net *net; /* without weights yet: compile it, then inference_load */
    struct loader_options loading; /* the preprocessing, as for evaluator_create */
};

/* Opens the checkpoint at path and builds its net. *inference: {0} before; free with
 * inference_close, on error, too. Local. Errors: those of checkpoint_open and of the
 * recipe in it. */
convoy_status inference_open(const char *path, struct inference *inference);

/* Fills the compiled net's parameters and statistics. Local. */
convoy_status inference_load(struct inference *inference);

/* What is compiled of the net must be destroyed before. */
void inference_close(struct inference *inference);

#endif
