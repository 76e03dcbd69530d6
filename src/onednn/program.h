/* A program: the oneDNN primitives of a net in execution order, over virtual tensors.
 *
 * Layers create tensors and emit primitives (or plain C functions, "calls") in three
 * phases. program_plan then gives tensors that live only within a pass places in one
 * arena by liveness, creates all primitives and memory objects, and from then on a run
 * executes without allocating or creating anything.
 *
 * A tensor has a home: the planned arena, or memory of the caller that is given by
 * program_bind as a base pointer and can change between runs.
 */
#ifndef ONEDNN_PROGRAM_H
#define ONEDNN_PROGRAM_H

#include "onednn/engine.h"

#include <stdatomic.h>

enum phase {
    PHASE_WEIGHTS, /* after each change of the parameters */
    PHASE_FORWARD,
    PHASE_BACKWARD
};
enum { N_PHASES = 3 };

enum home {
    HOME_ARENA,    /* planned by liveness over FORWARD then BACKWARD */
    HOME_PREPARED, /* planned, never reused: what PHASE_WEIGHTS prepares; copies of a
                      program share it */
    HOME_PARAMS,   /* the caller's, f32 */
    HOME_FROZEN,   /* the caller's: parameters that have no gradients */
    HOME_GRADS,    /* the caller's, at the parameters' offsets */
    HOME_BUFFERS,  /* the caller's: running statistics */
    HOME_STATS, /* the caller's: statistics of this microbatch, at HOME_BUFFERS' offsets
                 */
    HOME_IMAGES, /* the caller's: the batch */
    HOME_LABELS,
    HOME_PARTNERS,  /* of samples that are mixed: second labels … */
    HOME_SHARES,    /* … and shares of the first */
    HOME_LOSS_SCALE /* the caller's: d loss / d loss of each sample */
};
enum { N_HOMES = HOME_LOSS_SCALE + 1 };

/* A tensor of a program; tensors are numbered from 0. */
typedef int tensor;
enum { NO_TENSOR = -1 };

/* Which step and which samples a run is about, for calls that draw random numbers. */
struct run_info {
    uint64_t seed, step;
    uint64_t first_sample; /* of this microbatch, counted within the global batch */
};

/* An argument of a primitive: a DNNL_ARG_… and its tensor. */
struct program_arg {
    int arg;
    tensor tensor;
};

/* A plain C function as an op. data: the tensors' memory, in the order given. context:
 * copied at program_call. */
typedef void program_function(const void *context, const struct run_info *info,
                              void *const *data);
enum { PROGRAM_CONTEXT_SIZE = 96, PROGRAM_MAX_CALL_TENSORS = 12 };

struct program;

/* New, on an engine that is borrowed; free with program_destroy. */
convoy_status program_create(const struct dnn *dnn, struct program **program);
void program_destroy(struct program *program);

const struct dnn *program_dnn(const struct program *program);

/* A tensor of layout md (copied), offset floats into its home (0 for planned homes).
 * The same one, where a parameter is named again. */
convoy_status program_tensor(struct program *program, dnn_cmd md, enum home home,
                             size_t offset, tensor *out);

/* Another view of t's memory, with the same bytes in all but name. */
convoy_status program_view(struct program *program, tensor t, dnn_cmd md, tensor *out);

/* The tensor whose memory t is a view of; t itself if it is none. */
tensor program_root(const struct program *program, tensor t);

/* Layout of t; borrowed until program_destroy. */
dnn_cmd program_md(const struct program *program, tensor t);

/* What follows is reported under this name and kind by program_profile. Borrowed. */
void program_label(struct program *program, const char *layer, const char *kind);

/* Takes pd over, also on failure: it is destroyed with the program. */
convoy_status program_adopt(struct program *program, dnnl_primitive_desc_t pd);

/* Appends a primitive of an adopted pd. The scratchpad is added here. */
convoy_status program_emit(struct program *program, enum phase phase,
                           dnnl_primitive_desc_t pd, int n_args,
                           const struct program_arg *args);

/* Appends a call of function on the memory of tensors[n_tensors]. */
convoy_status program_call(struct program *program, enum phase phase,
                           program_function *function, const void *context,
                           size_t context_size, int n_tensors, const tensor *tensors);

/* Appends a copy between tensors of equal dims and other layout or type. */
convoy_status program_reorder(struct program *program, enum phase phase, tensor from,
                              tensor to);

