/* One layer of any kind on random values, compiled as a net compiles it, next to the
 * plain-loop reference of the same layer.
 *
 * A sample is a case with its values and the reference's results; a rig is one
 * compilation of it. Several rigs may share a sample and a parameter store. Functions
 * that can fail end the running CMocka test.
 */
#ifndef UNIT_LAYER_LAYER_RIG_H
#define UNIT_LAYER_LAYER_RIG_H

#include "layer/param_store.h"
#include "reference/reference.h"

#include "base/rng.h"

struct layer_case {
    const char *kind, *name;
    int64_t n;
    int n_src;
    struct shape src[REFERENCE_MAX_SRC];
    /* Flat sources in a layout other than plain arrive as a feature map of this shape.
     */
    struct shape map;
    struct layer_attributes a;
    bool relu;        /* behind it, and its to do */
    struct shape dst; /* what PyTorch gives */
    bool no_sample;   /* softmax cross-entropy: some labels are -1 */
};

/* The table of cases (layer_cases.c), ended by kind NULL. */
extern const struct layer_case layer_cases[];

/* Ends the test with the failure's text where status is not CONVOY_OK. */
void rig_ok(convoy_status status, const char *what, const char *file, int line);
#define OK(call) rig_ok((call), #call, __FILE__, __LINE__)

struct layer_sample {
    const struct layer_case *c;
    const struct layer_kind *kind;
    struct reference r;
    int32_t *labels;     /* [n] */
    unsigned char *kept; /* of src's size */
};

/* New; free with sample_destroy. The reference has run forward, and training, backward.
 */
struct layer_sample *sample_create(const struct layer_case *c, bool training);
void sample_destroy(struct layer_sample *sample);

/* Runs the reference on the sample's values (again). */
void sample_compute(struct layer_sample *sample);

/* How the sources come. Flat sources are plain in every layout but have a map. */
enum src_layout {
    SRC_PLAIN,   /* row-major, in the caller's memory */
    SRC_COPIED,  /* row-major, in planned memory */
    SRC_BLOCK_8, /* planned, channels in blocks of 8 */
    SRC_BLOCK_16,
    SRC_CHANNELS_LAST
};
enum { N_SRC_LAYOUTS = SRC_CHANNELS_LAST + 1 };
extern const char *const src_layout_names[N_SRC_LAYOUTS];

struct rig_options {
    enum src_layout layout;
    bool training, frozen, no_diff_src;
    bool overwrite; /* src and diff_dst, where the layout lets them */
    /* Before the backward pass, src and dst turn to NaN where the kind's
     * backward_reads_… says that they are not needed. */
    bool spoil;
    int index; /* of the layer in its net */
};

struct layer_rig {
    struct layer_sample *sample;
    struct rig_options options;
    const struct dnn *dnn;
    struct program *program;
    struct layer_build build;
    struct param_store *store; /* borrowed */
    tensor src[REFERENCE_MAX_SRC], diff_src[REFERENCE_MAX_SRC], dst;
    tensor out_dst, out_diff_src[REFERENCE_MAX_SRC]; /* row-major copies */
    float *images, *diff, *grads, *statistics;
    struct run_info info;
};

/* Adds the case's parameters to store; all rigs on this store use them. */
void rig_add_params(const struct layer_case *c, struct param_store *store);

/* New; free with rig_destroy. Allocates the store's arenas if they are not yet there,
 * and puts the sample's parameters and running statistics into them. */
struct layer_rig *rig_create(struct layer_sample *sample,
                             const struct rig_options *options, const struct dnn *dnn,
                             struct param_store *store);
void rig_destroy(struct layer_rig *rig);

/* Puts the sample's parameters and running statistics into the store. */
void rig_set_params(struct layer_rig *rig);

/* Copies the sample's values in and runs. Gradients and statistics hold NaN before. */
void rig_forward(struct layer_rig *rig);
void rig_backward(struct layer_rig *rig);

/* Row-major results; diff_src NULL where the layer made none. */
const float *rig_dst(const struct layer_rig *rig);
const float *rig_diff_src(const struct layer_rig *rig, int i);
/* Gradient of the layer's parameter i, row-major; to be freed. */
float *rig_grad(const struct layer_rig *rig, int i);
/* This microbatch's statistic i; borrowed. */
const float *rig_statistic(const struct layer_rig *rig, int i);
/* Number of the layer's parameters and of its running statistics. */
int rig_n_params(const struct layer_rig *rig);
int rig_n_statistics(const struct layer_rig *rig);

/* Dropout: makes the sample's mask what rig->info draws on dst's layout (float i of a
 * sample's memory is dropped where word i of its stream, as a fraction, is below p),
 * and runs the reference again. */
void rig_draw_mask(struct layer_rig *rig);

/* Largest difference over the largest expected value (0 if all agree; infinite for
 * NaN). */
double rig_error(const float *found, const double *expected, int64_t n);

#endif
