/* What evaluating and predicting need of a checkpoint. */
#ifndef INFER_INFERENCE_H
#define INFER_INFERENCE_H

#include "comm/cores.h"
#include "load/loader.h"
#include "net/net_lanes.h"
#include "recipe/recipe.h"
#include "checkpoint/checkpoint.h"

#include <convoy/world.h>

struct inference {
    struct checkpoint *checkpoint;
    bool ema; /* with its averaged weights, in place of the others */
    convoy_recipe *recipe;
    convoy_net *net; /* without weights yet: compile it, then inference_load */
    struct loader_options loading; /* the preprocessing, as for evaluator_create */
};

/* Opens the checkpoint at path, which rank 0 reads. *inference: {0} before, but for
 * ema; free with inference_close, on error, too. Collective; world NULL: this process
 * alone, here and in inference_load. Errors, agreed on: those of checkpoint_load;
 * FORMAT (ema, but it holds no averaged weights). */
convoy_status inference_open(convoy_world *world, const char *path,
                             struct inference *inference);

/* Builds the net that the checkpoint's recipe names. Local. */
convoy_status inference_build(struct inference *inference);

/* Fills the compiled net's parameters and statistics. Collective; ranks agree on the
 * outcome. */
convoy_status inference_load(struct inference *inference);

/* ARGUMENT where the pack does not fit the net: more classes, other channels, or a
 * class name that both know stands for another class. weights, data: for the text.
 * Local. */
convoy_status inference_check_pack(const struct inference *inference,
                                   const convoy_pack *pack, const char *weights,
                                   const char *data);

/* For how many lanes an inference has use. */
struct inference_lanes {
    int lanes;        /* wanted; 0: as cores, microbatches and memory allow */
    int threads;      /* of each */
    int microbatches; /* of this rank; 0 counts as 1 */
    const struct loader_options
        *loading;        /* of the loader that feeds them; NULL: none */
    uint64_t left_bytes; /* that this process may take; 0: unknown */
};

/* Starts lanes on the cores for plan (net_plan), of which nothing is allocated yet.
 * *lanes is new; free with lanes_destroy. Local. Errors: those of setup_lanes and
 * lanes_create. */
convoy_status inference_lanes(const struct inference_lanes *wanted,
                              const struct compiled *plan, const struct cores *cores,
                              struct lanes **lanes);

/* What is compiled of the net must be destroyed before. */
void inference_close(struct inference *inference);

#endif
