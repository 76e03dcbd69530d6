/* Layers as plain loops in double precision, to compare the oneDNN layers with.
 *
 * All arrays are canonical: row-major [n, c, h, w] for activations, PyTorch's dims for
 * parameters. A reference knows only attributes and shapes, nothing of layouts, and
 * gives its own idea of PyTorch's semantics: it shares no code with src/layer.
 */
#ifndef REFERENCE_REFERENCE_H
#define REFERENCE_REFERENCE_H

#include "layer/layer.h"

enum { REFERENCE_MAX_SRC = 4, REFERENCE_MAX_PARAMS = 2, REFERENCE_MAX_STATISTICS = 2 };

/* One layer with its data. The arrays are the reference's own: calloc'ed by
 * reference_create, NULL where the kind has no such array. */
struct reference {
    const struct reference_kind *kind;
    struct layer_attributes a;
    bool relu; /* behind it */
    int64_t n;
    int n_src;
    struct shape src_shapes[REFERENCE_MAX_SRC], dst_shape;
    bool training;         /* batch norm: own statistics; dropout: drops */
    bool frozen;           /* batch norm: the running statistics all the same */
    const int32_t *labels; /* [n], borrowed */
    const unsigned char
        *kept; /* dropout: 1 where a value is kept; of src's size; borrowed */

    double *src[REFERENCE_MAX_SRC], *dst;
    double *params[REFERENCE_MAX_PARAMS];
    double *running[REFERENCE_MAX_STATISTICS]; /* in */
    double
        *statistics[REFERENCE_MAX_STATISTICS]; /* out of a forward pass in training */
    double *diff_dst;                          /* in */
    double *diff_src[REFERENCE_MAX_SRC];
    double *diff_params[REFERENCE_MAX_PARAMS];
};

struct reference_kind {
    const char *name;
    /* NULL: no parameters, no statistics. Number of values of parameter (statistic) i;
     * 0: there is none. */
    int64_t (*param_values)(const struct reference *r, int i);
    int64_t (*statistic_values)(const struct reference *r, int i);
    void (*forward)(struct reference *r);
    /* After forward. Adds to diff_src and diff_params. */
    void (*backward)(struct reference *r);
};

/* NULL: there is no reference of this name. */
const struct reference_kind *reference_find(const char *kind);

/* Allocates the arrays of *r, whose kind, attributes, n and shapes are set. False: out
 * of memory (free it all the same). */
bool reference_create(struct reference *r);
void reference_free(struct reference *r);

void reference_forward(struct reference *r);
/* Sets diff_src and diff_params. */
void reference_backward(struct reference *r);

/* Number of values of one sample and of the whole tensor. */
int64_t reference_sample(const struct shape *shape);
int64_t reference_src_values(const struct reference *r, int i);
int64_t reference_dst_values(const struct reference *r);
int64_t reference_param_values(const struct reference *r, int i);
int64_t reference_statistic_values(const struct reference *r, int i);

extern const struct reference_kind reference_conv, reference_locally_connected,
    reference_inner_product;
extern const struct reference_kind reference_batch_norm, reference_lrn;
extern const struct reference_kind reference_relu, reference_sigmoid, reference_tanh,
    reference_dropout, reference_add, reference_concat, reference_pad_channels,
    reference_flatten;
extern const struct reference_kind reference_max_pool, reference_avg_pool,
    reference_global_avg_pool, reference_adaptive_avg_pool, reference_blur_pool;
extern const struct reference_kind reference_softmax_cross_entropy;

#endif
