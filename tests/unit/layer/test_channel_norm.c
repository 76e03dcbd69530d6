/* Batch norm's loops by themselves, on maps that are larger than what they go over at a
 * time: against plain loops in double, on teams of several sizes, and in bf16, which
 * has to be f32's result rounded. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "layer/channel_norm.h"

#include "base/bf16.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct sizes {
    dnnl_format_tag_t tag;
    int64_t n, channels, pixels;
};

/* With relu and without, maps of an odd size, channels that fill no block, blocks that
 * go together by a few, and one of which even a single block is larger. */
static const struct sizes cases[] = {
    {dnnl_nChw16c, 3, 20, 15},   {dnnl_nChw8c, 3, 20, 15},
    {dnnl_nhwc, 3, 20, 15},      {dnnl_nchw, 3, 5, 15},
    {dnnl_nhwc, 1, 33, 1},       {dnnl_nChw16c, 2, 136, 1000},
    {dnnl_nChw16c, 2, 20, 8320}, {dnnl_nChw8c, 5, 60, 900},
    {dnnl_nhwc, 2, 50, 4000},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static struct channel_layout layout_of(const struct sizes *s, dnnl_data_type_t type)
{
    struct channel_layout l = {.tag = s->tag,
                               .type = type,
                               .n = s->n,
                               .channels = s->channels,
                               .pixels = s->pixels,
                               .lanes = 16,
                               .per_pixel = 16};
    if (s->tag == dnnl_nChw8c)
        l.lanes = l.per_pixel = 8;
    if (s->tag == dnnl_nchw)
        l.lanes = l.per_pixel = 1;
    if (s->tag == dnnl_nhwc)
        l.per_pixel = s->channels;
    l.per_block = s->tag == dnnl_nhwc ? 16 : s->pixels * l.lanes;
    l.per_sample = s->pixels * (s->tag == dnnl_nhwc ? s->channels : channel_room(&l));
    /* src and diff_src as parts of larger maps */
    l.src_per_sample = l.per_sample + 2 * l.per_block;
    l.diff_src_per_sample = l.per_sample + l.per_block;
    return l;
}

static int64_t place(const struct channel_layout *l, int64_t c, int64_t pixel)
{
    return c / l->lanes * l->per_block + pixel * l->per_pixel + c % l->lanes;
}

/* A map and its samples' distance; the values that the layout does not use are 0. */
struct map {
    float *values;
    int64_t per_sample;
};

static void *zeros(int64_t n, size_t size)
{
    void *memory = calloc((size_t)n + 1, size);
    assert_non_null(memory);
    return memory;
}

/* Values that look random, of the 8 bits that bf16 can hold. A generator of better ones
 * would take most of the test's time. */
static float random_value(uint64_t seed, int64_t at)
{
    const uint64_t mixed = ((uint64_t)at + seed) * UINT64_C(0x9e3779b97f4a7c15);
    return (float)((mixed ^ mixed >> 29) >> 24 & 0xff) / 128 - 0.75F;
}

static struct map random_map(const struct channel_layout *l, int64_t per_sample,
                             uint64_t seed)
{
    struct map map = {zeros(l->n * per_sample, sizeof(float)), per_sample};
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t c = 0; c < l->channels; c++)
            for (int64_t p = 0; p < l->pixels; p++) {
                const int64_t at = i * per_sample + place(l, c, p);
                map.values[at] = random_value(seed, at);
            }
    return map;
}

/* Everything of one case; out is y, then dx. */
struct example {
    struct channel_layout layout;
    struct channel_coefficients coefficients;
    struct map x, dy, out;
    double *sums;
    double *found; /* [2, channel_room] both sums */
};

