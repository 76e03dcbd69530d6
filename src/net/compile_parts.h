/* What compile.c, compile_graph.c, compile_recompute.c and net_probe.c share: a net
 * while it is compiled. */
#ifndef NET_COMPILE_PARTS_H
#define NET_COMPILE_PARTS_H

#include "net/net.h"

/* A gradient that reached a value. */
struct contribution {
    tensor tensor;
    bool exclusive; /* nobody else reads this tensor: it may be overwritten */
    bool any;
};

/* What is known of a node while compiling. */
struct compiled_node {
    struct layer_build build;
    tensor *src, *diff_src;   /* [n_src] */
    struct shape *src_shapes; /* [n_src] */
    struct shape shape;       /* of its value */
    int n_readers;
    int chain_end; /* the last of the concats that share a tensor with this; 0: none */
    tensor whole;  /* of a chain's last: that tensor */
    bool fused;    /* a ReLU that its source does, or, of a probe, a layer that only
                      training has: the value passes through */
    bool learns;   /* it or something before it has parameters */
    bool recomputed; /* for the backward pass … */
    bool is_there;   /* … and has been */
    struct contribution diff;
};

struct compiler {
    convoy_net *net;
    struct compiled *out;
    struct program *program;
    const struct compile_options *options;
    struct compiled_node *entries; /* [n_nodes] */
    tensor labels, partners, shares;
};

/* What the graph alone decides, before the first layer is built: readers, the ReLUs
 * that other layers do, chains of concats. entries are prepared. */
void compile_look(struct compiler *c);

/* The shape of node i's value, for images of the options' size, from its sources'.
 * Errors: ARGUMENT (the layer cannot have them; the text names it). */
convoy_status compile_shape(struct compiler *c, int i);

/* Which values the backward pass is to compute once more, after compile_look. */
void compile_choose_recomputed(struct compiler *c);

/* What the backward pass of node i reads of values that are to be recomputed, it has
 * behind this: in src, saved and dst. */
convoy_status compile_recompute(struct compiler *c, int i);

/* Keeps what can be read of a probe, after both passes. */
convoy_status compile_probe(struct compiler *c);

/* Whether the backward pass of node i reads what it has computed: a kind that does
 * other layers' ReLUs does so only for these. */
bool compile_reads_dst(const struct compiler *c, int i);

/* Whether reader, which reads node i, may write over its value: it is the only one, and
 * no backward pass reads the value. */
bool compile_may_overwrite(const struct compiler *c, int i, int reader);

#endif
