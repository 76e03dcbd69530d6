/* A net from the inside, and its compilation. */
#ifndef NET_NET_H
#define NET_NET_H

#include <convoy/net.h>

#include "base/status.h"
#include "layer/param_store.h"

struct node {
    const struct layer_kind *kind; /* NULL: the input */
    char *name;
    void *attributes; /* what kind is told: kind->about.size bytes; NULL: nothing */
    int n_src;
    int *src; /* [n_src], numbers of earlier nodes */
    struct shape shape;
    int first_param, n_params, first_buffer;
};

struct convoy_net {
    struct node *nodes;
    int n_nodes, nodes_capacity;
    int logits, loss;       /* nodes; -1: none yet */
    struct failure failure; /* of the first node that could not be added */
    struct param_store store;
    struct dnn dnn;
};

/* A net made ready for microbatches of n samples, one at a time: one program. Copies of
 * it compute others at the same time. */
struct compiled {
    struct convoy_net *net;
    struct program *program;
    int n;
    bool training;
    tensor logits, losses;
    float *loss_scale;   /* [n]: d total / d loss of each sample; its own */
    struct probe *probe; /* what can be read of each node (net_probe.h); NULL: not
                            compiled for that, or a copy */
    double
        *n_values; /* [the store's buffers] that a microbatch's statistic is over; 0:
                      of a layer that does not learn. NULL: a copy, or not training */
};

struct compile_options {
    int n;                 /* microbatch */
    int height, width;     /* of images; 0: as the net was built */
    dnnl_data_type_t type; /* of images, activations and products: f32 or bf16 */
    bool training;
    int threads;    /* OpenMP threads that will run it; 0: as many as the caller has */
    bool recompute; /* training: cheap values once more rather than keep them */
    bool mixes;     /* training: samples may be mixed, compiled_forward_batch */
    bool rivals;    /* also describe what oneDNN has for layers that are not its own */
    bool probe;     /* f32 and training: the net as it evaluates, whose values and
                       gradients can all be read (net_probe.h); nothing learns */
};

/* Appends a layer of any kind on n nodes, told attributes (kind->about.size bytes,
 * complete; copied; NULL for a kind that has no options), and returns its node; -1 and
 * a failure kept in the net as the calls of convoy/net.h. Those are built on this one,
 * and so are nets from recipes. */
convoy_node net_add(convoy_net *net, const struct layer_kind *kind, int n,
                    const convoy_node *x, const char *name, const void *attributes);

/* Freezes the parameters whose names begin with prefix: they get no gradients and do
 * not change; batch norms among them use their running statistics and leave these as
 * they are. To be called before the first compilation. ARGUMENT: no parameter is called
 * so, or only some of a layer's (the text names it). */
convoy_status net_freeze(convoy_net *net, const char *prefix);

/* Plans the compilation of net: layouts, ops and where activations lie. Memory comes
 * with compiled_allocate, and the primitives with program_create_primitives; until then
 * the plan's sizes can be read. The first plan fixes the parameters' layouts, so plan
 * for training first. Images may have another size than the net was built with, where
 * that leaves the parameters' shapes. oneDNN cuts its sums by the number of threads.
 * *compiled is new; free with compiled_destroy, before the net. Errors name the layer;
 * UNSUPPORTED: this processor has no instructions for the type. */
convoy_status net_plan(convoy_net *net, const struct compile_options *options,
                       struct compiled **compiled);

/* Makes the memory of a plan, and if it is the first, the parameters' arena (zeroed:
 * fill it with param_store_init or param_store_set). lender: NULL, or another
 * compilation of this net that outlives this one and lends it its memory for
 * activations, where that is enough. Only one of the two is at work at a time:
 * compiled_refresh before the first forward of its turn. */
convoy_status compiled_allocate(struct compiled *compiled,
                                const struct compiled *lender);

/* All of it, with memory of its own. */
convoy_status net_compile(convoy_net *net, const struct compile_options *options,
                          struct compiled **compiled);

/* The same compilation with activations of its own, for another microbatch at the same
 * time: weights, statistics, primitives and prepared weights are the original's, which
 * is allocated and outlives the copy. lender as for compiled_allocate. *copy is new;
 * free with compiled_destroy. */
convoy_status compiled_copy(const struct compiled *original,
                            const struct compiled *lender, struct compiled **copy);
/* Takes NULL. */
void compiled_destroy(struct compiled *compiled);

/* Floats of a gradient leaf: the gradients of the parameters that learn, in the store's
 * layout, then the batch statistics. */
size_t net_leaf_floats(const convoy_net *net);
/* Of the parameters that learn; the frozen ones lie behind them. */
size_t net_param_floats(const convoy_net *net);

/* Of a sample's forward pass: those of all layers (convoy_net_describe). */
int64_t net_multiply_adds(const convoy_net *net);

/* To be called after the parameters have changed, before the next forward: for all
 * copies at once. */
convoy_status compiled_refresh(struct compiled *compiled);

/* images: [n, c, h, w] of the type compiled for; labels: i32 [n], -1: no sample. leaf
 * (training, but no probe; else NULL): [net_leaf_floats], where statistics and
 * gradients go. The pointers must stay valid until the backward pass is done. */
convoy_status compiled_forward(struct compiled *compiled, const void *images,
                               const int32_t *labels, float *leaf,
                               const struct run_info *info);
/* compiled_forward's arguments, together. With compile_options.mixes also what the
 * samples are mixed of: sample i is shares[i] of class labels[i] and the rest of class
 * partners[i], which is its loss' target. [n]; both NULL: none is mixed. */
struct compiled_batch {
    const void *images;
    const int32_t *labels;
    float *leaf;
    const int32_t *partners;
    const float *shares;
};
convoy_status compiled_forward_batch(struct compiled *compiled,
                                     const struct compiled_batch *batch,
                                     const struct run_info *info);
/* The forward pass of training for its batch statistics alone, [buffer_floats]: there
 * is no backward pass after it. batch->leaf is not used. */
convoy_status compiled_forward_statistics(struct compiled *compiled,
                                          const struct compiled_batch *batch,
                                          float *statistics,
                                          const struct run_info *info);
/* Of scale · Σ losses, into the leaf of the last forward. */
convoy_status compiled_backward(struct compiled *compiled, float scale,
                                const struct run_info *info);
/* The same, which tells how much of the leaf's gradients is final
 * (program_run_backward), from the last layer on. The statistics, which backward passes
 * read, have to stay as they are until the end. */
convoy_status compiled_backward_telling(struct compiled *compiled, float scale,
                                        const struct run_info *info,
                                        program_final *final, void *context);

/* Both passes, up to the first op of the program with a value that is no finite number:
 * *op; NO_OP: none has one. Slow, and allocates. Errors: MEMORY, LIBRARY. */
convoy_status compiled_find_nonfinite(struct compiled *compiled, float scale,
                                      const struct compiled_batch *batch,
                                      const struct run_info *info, int *op);

/* [n, classes] and [n] of the last forward, f32; borrowed. */
const float *compiled_logits(const struct compiled *compiled);
const float *compiled_losses(const struct compiled *compiled);

/* Moves the running statistics of layers that learn: new = (1 - momentum) · old +
 * momentum · factor · sum / n, where sum [buffers] are statistics summed over n
 * microbatches of compiled, which trains and is no copy. */
void compiled_update_buffers(const struct compiled *compiled, const float *sum, int n);

/* The running statistics of layers that learn become factor · sums / n: sums [buffers]
 * of n microbatches that compiled, which trains and is no copy, has passed. */
void compiled_set_buffers(const struct compiled *compiled, const double *sums,
                          double n);

#endif
