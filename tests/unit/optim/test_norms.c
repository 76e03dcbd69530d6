/* Sums of squares: exact but for rounding in double, the same bits for any number of
 * threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "optim/optim.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { MOST = 3000017, MOST_THREADS = 4 };

static const size_t lengths[] = {0,     1,     15,     16,      17,    63,
                                 64,    1023,  1024,   1025,    32767, 32768,
                                 32769, 40000, 100003, 1048576, MOST};
enum { N_LENGTHS = (int)(sizeof lengths / sizeof lengths[0]) };

/* Values of very different sizes, so that another order has other bits. */
static float *new_values(size_t n, uint64_t seed)
{
    float *values = NULL;
    const struct rng rng = rng_stream(seed, RNG_INIT, 0, 0);
    assert_int_equal(mem_alloc_array(n, sizeof *values, (void **)&values), CONVOY_OK);
    for (uint64_t i = 0; i < n; i++)
        values[i] = (float)ldexp(rng_normal(&rng, i), (int)(i * 7919 % 40) - 20);
    return values;
}

static double with_threads(int threads, const float *values, size_t n)
{
    const int usual = omp_get_max_threads();
    omp_set_num_threads(threads);
    const double sum = optim_sum_squares(values, n);
    omp_set_num_threads(usual);
    return sum;
}

static void sums_are_those_of_double(void **state)
{
    (void)state;
    float *values = new_values(MOST, 1);
    for (int i = 0; i < N_LENGTHS; i++) {
        long double exact = 0;
        for (size_t j = 0; j < lengths[i]; j++)
            exact += (long double)values[j] * (long double)values[j];
        const double sum = optim_sum_squares(values, lengths[i]);
        assert_true(fabsl((long double)sum - exact) <= exact * 1e-13L);
    }
    mem_free(values);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    float *values = new_values(MOST, 2);
    for (int i = 0; i < N_LENGTHS; i++) {
        const double one = with_threads(1, values, lengths[i]);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            const double sum = with_threads(threads, values, lengths[i]);
            assert_memory_equal(&sum, &one, sizeof sum);
        }
    }
    mem_free(values);
}

/* Where threads decided the order, this is what would differ. */
static void another_order_has_other_bits(void **state)
{
    (void)state;
    float *values = new_values(MOST, 2);
    double running = 0;
    for (size_t i = 0; i < MOST; i++)
        running += (double)values[i] * (double)values[i];
    const double sum = optim_sum_squares(values, MOST);
    assert_memory_not_equal(&sum, &running, sizeof sum);
    mem_free(values);
}

static void what_is_not_finite_shows(void **state)
{
    (void)state;
    float *values = new_values(100, 3);
    values[77] = INFINITY;
    assert_true(isinf(optim_sum_squares(values, 100)));
    values[78] = NAN;
    assert_true(isnan(optim_sum_squares(values, 100)));
    mem_free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_double),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(another_order_has_other_bits),
        cmocka_unit_test(what_is_not_finite_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
