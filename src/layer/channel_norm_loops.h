/* The loops over one block, for one instruction set: included once for each, with
 * ISA(name) naming that set's functions. No include guard, for that reason. What they
 * compute is written beside channel_coefficients in channel_norm.h. */

INLINE void ISA(load)(floats *v, const float *from)
{
    memcpy(v, from, sizeof *v);
}

INLINE void ISA(load_constants)(struct constants *c, const struct block *b, int vectors)
{
    for (int64_t v = 0; v < vectors; v++) {
        ISA(load)(&c->mean[v], b->mean + v * WIDTH);
        ISA(load)(&c->scale[v], b->scale + v * WIDTH);
        ISA(load)(&c->shift[v], b->shift + v * WIDTH);
        ISA(load)(&c->diff_mean[v], b->diff_mean + v * WIDTH);
        ISA(load)(&c->slope[v], b->slope + v * WIDTH);
    }
}

/* value where the ReLU lets through what became of centred, else 0. A NaN passes: it
 * must reach the loss to be noticed. */
INLINE void ISA(mask_relu)(floats *value, const struct constants *c, int64_t v,
                           const floats *centred)
{
    const floats y = *centred * c->scale[v] + c->shift[v];
    *value = (floats)((masks)*value & ~(masks)(y <= 0));
}

INLINE void ISA(sum_vectors)(const struct block *b, enum work work, bool relu,
                             int vectors, int64_t stride)
{
    struct constants c;
    doubles s[MAX_VECTORS] = {{0}}, q[MAX_VECTORS] = {{0}};
    if (work == DIFF_SUMS)
        ISA(load_constants)(&c, b, vectors);
    for (int64_t i = 0; i < b->pixels; i++)
        for (int64_t v = 0; v < vectors; v++) {
            floats x, dy;
            ISA(load)(&x, b->x + i * stride + v * WIDTH);
            if (work == DIFF_SUMS) {
                ISA(load)(&dy, b->dy + i * stride + v * WIDTH);
                x -= c.mean[v];
                if (relu)
                    ISA(mask_relu)(&dy, &c, v, &x);
            } else {
                dy = x;
            }
            const doubles d = __builtin_convertvector(dy, doubles);
            s[v] += d;
            q[v] += d * __builtin_convertvector(x, doubles);
        }
    memcpy(b->sums, s, (size_t)vectors * sizeof *s);
    memcpy(b->products, q, (size_t)vectors * sizeof *q);
}

INLINE void ISA(map_vectors)(const struct block *b, enum work work, bool relu,
                             int vectors, int64_t stride)
{
    struct constants c;
    ISA(load_constants)(&c, b, vectors);
    for (int64_t i = 0; i < b->pixels; i++)
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = i * stride + v * WIDTH;
            floats x, out;
            ISA(load)(&x, b->x + at);
            x -= c.mean[v];
            if (work == APPLY) {
                out = x * c.scale[v] + c.shift[v];
                if (relu)
                    out = (floats)((masks)out & ~(masks)(out <= 0));
            } else {
                ISA(load)(&out, b->dy + at);
                if (relu)
                    ISA(mask_relu)(&out, &c, v, &x);
                out = c.scale[v] * (out - c.diff_mean[v] - x * c.slope[v]);
                if (work == DIFF_ADD) {
                    ISA(load)(&x, b->out + at);
                    out += x;
                }
            }
            memcpy(b->out + at, &out, sizeof out);
        }
}

/* The same for one channel: the last of a layout that does not pad, and plain layouts.
 */
INLINE float ISA(passed)(const struct block *b, int64_t k, float centred, float value)
{
    return b->relu && centred * b->scale[k] + b->shift[k] <= 0 ? 0 : value;
}

INLINE void ISA(sum_channel)(const struct block *b, enum work work, int64_t k)
{
    double s = 0, q = 0;
    for (int64_t i = k; i < k + b->pixels * b->stride; i += b->stride) {
        const float x = work == DIFF_SUMS ? b->x[i] - b->mean[k] : b->x[i];
        const float d = work == DIFF_SUMS ? ISA(passed)(b, k, x, b->dy[i]) : x;
        s += (double)d;
        q += (double)d * (double)x;
    }
    b->sums[k] = s;
    b->products[k] = q;
}

INLINE void ISA(map_channel)(const struct block *b, enum work work, int64_t k)
{
    for (int64_t i = k; i < k + b->pixels * b->stride; i += b->stride) {
        const float x = b->x[i] - b->mean[k];
        float out;
        if (work == APPLY)
            out = ISA(passed)(b, k, x, x * b->scale[k] + b->shift[k]);
        else
            out = b->scale[k] *
                  (ISA(passed)(b, k, x, b->dy[i]) - b->diff_mean[k] - x * b->slope[k]);
        b->out[i] = work == DIFF_ADD ? out + b->out[i] : out;
    }
}

/* A function for each work; constants in the calls make loops without branches. */
#define BLOCK_WORK(name, kind, work)                                                   \
    static void ISA(name)(const struct block *b, int64_t lanes)                        \
    {                                                                                  \
        if (lanes == 16 && b->stride == 16 && b->relu)                                 \
            ISA(kind##_vectors)(b, work, true, 4, 16);                                 \
        else if (lanes == 16 && b->stride == 16)                                       \
            ISA(kind##_vectors)(b, work, false, 4, 16);                                \
        else if (lanes == 16)                                                          \
            ISA(kind##_vectors)(b, work, b->relu, 4, b->stride);                       \
        else if (lanes == 8 && b->stride == 8 && b->relu)                              \
            ISA(kind##_vectors)(b, work, true, 2, 8);                                  \
        else if (lanes == 8 && b->stride == 8)                                         \
            ISA(kind##_vectors)(b, work, false, 2, 8);                                 \
        else                                                                           \
            for (int64_t k = 0; k < lanes; k++)                                        \
                ISA(kind##_channel)(b, work, k);                                       \
    }

BLOCK_WORK(statistics, sum, STATISTICS)
BLOCK_WORK(apply, map, APPLY)
BLOCK_WORK(diff_sums, sum, DIFF_SUMS)
BLOCK_WORK(diff_apply, map, DIFF_APPLY)
BLOCK_WORK(diff_add, map, DIFF_ADD)

static const struct block_functions ISA(functions) = {
    {ISA(statistics), ISA(apply), ISA(diff_sums), ISA(diff_apply), ISA(diff_add)}};

#undef BLOCK_WORK
#undef ISA
