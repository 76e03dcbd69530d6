/* Measuring convoy on this machine: what `convoy bench` does. */
#ifndef CONVOY_BENCH_H
#define CONVOY_BENCH_H

#include <convoy/status.h>
#include <convoy/world.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_bench_model_options {
    const char *model;     /* a name of the zoo */
    int size;              /* pixels a side; 0: the model's own */
    int classes;           /* 0: the model's own */
    int microbatch;        /* 0: 32 */
    int microbatches;      /* of a step; 0: one a lane */
    int lanes;             /* 0: as many as there are cores and memory holds */
    int threads;           /* OpenMP threads of a lane; 0: 1 */
    int steps;             /* measured, after one that is not; 0: 5 */
    const char *precision; /* "f32" or "bf16"; NULL: f32 */
    bool recompute;        /* as train.recompute of recipes */
    bool blur_pool;        /* as model.blur_pool */
    bool limit;            /* also the time of the step's primitives alone */
} convoy_bench_model_options;

/* Time of the steps in one kind of work. */
typedef struct convoy_bench_cost {
    const char *kind;  /* "conv", "batch_norm", "reorder", …; borrowed */
    const char *phase; /* "weights", "forward", "backward", "step" */
    bool primitive;    /* oneDNN's; else a loop of convoy */
    double seconds;    /* a step, in the mean; of lanes, too */
    /* With limit, by the CPU time of lanes' first threads, of the median step: */
    double cpu_seconds;   /* this work */
    double limit_seconds; /* its primitives alone; 0: it has none that count */
} convoy_bench_cost;

typedef struct convoy_bench_model_result {
    int shape[3]; /* of a sample */
    int classes;
    int microbatch, microbatches; /* samples of one, and how many a step */
    int lanes, threads, steps;
    int64_t n_params;
    double images_per_s; /* of the median step */
    double best_images_per_s;
    double images_per_cpu_s; /* the median again, by the CPU time of the lanes' first
                                threads, in the mean: what a busy machine distorts
                                least */
    /* With limit, else 0: what the step's primitives take, each alone and in the
     * layouts that it likes best, all lanes at once: by the clock, and the sum of the
     * costs' limit_seconds. And how large a share of the median step this is, by the
     * clock and by CPU time. */
    double limit_s, limit_cpu_s;
    double limit_share, limit_cpu_share;
    uint64_t peak_bytes;    /* the most memory that the process has had */
    uint64_t planned_bytes; /* of it, activations, their gradients and scratch, of all
                               lanes */
} convoy_bench_model_result;

/* Times training steps (forward, backward, the sum of gradients, a step of the
 * optimizer that recipes have unless they name one) of a model on random samples, on
 * this process alone. Local. visit, which may be NULL, is then called for each kind of
 * work, in no special order. Errors: ARGUMENT, UNSUPPORTED (bf16 on a processor
 * without), MEMORY, LIBRARY. */
convoy_status convoy_bench_model(const convoy_bench_model_options *options,
                                 void (*visit)(void *context,
                                               const convoy_bench_cost *cost),
                                 void *context, convoy_bench_model_result *result);

typedef struct convoy_bench_loader_options {
    int threads;  /* 0: 1 */
    int images;   /* of each stage and round; 0: 1024 */
    int crop;     /* pixels a side; 0: 224, raw records as they are */
    bool exact;   /* always decode in full resolution */
    bool augment; /* `all` with every augmentation: TrivialAugmentWide, colour jitter,
                     random erasing, mixup and cutmix, too */
} convoy_bench_loader_options;

/* Images a second of CPU time, but where said. 0: a stage that raw records do not have.
 */
typedef struct convoy_bench_loader_result {
    int shape[3]; /* of a sample */
    int threads;
    int images;          /* a round */
    double read;         /* from the file, with the checksum */
    double decode;       /* whole images */
    double resize;       /* RandomResizedCrop of decoded images */
    double normalise;    /* of these, to f32 planes */
    double all;          /* the loader: only what is needed of each of these */
    double images_per_s; /* all, by the clock, with all threads */
    double read_mb_per_s, mb_per_s; /* what read and images_per_s are in 10^6 bytes */
} convoy_bench_loader_result;

/* Times the loading of training samples from the pack at path with ImageNet's
 * augmentation: random resized crop and flip (raw records: flip). Records come from the
 * file system's cache where they fit: read them once before, or see in read what a cold
 * file costs. Local. options is not NULL. Errors: those of convoy_pack_open, ARGUMENT,
 * MEMORY, LIBRARY. */
convoy_status convoy_bench_loader(const char *path,
                                  const convoy_bench_loader_options *options,
                                  convoy_bench_loader_result *result);

/* 0: the default. The same on all ranks. */
typedef struct convoy_bench_exchange_options {
    uint64_t least_bytes;  /* of the shortest vector; 0: 4 KiB */
    uint64_t most_bytes;   /* of the longest; 0: 512 MiB. Less where memory ends */
    uint64_t bucket_bytes; /* of vectors that travel together; 0: as training does */
    int rounds; /* timed of each size, at most 200; 0: 3 to 200, as they take time */
} convoy_bench_exchange_options;

/* One way to sum a vector of one length over all ranks. */
typedef struct convoy_bench_exchange_time {
    const char *way; /* an exchange algorithm, "MPI_Allreduce" (out of place) or
                        "MPI_Iallreduce" (in place); borrowed */
    uint64_t bytes;  /* of the vector */
    int rounds;      /* 0, and all that follows: the memory that ranks of a node can
                        share has no room for it */
    double seconds;  /* of the slowest rank, in the median round */
    double least_seconds;   /* in the best one */
    double bus_bytes_per_s; /* 2 (ranks - 1) / ranks bytes / seconds */
} convoy_bench_exchange_time;

typedef struct convoy_bench_exchange_result {
    int ranks, nodes;
    char mpi[64];            /* "Open MPI v4.1.4" */
    char allreduce[64];      /* which algorithm MPI_Allreduce was told to take */
    uint64_t left_out_bytes; /* the shortest vector that memory had no room for; 0:
                                none */
} convoy_bench_exchange_result;

/* Times the sum of vectors over all ranks, as training exchanges gradients, for lengths
 * that grow fourfold, by each exchange algorithm and by the MPI library. visit is
 * called after each length with all ways of it, [n], borrowed; on every rank, with the
 * same figures. Collective; ranks agree on what can fail but MPI. Errors: ARGUMENT (one
 * rank alone, too), MEMORY, LIBRARY (a sum was wrong, too). */
convoy_status convoy_bench_exchange(
    convoy_world *world, const convoy_bench_exchange_options *options,
    void (*visit)(void *context, const convoy_bench_exchange_time *times, int n),
    void *context, convoy_bench_exchange_result *result);

#ifdef __cplusplus
}
#endif
#endif
