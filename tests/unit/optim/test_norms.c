/* Sums of squares: exact but for rounding in double, the same bits for any number of
 * threads, and an optimizer that is made of them. */
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

/* A step as long as trust |p| for each tensor, whatever the gradient's length. */
struct trust_settings {
    double trust;
};

static const struct option trust_options[] = {
    {"trust", OPTION_FLOAT, offsetof(struct trust_settings, trust), "0.001", 0, 1, 0,
     NULL, "length of a step, in lengths of the tensor"}};

static void trust_step(const void *settings, const struct optim_range *range)
{
    const struct trust_settings *s = settings;
    const double p = sqrt(optim_sum_squares(range->params, range->n));
    const double g = sqrt(optim_sum_squares(range->grads, range->n));
    const float scale = (float)(g > 0 ? s->trust * p / g : 0) * range->lr;
    for (size_t i = 0; i < range->n; i++)
        range->params[i] -= scale * range->grads[i];
}

static const struct optim_kind trust = {
    .about = {.name = "trust",
              .help = "steps as long as a part of the tensor",
              OPTION_TABLE(trust_options, struct trust_settings)},
    .whole_tensors = true,
    .step = trust_step,
};

/* Two tensors behind one another, each stepped by its own norms. */
static void step_tensors(int threads, const float *grads, size_t n, float *params)
{
    struct optimizer *optimizer = NULL;
    const int usual = omp_get_max_threads();
    const struct trust_settings settings = {.trust = 0.25};
    assert_int_equal(optimizer_create(&trust, &settings, 2 * n, &optimizer), CONVOY_OK);
    assert_true(optimizer_kind(optimizer)->whole_tensors);
    omp_set_num_threads(threads);
    optimizer_step(optimizer, params, grads + n, n, 2 * n, 1, 0);
    optimizer_step(optimizer, params, grads, 0, n, 1, 0);
    omp_set_num_threads(usual);
    optimizer_destroy(optimizer);
}

static void an_optimizer_can_go_by_a_tensors_norms(void **state)
{
    enum { N = 50000, BOTH = 2 * N };
    (void)state;
    float *start = new_values(BOTH, 4), *grads = new_values(BOTH, 5);
    float *one = new_values(BOTH, 4), *more = new_values(BOTH, 4);
    step_tensors(1, grads, N, one);
    step_tensors(3, grads, N, more);
    assert_memory_equal(one, more, BOTH * sizeof *one);
    for (int tensor = 0; tensor < 2; tensor++) {
        double moved = 0, length = 0;
        for (size_t i = (size_t)tensor * N; i < ((size_t)tensor + 1) * N; i++) {
            const double d = (double)one[i] - (double)start[i];
            moved += d * d;
            length += (double)start[i] * (double)start[i];
        }
        assert_true(fabs(sqrt(moved) - 0.25 * sqrt(length)) < 1e-5 * sqrt(length));
    }
    mem_free(start);
    mem_free(grads);
    mem_free(one);
    mem_free(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_double),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(another_order_has_other_bits),
        cmocka_unit_test(what_is_not_finite_shows),
        cmocka_unit_test(an_optimizer_can_go_by_a_tensors_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
