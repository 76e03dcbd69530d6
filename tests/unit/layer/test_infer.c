/* What infer refuses, kind by kind: the code, and that the message names what was found
 * and what does not fit. And what it gives: PyTorch's output shapes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <string.h>

#define MAP(channels, height, width)                                                   \
    {                                                                                  \
        .c = (channels), .h = (height), .w = (width), .flat = false                    \
    }
#define FLAT(features)                                                                 \
    {                                                                                  \
        .c = (features), .h = 1, .w = 1, .flat = true                                  \
    }
#define WINDOW(k, s, p, d)                                                             \
    .kernel = {k, k}, .stride = {s, s}, .pad = {p, p}, .dilation = {d, d}

struct refusal {
    const char *kind;
    int n_src;
    struct shape src[3];
    struct layer_attributes a;
    const char *says[3]; /* parts of the message */
};

/* clang-format off */
static const struct refusal refusals[] = {
    {"conv", 1, {FLAT(64)}, {.out = 8, WINDOW(3, 1, 1, 1), .groups = 1}, {"[64]"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 0, WINDOW(3, 1, 1, 1), .groups = 1}, {"out is 0", "at least 1"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = -4, WINDOW(3, 1, 1, 1), .groups = 1},
     {"out is -4"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 8, WINDOW(3, 1, 1, 1), .groups = 0},
     {"groups is 0"}},
    {"conv", 1, {MAP(6, 8, 8)}, {.out = 8, WINDOW(3, 1, 1, 1), .groups = 4},
     {"4 groups", "[6, 8, 8]", "8 channels"}},
    {"conv", 1, {MAP(8, 8, 8)}, {.out = 6, WINDOW(3, 1, 1, 1), .groups = 4},
     {"4 groups", "[8, 8, 8]", "6 channels"}},
    {"conv", 1, {MAP(3, 4, 9)}, {.out = 8, WINDOW(5, 1, 0, 1), .groups = 1},
     {"[5, 5]", "[3, 4, 9]"}},
    {"conv", 1, {MAP(3, 9, 4)}, {.out = 8, WINDOW(3, 1, 0, 2), .groups = 1},
     {"[3, 3]", "dilation 2", "[3, 9, 4]"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 8, WINDOW(0, 1, 0, 1), .groups = 1},
     {"kernel is 0"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 8, WINDOW(3, 0, 1, 1), .groups = 1},
     {"stride is 0"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 8, WINDOW(3, 1, -1, 1), .groups = 1},
     {"pad is -1"}},
    {"conv", 1, {MAP(3, 8, 8)}, {.out = 8, WINDOW(3, 1, 1, 0), .groups = 1},
     {"dilation is 0"}},

    {"locally_connected", 1, {FLAT(64)}, {.out = 8, WINDOW(3, 1, 1, 1), .groups = 1},
     {"[64]"}},
    {"locally_connected", 1, {MAP(6, 8, 8)},
     {.out = 8, WINDOW(3, 1, 1, 1), .groups = 4}, {"4 groups", "[6, 8, 8]"}},
    {"locally_connected", 1, {MAP(3, 4, 9)},
     {.out = 8, WINDOW(5, 1, 0, 1), .groups = 1}, {"[5, 5]", "[3, 4, 9]"}},
    {"locally_connected", 1, {MAP(64, 224, 224)},
     {.out = 65536, WINDOW(3, 1, 1, 1), .groups = 1},
     {"576 weights", "[65536, 224, 224]", "1099511627776"}},

    {"batch_norm", 1, {FLAT(64)}, {.epsilon = 1e-5F, .momentum = 0.1F}, {"[64]"}},
    {"batch_norm", 1, {MAP(3, 4, 4)}, {.epsilon = 0, .momentum = 0.1F}, {"epsilon", "0"}},
    {"batch_norm", 1, {MAP(3, 4, 4)}, {.epsilon = -1, .momentum = 0.1F}, {"epsilon", "-1"}},

    {"max_pool", 1, {FLAT(64)}, {WINDOW(2, 2, 0, 1)}, {"[64]"}},
    {"max_pool", 1, {MAP(3, 2, 9)}, {WINDOW(3, 2, 0, 1)}, {"[3, 3]", "[3, 2, 9]"}},
    {"max_pool", 1, {MAP(3, 8, 8)}, {WINDOW(3, 2, 2, 1)},
     {"pad [2, 2]", "kernel [3, 3]"}},
    {"max_pool", 1, {MAP(3, 8, 8)}, {WINDOW(3, 0, 0, 1)}, {"stride is 0"}},
    {"max_pool", 1, {MAP(3, 8, 8)}, {WINDOW(-1, 1, -1, 1)}, {"kernel is -1"}},

    {"avg_pool", 1, {FLAT(64)}, {WINDOW(2, 2, 0, 1)}, {"[64]"}},
    {"avg_pool", 1, {MAP(3, 8, 8)}, {WINDOW(2, 2, 2, 1)},
     {"pad [2, 2]", "kernel [2, 2]"}},
    {"avg_pool", 1, {MAP(3, 9, 2)}, {WINDOW(3, 2, 0, 1)}, {"[3, 3]", "[3, 9, 2]"}},
    {"avg_pool", 1, {MAP(3, 8, 8)},
     {WINDOW(3, 2, 1, 1), .ceil_mode = true},
     {"ceil_mode", "exclude_pad", "[3, 8, 8]"}},

    {"global_avg_pool", 1, {FLAT(64)}, {0}, {"[64]"}},

    {"adaptive_avg_pool", 1, {FLAT(64)}, {.height = 2, .width = 2}, {"[64]"}},
    {"adaptive_avg_pool", 1, {MAP(3, 4, 4)}, {.height = 0, .width = 2}, {"height is 0", "at least 1"}},
    {"adaptive_avg_pool", 1, {MAP(3, 4, 4)}, {.height = 2, .width = -1}, {"width is -1"}},

    {"blur_pool", 1, {FLAT(64)}, {.stride = {2, 2}}, {"[64]"}},
    {"blur_pool", 1, {MAP(3, 4, 4)}, {.stride = {3, 2}}, {"stride is 3", "at most 2"}},
    {"blur_pool", 1, {MAP(3, 4, 4)}, {.stride = {0, 2}}, {"stride is 0"}},

    {"lrn", 1, {FLAT(64)}, {.size = 5, .alpha = 1, .beta = 1, .k = 1}, {"[64]"}},
    {"lrn", 1, {MAP(3, 4, 4)}, {.size = 4, .alpha = 1, .beta = 1, .k = 1}, {"size", "4"}},
    {"lrn", 1, {MAP(3, 4, 4)}, {.size = -1, .alpha = 1, .beta = 1, .k = 1}, {"size", "-1"}},

    {"dropout", 1, {FLAT(64)}, {.p = 1}, {"p ", "1"}},
    {"dropout", 1, {FLAT(64)}, {.p = -0.25F}, {"p ", "-0.25"}},

    {"inner_product", 1, {MAP(3, 4, 5)}, {.out = 8}, {"[3, 4, 5]", "flatten"}},
    {"inner_product", 1, {FLAT(64)}, {.out = 0}, {"out", "0"}},

    {"add", 2, {MAP(3, 4, 5), MAP(3, 5, 4)}, {0}, {"[3, 4, 5]", "[3, 5, 4]"}},
    {"add", 3, {MAP(3, 4, 5), MAP(3, 4, 5), MAP(4, 4, 5)}, {0},
     {"[3, 4, 5]", "[4, 4, 5]"}},
    {"add", 2, {MAP(60, 1, 1), FLAT(60)}, {0}, {"[60, 1, 1]", "[60]"}},

    {"concat", 2, {MAP(3, 4, 5), MAP(3, 5, 4)}, {0}, {"[3, 4, 5]", "[3, 5, 4]"}},
    {"concat", 3, {MAP(3, 4, 5), MAP(7, 4, 5), FLAT(5)}, {0}, {"[3, 4, 5]", "[5]"}},

    {"pad_channels", 1, {FLAT(64)}, {.out = 128}, {"[64]"}},
    {"pad_channels", 1, {MAP(16, 4, 5)}, {.out = 8}, {"[16, 4, 5]", "8"}},

    {"softmax_cross_entropy", 1, {MAP(10, 2, 2)}, {0}, {"[10, 2, 2]"}},
    {"softmax_cross_entropy", 1, {FLAT(1)}, {0}, {"[1]"}},
    {"softmax_cross_entropy", 1, {FLAT(10)}, {.label_smoothing = 1},
     {"label_smoothing", "1"}},
    {"softmax_cross_entropy", 1, {FLAT(10)}, {.label_smoothing = -0.5F},
     {"label_smoothing", "-0.5"}},
};
/* clang-format on */

