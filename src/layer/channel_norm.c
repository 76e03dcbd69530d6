/* Why not oneDNN's batch normalisation: it adds the n·h·w values of a channel one after
 * another in f32. The error of about 1e-6 moves values across the ReLU behind it, and
 * in the backward pass it is what remains when two nearly equal sums are subtracted;
 * losses then part from the exact ones much sooner than PyTorch's do. Here sums are
 * taken in double, and in one pass where oneDNN needs two. The loops wait for memory
 * either way.
 *
 * A sample's part of a block is summed by one thread, in order; then samples are added
 * in order. So the bits depend neither on threads nor on the ISA. */
#include "layer/channel_norm.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { MAX_LANES = 16, WIDTH = 4, MAX_VECTORS = MAX_LANES / WIDTH };

/* The map that t is the first channels of; t's own shape if it is no such view. */
static struct shape whole_of(const struct layer_build *b, tensor t,
                             const struct shape *shape)
{
    struct shape whole = *shape;
    struct dnn_md md = {0};
    const tensor root = program_root(b->program, t);
    const int64_t dims[4] = {b->n, shape->c, shape->h, shape->w}, offsets[4] = {0};
    int64_t root_dims[DNN_MAX_DIMS];
    if (root == t || dnn_md_dims(program_md(b->program, root), root_dims) != 4 ||
        root_dims[2] != shape->h || root_dims[3] != shape->w)
        return whole;
    if (dnn_md_submemory(program_md(b->program, root), dims, offsets, &md) ==
            CONVOY_OK &&
        dnn_md_same(dnn_md_ref(&md), program_md(b->program, t)))
        whole.c = root_dims[1];
    dnn_md_free(&md);
    return whole;
}

static int64_t blocks_of(int64_t channels, int64_t lanes)
{
    return (channels + lanes - 1) / lanes;
}

bool channel_layout_of(const struct layer_build *b, tensor src,
                       const struct shape *shape, struct channel_layout *l)
{
    const int64_t c = shape->c, pixels = shape->h * shape->w;
    const struct shape whole = whole_of(b, src, shape);
    const bool is_view = whole.c != c;
    const dnnl_format_tag_t tag =
        layer_tag(b, is_view ? program_root(b->program, src) : src, &whole);
    *l = (struct channel_layout){
        .tag = tag, .n = b->n, .channels = c, .pixels = pixels, .lanes = 1};
    if (tag == dnnl_nChw16c || tag == dnnl_nChw8c) {
        l->lanes = l->per_pixel = tag == dnnl_nChw16c ? 16 : 8;
        l->per_block = pixels * l->lanes;
        l->per_sample = blocks_of(c, l->lanes) * l->per_block;
        l->src_per_sample = blocks_of(whole.c, l->lanes) * l->per_block;
        return true;
    }
    if (tag == dnnl_nhwc) {
        l->lanes = l->per_block = MAX_LANES;
        l->per_pixel = c;
    } else {
        l->per_pixel = 1;
        l->per_block = pixels;
    }
    l->per_sample = l->src_per_sample = pixels * c;
    return tag != dnnl_format_tag_undef && !is_view;
}

int64_t channel_per_sample(const struct layer_build *b, tensor t,
                           const struct shape *shape, const struct channel_layout *l)
{
    struct channel_layout other;
    if (!channel_layout_of(b, t, shape, &other) || other.tag != l->tag)
        return 0;
    return other.src_per_sample;
}

static int64_t n_blocks(const struct channel_layout *l)
{
    return blocks_of(l->channels, l->lanes);
}

int64_t channel_room(const struct channel_layout *l)
{
    return n_blocks(l) * l->lanes;
}

/* One block of one sample. */
struct block {
    const float *x, *dy;
    float *out;
    double *sums, *products; /* of its channels */
    const float *mean, *scale, *shift, *diff_mean, *slope;
    int64_t pixels, stride; /* floats from pixel to pixel */
    bool relu;
};

enum work { STATISTICS, APPLY, DIFF_SUMS, DIFF_APPLY, DIFF_ADD, N_WORKS };

struct block_functions {
    void (*work[N_WORKS])(const struct block *block, int64_t lanes);
};

/* Four channels at once, so that their doubles fill a register; gcc and clang make of
 * them what the target has. */
