/* Measuring convoy on this machine: what `convoy bench` does. */
#ifndef CONVOY_BENCH_H
#define CONVOY_BENCH_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_bench_model_options {
    const char *model; /* a name of the zoo */
    int size;          /* pixels a side; 0: the model's own */
    int classes;       /* 0: the model's own */
    int microbatch;    /* 0: 32 */
    int threads;       /* 0: as a training run would take */
    int steps;         /* measured, after one that is not; 0: 5 */
} convoy_bench_model_options;

/* Time of the steps in one kind of work. */
typedef struct convoy_bench_cost {
    const char *kind;  /* "conv", "batch_norm", "reorder", …; borrowed */
    const char *phase; /* "weights", "forward", "backward", "step" */
    bool primitive;    /* oneDNN's; else a loop of convoy */
    double seconds;    /* a step, in the mean */
} convoy_bench_cost;

typedef struct convoy_bench_model_result {
    int shape[3]; /* of a sample */
    int microbatch, threads, steps;
    int64_t n_params;
    double images_per_s; /* of the median step */
    double best_images_per_s;
    double images_per_cpu_s; /* the median again, by the first thread's CPU time: what
                                a busy machine distorts least */
    uint64_t peak_bytes;     /* the most memory that the process has had */
    uint64_t planned_bytes;  /* of it, activations, their gradients and scratch */
} convoy_bench_model_result;

/* Times training steps (forward, backward, SGD with momentum) of a model on random
 * samples, on this process alone. Local. visit, which may be NULL, is then called for
 * each kind of work, in no special order. Errors: ARGUMENT, MEMORY, LIBRARY. */
convoy_status convoy_bench_model(const convoy_bench_model_options *options,
                                 void (*visit)(void *context,
                                               const convoy_bench_cost *cost),
                                 void *context, convoy_bench_model_result *result);

#ifdef __cplusplus
}
#endif
#endif
