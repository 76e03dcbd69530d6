/* Shares of cores and memory, of ranks whose masks and memory are what the test says,
 * on a machine that hwloc is told of: eight cores with the hardware threads c and c
 * + 8.
 */
#include "comm/cores.h"
#include "comm/launch.h"
#include "comm/world.h"
#include "mpi/ranks.h"

#include "base/cpus.h"
#include "base/limits.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_CORES = 8 };

static const char *const machine = "core:8 pu:2(indexes=0,8,1,9,2,10,3,11,4,12,5,13,6,"
                                   "14,7,15)";
static const cpu_set_t *mask; /* NULL: the process's own */
static uint64_t memory_left;
static bool allocations_fail;

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
void __real_cpus_mask(cpu_set_t *out);
void __wrap_cpus_mask(cpu_set_t *out);
uint64_t __wrap_limits_memory_left(void);
convoy_status __real_mem_alloc_array(size_t n, size_t size, void **out);
convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out);

void __wrap_cpus_mask(cpu_set_t *out)
{
    if (mask)
        *out = *mask;
    else
        __real_cpus_mask(out);
}

uint64_t __wrap_limits_memory_left(void)
{
    return memory_left;
}

convoy_status __wrap_mem_alloc_array(size_t n, size_t size, void **out)
{
    if (allocations_fail)
        return FAIL(CONVOY_ERROR_MEMORY, "no memory, as the test wants it");
    return __real_mem_alloc_array(n, size, out);
}
// NOLINTEND(readability-identifier-naming)

static int start(void **state)
{
    convoy_world *world = NULL;
    if (convoy_world_create(&world) != CONVOY_OK)
        return -1;
    setenv("HWLOC_SYNTHETIC", machine, 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    convoy_world_destroy(*state);
    return 0;
}

/* Processors from first to below end, and those behind them by 8: cores. */
static cpu_set_t cores_between(int first, int end)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int core = first; core < end; core++) {
        CPU_SET((size_t)core, &set);
        CPU_SET((size_t)(core + N_CORES), &set);
    }
    return set;
}

static cpu_set_t all_sets(const struct cores *cores)
{
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int i = 0; i < cores->n; i++)
        CPU_OR(&all, &all, &cores->sets[i]);
    return all;
}

/* Whether this rank has n cores in a set of its own, expected. */
static bool has_own(const struct cores *cores, int n, const cpu_set_t *expected)
{
    const cpu_set_t all = all_sets(cores);
    int each = 0;
    for (int i = 0; i < cores->n; i++)
        each += CPU_COUNT(&cores->sets[i]);
    return cores->n == n && CPU_EQUAL(&all, expected) && each == CPU_COUNT(expected);
}

/* Whether it has n, each of which may be anywhere in own. */
static bool has_anywhere(const struct cores *cores, int n, const cpu_set_t *own)
{
    bool ok = cores->n == n;
    for (int i = 0; i < cores->n; i++)
        ok = ok && CPU_EQUAL(&cores->sets[i], own);
    return ok;
}

static bool share(convoy_world *world, const cpu_set_t *own, struct cores *cores)
{
    mask = own;
    const bool ok = cores_share(world, cores) == CONVOY_OK;
    mask = NULL;
    return ok;
}