static struct example example_create(const struct sizes *s, bool relu)
{
    struct example e = {.layout = layout_of(s, dnnl_f32)};
    const int64_t room = channel_room(&e.layout);
    float *coefficients = zeros(5 * room, sizeof(float));
    e.x = random_map(&e.layout, e.layout.src_per_sample, 1);
    e.dy = random_map(&e.layout, e.layout.per_sample, 2);
    e.sums = zeros(2 * s->n * room, sizeof(double));
    e.found = zeros(2 * room, sizeof(double));
    e.coefficients = (struct channel_coefficients){.mean = coefficients,
                                                   .scale = coefficients + room,
                                                   .shift = coefficients + 2 * room,
                                                   .diff_mean = coefficients + 3 * room,
                                                   .slope = coefficients + 4 * room,
                                                   .relu = relu};
    return e;
}

static void example_destroy(struct example *e)
{
    free(e->x.values);
    free(e->dy.values);
    free(e->out.values);
    free(e->sums);
    free(e->found);
    free(e->coefficients.mean);
}

/* Coefficients that depend on the sums, as batch norm's do. */
static void between(void *context, int64_t first, int64_t last, const double *sums,
                    const double *products)
{
    struct example *e = context;
    const double count = (double)(e->layout.n * e->layout.pixels);
    for (int64_t c = first; c < last; c++) {
        e->found[c] = sums[c - first];
        e->found[channel_room(&e->layout) + c] = products[c - first];
        e->coefficients.mean[c] = (float)(sums[c - first] / count);
        e->coefficients.scale[c] = (float)(1 / (1 + products[c - first] / count));
        e->coefficients.shift[c] = 0.25F;
    }
}

static void between_backward(void *context, int64_t first, int64_t last,
                             const double *sums, const double *products)
{
    struct example *e = context;
    const double count = (double)(e->layout.n * e->layout.pixels);
    for (int64_t c = first; c < last; c++) {
        e->found[c] = sums[c - first];
        e->found[channel_room(&e->layout) + c] = products[c - first];
        e->coefficients.diff_mean[c] = (float)(sums[c - first] / count);
        e->coefficients.slope[c] = (float)(products[c - first] / count);
    }
}

static void *narrowed(const float *values, int64_t n)
{
    uint16_t *out = zeros(n, sizeof *out);
    for (int64_t i = 0; i < n; i++)
        out[i] = bf16_from_f32(values[i]);
    return out;
}

/* Runs a pass of the example in bf16, of which the maps are copies. */
static void run_in_bf16(struct channel_work *work, struct example *e)
{
    const int64_t n = e->layout.n, n_out = n * e->out.per_sample;
    void *x = narrowed(e->x.values, n * e->x.per_sample);
    void *dy = work->dy ? narrowed(e->dy.values, n * e->dy.per_sample) : NULL;
    uint16_t *out = narrowed(e->out.values, n_out);
    work->layout.type = dnnl_bf16;
    work->x = x;
    work->dy = dy;
    work->out = out;
    channel_run(work);
    for (int64_t i = 0; i < n_out; i++)
        e->out.values[i] = bf16_to_f32(out[i]);
    free(x);
    free(dy);
    free(out);
}

enum direction { FORWARD, BACKWARD, BACKWARD_ADD };

/* The forward pass, and if asked the backward one after it. */
static void run(struct example *e, enum direction direction, bool bf16)
{
    struct channel_work work = {.layout = e->layout,
                                .coefficients = e->coefficients,
                                .x = e->x.values,
                                .sums = e->sums,
                                .between = between,
                                .context = e};
    free(e->out.values);
    e->out = random_map(
        &e->layout,
        direction == FORWARD ? e->layout.per_sample : e->layout.diff_src_per_sample, 3);
    if (direction != FORWARD) {
        channel_run(&work);
        work.dy = e->dy.values;
        work.add = direction == BACKWARD_ADD;
        work.between = between_backward;
    }
    work.out = e->out.values;
    if (bf16)
        run_in_bf16(&work, e);
    else
        channel_run(&work);
}

static void close_to(double found, double expected, double size)
{
    if (!(fabs(found - expected) <= size))
        fail_msg("%g where %g is expected", found, expected);
}

