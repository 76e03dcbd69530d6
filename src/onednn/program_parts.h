/* What program.c, plan.c and program_run.c share: the insides of a program. */
#ifndef ONEDNN_PROGRAM_PARTS_H
#define ONEDNN_PROGRAM_PARTS_H

#include "onednn/program.h"

struct tensor_entry {
    struct dnn_md md;
    enum home home;
    size_t offset, bytes; /* both in bytes: a planned tensor may be of any type */
    tensor root; /* the tensor whose memory this is a view of; itself otherwise */
    int first_op, last_op; /* over FORWARD then BACKWARD; -1: unused */
    bool keep;
};

struct op {
    enum phase phase;
    const char *layer, *kind;
    dnnl_primitive_desc_t pd;    /* NULL for a call */
    dnnl_primitive_desc_t rival; /* of a call; NULL: none */
    dnnl_primitive_t primitive;
    int n_args, first_arg;
    int *args;       /* [n_args] DNNL_ARG_… */
    tensor *tensors; /* [n_args] */
    program_function *function;
    unsigned char context[PROGRAM_CONTEXT_SIZE];
    size_t final_from; /* of HOME_GRADS, floats: no later op of PHASE_BACKWARD touches
                          what lies from here on */
};

struct op_time {
    double seconds, cpu_seconds;
    uint64_t runs;
};

struct wanted {
    enum phase phase;
    tensor from, to;
};

/* The first part is the original's and shared by its copies. */
struct program {
    const struct dnn *dnn;
    struct tensor_entry **tensors; /* apart, so that a borrowed md stays where it is */
    int n_tensors, tensors_capacity;
    struct op *ops;
    int n_ops, ops_capacity, n_args;
    dnnl_primitive_desc_t *pds; /* adopted */
    int n_pds, pds_capacity;
    struct wanted *wanted;
    int n_wanted, wanted_capacity;
    const char *layer, *kind;
    tensor scratchpad;
    size_t scratchpad_bytes;
    size_t arena_bytes, prepared_bytes, tensor_bytes;
    bool placed;

    bool is_copy;
    dnnl_stream_t stream;
    dnnl_memory_t *memories; /* [n_tensors] */
    dnnl_exec_arg_t *args;   /* [n_args] of all ops */
    struct op_time *times;   /* [n_ops] */
    void *bases[N_HOMES];
    void *arena, *prepared; /* what of its memory is its own, to free */
    bool timing;
};

/* Runs one op. */
convoy_status program_run_op(struct program *program, int op,
                             const struct run_info *info);

/* Gives every planned tensor its offset; sets the sizes, and what each op leaves final.
 */
convoy_status plan_place(struct program *program);

#endif