/* What oneDNN has for the call that was appended last: to be compared with. Takes pd
 * over, as program_adopt. */
convoy_status program_rival(struct program *program, dnnl_primitive_desc_t pd);

/* t if it has layout md; else a tensor that has, and the copy that fills it (one copy,
 * if the same is wanted again, in this or a later phase). */
convoy_status program_want(struct program *program, enum phase phase, tensor t,
                           dnn_cmd md, tensor *out);

/* Keeps t's contents valid until the program runs again. */
void program_keep(struct program *program, tensor t);

/* Keeps those of all tensors that there are, so that PHASE_BACKWARD may run more than
 * once behind one PHASE_FORWARD. */
void program_keep_all(struct program *program);

/* Places tensors: from then on the bytes are known, and no tensor or op can be added.
 * Allocates nothing of that size yet. */
convoy_status program_place(struct program *program);

/* Makes the memory that program_place found to be needed. lender, which may be NULL and
 * outlives program: a program whose memory is taken instead where that is enough. Their
 * runs then overwrite each other: after one of program, lender needs PHASE_WEIGHTS
 * again before its next, and the other way round. */
convoy_status program_allocate(struct program *program, const struct program *lender);

/* Creates the primitives of the ops part, part + parts, …: so several threads can, each
 * another part, at the same time. */
convoy_status program_create_primitives(struct program *program, int part, int parts);

/* All three. */
convoy_status program_plan(struct program *program);

/* The same ops on memory of their own, to run at the same time as the original's: ops,
 * primitives and what PHASE_WEIGHTS prepares are the original's, which is allocated and
 * outlives the copy. lender as for program_allocate. Several threads may copy at the
 * same time, also while primitives are created. *copy is new; free with
 * program_destroy. */
convoy_status program_copy(const struct program *original, const struct program *lender,
                           struct program **copy);

/* Bytes that were planned: of the arena, which each copy has, and of what PHASE_WEIGHTS
 * prepares. And what the tensors of the arena would need without reuse. */
size_t program_arena_bytes(const struct program *program);
size_t program_prepared_bytes(const struct program *program);
size_t program_tensor_bytes(const struct program *program);

/* Sets the base pointer of a caller's home, of this copy alone. Cheap; after
 * program_allocate. */
convoy_status program_bind(struct program *program, enum home home, void *base);

/* Runs the ops of a phase in order. A program and its copies may run at the same time,
 * each in one thread. */
convoy_status program_run(struct program *program, enum phase phase,
                          const struct run_info *info);

/* What a run tells: of HOME_GRADS, everything from float `from` on is final. */
typedef void program_final(void *context, size_t from);

/* PHASE_BACKWARD as program_run, which calls final(context, from) each time that from
 * has become smaller, the last time with 0. */
convoy_status program_run_backward(struct program *program, const struct run_info *info,
                                   program_final *final, void *context);

/* Runs the ops of a phase in order up to the first that reads or writes a value which
 * is no finite number: *op; NO_OP: none does. Slow, and allocates: to look for the
 * cause of a failure. Errors: MEMORY, LIBRARY. */
enum { NO_OP = -1 };
convoy_status program_find_nonfinite(struct program *program, enum phase phase,
                                     const struct run_info *info, int *op);

/* PHASE_WEIGHTS by several copies at once, whose ops do not depend on each other: each
 * takes the next one of *next, which is 0 before. */
convoy_status program_prepare(struct program *program, atomic_int *next);

/* t's memory: valid after program_allocate and its home's bind. */
void *program_data(const struct program *program, tensor t);

/* Time by op since the last call, of this copy; off until on is set (two clocks read
 * per op). */
void program_time(struct program *program, bool on);

struct program_cost {
    const char *layer, *kind; /* borrowed */
    enum phase phase;
    bool primitive;      /* oneDNN's, not a call */
    bool of_weights;     /* it writes a gradient of weights */
    bool reference;      /* one of its reference kernels (dnn_is_reference) */
    const char *kernels; /* its name for them; "" for a call; borrowed */
    double seconds;      /* by the clock */
    double cpu_seconds;  /* CPU time of the thread that ran it */
    uint64_t runs;
};
int program_n_ops(const struct program *program);
struct program_cost program_cost(const struct program *program, int op);

/* What op is, or, of a call, its rival (program_rival); NULL: neither. Borrowed. */
dnnl_primitive_desc_t program_primitive(const struct program *program, int op);

#endif
