/* Quantiles of weighted samples: those of the list with repetitions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/samples.h"

#include <math.h>

struct expected {
    struct sample samples[6];
    int n;
    double q1, median, q3;
};

/* By hand, as numpy.quantile has them of the values repeated by weight. */
static const struct expected table[] = {
    {{{5, 1}}, 1, 5, 5, 5},
    {{{2, 1}, {1, 1}}, 2, 1.25, 1.5, 1.75},
    {{{3, 1}, {1, 1}, {2, 1}}, 3, 1.5, 2, 2.5},
    {{{4, 1}, {1, 1}, {3, 1}, {2, 1}}, 4, 1.75, 2.5, 3.25},
    {{{7, 4}}, 1, 7, 7, 7},
    /* 1 1 1 1 9 */
    {{{9, 1}, {1, 4}}, 2, 1, 1, 1},
    /* 1 1 2 2 2 8 */
    {{{2, 3}, {8, 1}, {1, 2}}, 3, 1.25, 2, 2},
    /* 1 1 1 5 5 5: the median is between two lines */
    {{{5, 3}, {1, 3}}, 2, 1, 3, 5},
};

static struct samples make(const struct expected *e)
{
    struct samples s = {0};
    for (int i = 0; i < e->n; i++)
        assert_int_equal(samples_add(&s, e->samples[i].value, e->samples[i].weight),
                         CONVOY_OK);
    samples_sort(&s);
    return s;
}

static void quantiles_are_those_of_the_repeated_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct samples s = make(&table[i]);
        assert_float_equal(samples_quantile(&s, 0.25), table[i].q1, 1e-12);
        assert_float_equal(samples_quantile(&s, 0.5), table[i].median, 1e-12);
        assert_float_equal(samples_quantile(&s, 0.75), table[i].q3, 1e-12);
        samples_free(&s);
    }
}

static void the_ends_are_the_least_and_the_most(void **state)
{
    (void)state;
    struct samples s = make(&table[6]);
    assert_float_equal(samples_quantile(&s, 0), 1, 0);
    assert_float_equal(samples_quantile(&s, 1), 8, 0);
    samples_free(&s);
}

static void of_nothing_there_is_no_quantile(void **state)
{
    (void)state;
    struct samples s = {0};
    assert_int_equal(samples_add(&s, 1, 0), CONVOY_OK);
    samples_sort(&s);
    assert_true(isnan(samples_quantile(&s, 0.5)));
    samples_free(&s);
}

static void many_samples_of_two_lists_are_one(void **state)
{
    (void)state;
    struct samples odd = {0}, even = {0};
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(samples_add(i % 2 ? &odd : &even, 999 - i, 1), CONVOY_OK);
    }
    assert_int_equal(samples_add_all(&odd, &even), CONVOY_OK);
    samples_sort(&odd);
    assert_int_equal(odd.weight, 1000);
    assert_float_equal(samples_quantile(&odd, 0.5), 499.5, 1e-12);
    samples_free(&odd);
    samples_free(&even);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_the_repeated_values),
        cmocka_unit_test(the_ends_are_the_least_and_the_most),
        cmocka_unit_test(of_nothing_there_is_no_quantile),
        cmocka_unit_test(many_samples_of_two_lists_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
