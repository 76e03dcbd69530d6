/* Convolution (cross-correlation) with groups, strides, padding and dilation, the same
 * with weights of its own at each place, and the inner product, as loops over outputs
 * and taps: output o is the sum over its taps t of weight[tap] · src[where the tap
 * lies]. The backward pass walks the same pairs. */
#include "reference/reference.h"

/* Output element o of a convolution. */
struct place {
    int64_t n, c, y, x;
    int64_t first; /* input channel of its group */
};

static struct place place_of(const struct reference *r, int64_t o)
{
    const struct shape *dst = &r->dst_shape;
    int64_t c = o / (dst->h * dst->w) % dst->c;
    int64_t group = c / (r->a.out / r->a.groups);
    return (struct place){.n = o / (dst->c * dst->h * dst->w),
                          .c = c,
                          .y = o / dst->w % dst->h,
                          .x = o % dst->w,
                          .first = group * (r->src_shapes[0].c / r->a.groups)};
}

/* weight: [out, ic / groups, kh, kw] */
static int64_t taps_of(const struct reference *r)
{
    return r->src_shapes[0].c / r->a.groups * r->a.kernel[0] * r->a.kernel[1];
}

/* A tap of a kernel: channel of its group, row, column. */
struct tap {
    int64_t c, y, x;
};

static void next_tap(const struct reference *r, struct tap *t)
{
    if (++t->x < r->a.kernel[1])
        return;
    t->x = 0;
    if (++t->y < r->a.kernel[0])
        return;
    t->y = 0;
    t->c++;
}

/* Index into src that tap t of output o reads; -1: in the padding. */
static int64_t source_of(const struct reference *r, const struct place *o,
                         const struct tap *t)
{
    const struct layer_attributes *a = &r->a;
    const struct shape *src = &r->src_shapes[0];
    int64_t y = o->y * a->stride[0] - a->pad[0] + t->y * a->dilation[0];
    int64_t x = o->x * a->stride[1] - a->pad[1] + t->x * a->dilation[1];
    if (y < 0 || y >= src->h || x < 0 || x >= src->w)
        return -1;
    return ((o->n * src->c + o->first + t->c) * src->h + y) * src->w + x;
}

static int64_t conv_param_values(const struct reference *r, int i)
{
    if (i == 0)
        return r->a.out * taps_of(r);
    return r->a.bias ? r->a.out : 0;
}

static void conv_forward(struct reference *r)
{
    int64_t taps = taps_of(r);
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct place at = place_of(r, o);
        double sum = r->a.bias ? r->params[1][at.c] : 0;
        struct tap tap = {0};
        for (int64_t t = 0; t < taps; t++, next_tap(r, &tap)) {
            int64_t s = source_of(r, &at, &tap);
            if (s >= 0)
                sum += r->params[0][at.c * taps + t] * r->src[0][s];
        }
        r->dst[o] = sum;
    }
}

static void conv_backward(struct reference *r)
{
    int64_t taps = taps_of(r);
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        struct place at = place_of(r, o);
        double d = r->diff_dst[o];
        if (r->a.bias)
            r->diff_params[1][at.c] += d;
        struct tap tap = {0};
        for (int64_t t = 0; t < taps; t++, next_tap(r, &tap)) {
            int64_t s = source_of(r, &at, &tap);
            if (s < 0)
                continue;
            r->diff_src[0][s] += d * r->params[0][at.c * taps + t];
            r->diff_params[0][at.c * taps + t] += d * r->src[0][s];
        }
    }
}

/* weight: [out, ic / groups, kh, kw, oh · ow], bias: [out, oh · ow] */
static int64_t places_of(const struct reference *r)
{
    return r->dst_shape.h * r->dst_shape.w;
}

static int64_t local_param_values(const struct reference *r, int i)
{
    return places_of(r) * conv_param_values(r, i);
}

static void local_forward(struct reference *r)
{
    const int64_t taps = taps_of(r), places = places_of(r);
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        const struct place at = place_of(r, o);
        const int64_t p = o % places;
        double sum = r->a.bias ? r->params[1][at.c * places + p] : 0;
        struct tap tap = {0};
        for (int64_t t = 0; t < taps; t++, next_tap(r, &tap)) {
            const int64_t s = source_of(r, &at, &tap);
            if (s >= 0)
                sum += r->params[0][(at.c * taps + t) * places + p] * r->src[0][s];
        }
        r->dst[o] = sum;
    }
}

static void local_backward(struct reference *r)
{
    const int64_t taps = taps_of(r), places = places_of(r);
    for (int64_t o = 0; o < reference_dst_values(r); o++) {
        const struct place at = place_of(r, o);
        const int64_t p = o % places;
        const double d = r->diff_dst[o];
        if (r->a.bias)
            r->diff_params[1][at.c * places + p] += d;
        struct tap tap = {0};
        for (int64_t t = 0; t < taps; t++, next_tap(r, &tap)) {
            const int64_t s = source_of(r, &at, &tap);
            const int64_t w = (at.c * taps + t) * places + p;
            if (s < 0)
                continue;
            r->diff_src[0][s] += d * r->params[0][w];
            r->diff_params[0][w] += d * r->src[0][s];
        }
    }
}

/* weight: [out, c · h · w] */
static int64_t inner_product_param_values(const struct reference *r, int i)
{
    if (i == 0)
        return r->a.out * reference_sample(&r->src_shapes[0]);
    return r->a.bias ? r->a.out : 0;
}

static void inner_product_forward(struct reference *r)
{
    int64_t ic = reference_sample(&r->src_shapes[0]), oc = r->a.out;
    for (int64_t o = 0; o < r->n * oc; o++) {
        const double *src = r->src[0] + o / oc * ic;
        const double *weight = r->params[0] + o % oc * ic;
        double sum = r->a.bias ? r->params[1][o % oc] : 0;
        for (int64_t i = 0; i < ic; i++)
            sum += src[i] * weight[i];
        r->dst[o] = sum;
    }
}

static void inner_product_backward(struct reference *r)
{
    int64_t ic = reference_sample(&r->src_shapes[0]), oc = r->a.out;
    for (int64_t o = 0; o < r->n * oc; o++) {
        double d = r->diff_dst[o];
        int64_t src = o / oc * ic, weight = o % oc * ic;
        if (r->a.bias)
            r->diff_params[1][o % oc] += d;
        for (int64_t i = 0; i < ic; i++) {
            r->diff_src[0][src + i] += d * r->params[0][weight + i];
            r->diff_params[0][weight + i] += d * r->src[0][src + i];
        }
    }
}

const struct reference_kind reference_conv = {.name = "conv",
                                              .param_values = conv_param_values,
                                              .forward = conv_forward,
                                              .backward = conv_backward};

const struct reference_kind reference_locally_connected = {.name = "locally_connected",
                                                           .param_values =
                                                               local_param_values,
                                                           .forward = local_forward,
                                                           .backward = local_backward};

const struct reference_kind reference_inner_product = {
    .name = "inner_product",
    .param_values = inner_product_param_values,
    .forward = inner_product_forward,
    .backward = inner_product_backward};