typedef float floats __attribute__((vector_size(16)));
typedef int32_t masks __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(32)));

/* The coefficients of up to 16 channels. */
struct constants {
    floats mean[MAX_VECTORS], scale[MAX_VECTORS], shift[MAX_VECTORS];
    floats diff_mean[MAX_VECTORS], slope[MAX_VECTORS];
};

#define ISA(name) name##_baseline
#include "layer/channel_norm_loops.h"
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_ISAS 1
#pragma GCC push_options
#pragma GCC target("avx2")
#define ISA(name) name##_avx2
#include "layer/channel_norm_loops.h"
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq")
#define ISA(name) name##_avx512
#include "layer/channel_norm_loops.h"
#pragma GCC pop_options
#else
#define HAS_ISAS 0
#endif

/* The widest set that this machine has. All give the same bits. */
static const struct block_functions *functions_here(void)
{
#if HAS_ISAS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        return &functions_avx512;
    if (__builtin_cpu_supports("avx2"))
        return &functions_avx2;
#endif
    return &functions_baseline;
}

/* Does work on every block of every sample. c is NULL for STATISTICS. */
static void for_blocks(const struct channel_layout *l, enum work work,
                       const struct channel_coefficients *c, const struct block *all)
{
    const bool padded = l->per_pixel == l->lanes;
    const struct block_functions *functions = functions_here();
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t block = 0; block < n_blocks(l); block++) {
            const int64_t first = block * l->lanes;
            const int64_t at = block * l->per_block, x_at = at + i * l->src_per_sample;
            const int64_t y_at = at + i * l->per_sample;
            const int64_t row = i * channel_room(l) + first;
            const int64_t rest = l->channels - first;
            struct block b = {
                .x = all->x + x_at, .pixels = l->pixels, .stride = l->per_pixel};
            b.dy = all->dy ? all->dy + y_at : NULL;
            if (all->out)
                b.out = all->out + (all->dy ? at + i * l->diff_src_per_sample : y_at);
            b.sums = all->sums ? all->sums + row : NULL;
            b.products = all->products ? all->products + row : NULL;
            if (c) {
                b.mean = c->mean + first;
                b.scale = c->scale + first;
                b.shift = c->shift + first;
                b.diff_mean = c->diff_mean + first;
                b.slope = c->slope + first;
                b.relu = c->relu;
            }
            functions->work[work](&b, padded || rest > l->lanes ? l->lanes : rest);
        }
}

/* Adds the samples' rows of both halves into their first rows, in order. */
static void add_rows(const struct channel_layout *l, double *sums)
{
    const int64_t room = channel_room(l);
    for (int half = 0; half < 2; half++) {
        double *rows = sums + half * l->n * room;
        for (int64_t i = 1; i < l->n; i++)
            for (int64_t c = 0; c < room; c++)
                rows[c] += rows[i * room + c];
    }
}

void channel_statistics(const struct channel_layout *l, const float *x, double *sums,
                        float *mean, float *variance)
{
    const double count = (double)l->n * (double)l->pixels;
    double *squares = sums + l->n * channel_room(l);
    for_blocks(l, STATISTICS, NULL,
               &(struct block){.x = x, .sums = sums, .products = squares});
    add_rows(l, sums);
    for (int64_t c = 0; c < l->channels; c++) {
        const double m = sums[c] / count, v = squares[c] / count - m * m;
        mean[c] = (float)m;
        variance[c] = v > 0 ? (float)v : 0;
    }
}

void channel_apply(const struct channel_layout *l, const struct channel_coefficients *c,
                   const float *x, float *y)
{
    for_blocks(l, APPLY, c, &(struct block){.x = x, .out = y});
}

void channel_diff_sums(const struct channel_layout *l,
                       const struct channel_coefficients *c, const float *x,
                       const float *dy, double *sums)
{
    for_blocks(
        l, DIFF_SUMS, c,
        &(struct block){
            .x = x, .dy = dy, .sums = sums, .products = sums + l->n * channel_room(l)});
    add_rows(l, sums);
}

void channel_diff_apply(const struct channel_layout *l,
                        const struct channel_coefficients *c, bool add, const float *x,
                        const float *dy, float *dx)
{
    for_blocks(l, add ? DIFF_ADD : DIFF_APPLY, c,
               &(struct block){.x = x, .dy = dy, .out = dx});
}
