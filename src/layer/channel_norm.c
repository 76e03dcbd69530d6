/* Why not oneDNN's batch normalisation: it adds the n·h·w values of a channel one after
 * another in f32. The error of about 1e-6 moves values across the ReLU behind it, and
 * in the backward pass it is what remains when two nearly equal sums are subtracted;
 * losses then part from the exact ones much sooner than PyTorch's do. Here sums are
 * taken in double, and in one pass where oneDNN needs two.
 *
 * The loops wait for memory. So both passes, that of the sums and that which applies
 * them, go over a few blocks of channels at a time, as many as a core's cache holds;
 * the second goes backwards, so that it finds at least the end where none fits.
 *
 * A sample's part of a block is summed by one thread, in order; then samples are added
 * in order. So the bits depend neither on threads nor on the cache nor on the ISA. */
#include "layer/channel_norm.h"

#include "base/bf16.h"

#include <omp.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { MAX_LANES = 16 };

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
    *l = (struct channel_layout){.tag = tag,
                                 .type = b->type,
                                 .n = b->n,
                                 .channels = c,
                                 .pixels = pixels,
                                 .lanes = 1};
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
    const void *x, *dy;
    void *out;
    double *sums, *products; /* of its channels */
    const float *mean, *scale, *shift, *diff_mean, *slope;
    int64_t pixels, stride; /* values from pixel to pixel */
    bool relu;
};

enum pass { STATISTICS, APPLY, DIFF_SUMS, DIFF_APPLY, DIFF_ADD, N_PASSES };

struct block_functions {
    void (*f32[N_PASSES])(const struct block *block, int64_t lanes);
    void (*bf16[N_PASSES])(const struct block *block, int64_t lanes);
};

/* For each set of instructions: MAP floats at once where values are mapped, SUM of them
 * widened to doubles where they are added; gcc and clang make of these vectors what the
 * target has, but gcc widens by halves if not told how (-1 or 255, 4: all lanes,
 * rounding as ever). The product of two floats is exact in double: so fused or not,
 * MUL_ADD gives the same. */
#define ISA(name) name##_baseline
#define MAP 4
#define SUM 4
#define WIDEN(floats) __builtin_convertvector(floats, sum_doubles_baseline)
#define MUL_ADD(a, b, c) ((a) * (b) + (c))
#include "layer/channel_norm_loops.h"
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAS_ISAS 1
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define ISA(name) name##_avx2
#define MAP 8
#define SUM 4
#define WIDEN(floats) __builtin_ia32_cvtps2pd256(floats)
#define MUL_ADD(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#include "layer/channel_norm_loops.h"
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq")
#define ISA(name) name##_avx512
#define MAP 16
#define SUM 8
#define WIDEN(floats)                                                                  \
    __builtin_ia32_cvtps2pd512_mask(floats, (sum_doubles_avx512){0}, -1, 4)
#define MUL_ADD(a, b, c) __builtin_ia32_vfmaddpd512_mask(a, b, c, 255, 4)
#include "layer/channel_norm_loops.h"
#pragma GCC pop_options
#else
#define HAS_ISAS 0
#endif

