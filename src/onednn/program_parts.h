/* What program.c and plan.c share: the insides of a program. */
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
    dnnl_memory_t memory;
};

struct op {
    enum phase phase;
    const char *layer, *kind;
    dnnl_primitive_desc_t pd; /* NULL for a call */
    dnnl_primitive_t primitive;
    int n_args;
    dnnl_exec_arg_t *args; /* [n_args] */
    tensor *tensors;       /* [n_args] */
    program_function *function;
    unsigned char context[PROGRAM_CONTEXT_SIZE];
    double seconds;
    uint64_t runs;
};

struct wanted {
    enum phase phase;
    tensor from, to;
};

struct program {
    const struct dnn *dnn;
    struct tensor_entry **tensors; /* apart, so that a borrowed md stays where it is */
    int n_tensors, tensors_capacity;
    struct op *ops;
    int n_ops, ops_capacity;
    dnnl_primitive_desc_t *pds; /* adopted */
    int n_pds, pds_capacity;
    struct wanted *wanted;
    int n_wanted, wanted_capacity;
    const char *layer, *kind;
    tensor scratchpad;
    size_t scratchpad_bytes;
    char *arena;
    const struct program *lender; /* of the arena; NULL: it is its own */
    size_t arena_bytes, tensor_bytes;
    void *bases[N_HOMES];
    bool planned, timing;
};

/* Gives every planned tensor its offset; sets arena_bytes and tensor_bytes. */
convoy_status plan_place(struct program *program);

#endif
