/* Who owns which leaves, where the tree splits, and how its sums nest. */
#include "comm/tree.h"

#include <math.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void ranges_follow_one_another_and_differ_by_at_most_one(void **state)
{
    (void)state;
    for (int n = 0; n <= 40; n++) {
        for (int size = 1; size <= 45; size++) {
            int next = 0;
            for (int rank = 0; rank < size; rank++) {
                int first = -1, count = -1;
                tree_range(n, rank, size, &first, &count);
                assert_int_equal(first, next);
                assert_true(count == n / size || count == n / size + 1);
                next += count;
            }
            assert_int_equal(next, n);
        }
    }
}

static void ranges_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct {
        int n, rank, size, first, count;
    } table[] = {
        {8, 0, 1, 0, 8}, {8, 3, 4, 6, 2}, {7, 0, 2, 0, 4},   {7, 1, 2, 4, 3},
        {7, 2, 3, 5, 2}, {2, 1, 4, 1, 1}, {2, 2, 4, 2, 0},   {13, 4, 5, 11, 2},
        {5, 4, 5, 4, 1}, {5, 0, 5, 0, 1}, {32, 6, 7, 28, 4}, {32, 0, 7, 0, 5},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int first = -1, count = -1;
        tree_range(table[i].n, table[i].rank, table[i].size, &first, &count);
        assert_int_equal(first, table[i].first);
        assert_int_equal(count, table[i].count);
    }
}

static void nodes_split_at_the_largest_power_of_two_below(void **state)
{
    (void)state;
    static const struct {
        int lo, hi, middle;
    } table[] = {
        {0, 2, 1},
        {0, 3, 2},
        {0, 4, 2},
        {0, 5, 4},
        {0, 7, 4},
        {0, 8, 4},
        {0, 9, 8},
        {8, 13, 12},
        {12, 14, 13},
        {4, 7, 6},
        {0, 64, 32},
        {0, 65, 64},
        {0, INT32_MAX, 1 << 30},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(tree_split(table[i].lo, table[i].hi), table[i].middle);
}

/* The tree's definition, with the power of two found from above. */
static double naive_sum(const double *values, int n)
{
    if (n == 1)
        return values[0];
    int left = 1 << 20;
    while (left >= n)
        left /= 2;
    return naive_sum(values, left) + naive_sum(values + left, n - left);
}

static void tree_sum_is_the_naive_recursion(void **state)
{
    (void)state;
    double spread[64 * 3], values[64];
    for (size_t i = 0; i < 64; i++) { /* sums in another order have other bits */
        values[i] = ldexp(sin((double)i + 1.0), (int)(i * 37 % 60) - 30);
        spread[3 * i] = values[i];
        spread[3 * i + 1] = spread[3 * i + 2] = NAN;
    }
    for (int n = 1; n <= 64; n++) {
        double expected = naive_sum(values, n);
        double close = tree_sum(values, n, 1);
        double apart = tree_sum(spread, n, 3);
        assert_memory_equal(&close, &expected, sizeof close);
        assert_memory_equal(&apart, &expected, sizeof apart);
    }
}

static void tree_sum_is_not_the_running_sum(void **state)
{
    (void)state;
    double values[] = {1.0, 0x1p-53, 0x1p-53, 0x1p-53};
    double running = ((values[0] + values[1]) + values[2]) + values[3];
    assert_true(tree_sum(values, 4, 1) == 1.0 + 0x1p-52);
    assert_true(running == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_follow_one_another_and_differ_by_at_most_one),
        cmocka_unit_test(ranges_are_those_of_the_table),
        cmocka_unit_test(nodes_split_at_the_largest_power_of_two_below),
        cmocka_unit_test(tree_sum_is_the_naive_recursion),
        cmocka_unit_test(tree_sum_is_not_the_running_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
