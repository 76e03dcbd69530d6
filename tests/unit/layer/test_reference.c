/* The references' own gradients against central differences of their forward passes, in
 * double: along random directions, which involve every value of a tensor at once, and
 * along single values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the differences. Values keep their distance from what has no derivative. */
static const double h = 1e-4;

/* What the loss's gradient is of: Σ diff_dst · dst. *mass: the sum of the terms' sizes.
 */
static double objective(struct reference *r, double *mass)
{
    double sum = 0;
    reference_forward(r);
    *mass = 0;
    for (int64_t i = 0; i < reference_dst_values(r); i++) {
        sum += r->diff_dst[i] * r->dst[i];
        *mass += fabs(r->diff_dst[i] * r->dst[i]);
    }
    return sum;
}

static double moved(struct reference *r, double *values, const double *direction,
                    int64_t n, double step)
{
    double mass;
    double *before = calloc((size_t)n, sizeof *before);
    assert_non_null(before);
    memcpy(before, values, (size_t)n * sizeof *before);
    for (int64_t i = 0; i < n; i++)
        values[i] += step * direction[i];
    double result = objective(r, &mass);
    memcpy(values, before, (size_t)n * sizeof *before);
    free(before);
    return result;
}

/* The five-point derivative of the objective along direction. */
static double derivative(struct reference *r, double *values, const double *direction,
                         int64_t n)
{
    double near =
        moved(r, values, direction, n, h) - moved(r, values, direction, n, -h);
    double far =
        moved(r, values, direction, n, 2 * h) - moved(r, values, direction, n, -2 * h);
    return (8 * near - far) / (12 * h);
}

static void check_direction(struct reference *r, double *values, const double *gradient,
                            const double *direction, int64_t n)
{
    double along = 0, scale = 0, mass;
    objective(r, &mass);
    for (int64_t i = 0; i < n; i++) {
        along += gradient[i] * direction[i];
        scale += fabs(gradient[i] * direction[i]);
    }
    double measured = derivative(r, values, direction, n);
    const double rounding = 1e-15 * mass / h;
    if (!(fabs(measured - along) <= 1e-8 * scale + rounding)) {
        print_error("gradient says %.12g, differences %.12g\n", along, measured);
        fail();
    }
}

/* Checks one tensor's gradient; gradient is copied, for forward passes follow. */
static void check_tensor(struct reference *r, double *values, const double *gradient,
                         int64_t n)
{
    if (n == 0)
        return;
    double *kept = calloc((size_t)n, sizeof *kept);
    double *direction = calloc((size_t)n, sizeof *direction);
    assert_true(kept && direction);
    memcpy(kept, gradient, (size_t)n * sizeof *kept);
    for (uint64_t trial = 0; trial < 2; trial++) {
        struct rng rng = rng_stream(5, RNG_INIT, trial, 0);
        for (int64_t i = 0; i < n; i++)
            direction[i] = rng_normal(&rng, (uint64_t)i);
        check_direction(r, values, kept, direction, n);
    }
    for (uint64_t trial = 0; trial < 2; trial++) {
        struct rng rng = rng_stream(6, RNG_INIT, trial, 0);
        memset(direction, 0, (size_t)n * sizeof *direction);
        direction[rng_word(&rng, 0) % (uint64_t)n] = 1;
        check_direction(r, values, kept, direction, n);
    }
    free(direction);
    free(kept);
}

static void check_case(const struct layer_case *c)
{
    struct layer_sample *sample = sample_create(c, true);
    struct reference *r = &sample->r;
    for (int64_t i = 0; i < reference_src_values(r, 0); i++)
        sample->kept[i] = i % 3 != 0;
    sample_compute(sample);
    for (int s = 0; s < r->n_src; s++)
        check_tensor(r, r->src[s], r->diff_src[s], reference_src_values(r, s));
    for (int p = 0; p < REFERENCE_MAX_PARAMS; p++)
        check_tensor(r, r->params[p], r->diff_params[p], reference_param_values(r, p));
    sample_destroy(sample);
}

