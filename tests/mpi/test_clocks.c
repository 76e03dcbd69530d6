/* Clocks that differ are told apart, and moments put between two comparisons. */
#include "base/clock.h"
#include "comm/clocks.h"
#include "mpi/ranks.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* How much later this rank's clock is than the machine's. */
static double ahead_s;

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
double __real_clock_now_s(void);
double __wrap_clock_now_s(void);
double __wrap_clock_now_s(void)
{
    return __real_clock_now_s() + ahead_s;
}
// NOLINTEND(readability-identifier-naming)

static int start(void **state)
{
    return (int)convoy_world_create((convoy_world **)state);
}

static int stop(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

static void the_difference_is_found_within_the_error(void **state)
{
    convoy_world *world = *state;
    struct clock_offset found = {0};
    ahead_s = 1000.5 * world->rank;
    bool ok = clocks_compare(world, true, &found) == CONVOY_OK;
    ok = ok && fabs(found.offset_s - ahead_s) <= found.error_s + 1e-9 &&
         found.error_s >= 0 && found.error_s < 10 && found.at_s <= clock_now_s() &&
         (found.error_s > 0) == (world->rank > 0);
    assert_true(on_all_ranks(world, ok));
}

static void clocks_of_one_machine_are_one(void **state)
{
    convoy_world *world = *state;
    struct clock_offset found = {0};
    ahead_s = 0;
    const bool ok =
        clocks_compare(world, true, &found) == CONVOY_OK && found.offset_s == 0;
    assert_true(on_all_ranks(world, ok));
}

static void ranks_that_take_no_part_are_not_asked(void **state)
{
    convoy_world *world = *state;
    struct clock_offset found = {0};
    ahead_s = 1000.5 * world->rank;
    const bool takes_part = world->rank == world->size - 1;
    bool ok = clocks_compare(world, takes_part, &found) == CONVOY_OK;
    ok = ok && (found.error_s > 0) == (takes_part && world->rank > 0);
    assert_true(on_all_ranks(world, ok));
}

static void a_moment_is_put_between_two_comparisons(void **state)
{
    const struct clock_offset before = {.offset_s = 100, .at_s = 1000},
                              after = {.offset_s = 104, .at_s = 2000};
    (void)state;
    assert_true(fabs(clocks_of_root(&before, &after, 1000) - 900) < 1e-9);
    assert_true(fabs(clocks_of_root(&before, &after, 1250) - 1149) < 1e-9);
    assert_true(fabs(clocks_of_root(&before, &after, 2000) - 1896) < 1e-9);
    assert_true(fabs(clocks_of_root(&before, &before, 1250) - 1150) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_difference_is_found_within_the_error),
        cmocka_unit_test(clocks_of_one_machine_are_one),
        cmocka_unit_test(ranks_that_take_no_part_are_not_asked),
        cmocka_unit_test(a_moment_is_put_between_two_comparisons),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
