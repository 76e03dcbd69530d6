/* The loops over one block, for one instruction set: included once for each, with
 * ISA(name) naming that set's functions, and MAP, SUM, WIDEN and MUL_ADD saying what
 * its vectors are. No include guard, for that reason. What they compute is written
 * beside channel_coefficients in channel_norm.h. */

typedef float ISA(map_floats) __attribute__((vector_size(MAP * 4)));
typedef uint32_t ISA(map_words) __attribute__((vector_size(MAP * 4)));
typedef int32_t ISA(map_masks) __attribute__((vector_size(MAP * 4)));
typedef uint16_t ISA(map_halves) __attribute__((vector_size(MAP * 2)));
typedef float ISA(sum_floats) __attribute__((vector_size(SUM * 4)));
typedef uint32_t ISA(sum_words) __attribute__((vector_size(SUM * 4)));
typedef int32_t ISA(sum_masks) __attribute__((vector_size(SUM * 4)));
typedef uint16_t ISA(sum_halves) __attribute__((vector_size(SUM * 2)));
typedef double ISA(sum_doubles) __attribute__((vector_size(SUM * 8)));

/* Values from[at …] of either type. */
INLINE void ISA(map_load)(ISA(map_floats) * v, const void *from, int64_t at, bool bf16)
{
    ISA(map_halves) halves;
    if (!bf16) {
        memcpy(v, (const float *)from + at, sizeof *v);
        return;
    }
    memcpy(&halves, (const uint16_t *)from + at, sizeof halves);
    *v = (ISA(map_floats))(__builtin_convertvector(halves, ISA(map_words)) << 16);
}

INLINE void ISA(sum_load)(ISA(sum_floats) * v, const void *from, int64_t at, bool bf16)
{
    ISA(sum_halves) halves;
    if (!bf16) {
        memcpy(v, (const float *)from + at, sizeof *v);
        return;
    }
    memcpy(&halves, (const uint16_t *)from + at, sizeof halves);
    *v = (ISA(sum_floats))(__builtin_convertvector(halves, ISA(sum_words)) << 16);
}

/* Rounds as bf16_from_f32. */
INLINE void ISA(map_store)(void *to, int64_t at, const ISA(map_floats) * v, bool bf16)
{
    if (bf16) {
        const ISA(map_words) bits = (ISA(map_words)) * v;
        const ISA(map_words) nan = (ISA(map_words))(*v != *v);
        const ISA(map_words) rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        const ISA(map_words) word = (rounded & ~nan) | ((bits >> 16 | 0x40) & nan);
        const ISA(map_halves) halves = __builtin_convertvector(word, ISA(map_halves));
        memcpy((uint16_t *)to + at, &halves, sizeof halves);
    } else {
        memcpy((float *)to + at, v, sizeof *v);
    }
}

/* The sums of vectors · SUM channels. */
INLINE void ISA(sum_vectors)(const struct block *b, enum pass pass, bool bf16,
                             bool relu, int lanes, int64_t stride)
{
    const int vectors = lanes / SUM;
    ISA(sum_floats) mean[MAX_LANES / SUM], scale[MAX_LANES / SUM];
    ISA(sum_floats) shift[MAX_LANES / SUM];
    ISA(sum_doubles) s[MAX_LANES / SUM] = {{0}}, q[MAX_LANES / SUM] = {{0}};
    for (int64_t v = 0; v < vectors && pass == DIFF_SUMS; v++) {
        ISA(sum_load)(&mean[v], b->mean, v * SUM, false);
        ISA(sum_load)(&scale[v], b->scale, v * SUM, false);
        ISA(sum_load)(&shift[v], b->shift, v * SUM, false);
    }
    for (int64_t i = 0; i < b->pixels; i++)
        for (int64_t v = 0; v < vectors; v++) {
            ISA(sum_floats) x, dy;
            ISA(sum_load)(&x, b->x, i * stride + v * SUM, bf16);
            dy = x;
            if (pass == DIFF_SUMS) {
                ISA(sum_load)(&dy, b->dy, i * stride + v * SUM, bf16);
                x -= mean[v];
                /* A NaN passes, here and below: it must reach the loss to be noticed.
                 */
                if (relu)
                    dy = (ISA(sum_floats))((ISA(sum_masks))dy &
                                           ~(x * scale[v] + shift[v] <= 0));
            }
            const ISA(sum_doubles) d = WIDEN(dy);
            s[v] += d;
            q[v] = MUL_ADD(d, WIDEN(x), q[v]);
        }
    memcpy(b->sums, s, (size_t)lanes * sizeof(double));
    memcpy(b->products, q, (size_t)lanes * sizeof(double));
}

/* The coefficients of up to 16 channels. */
struct ISA(constants) {
    ISA(map_floats) mean[MAX_LANES / MAP], scale[MAX_LANES / MAP];
    ISA(map_floats) shift[MAX_LANES / MAP];
    ISA(map_floats) diff_mean[MAX_LANES / MAP], slope[MAX_LANES / MAP];
};

INLINE void ISA(load_constants)(struct ISA(constants) * c, const struct block *b,
                                int lanes)
{
    for (int64_t v = 0; v < lanes / MAP; v++) {
        ISA(map_load)(&c->mean[v], b->mean, v * MAP, false);
        ISA(map_load)(&c->scale[v], b->scale, v * MAP, false);
        ISA(map_load)(&c->shift[v], b->shift, v * MAP, false);
        ISA(map_load)(&c->diff_mean[v], b->diff_mean, v * MAP, false);
        ISA(map_load)(&c->slope[v], b->slope, v * MAP, false);
    }
}

