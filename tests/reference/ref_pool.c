/* Pooling over windows: the largest value or the average. PyTorch's divisor: the values
 * of the window that lie in the input, or without exclude_pad in the input and its
 * padding (but not what ceil_mode reaches beyond that). */
#include "reference/reference.h"

struct window {
    int64_t plane; /* index of [n, c, 0, 0] in src */
    int64_t y, x;  /* of the first tap */
};

static struct window window_of(const struct reference *r, int64_t o)
{
    const struct shape *src = &r->src_shapes[0], *dst = &r->dst_shape;
    int64_t plane = o / (dst->h * dst->w);
    return (struct window){.plane = plane * src->h * src->w,
                           .y = o / dst->w % dst->h * r->a.stride[0] - r->a.pad[0],
                           .x = o % dst->w * r->a.stride[1] - r->a.pad[1]};
}

static int64_t taps_of(const struct reference *r)
{
    return (int64_t)r->a.kernel[0] * r->a.kernel[1];
}

/* Index into src of tap t; -1: outside. */
static int64_t source_of(const struct reference *r, const struct window *w, int64_t t)
{
    const struct shape *src = &r->src_shapes[0];
    int64_t y = w->y + t / r->a.kernel[1] * r->a.dilation[0];
    int64_t x = w->x + t % r->a.kernel[1] * r->a.dilation[1];
    if (y < 0 || y >= src->h || x < 0 || x >= src->w)
        return -1;
    return w->plane + y * src->w + x;
}

/* Index into src of the largest value of window w, the first of equals. */
static int64_t largest(const struct reference *r, const struct window *w)
{
    int64_t best = -1;
    for (int64_t t = 0; t < taps_of(r); t++) {
        int64_t s = source_of(r, w, t);
        if (s >= 0 && (best < 0 || r->src[0][s] > r->src[0][best]))
            best = s;
    }
    return best;
}

static void max_pool_forward(struct reference *r)
{
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct window w = window_of(r, o);
        const double y = r->src[0][largest(r, &w)];
        r->dst[o] = r->relu && y < 0 ? 0 : y;
    }
}

static void max_pool_backward(struct reference *r)
{
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct window w = window_of(r, o);
        const bool stops = r->relu && r->dst[o] <= 0;
        r->diff_src[0][largest(r, &w)] += stops ? 0 : r->diff_dst[o];
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static double divisor(const struct reference *r, const struct window *w)
{
    const struct shape *src = &r->src_shapes[0];
    int64_t counted = 0;
    if (!r->a.exclude_pad)
        return (double)((smaller(w->y + r->a.kernel[0], src->h + r->a.pad[0]) - w->y) *
                        (smaller(w->x + r->a.kernel[1], src->w + r->a.pad[1]) - w->x));
    for (int64_t t = 0; t < taps_of(r); t++)
        counted += source_of(r, w, t) >= 0;
    return (double)counted;
}

static void avg_pool_forward(struct reference *r)
{
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct window w = window_of(r, o);
        double sum = 0;
        for (int64_t t = 0; t < taps_of(r); t++) {
            int64_t s = source_of(r, &w, t);
            sum += s >= 0 ? r->src[0][s] : 0;
        }
        r->dst[o] = sum / divisor(r, &w);
    }
}

static void avg_pool_backward(struct reference *r)
{
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct window w = window_of(r, o);
        for (int64_t t = 0; t < taps_of(r); t++) {
            int64_t s = source_of(r, &w, t);
            if (s >= 0)
                r->diff_src[0][s] += r->diff_dst[o] / divisor(r, &w);
        }
    }
}

static void global_avg_pool_forward(struct reference *r)
{
    int64_t spatial = r->src_shapes[0].h * r->src_shapes[0].w;
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        double sum = 0;
        for (int64_t i = 0; i < spatial; i++)
            sum += r->src[0][o * spatial + i];
        r->dst[o] = sum / (double)spatial;
    }
}

static void global_avg_pool_backward(struct reference *r)
{
    int64_t spatial = r->src_shapes[0].h * r->src_shapes[0].w;
    for (int64_t i = 0; i < reference_src_values(r, 0); i++)
        r->diff_src[0][i] += r->diff_dst[i / spatial] / (double)spatial;
}