/* The last run against plain loops for channel c. */
static void check_channel(const struct example *e, enum direction direction, int64_t c)
{
    const struct channel_layout *l = &e->layout;
    const struct channel_coefficients *k = &e->coefficients;
    const double mean = (double)k->mean[c], scale = (double)k->scale[c];
    double sum = 0, products = 0;
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t p = 0; p < l->pixels; p++) {
            const int64_t at = place(l, c, p), out_at = i * e->out.per_sample + at;
            const double x = (double)e->x.values[i * e->x.per_sample + at];
            const double y = (x - mean) * scale + (double)k->shift[c];
            const bool passes = !k->relu || y > 0;
            double dy = (double)e->dy.values[i * e->dy.per_sample + at];
            double out = passes ? y : 0;
            dy = passes ? dy : 0;
            if (direction != FORWARD)
                out = scale *
                      (dy - (double)k->diff_mean[c] - (x - mean) * (double)k->slope[c]);
            if (direction == BACKWARD_ADD)
                out += (double)random_value(3, out_at);
            close_to((double)e->out.values[out_at], out, 1e-5);
            sum += direction == FORWARD ? x : dy;
            products += direction == FORWARD ? x * x : dy * (x - mean);
        }
    const double size = 1e-6 * (double)(l->n * l->pixels);
    close_to(e->found[c], sum, size);
    close_to(e->found[channel_room(l) + c], products, size);
}

static void passes_agree_with_plain_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_CASES; i++) {
        struct example e = example_create(&cases[i / 2], i % 2 == 1);
        for (int direction = FORWARD; direction <= BACKWARD_ADD; direction++) {
            run(&e, (enum direction)direction, false);
            for (int64_t c = 0; c < e.layout.channels; c += 1 + e.layout.channels / 7)
                check_channel(&e, (enum direction)direction, c);
            check_channel(&e, (enum direction)direction, e.layout.channels - 1);
        }
        example_destroy(&e);
    }
}

static void bits_depend_on_no_team(void **state)
{
    (void)state;
    const int before = omp_get_max_threads();
    for (int i = 0; i < 3 * N_CASES; i++) {
        struct example e = example_create(&cases[i / 3], true);
        const enum direction direction = (enum direction)(i % 3);
        omp_set_num_threads(1);
        run(&e, direction, false);
        struct example one = e;
        e.out.values = NULL;
        e.found = zeros(2 * channel_room(&e.layout), sizeof(double));
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            run(&e, direction, false);
            assert_memory_equal(e.out.values, one.out.values,
                                (size_t)(e.layout.n * e.out.per_sample) *
                                    sizeof(float));
            assert_memory_equal(e.found, one.found,
                                2 * (size_t)channel_room(&e.layout) * sizeof(double));
        }
        free(one.out.values);
        free(one.found);
        example_destroy(&e);
    }
    omp_set_num_threads(before);
}

static void bf16_is_f32_rounded(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * N_CASES; i++) {
        struct example e = example_create(&cases[i / 3], i % 2 == 1);
        const enum direction direction = (enum direction)(i % 3);
        run(&e, direction, false);
        float *exact = e.out.values;
        e.out.values = NULL;
        run(&e, direction, true);
        for (int64_t k = 0; k < e.layout.n * e.out.per_sample; k++) {
            if (bf16_from_f32(e.out.values[k]) != bf16_from_f32(exact[k]))
                fail_msg("%g of %g", (double)e.out.values[k], (double)exact[k]);
        }
        free(exact);
        example_destroy(&e);
    }
}

/* Where the passes meet infinities and what is none. */
static void a_nan_comes_through(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_CASES; i++) {
        struct example e = example_create(&cases[i / 2], true);
        const int64_t at = place(&e.layout, e.layout.channels - 1, 0);
        e.x.values[at] = NAN;
        run(&e, FORWARD, i % 2 == 1);
        assert_true(isnan(e.out.values[at]));
        assert_true(isnan(e.found[e.layout.channels - 1]));
        assert_true(!isnan(e.found[0]));
        example_destroy(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_agree_with_plain_loops),
        cmocka_unit_test(bits_depend_on_no_team),
        cmocka_unit_test(bf16_is_f32_rounded),
        cmocka_unit_test(a_nan_comes_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
