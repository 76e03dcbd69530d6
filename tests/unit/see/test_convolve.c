/* Convolution and pooling of planes against loops, and the products behind a value. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/convolve.h>

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 4096 };

static float lecture_layer[] = {5, 2, 6, 8, 2, 0, 1, 2, 4, 3, 4, 5, 1, 9, 6, 3,
                                3, 9, 4, 4, 7, 7, 6, 9, 1, 3, 4, 6, 8, 2, 2, 1,
                                8, 4, 6, 2, 3, 1, 8, 8, 5, 8, 9, 0, 1, 0, 2, 3,
                                9, 2, 6, 6, 3, 6, 2, 1, 9, 8, 8, 2, 6, 3, 4, 5};
static float lecture_kernel[] = {-1, 0, 1, 2, 1, 2, 1, -2, 0};

static void assert_done(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void assert_refused(convoy_status found, const char *text)
{
    assert_int_equal(found, CONVOY_ERROR_ARGUMENT);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

/* Planes of random numbers in values [MAX_VALUES]. */
static convoy_planes draw(int n, int rows, int columns, uint64_t seed, float *values)
{
    const struct rng rng = rng_stream(seed, RNG_AUGMENT, 0, 0);
    assert_true(n * rows * columns <= MAX_VALUES);
    for (int i = 0; i < n * rows * columns; i++)
        values[i] = (float)rng_normal(&rng, (uint64_t)i);
    return (convoy_planes){n, rows, columns, values};
}

/* 0 outside. */
static double pixel(const convoy_planes *p, int plane, int row, int column)
{
    if (row < 0 || row >= p->rows || column < 0 || column >= p->columns)
        return 0;
    return (double)p->values[(plane * p->rows + row) * p->columns + column];
}

static double by_loops(const convoy_planes *src, const convoy_planes *kernel,
                       const convoy_window *w, const int at[3])
{
    double sum = 0;
    for (int i = 0; i < kernel->rows; i++)
        for (int j = 0; j < kernel->columns; j++)
            sum +=
                pixel(kernel, 0, w->correlate ? i : kernel->rows - 1 - i,
                      w->correlate ? j : kernel->columns - 1 - j) *
                pixel(src, at[0], at[1] * w->stride[0] + i * w->dilation[0] - w->pad[0],
                      at[2] * w->stride[1] + j * w->dilation[1] - w->pad[1]);
    return sum;
}

static void the_lecture_s_example_gives_5_first(void **state)
{
    (void)state;
    const convoy_planes layer = {1, 8, 8, lecture_layer};
    const convoy_planes kernel = {1, 3, 3, lecture_kernel};
    const convoy_window window = {.correlate = true};
    convoy_planes dst = {0};
    assert_done(convoy_convolve(&layer, &kernel, &window, &dst));
    assert_int_equal(dst.n, 1);
    assert_int_equal(dst.rows, 6);
    assert_int_equal(dst.columns, 6);
    assert_true(dst.values[0] == 5);
    convoy_planes_free(&dst);
    assert_null(dst.values);
}

static void convolution_puts_the_kernel_where_a_single_pixel_is(void **state)
{
    (void)state;
    float single[25] = {0};
    single[12] = 1;
    const convoy_planes src = {1, 5, 5, single};
    const convoy_planes kernel = {1, 3, 3, lecture_kernel};
    for (int correlate = 0; correlate < 2; correlate++) {
        const convoy_window window = {.correlate = correlate != 0};
        convoy_planes dst = {0};
        assert_done(convoy_convolve(&src, &kernel, &window, &dst));
        assert_int_equal(dst.rows * dst.columns, 9);
        for (int i = 0; i < 9; i++)
            assert_true(dst.values[i] == lecture_kernel[correlate ? 8 - i : i]);
        convoy_planes_free(&dst);
    }
}