static void check_refusal(const struct refusal *r)
{
    struct shape dst = MAP(-1, -1, -1);
    char shape[64];
    convoy_status status =
        layer_infer(layer_find(r->kind), &r->a, r->n_src, r->src, &dst);
    layer_shape_text(&r->src[0], shape);
    if (status != CONVOY_ERROR_ARGUMENT) {
        print_error("%s takes %s: row %d\n", r->kind, shape, (int)(r - refusals));
        fail();
    }
    for (int i = 0; i < 3 && r->says[i]; i++) {
        if (!strstr(convoy_status_text(), r->says[i])) {
            print_error("%s of %s: \"%s\" does not say \"%s\"\n", r->kind, shape,
                        convoy_status_text(), r->says[i]);
            fail();
        }
    }
    assert_int_equal(dst.c, -1); /* written only on success */
}

static void impossible_layers_are_refused_with_figures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        check_refusal(&refusals[i]);
}

static void output_shapes_are_pytorchs(void **state)
{
    (void)state;
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        struct shape dst = {0};
        char found[64], expected[64];
        OK(layer_infer(layer_find(c->kind), &c->a, c->n_src, c->src, &dst));
        assert_string_equal(layer_shape_text(&dst, found),
                            layer_shape_text(&c->dst, expected));
        assert_int_equal(dst.flat, c->dst.flat);
    }
}