static void the_same_mask_is_divided_by_rank(void **state)
{
    convoy_world *world = *state;
    const cpu_set_t own = cores_between(0, N_CORES);
    const int first = N_CORES * world->rank / world->size,
              end = N_CORES * (world->rank + 1) / world->size;
    const cpu_set_t expected = cores_between(first, end);
    struct cores cores = {0};
    bool ok = share(world, &own, &cores) && has_own(&cores, end - first, &expected);
    ok = ok && end - first >= N_CORES / world->size;
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

static void masks_that_differ_are_kept(void **state)
{
    convoy_world *world = *state;
    const cpu_set_t own = cores_between(world->rank, world->rank + 1);
    struct cores cores = {0};
    const bool ok = share(world, &own, &cores) && has_own(&cores, 1, &own);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

/* Even ranks share some, odd ranks share others. */
static void groups_divide_what_is_theirs(void **state)
{
    convoy_world *world = *state;
    const bool is_odd = world->rank % 2;
    const cpu_set_t own = is_odd ? cores_between(4, 8) : cores_between(0, 4);
    const int n = (world->size + !is_odd) / 2, before = world->rank / 2;
    const int first = 4 * before / n, end = 4 * (before + 1) / n;
    const cpu_set_t expected = cores_between(4 * is_odd + first, 4 * is_odd + end);
    struct cores cores = {0};
    const bool ok =
        share(world, &own, &cores) && has_own(&cores, end - first, &expected);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

static void ranks_on_the_same_core_have_one_each(void **state)
{
    convoy_world *world = *state;
    const cpu_set_t own = cores_between(3, 4);
    struct cores cores = {0};
    const bool ok = share(world, &own, &cores) && has_anywhere(&cores, 1, &own);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

/* The last rank has cores 2 to 7, each other one 0 to 3. */
static void what_overlaps_in_part_counts_in_part(void **state)
{
    convoy_world *world = *state;
    static const int others[] = {0, 3, 1, 0, 1}, last[] = {0, 5, 4, 0, 4};
    const bool is_last = world->rank == world->size - 1;
    const cpu_set_t own = is_last ? cores_between(2, 8) : cores_between(0, 4);
    struct cores cores = {0};
    if (world->size == 1 || world->size == 4)
        skip();
    /* Of two: 2 + 2/2 and 4 + 2/2; of three: 2/2 + 2/3 and 4 + 2/3; … */
    const int n = is_last ? last[world->size - 1] : others[world->size - 1];
    const bool ok = share(world, &own, &cores) && has_anywhere(&cores, n, &own);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

/* Ranks that were given one hardware thread of each core, not the same. */
static void hardware_threads_of_a_core_are_no_two_cores(void **state)
{
    convoy_world *world = *state;
    cpu_set_t own, expected;
    struct cores cores = {0};
    if (world->size != 2)
        skip();
    CPU_ZERO(&own);
    CPU_ZERO(&expected);
    for (int core = 0; core < N_CORES; core++) {
        CPU_SET((size_t)(core + N_CORES * world->rank), &own);
        if (core / (N_CORES / 2) == world->rank)
            CPU_SET((size_t)(core + N_CORES * world->rank), &expected);
    }
    const bool ok =
        share(world, &own, &cores) && has_own(&cores, N_CORES / 2, &expected);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

/* Of the rank that has least, whichever it is: the last ones share a core. */
static void the_worst_rank_is_known_to_all(void **state)
{
    convoy_world *world = *state;
    const int n = world->size, shared = n > 1 ? n - 2 : 0;
    const int first = world->rank < shared ? world->rank : shared;
    const cpu_set_t own = cores_between(first, first + 1);
    struct cores cores = {0};
    struct launch worst = {.cores = 0}, launch;
    const struct cores_use use = {.lanes = 1, .threads = 1};
    char expected[64];
    bool ok = share(world, &own, &cores);
    launch_here(world, &cores, &use, &launch);
    ok = ok && launch_worst(world, &launch, &worst) == CONVOY_OK;
    const struct crowd *crowd = &worst.crowd;
    ok = ok && crowd->rank == shared && crowd->cores == 1 && crowd->ranks == n &&
         crowd->used_cores == shared + 1 && crowd->machine_cores == N_CORES &&
         crowd->sharers == (n > 1 ? 2 : 0) && *crowd->host;
    ok = launch_check(&worst) == (n > 1 ? CONVOY_ERROR_ARGUMENT : CONVOY_OK) && ok;
    snprintf(expected, sizeof expected, "mpirun --map-by slot:PE=%d", N_CORES / n);
    if (n > 1)
        ok = ok && strstr(convoy_status_text(), "2 ranks of ") &&
             strstr(convoy_status_text(), " share 1 core of 8") &&
             strstr(convoy_status_text(), expected);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

/* A broken rule counts more than a smaller share: of the first rank the lanes are too
 * many, the last two have half a core. */
static void the_worst_rule_counts_before_the_share(void **state)
{
    convoy_world *world = *state;
    const int last = world->size - 1;
    struct launch worst, own = {.crowd = {.rank = world->rank,
                                          .share = world->rank == 0 ? 4 : 0.5,
                                          .ranks = 1,
                                          .machine_cores = 4,
                                          .used_cores = 4},
                                .launcher = LAUNCHER_MPIRUN,
                                .cores = 1,
                                .lanes = world->rank == 0 ? 5 : 1,
                                .threads = 1};
    if (world->rank == last)
        own.crowd.ranks = 8;
    const bool ok = launch_worst(world, &own, &worst) == CONVOY_OK &&
                    worst.crowd.rank == last && worst.crowd.ranks == 8;
    assert_true(on_all_ranks(world, ok));
}

/* What mpirun --bind-to none gives, on the cores there are. */
static void ranks_here_do_not_meet(void **state)
{
    convoy_world *world = *state;
    struct cores here = {0}, cores = {0};
    int users[CPU_SETSIZE];
    unsetenv("HWLOC_SYNTHETIC");
    unsetenv("HWLOC_THISSYSTEM");
    bool ok = cores_here(&here) == CONVOY_OK && cores_share(world, &cores) == CONVOY_OK;
    const cpu_set_t all = all_sets(&cores);
    ok = world_count_users(world->comm, &all, users) == CONVOY_OK && ok;
    if (here.n >= world->size) {
        ok = ok && cores.n >= here.n / world->size && cores.n <= here.n;
        for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
            ok = ok && users[cpu] <= 1;
    } else {
        ok = ok && cores.n == 1;
    }
    setenv("HWLOC_SYNTHETIC", machine, 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    cores_free(&here);
    cores_free(&cores);
    assert_true(on_all_ranks(world, ok));
}

static void a_lack_of_memory_is_agreed_on(void **state)
{
    convoy_world *world = *state;
    const cpu_set_t own = cores_between(0, N_CORES);
    const bool is_last = world->rank == world->size - 1;
    struct cores cores = {0};
    mask = &own;
    allocations_fail = is_last;
    const convoy_status status = cores_share(world, &cores);
    allocations_fail = false;
    mask = NULL;
    assert_true(on_all_ranks(
        world, status == (is_last ? CONVOY_ERROR_MEMORY : CONVOY_ERROR_ELSEWHERE) &&
                   convoy_status_agreed() && cores.n == 0 && !cores.sets));
}

static void memory_is_divided_too(void **state)
{
    convoy_world *world = *state;
    uint64_t bytes = 1;
    memory_left = 1000 + (uint64_t)world->rank;
    bool ok = world_memory_left(world, &bytes) == CONVOY_OK &&
              bytes == 1000 / (uint64_t)world->size;
    memory_left = world->rank == world->size - 1 ? 0 : 1000; /* unknown to the last */
    ok = world_memory_left(world, &bytes) == CONVOY_OK &&
         bytes == (world->size > 1 ? 1000 / (uint64_t)world->size : 0) && ok;
    assert_true(on_all_ranks(world, ok));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_mask_is_divided_by_rank),
        cmocka_unit_test(masks_that_differ_are_kept),
        cmocka_unit_test(groups_divide_what_is_theirs),
        cmocka_unit_test(ranks_on_the_same_core_have_one_each),
        cmocka_unit_test(what_overlaps_in_part_counts_in_part),
        cmocka_unit_test(hardware_threads_of_a_core_are_no_two_cores),
        cmocka_unit_test(the_worst_rank_is_known_to_all),
        cmocka_unit_test(the_worst_rule_counts_before_the_share),
        cmocka_unit_test(ranks_here_do_not_meet),
        cmocka_unit_test(a_lack_of_memory_is_agreed_on),
        cmocka_unit_test(memory_is_divided_too),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
