/* Windows that lie side by side give each pixel at most one window, so both passes are
 * a single walk over memory: the backward pass writes each value of diff_src once,
 * where oneDNN first fills it with zeros and then adds to it.
 *
 * Of equal values the first of a window wins, in rows from the top, as oneDNN's and
 * PyTorch's do; a NaN wins over all numbers, as PyTorch's does: it must reach the loss
 * to be noticed. Beside dst the forward pass leaves one byte a value: which pixel of
 * its window it came from, or that it did not pass the ReLU. */
#include "layer/tile_pool.h"

#include "layer/vectors.h"

#include <assert.h>

enum { NOWHERE = 255 };

/* Maps as planes of pixels, each of width values side by side: a block of channels
 * where the layout has blocks, else all channels. */
struct context {
    int64_t n_planes;
    int32_t width;
    int32_t src_h, src_w, dst_h, dst_w, kernel_h, kernel_w;
    bool relu, bf16, keeps; /* keeps: the place of each value, for the backward pass */
};

static int32_t width_of(const struct layer_build *b, dnnl_format_tag_t tag)
{
    return tag == dnnl_nChw16c  ? 16
           : tag == dnnl_nChw8c ? 8
           : tag == dnnl_nhwc   ? (int32_t)b->src_shapes[0].c
                                : 0;
}

bool tile_pool_fits(const struct layer_build *b, const struct layer_window *w)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    for (int d = 0; d < 2; d++)
        if (w->stride[d] != w->kernel[d] || w->pad[d] != 0 || w->dilation[d] != 1)
            return false;
    return w->kernel[0] * w->kernel[1] < NOWHERE && dst->h * w->kernel[0] <= src->h &&
           dst->w * w->kernel[1] <= src->w &&
           (b->type == dnnl_f32 || b->type == dnnl_bf16) &&
           width_of(b, layer_tag(b, b->src[0], src)) > 0;
}

static struct context context_of(const struct layer_build *b,
                                 const struct layer_window *w)
{
    const struct shape *src = &b->src_shapes[0], *dst = &b->dst_shape;
    const int32_t width = width_of(b, layer_tag(b, b->src[0], src));
    assert(width > 0); /* tile_pool_fits */
    return (struct context){.n_planes = b->n * ((src->c + width - 1) / width),
                            .width = width,
                            .src_h = (int32_t)src->h,
                            .src_w = (int32_t)src->w,
                            .dst_h = (int32_t)dst->h,
                            .dst_w = (int32_t)dst->w,
                            .kernel_h = (int32_t)w->kernel[0],
                            .kernel_w = (int32_t)w->kernel[1],
                            .relu = b->relu,
                            .bf16 = b->type == dnnl_bf16,
                            .keeps = b->training};
}

typedef uint8_t bytes __attribute__((vector_size(LANES)));

INLINE words choose_words(words mask, words yes, words no)
{
    return (yes & mask) | (no & ~mask);
}

/* A plane of src, of dst and of the places, or of the gradients. */
struct plane {
    void *src, *dst;
    uint8_t *places; /* NULL: not kept */
};

/* One window of n channels: the first of its values is src[from], the largest becomes
 * dst[to]. */
INLINE void max_of(const struct context *c, const struct plane *p, int64_t from,
                   int64_t to, int n, bool bf16)
{
    floats best = load_floats(p->src, from, n, bf16);
    words place = {0};
    for (int32_t y = 0, i = 0; y < c->kernel_h; y++)
        for (int32_t x = 0; x < c->kernel_w; x++, i++) {
            const int64_t at = ((int64_t)y * c->src_w + x) * c->width;
            const floats v = load_floats(p->src, from + at, n, bf16);
            const words wins = (v > best) | (v != v);
            best = (floats)choose_words(wins, (words)v, (words)best);
            place = choose_words(wins, (words){0} + i, place);
        }
    if (c->relu) {
        const words stops = best <= 0;
        best = (floats)((words)best & ~stops);
        place |= stops;
    }
    store_floats(p->dst, to, best, n, bf16);
    if (p->places) {
        const bytes narrow = __builtin_convertvector(place, bytes);
        memcpy(p->places + to, &narrow, (size_t)n);
    }
}

/* dst[to] handed back to where max_of took it from; the window's other values get 0. */
INLINE void hand_back(const struct context *c, const struct plane *p, int64_t from,
                      int64_t to, int n, bool bf16)
{
    const words diff = (words)load_floats(p->dst, to, n, bf16);
    bytes narrow = {0};
    assert(p->places);
    memcpy(&narrow, p->places + to, (size_t)n);
    const words place = __builtin_convertvector(narrow, words);
    for (int32_t y = 0, i = 0; y < c->kernel_h; y++)
        for (int32_t x = 0; x < c->kernel_w; x++, i++) {
            const int64_t at = ((int64_t)y * c->src_w + x) * c->width;
            store_floats(p->src, from + at, (floats)(diff & (place == i)), n, bf16);
        }
}

typedef void window_function(const struct context *c, const struct plane *p,
                             int64_t from, int64_t to, int n, bool bf16);

