/* Parameters and running statistics of a net: names, canonical shapes, and the layouts
 * in which oneDNN wants them, in one flat arena each.
 *
 * While the first program is built, layers fix each parameter's layout; then
 * param_store_allocate makes the arenas. Gradients have the parameters' layouts and
 * offsets, so exchange and optimizer are loops over ranges of floats; padding inside a
 * layout is zero in both and stays zero. Frozen parameters lie behind the others, where
 * no gradient reaches.
 */
#ifndef LAYER_PARAM_STORE_H
#define LAYER_PARAM_STORE_H

#include "base/lanes.h"
#include "layer/layer.h"

struct stored_param {
    char *name; /* "layer1.0.conv1.weight" */
    struct param param;
    bool frozen;          /* it has no gradient and no step changes it */
    struct dnn_md layout; /* {0}: not yet fixed */
    /* Floats in the arena, from when the layout is fixed. The offset of a frozen one
     * counts from the end of the learning ones until the arena is made. The next
     * parameter starts at offset + mem_round_up_floats(n_floats). */
    size_t offset, n_floats;
};

struct stored_buffer {
    char *name; /* "layer1.0.bn1.running_mean" */
    struct buffer buffer;
    size_t offset;   /* floats, in buffers and in statistics */
    double n_values; /* that one microbatch's statistic is over, as compiled last for
                        training; 0: it is measured by none */
};

struct param_store {
    struct stored_param *params;
    int n_params, params_capacity;
    struct stored_buffer *buffers;
    int n_buffers, buffers_capacity;
    size_t param_floats;  /* of the learning ones: a multiple of 16 */
    size_t frozen_floats; /* of the frozen ones, behind them in the arena */
    size_t buffer_floats;
    float *param_data;  /* NULL until param_store_allocate */
    float *buffer_data; /* [buffer_floats] */
};

void param_store_free(struct param_store *store);

/* Adds what kind asks for under the layer's name; *first_param and *first_buffer are
 * then the layer's first entries. */
convoy_status param_store_add(struct param_store *store, const char *layer,
                              const struct layer_kind *kind, const void *attributes,
                              const struct shape *src, int *first_param,
                              int *first_buffer);

/* Makes the arenas, zeroed; parameters whose layout no program fixed become row-major.
 * Once. */
convoy_status param_store_allocate(struct param_store *store);

/* Fills parameters (draws keyed by seed and the parameter's name) and running
 * statistics: the same with any lanes, which share the work. NULL: the calling thread
 * does it. Needs memory for all parameters once more while it runs. */
convoy_status param_store_init(struct param_store *store, const struct dnn *dnn,
                               struct lanes *lanes, uint64_t seed);

/* The values that param_store_init gives parameter i; needs no arena. canonical:
 * row-major, of param.dims. */
void param_store_initial(const struct param_store *store, int i, uint64_t seed,
                         float *canonical);

/* Copies parameter i out of or into data, an arena of the store's layout (its own; of a
 * parameter that learns also a gradient or an optimizer's slot). canonical: row-major,
 * of param.dims. */
convoy_status param_store_get(const struct param_store *store, const struct dnn *dnn,
                              int i, const float *data, float *canonical);
convoy_status param_store_set(const struct param_store *store, const struct dnn *dnn,
                              int i, const float *canonical, float *data);

/* Number of values of parameter i. */
int64_t param_store_n_values(const struct param_store *store, int i);

#endif