/* The windows of adaptive pooling over n_in values begin at floor(i · n_in / n_out) and
 * end before ceil((i + 1) · n_in / n_out). */
static bool in_window(int64_t at, int64_t i, int64_t n_in, int64_t n_out)
{
    return at >= i * n_in / n_out && at * n_out < (i + 1) * n_in;
}

/* Share of value s of a map in the mean of window o; 0: not in it. */
static double share(const struct reference *r, int64_t s, int64_t o)
{
    const struct shape *src = &r->src_shapes[0], *dst = &r->dst_shape;
    int64_t rows = 0, columns = 0;
    if (!in_window(s / src->w, o / dst->w, src->h, dst->h) ||
        !in_window(s % src->w, o % dst->w, src->w, dst->w))
        return 0;
    for (int64_t y = 0; y < src->h; y++)
        rows += in_window(y, o / dst->w, src->h, dst->h);
    for (int64_t x = 0; x < src->w; x++)
        columns += in_window(x, o % dst->w, src->w, dst->w);
    return 1 / (double)(rows * columns);
}

static void adaptive_avg_pool_forward(struct reference *r)
{
    int64_t n_in = r->src_shapes[0].h * r->src_shapes[0].w;
    int64_t n_out = r->dst_shape.h * r->dst_shape.w;
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        r->dst[o] = 0;
        for (int64_t s = 0; s < n_in; s++)
            r->dst[o] += r->src[0][o / n_out * n_in + s] * share(r, s, o % n_out);
    }
}

static void adaptive_avg_pool_backward(struct reference *r)
{
    int64_t n_in = r->src_shapes[0].h * r->src_shapes[0].w;
    int64_t n_out = r->dst_shape.h * r->dst_shape.w;
    for (int64_t i = 0; i < reference_src_values(r, 0); i++)
        for (int64_t o = 0; o < n_out; o++)
            r->diff_src[0][i] +=
                r->diff_dst[i / n_in * n_out + o] * share(r, i % n_in, o);
}

/* Weight of value s of a map in value o of the blurred one. */
static double blur_share(const struct reference *r, int64_t s, int64_t o)
{
    const struct shape *src = &r->src_shapes[0], *dst = &r->dst_shape;
    const int64_t y = s / src->w - o / dst->w * r->a.stride[0];
    const int64_t x = s % src->w - o % dst->w * r->a.stride[1];
    if (y < -1 || y > 1 || x < -1 || x > 1)
        return 0;
    return (y == 0 ? 0.5 : 0.25) * (x == 0 ? 0.5 : 0.25);
}

static void blur_pool_forward(struct reference *r)
{
    int64_t n_in = r->src_shapes[0].h * r->src_shapes[0].w;
    int64_t n_out = r->dst_shape.h * r->dst_shape.w;
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        r->dst[o] = 0;
        for (int64_t s = 0; s < n_in; s++)
            r->dst[o] += r->src[0][o / n_out * n_in + s] * blur_share(r, s, o % n_out);
    }
}

static void blur_pool_backward(struct reference *r)
{
    int64_t n_in = r->src_shapes[0].h * r->src_shapes[0].w;
    int64_t n_out = r->dst_shape.h * r->dst_shape.w;
    for (int64_t i = 0; i < reference_src_values(r, 0); i++)
        for (int64_t o = 0; o < n_out; o++)
            r->diff_src[0][i] +=
                r->diff_dst[i / n_in * n_out + o] * blur_share(r, i % n_in, o);
}

const struct reference_kind reference_max_pool = {
    .name = "max_pool", .forward = max_pool_forward, .backward = max_pool_backward};

const struct reference_kind reference_avg_pool = {
    .name = "avg_pool", .forward = avg_pool_forward, .backward = avg_pool_backward};

const struct reference_kind reference_global_avg_pool = {
    .name = "global_avg_pool",
    .forward = global_avg_pool_forward,
    .backward = global_avg_pool_backward};

const struct reference_kind reference_adaptive_avg_pool = {
    .name = "adaptive_avg_pool",
    .forward = adaptive_avg_pool_forward,
    .backward = adaptive_avg_pool_backward};

const struct reference_kind reference_blur_pool = {
    .name = "blur_pool", .forward = blur_pool_forward, .backward = blur_pool_backward};
