/* Batch normalisation's loops over a feature map, in any of the usual layouts. */
#ifndef LAYER_CHANNEL_NORM_H
#define LAYER_CHANNEL_NORM_H

#include "layer/layer.h"

/* A layout as blocks of channels that lie side by side at each pixel. src may be the
 * first channels of a larger map, and diff_src too: then their samples lie further
 * apart than those of dst. */
struct channel_layout {
    dnnl_format_tag_t tag;
    dnnl_data_type_t type; /* of a value: f32 or bf16 */
    int64_t n, channels, pixels;
    int64_t lanes;                            /* channels in a block: 16, 8 or 1 */
    int64_t per_sample, per_block, per_pixel; /* distances in values */
    int64_t src_per_sample, diff_src_per_sample;
};

/* The layout of a layer's dst on src, a feature map of this shape; false for a src
 * whose layout is not usual. */
bool channel_layout_of(const struct layer_build *b, tensor src,
                       const struct shape *shape, struct channel_layout *layout);

/* Values from sample to sample of t, a map of this shape or the first channels of a
 * larger one; 0 for another layout than l's. */
int64_t channel_per_sample(const struct layer_build *b, tensor t,
                           const struct shape *shape, const struct channel_layout *l);

/* Channels rounded up to whole blocks: the length of the coefficients below, which are
 * 0 past the last channel so that padding stays 0. */
int64_t channel_room(const struct channel_layout *layout);

/* Coefficients of each channel, [channel_room]: what forward and backward compute is
 *   y = (x − mean) · scale + shift                       then max(0, ·) if relu
 *   dx = scale · (dy' − diff_mean − (x − mean) · slope)  dy' = dy where y > 0 */
struct channel_coefficients {
    float *mean, *scale, *shift, *diff_mean, *slope;
    bool relu;
};

/* Called between the two passes over some channels, by any thread of the team: the
 * channels [first, last), and two sums for each of them, the first at sums[0]. Writes
 * the coefficients that the second pass needs. */
typedef void channel_between(void *context, int64_t first, int64_t last,
                             const double *sums, const double *products);

/* Forward (dy NULL): sums are Σ x and Σ x², out is y, which may be x.
 * Backward: sums are Σ dy' and Σ dy' · (x − mean), out is dx, which may be dy; if add,
 * dx grows by what it would else become. */
struct channel_work {
    struct channel_layout layout;
    struct channel_coefficients coefficients;
    const void *x, *dy;
    void *out;    /* NULL: the sums only */
    double *sums; /* [2, n, channel_room], scratch; NULL: no first pass */
    bool add;
    channel_between *between;
    void *context; /* of between */
};

void channel_run(const struct channel_work *work);

#endif