static void windows_of_all_kinds_are_as_by_loops(void **state)
{
    (void)state;
    static const struct {
        int size[2];
        convoy_window window;
        int rows, columns;
    } cases[] = {
        {{3, 3}, {{1, 1}, {0, 0}, {1, 1}, false}, 15, 10},
        {{3, 3}, {{1, 1}, {1, 1}, {1, 1}, true}, 17, 12},
        {{5, 2}, {{2, 3}, {2, 0}, {1, 1}, false}, 9, 4},
        {{2, 4}, {{1, 2}, {1, 3}, {3, 2}, false}, 16, 6},
        {{1, 1}, {{4, 4}, {0, 0}, {1, 1}, true}, 5, 3},
        {{17, 12}, {{1, 1}, {0, 0}, {1, 1}, false}, 1, 1},
        {{7, 7}, {{1, 1}, {6, 6}, {1, 1}, false}, 23, 18},
    };
    float values[MAX_VALUES], weights[MAX_VALUES];
    const convoy_planes src = draw(3, 17, 12, 1, values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const convoy_planes kernel =
            draw(1, cases[i].size[0], cases[i].size[1], 2 + i, weights);
        convoy_planes dst = {0};
        assert_done(convoy_convolve(&src, &kernel, &cases[i].window, &dst));
        assert_int_equal(dst.n, 3);
        assert_int_equal(dst.rows, cases[i].rows);
        assert_int_equal(dst.columns, cases[i].columns);
        for (int k = 0; k < dst.n * dst.rows * dst.columns; k++) {
            const int at[] = {k / (dst.rows * dst.columns), k / dst.columns % dst.rows,
                              k % dst.columns};
            const double expected = by_loops(&src, &kernel, &cases[i].window, at);
            if (fabs((double)dst.values[k] - expected) > 1e-4)
                fail_msg("case %zu, plane %d, row %d, column %d: %g, not %g", i, at[0],
                         at[1], at[2], (double)dst.values[k], expected);
        }
        convoy_planes_free(&dst);
    }
}

static void the_products_add_up_to_the_output(void **state)
{
    (void)state;
    float values[MAX_VALUES], weights[MAX_VALUES];
    const convoy_planes src = draw(3, 9, 7, 5, values);
    const convoy_planes kernel = draw(1, 3, 2, 6, weights);
    for (int correlate = 0; correlate < 2; correlate++) {
        const convoy_window window = {{2, 1}, {2, 1}, {2, 3}, correlate != 0};
        convoy_planes dst = {0};
        convoy_product products[6];
        assert_done(convoy_convolve(&src, &kernel, &window, &dst));
        for (int k = 0; k < dst.n * dst.rows * dst.columns; k++) {
            const int at[] = {k / (dst.rows * dst.columns), k / dst.columns % dst.rows,
                              k % dst.columns};
            double sum = 0;
            assert_done(convoy_convolve_explain(&src, &kernel, &window, at, products));
            for (int p = 0; p < 6; p++) {
                assert_true((double)products[p].pixel ==
                            pixel(&src, at[0], products[p].row, products[p].column));
                sum += (double)products[p].pixel * (double)products[p].weight;
            }
            assert_true(fabs(sum - (double)dst.values[k]) < 1e-4);
        }
        const int beyond[] = {0, dst.rows, 0}, before[] = {0, -1, 0},
                  plane[] = {3, 0, 0};
        assert_refused(
            convoy_convolve_explain(&src, &kernel, &window, beyond, products),
            "no output value at row");
        assert_refused(
            convoy_convolve_explain(&src, &kernel, &window, before, products),
            "no output value");
        assert_refused(convoy_convolve_explain(&src, &kernel, &window, plane, products),
                       "no output value");
        convoy_planes_free(&dst);
    }
}

/* Of a window at the output's row and column; padding is 0 in an average. */
static double pooled(const convoy_planes *src, const int size[2],
                     const convoy_window *w, bool average, const int at[3])
{
    double sum = 0, most = -INFINITY;
    for (int i = 0; i < size[0]; i++)
        for (int j = 0; j < size[1]; j++) {
            const int row = at[1] * w->stride[0] + i - w->pad[0];
            const int column = at[2] * w->stride[1] + j - w->pad[1];
            const bool inside =
                row >= 0 && row < src->rows && column >= 0 && column < src->columns;
            sum += pixel(src, at[0], row, column);
            most = inside ? fmax(most, pixel(src, at[0], row, column)) : most;
        }
    return average ? sum / (size[0] * size[1]) : most;
}