/* The widest set that this machine has and a block fills. All give the same bits. */
static const struct block_functions *functions_for(int64_t lanes)
{
#if HAS_ISAS
    __builtin_cpu_init();
    if (lanes == MAX_LANES && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return &functions_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &functions_avx2;
#else
    (void)lanes;
#endif
    return &functions_baseline;
}

static int64_t value_bytes(const struct channel_layout *l)
{
    return l->type == dnnl_bf16 ? 2 : 4;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Blocks of channels that both passes go over at a time, and one thread's share of
 * these: items [begin, end), counted sample by sample. */
struct group {
    int64_t first, n_blocks;
    int64_t begin, end;
    bool reverse; /* the second pass */
};

/* What a core may count on of the caches that it shares, and has of its own. */
enum { CACHE_BYTES = 1 << 20 };

static int64_t blocks_at_a_time(const struct channel_work *w, int threads)
{
    const struct channel_layout *l = &w->layout;
    const int64_t maps = w->dy ? 2 : 1;
    const int64_t bytes = maps * l->n * l->pixels * l->lanes * value_bytes(l);
    const int64_t fit = (int64_t)CACHE_BYTES * threads / bytes;
    return w->sums ? smaller(fit > 1 ? fit : 1, n_blocks(l)) : n_blocks(l);
}

/* Item k of a group. */
static void run_block(const struct channel_work *w,
                      void (*function)(const struct block *, int64_t),
                      const struct group *g, int64_t k)
{
    const struct channel_layout *l = &w->layout;
    const struct channel_coefficients *c = &w->coefficients;
    const int64_t i = k / g->n_blocks, block = g->first + k % g->n_blocks;
    const int64_t first = block * l->lanes, at = block * l->per_block;
    const int64_t bytes = value_bytes(l), x_at = at + i * l->src_per_sample;
    const int64_t y_at = at + i * l->per_sample, rest = l->channels - first;
    const int64_t out_at = w->dy ? at + i * l->diff_src_per_sample : y_at;
    const int64_t row = k * l->lanes;
    const struct block b = {
        .x = (const char *)w->x + x_at * bytes,
        .dy = w->dy ? (const char *)w->dy + y_at * bytes : NULL,
        .out = w->out ? (char *)w->out + out_at * bytes : NULL,
        .sums = w->sums ? w->sums + row : NULL,
        .products = w->sums ? w->sums + l->n * g->n_blocks * l->lanes + row : NULL,
        .mean = c->mean + first,
        .scale = c->scale + first,
        .shift = c->shift + first,
        .diff_mean = c->diff_mean + first,
        .slope = c->slope + first,
        .pixels = l->pixels,
        .stride = l->per_pixel,
        .relu = c->relu};
    const bool padded = l->per_pixel == l->lanes;
    function(&b, padded || rest > l->lanes ? l->lanes : rest);
}

/* Adds the samples' rows of a block into its first row, in order; then there are its
 * sums. */
static void finish_block(const struct channel_work *w, const struct group *g, int64_t k)
{
    const struct channel_layout *l = &w->layout;
    const int64_t room = g->n_blocks * l->lanes, first = (g->first + k) * l->lanes;
    const int64_t last = smaller(first + l->lanes, l->channels);
    double *sums = w->sums + k * l->lanes, *products = sums + l->n * room;
    for (int64_t i = 1; i < l->n; i++)
        for (int64_t c = 0; c < last - first; c++) {
            sums[c] += sums[i * room + c];
            products[c] += products[i * room + c];
        }
    w->between(w->context, first, last, sums, products);
}

/* By each thread of a team, with its share of the group. */
static void run_group(const struct channel_work *w, const struct group *g)
{
    const struct block_functions *functions = functions_for(w->layout.lanes);
    void (*const *of)(const struct block *, int64_t) =
        w->layout.type == dnnl_bf16 ? functions->bf16 : functions->f32;
    const enum pass apply = w->add ? DIFF_ADD : w->dy ? DIFF_APPLY : APPLY;
    if (w->sums) {
        for (int64_t k = g->begin; k < g->end; k++)
            run_block(w, of[w->dy ? DIFF_SUMS : STATISTICS], g, k);
#pragma omp barrier
#pragma omp for schedule(static)
        for (int64_t k = 0; k < g->n_blocks; k++)
            finish_block(w, g, k);
    }
    for (int64_t k = g->begin; w->out && k < g->end; k++)
        run_block(w, of[apply], g, g->reverse ? g->end - 1 - (k - g->begin) : k);
}

void channel_run(const struct channel_work *work)
{
    const int64_t n_all = n_blocks(&work->layout);
#pragma omp parallel
    {
        const int threads = omp_get_num_threads(), thread = omp_get_thread_num();
        const int64_t at_a_time = blocks_at_a_time(work, threads);
        for (int64_t first = 0; first < n_all; first += at_a_time) {
            struct group g = {.first = first,
                              .n_blocks = smaller(at_a_time, n_all - first)};
            const int64_t items = g.n_blocks * work->layout.n;
            g.begin = items * thread / threads;
            g.end = items * (thread + 1) / threads;
            g.reverse = at_a_time == 1;
            run_group(work, &g);
        }
    }
}