/* All windows of row y of a plane. */
INLINE void for_row(const struct context *c, const struct plane *p, int64_t y,
                    window_function *function, bool bf16)
{
    const int rest = c->width % LANES;
    const int64_t whole = c->width - rest;
    for (int64_t x = 0; x < c->dst_w; x++) {
        const int64_t row = y * c->kernel_h, column = x * c->kernel_w;
        const int64_t from = (row * c->src_w + column) * c->width;
        const int64_t to = (y * c->dst_w + x) * c->width;
        for (int64_t k = 0; k < whole; k += LANES)
            function(c, p, from + k, to + k, LANES, bf16);
        if (rest > 0)
            function(c, p, from + whole, to + whole, rest, bf16);
    }
}

/* The same, told what is known: loops over four pixels are no loops, and a type is no
 * branch. */
INLINE void for_row_of(const struct context *c, const struct plane *p, int64_t y,
                       window_function *function)
{
    struct context known = *c;
    if (c->bf16) {
        for_row(c, p, y, function, true);
    } else if (c->kernel_h == 2 && c->kernel_w == 2) {
        known.kernel_h = known.kernel_w = 2;
        for_row(&known, p, y, function, false);
    } else {
        for_row(c, p, y, function, false);
    }
}

static size_t value_bytes(const struct context *c)
{
    return c->bf16 ? sizeof(uint16_t) : sizeof(float);
}

/* What no window covers: the columns behind the last window of y's rows, and behind the
 * last row of windows all others. */
static void clear_rest(const struct context *c, char *diff_src, int64_t y)
{
    const size_t pixel = (size_t)c->width * value_bytes(c);
    const size_t line = (size_t)c->src_w * pixel;
    const size_t covered = (size_t)(c->dst_w * c->kernel_w) * pixel;
    const int64_t first = y * c->kernel_h, next = first + c->kernel_h;
    for (int64_t row = first; covered < line && row < next; row++)
        memset(diff_src + (size_t)row * line + covered, 0, line - covered);
    if (y == c->dst_h - 1)
        memset(diff_src + (size_t)next * line, 0, (size_t)(c->src_h - next) * line);
}

enum { DATA_SRC, DATA_DST, DATA_PLACES, N_DATA }; /* or their gradients */

static struct plane plane_of(const struct context *c, void *const *data, int64_t p)
{
    const int64_t src_values = (int64_t)c->src_h * c->src_w * c->width;
    const int64_t dst_values = (int64_t)c->dst_h * c->dst_w * c->width;
    return (struct plane){
        .src = (char *)data[DATA_SRC] + (size_t)(p * src_values) * value_bytes(c),
        .dst = (char *)data[DATA_DST] + (size_t)(p * dst_values) * value_bytes(c),
        .places = c->keeps ? (uint8_t *)data[DATA_PLACES] + p * dst_values : NULL};
}

static void run_forward(const void *context, const struct run_info *info,
                        void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < c->n_planes; p++)
        for (int64_t y = 0; y < c->dst_h; y++) {
            const struct plane plane = plane_of(c, data, p);
            for_row_of(c, &plane, y, max_of);
        }
}

static void run_backward(const void *context, const struct run_info *info,
                         void *const *data)
{
    const struct context *c = context;
    (void)info;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < c->n_planes; p++)
        for (int64_t y = 0; y < c->dst_h; y++) {
            const struct plane plane = plane_of(c, data, p);
            for_row_of(c, &plane, y, hand_back);
            clear_rest(c, plane.src, y);
        }
}

/* A map of this shape in src's layout. */
static convoy_status new_map(struct layer_build *b, const struct shape *shape,
                             tensor *out)
{
    const int64_t dims[4] = {b->n, shape->c, shape->h, shape->w};
    struct dnn_md md = {0};
    convoy_status status =
        dnn_md_make(4, dims, b->type, layer_tag(b, b->src[0], &b->src_shapes[0]), &md);
    if (status == CONVOY_OK)
        status = layer_tensor(b, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

static convoy_status new_places(struct layer_build *b, const struct context *c,
                                tensor *out)
{
    const int64_t n = c->n_planes * c->dst_h * c->dst_w * c->width;
    struct dnn_md md = {0};
    convoy_status status = dnn_md_make_plain(1, &n, dnnl_u8, &md);
    if (status == CONVOY_OK)
        status = layer_tensor(b, dnn_md_ref(&md), out);
    dnn_md_free(&md);
    return status;
}

convoy_status tile_pool_forward(struct layer_build *b, const struct layer_window *w)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b, w);
    tensor tensors[N_DATA] = {b->src[0], NO_TENSOR, NO_TENSOR};
    TRY(new_map(b, &b->dst_shape, &tensors[DATA_DST]));
    if (context.keeps)
        TRY(new_places(b, &context, &tensors[DATA_PLACES]));
    TRY(program_call(b->program, PHASE_FORWARD, run_forward, &context, sizeof context,
                     context.keeps ? N_DATA : N_DATA - 1, tensors));
    b->dst = tensors[DATA_DST];
    b->saved[0] = tensors[DATA_PLACES];
cleanup:
    return status;
}

convoy_status tile_pool_backward(struct layer_build *b, const struct layer_window *w)
{
    convoy_status status = CONVOY_OK;
    const struct context context = context_of(b, w);
    TRY(new_map(b, &b->src_shapes[0], &b->diff_src[0]));
    const tensor tensors[N_DATA] = {b->diff_src[0], b->diff_dst, b->saved[0]};
    TRY(program_call(b->program, PHASE_BACKWARD, run_backward, &context, sizeof context,
                     N_DATA, tensors));
cleanup:
    return status;
}