static void pooling_is_as_by_loops(void **state)
{
    (void)state;
    static const struct {
        int size[2];
        convoy_window window;
        int stride[2];
    } cases[] = {
        {{2, 2}, {.stride = {0, 0}}, {2, 2}},
        {{3, 2}, {.stride = {0, 0}}, {3, 2}},
        {{3, 3}, {.stride = {2, 1}, .pad = {1, 1}}, {2, 1}},
    };
    float values[MAX_VALUES];
    const convoy_planes src = draw(3, 11, 8, 9, values);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const bool average = i % 2 != 0;
        const int *size = cases[i / 2].size;
        convoy_window window = cases[i / 2].window;
        convoy_planes dst = {0};
        assert_done(convoy_convolve_pool(&src, size, average, &window, &dst));
        memcpy(window.stride, cases[i / 2].stride, sizeof window.stride);
        assert_int_equal(dst.n, 3);
        assert_int_equal(dst.rows,
                         (11 + 2 * window.pad[0] - size[0]) / window.stride[0] + 1);
        assert_int_equal(dst.columns,
                         (8 + 2 * window.pad[1] - size[1]) / window.stride[1] + 1);
        for (int k = 0; k < dst.n * dst.rows * dst.columns; k++) {
            const int at[] = {k / (dst.rows * dst.columns), k / dst.columns % dst.rows,
                              k % dst.columns};
            const double expected = pooled(&src, size, &window, average, at);
            if (fabs((double)dst.values[k] - expected) > 1e-5)
                fail_msg("case %zu, value %d: %g, not %g", i, k, (double)dst.values[k],
                         expected);
        }
        convoy_planes_free(&dst);
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    float values[MAX_VALUES], weights[MAX_VALUES];
    const convoy_planes src = draw(1, 4, 6, 1, values);
    const convoy_planes tall = draw(1, 5, 1, 1, weights);
    const convoy_planes wide = {1, 1, 3, weights}, long_one = {1, 1, 300, weights};
    const convoy_window spread = {.dilation = {1, 3}}, padded = {.pad = {2, 2}},
                        far = {.pad = {0, 300}}, apart = {.dilation = {2, 2}};
    const int size[] = {2, 2};
    convoy_planes dst = {0};
    assert_refused(convoy_convolve(&src, &tall, NULL, &dst),
                   "the input of 4 x 6 is smaller than the kernel of 5 x 1: it has 4 "
                   "rows with its padding, the kernel reaches over 5");
    assert_refused(convoy_convolve(&src, &wide, &spread, &dst),
                   "6 columns with its padding, the kernel reaches over 7");
    assert_refused(convoy_convolve(&src, &long_one, &far, &dst), "at most 256 columns");
    assert_refused(convoy_convolve(&src, &wide, &far, &dst), "padding of 300 columns");
    assert_refused(convoy_convolve_pool(&src, size, true, &padded, &dst),
                   "more than half of the window");
    assert_refused(convoy_convolve_pool(&src, size, true, &apart, &dst), "dilation");
    assert_null(dst.values);
}

static void kernels_keep_or_drop_what_is_the_same_all_over(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double sum;
    } kernels[] = {{"identity", 1}, {"edge1", 0},   {"edge2", 0},
                   {"edge3", 0},    {"sharpen", 1}, {"box", 1}};
    int n = 0;
    for (; convoy_kernel_name(n); n++) {
        convoy_planes kernel = {0};
        double sum = 0;
        assert_string_equal(convoy_kernel_name(n), kernels[n].name);
        assert_done(convoy_kernel_read(kernels[n].name, &kernel));
        assert_int_equal(kernel.rows, 3);
        assert_int_equal(kernel.columns, 3);
        for (int i = 0; i < 9; i++)
            sum += (double)kernel.values[i];
        assert_true(fabs(sum - kernels[n].sum) < 1e-6);
        convoy_planes_free(&kernel);
    }
    assert_int_equal(n, sizeof kernels / sizeof *kernels);
    convoy_planes kernel = {0};
    assert_refused(convoy_kernel_read("edge4", &kernel),
                   "there is no kernel 'edge4', and no file of that name; kernels are "
                   "identity, edge1, edge2, edge3, sharpen, box");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lecture_s_example_gives_5_first),
        cmocka_unit_test(convolution_puts_the_kernel_where_a_single_pixel_is),
        cmocka_unit_test(windows_of_all_kinds_are_as_by_loops),
        cmocka_unit_test(the_products_add_up_to_the_output),
        cmocka_unit_test(pooling_is_as_by_loops),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(kernels_keep_or_drop_what_is_the_same_all_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
