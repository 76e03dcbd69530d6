/* The arithmetic of bench exchange. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/exchange_figures.h"

static void sizes_grow_fourfold_and_end_at_the_last(void **state)
{
    (void)state;
    assert_int_equal(figures_next_size(4096, 65536), 16384);
    assert_int_equal(figures_next_size(16384, 65536), 65536);
    assert_int_equal(figures_next_size(65536, 65536), 0);
    assert_int_equal(figures_next_size(16384, 65535), 65535);
    assert_int_equal(figures_next_size(1, 1), 0);
    assert_true(figures_next_size(UINT64_MAX / 2, UINT64_MAX) == UINT64_MAX);
}

static void bus_bandwidth_is_what_a_link_carries(void **state)
{
    (void)state;
    assert_true(figures_bus_bandwidth(1000, 2, 2) == 500);
    assert_true(figures_bus_bandwidth(1000, 4, 0.5) == 3000);
}

static void rounds_fit_the_time_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(figures_rounds(0.5, 3, 3, 200), 6);
    assert_int_equal(figures_rounds(2, 3, 3, 200), 3);
    assert_int_equal(figures_rounds(1e-6, 3, 3, 200), 200);
    assert_int_equal(figures_rounds(0, 3, 3, 200), 200);
    assert_int_equal(figures_rounds(1e12, 3, 3, 200), 3);
}

static void the_median_is_the_middle_one(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
    assert_true(figures_median(odd, 3) == 2);
    assert_true(odd[0] == 1);
    assert_true(figures_median(even, 4) == 2);
    assert_true(figures_median(one, 1) == 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_grow_fourfold_and_end_at_the_last),
        cmocka_unit_test(bus_bandwidth_is_what_a_link_carries),
        cmocka_unit_test(rounds_fit_the_time_within_bounds),
        cmocka_unit_test(the_median_is_the_middle_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
