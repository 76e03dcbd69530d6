/* What evaluating and predicting need of a checkpoint. */
#ifndef INFER_INFERENCE_H
#define INFER_INFERENCE_H

#include "load/loader.h"
#include "net/net.h"
#include "recipe/recipe.h"
#include "checkpoint/checkpoint.h"

#include <convoy/world.h>

struct inference {
    struct checkpoint *checkpoint;
    convoy_recipe *recipe;
    convoy_net *net; /* without weights yet: compile it, then inference_load */
    struct loader_options loading; /* the preprocessing, as for evaluator_create */
};

/* Opens the checkpoint at path, which rank 0 reads. *inference: {0} before; free with
 * inference_close, on error, too. Collective; world NULL: this process alone, here and
 * in inference_load. Errors, agreed on: those of checkpoint_load. */
convoy_status inference_open(convoy_world *world, const char *path,
                             struct inference *inference);

/* Builds the net that the checkpoint's recipe names. Local. */
convoy_status inference_build(struct inference *inference);

/* Fills the compiled net's parameters and statistics. Collective; ranks agree on the
 * outcome. */
convoy_status inference_load(struct inference *inference);

/* What is compiled of the net must be destroyed before. */
void inference_close(struct inference *inference);

#endif