static void numbers_of_sources_are_sensible(void **state)
{
    (void)state;
    for (int i = 0; layer_kinds[i]; i++) {
        const struct layer_kind *kind = layer_kinds[i];
        assert_true(kind->about.min_src >= 1 &&
                    kind->about.min_src <= kind->about.max_src);
        assert_true(kind->about.max_src <= LAYER_MAX_SRC);
    }
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        const struct layer_kind *kind = layer_find(c->kind);
        assert_in_range(c->n_src, kind->about.min_src, kind->about.max_src);
    }
}

/* Every output is one multiply-add a weight of its channel, or of its place in it: the
 * last of five dims counts places. */
static void macs_are_weights_times_outputs(void **state)
{
    (void)state;
    int n_checked = 0;
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        const struct layer_kind *kind = layer_find(c->kind);
        struct param params[LAYER_MAX_PARAMS];
        int64_t weights = 1;
        if (!kind->macs)
            continue;
        assert_true(kind->params(&c->a, c->src, params) >= 1);
        for (int d = 1; d < params[0].n_dims && d < 4; d++)
            weights *= params[0].dims[d];
        assert_int_equal(kind->macs(&c->a, c->src, &c->dst),
                         weights * reference_sample(&c->dst));
        n_checked++;
    }
    assert_true(n_checked > 0);
}

/* PyTorch's dims. */
static void parameters_have_pytorchs_dims(void **state)
{
    (void)state;
    const struct shape src = MAP(6, 5, 5), features = FLAT(30);
    const struct layer_attributes a = {
        .out = 4, .kernel = {3, 2}, .groups = 2, .bias = true};
    struct param params[LAYER_MAX_PARAMS];
    assert_int_equal(layer_find("conv")->params(&a, &src, params), 2);
    const int64_t conv[] = {4, 3, 3, 2};
    assert_int_equal(params[0].n_dims, 4);
    assert_memory_equal(params[0].dims, conv, sizeof conv);
    assert_int_equal(params[1].n_dims, 1);
    assert_int_equal(params[1].dims[0], 4);
    const struct layer_attributes strided = {.out = 4,
                                             .kernel = {3, 2},
                                             .stride = {2, 1},
                                             .pad = {1, 0},
                                             .dilation = {1, 1},
                                             .groups = 2,
                                             .bias = true};
    const int64_t local[] = {4, 3, 3, 2, 12}; /* of 3 x 4 places */
    assert_int_equal(layer_find("locally_connected")->params(&strided, &src, params),
                     2);
    assert_int_equal(params[0].n_dims, 5);
    assert_memory_equal(params[0].dims, local, sizeof local);
    assert_int_equal(params[1].n_dims, 2);
    assert_true(params[1].dims[0] == 4 && params[1].dims[1] == 12);
    assert_true(params[0].decay && !params[1].decay);
    assert_int_equal(layer_find("inner_product")->params(&a, &features, params), 2);
    const int64_t inner_product[] = {4, 30};
    assert_int_equal(params[0].n_dims, 2);
    assert_memory_equal(params[0].dims, inner_product, sizeof inner_product);
    assert_true(params[0].decay && !params[1].decay);
    assert_int_equal(layer_find("batch_norm")->params(&a, &src, params), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(params[i].n_dims, 1);
        assert_int_equal(params[i].dims[0], 6);
        assert_false(params[i].decay);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_layers_are_refused_with_figures),
        cmocka_unit_test(output_shapes_are_pytorchs),
        cmocka_unit_test(numbers_of_sources_are_sensible),
        cmocka_unit_test(macs_are_weights_times_outputs),
        cmocka_unit_test(parameters_have_pytorchs_dims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