INLINE void ISA(map_vectors)(const struct block *b, enum pass pass, bool bf16,
                             bool relu, int lanes, int64_t stride)
{
    struct ISA(constants) c;
    ISA(load_constants)(&c, b, lanes);
    for (int64_t i = 0; i < b->pixels; i++)
        for (int64_t v = 0; v < lanes / MAP; v++) {
            const int64_t at = i * stride + v * MAP;
            ISA(map_floats) x, out;
            ISA(map_load)(&x, b->x, at, bf16);
            x -= c.mean[v];
            const ISA(map_floats) y = x * c.scale[v] + c.shift[v];
            const ISA(map_masks) passed = ~(y <= 0);
            if (pass == APPLY)
                out = y;
            else
                ISA(map_load)(&out, b->dy, at, bf16);
            if (relu)
                out = (ISA(map_floats))((ISA(map_masks))out & passed);
            if (pass != APPLY)
                out = c.scale[v] * (out - c.diff_mean[v] - x * c.slope[v]);
            if (pass == DIFF_ADD) {
                ISA(map_load)(&x, b->out, at, bf16);
                out += x;
            }
            ISA(map_store)(b->out, at, &out, bf16);
        }
}

/* The same for one channel: the last of a layout that does not pad, and plain layouts.
 */
INLINE float ISA(value)(const void *from, int64_t at, bool bf16)
{
    return bf16 ? bf16_to_f32(((const uint16_t *)from)[at]) : ((const float *)from)[at];
}

INLINE float ISA(passed)(const struct block *b, int64_t k, float centred, float value)
{
    return b->relu && centred * b->scale[k] + b->shift[k] <= 0 ? 0 : value;
}

INLINE void ISA(sum_channel)(const struct block *b, enum pass pass, bool bf16,
                             int64_t k)
{
    double s = 0, q = 0;
    for (int64_t i = k; i < k + b->pixels * b->stride; i += b->stride) {
        const float value = ISA(value)(b->x, i, bf16);
        const float x = pass == DIFF_SUMS ? value - b->mean[k] : value;
        const float d =
            pass == DIFF_SUMS ? ISA(passed)(b, k, x, ISA(value)(b->dy, i, bf16)) : x;
        s += (double)d;
        q += (double)d * (double)x;
    }
    b->sums[k] = s;
    b->products[k] = q;
}

INLINE void ISA(map_channel)(const struct block *b, enum pass pass, bool bf16,
                             int64_t k)
{
    for (int64_t i = k; i < k + b->pixels * b->stride; i += b->stride) {
        const float x = ISA(value)(b->x, i, bf16) - b->mean[k];
        float out;
        if (pass == APPLY)
            out = ISA(passed)(b, k, x, x * b->scale[k] + b->shift[k]);
        else
            out = b->scale[k] * (ISA(passed)(b, k, x, ISA(value)(b->dy, i, bf16)) -
                                 b->diff_mean[k] - x * b->slope[k]);
        if (pass == DIFF_ADD)
            out += ISA(value)(b->out, i, bf16);
        if (bf16)
            ((uint16_t *)b->out)[i] = bf16_from_f32(out);
        else
            ((float *)b->out)[i] = out;
    }
}

/* A function for each pass and type; constants in the calls make loops without
 * branches. */
#define BLOCK_PASS(name, kind, pass, bf16)                                             \
    static void ISA(name)(const struct block *b, int64_t lanes)                        \
    {                                                                                  \
        if (lanes == 16 && b->stride == 16 && b->relu)                                 \
            ISA(kind##_vectors)(b, pass, bf16, true, 16, 16);                          \
        else if (lanes == 16 && b->stride == 16)                                       \
            ISA(kind##_vectors)(b, pass, bf16, false, 16, 16);                         \
        else if (lanes == 16)                                                          \
            ISA(kind##_vectors)(b, pass, bf16, b->relu, 16, b->stride);                \
        else if (lanes == 8 && MAP <= 8 && b->stride == 8 && b->relu)                  \
            ISA(kind##_vectors)(b, pass, bf16, true, 8, 8);                            \
        else if (lanes == 8 && MAP <= 8 && b->stride == 8)                             \
            ISA(kind##_vectors)(b, pass, bf16, false, 8, 8);                           \
        else                                                                           \
            for (int64_t k = 0; k < lanes; k++)                                        \
                ISA(kind##_channel)(b, pass, bf16, k);                                 \
    }

BLOCK_PASS(statistics_f32, sum, STATISTICS, false)
BLOCK_PASS(apply_f32, map, APPLY, false)
BLOCK_PASS(diff_sums_f32, sum, DIFF_SUMS, false)
BLOCK_PASS(diff_apply_f32, map, DIFF_APPLY, false)
BLOCK_PASS(diff_add_f32, map, DIFF_ADD, false)
BLOCK_PASS(statistics_bf16, sum, STATISTICS, true)
BLOCK_PASS(apply_bf16, map, APPLY, true)
BLOCK_PASS(diff_sums_bf16, sum, DIFF_SUMS, true)
BLOCK_PASS(diff_apply_bf16, map, DIFF_APPLY, true)
BLOCK_PASS(diff_add_bf16, map, DIFF_ADD, true)

static const struct block_functions ISA(functions) = {
    .f32 = {ISA(statistics_f32), ISA(apply_f32), ISA(diff_sums_f32),
            ISA(diff_apply_f32), ISA(diff_add_f32)},
    .bf16 = {ISA(statistics_bf16), ISA(apply_bf16), ISA(diff_sums_bf16),
             ISA(diff_apply_bf16), ISA(diff_add_bf16)}};

#undef BLOCK_PASS
#undef ISA
#undef MAP
#undef SUM
#undef WIDEN
#undef MUL_ADD