static void gradients_are_the_slopes_of_forward(void **state)
{
    (void)state;
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        print_message("%s: %s\n", c->kind, c->name);
        check_case(c);
    }
}

/* A gradient of zeros would agree with an objective that is constant.
 */
static double size_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fabs(values[i]);
    return sum;
}

static void gradients_are_not_all_zero(void **state)
{
    (void)state;
    for (const struct layer_case *c = layer_cases; c->kind; c++) {
        struct layer_sample *sample = sample_create(c, true);
        const struct reference *r = &sample->r;
        for (int s = 0; s < r->n_src; s++)
            assert_true(size_of(r->diff_src[s], reference_src_values(r, s)) > 0);
        for (int p = 0; p < REFERENCE_MAX_PARAMS; p++)
            if (r->params[p])
                assert_true(size_of(r->diff_params[p], reference_param_values(r, p)) >
                            0);
        sample_destroy(sample);
    }
}

/* Values worked out by hand, so that reference and layers are not wrong alike. */
static void some_values_by_hand(void **state)
{
    (void)state;
    /* Rows 1 2 3 / 4 5 6, kernel 2 x 2 of ones, pad 1, stride 2: the corners. */
    double src[] = {1, 2, 3, 4, 5, 6}, weight[] = {1, 1, 1, 1}, bias[] = {10}, dst[4];
    struct reference r = {.kind = reference_find("conv"),
                          .a = {.out = 1,
                                .kernel = {2, 2},
                                .stride = {2, 2},
                                .pad = {1, 1},
                                .dilation = {1, 1},
                                .groups = 1,
                                .bias = true},
                          .n = 1,
                          .n_src = 1,
                          .src_shapes = {{.c = 1, .h = 2, .w = 3}},
                          .dst_shape = {.c = 1, .h = 2, .w = 2},
                          .src = {src},
                          .dst = dst,
                          .params = {weight, bias}};
    reference_forward(&r);
    const double expected[] = {11, 15, 14, 21};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(dst[i] - expected[i]) < 1e-12);
    /* Kernels of ones, twos, threes and fours, each at its place. */
    double locals[16], biases[] = {10, 20, 30, 40};
    for (int i = 0; i < 16; i++)
        locals[i] = i % 4 + 1;
    struct reference local = r;
    local.kind = reference_find("locally_connected");
    local.params[0] = locals;
    local.params[1] = biases;
    reference_forward(&local);
    const double expected_of_locals[] = {11, 30, 42, 84};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(dst[i] - expected_of_locals[i]) < 1e-12);
    /* The same windows averaged over all four places, and over those in the input. */
    r.kind = reference_find("avg_pool");
    r.a.exclude_pad = false;
    reference_forward(&r);
    assert_true(fabs(dst[3] - 11.0 / 4) < 1e-12);
    r.a.exclude_pad = true;
    reference_forward(&r);
    assert_true(fabs(dst[3] - 11.0 / 2) < 1e-12);
    /* Smoothing 0.5 over logits 0, log 3: p = 1/4, 3/4; q = 1/4, 3/4 for label 1. */
    const int32_t label = 1;
    double logits[] = {0, log(3.0)};
    struct reference loss = {.kind = reference_find("softmax_cross_entropy"),
                             .a = {.label_smoothing = 0.5F},
                             .n = 1,
                             .n_src = 1,
                             .training = true,
                             .src_shapes = {{.c = 2, .h = 1, .w = 1, .flat = true}},
                             .dst_shape = {.c = 1, .h = 1, .w = 1, .flat = true},
                             .labels = &label,
                             .src = {logits},
                             .dst = dst};
    reference_forward(&loss);
    assert_true(fabs(dst[0] - (0.25 * log(4.0) + 0.75 * log(4.0 / 3))) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes_of_forward),
        cmocka_unit_test(gradients_are_not_all_zero),
        cmocka_unit_test(some_values_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
