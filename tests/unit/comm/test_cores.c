/* Cores of a mask, on this machine and on others that hwloc is told of (its variable
 * HWLOC_SYNTHETIC; HWLOC_THISSYSTEM makes it ours), and their division among lanes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpus.h"
#include "comm/cores.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "0-3,8" */
static cpu_set_t set_of(const char *list)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (char *end = NULL; *list; list = *end ? end + 1 : end) {
        const unsigned long first = strtoul(list, &end, 10);
        const unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;
        for (size_t cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, &set);
    }
    return set;
}

static void assert_set(const cpu_set_t *set, const char *expected)
{
    const cpu_set_t wanted = set_of(expected);
    if (CPU_EQUAL(set, &wanted))
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, set))
            print_message("%zu ", cpu);
    fail_msg("is not %s", expected);
}

/* "0 8; 1 9": cores with their processors. */
static void write_cores(const struct cores *cores, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < cores->n; i++)
        for (size_t cpu = 0, n = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &cores->sets[i]))
                used += (size_t)snprintf(text + used, size - used, "%s%zu",
                                         n++    ? " "
                                         : used ? "; "
                                                : "",
                                         cpu);
}

static void pretend(const char *machine, bool is_ours)
{
    if (machine)
        setenv("HWLOC_SYNTHETIC", machine, 1);
    else
        unsetenv("HWLOC_SYNTHETIC");
    if (is_ours)
        setenv("HWLOC_THISSYSTEM", "1", 1);
    else
        unsetenv("HWLOC_THISSYSTEM");
}

static void threads_of_a_core_are_one_and_neighbours_stand_together(void **state)
{
    static const char plain[] = "pack:2 core:2 pu:2",
                      /* As Linux counts: first threads of cores before second ones. */
        seconds_last[] = "pack:2 core:2 pu:2(indexes=0,4,1,5,2,6,3,7)",
                      /* Packages take turns. */
        in_turns[] = "pack:2 core:2 pu:2(indexes=0,4,2,6,1,5,3,7)";
    static const struct {
        const char *machine, *mask, *cores;
    } cases[] = {
        {plain, "0-7", "0 1; 2 3; 4 5; 6 7"},
        {plain, "1-4", "1; 2 3; 4"},
        {seconds_last, "0-7", "0 4; 1 5; 2 6; 3 7"},
        {seconds_last, "0,2,4", "0 4; 2"},
        {seconds_last, "4-7", "4; 5; 6; 7"},
        {in_turns, "0-7", "0 4; 2 6; 1 5; 3 7"},
        {in_turns, "0-3", "0; 2; 1; 3"},
        {"numa:2 core:2 pu:1(indexes=0,2,1,3)", "0-3", "0; 2; 1; 3"},
        /* More processors than hwloc knows, and no cores. */
        {plain, "6-9", "6 7; 8; 9"},
        {"pu:4", "0-3", "0; 1; 2; 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cpu_set_t mask = set_of(cases[i].mask);
        struct cores cores = {0};
        char text[256];
        pretend(cases[i].machine, true);
        assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
        write_cores(&cores, text, sizeof text);
        assert_string_equal(text, cases[i].cores);
        cores_free(&cores);
        cores_free(&cores);
    }
    pretend(NULL, false);
}

static void what_hwloc_knows_of_another_machine_is_not_used(void **state)
{
    (void)state;
    const cpu_set_t mask = set_of("0-1023");
    struct cores cores = {0};
    pretend("pack:2 core:256 pu:2", false);
    assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
    assert_int_equal(cores.n, 1024);
    for (int i = 0; i < 1024; i++)
        assert_true(CPU_COUNT(&cores.sets[i]) == 1 &&
                    CPU_ISSET((size_t)i, &cores.sets[i]));
    cores_free(&cores);
    pretend(NULL, false);
}

static void an_unknown_mask_is_one_core(void **state)
{
    (void)state;
    const cpu_set_t mask = set_of("");
    struct cores cores = {0};
    assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
    assert_int_equal(cores.n, 1);
    assert_int_equal(CPU_COUNT(&cores.sets[0]), 0);
    cores_free(&cores);
}

static void cores_here_are_together_the_mask(void **state)
{
    (void)state;
    struct cores cores = {0};
    cpu_set_t mask, before, after, all = set_of("");
    int n = 0;
    cpus_mask(&mask);
    sched_getaffinity(0, sizeof before, &before);
    assert_int_equal(cores_here(&cores), CONVOY_OK);
    sched_getaffinity(0, sizeof after, &after);
    assert_true(CPU_EQUAL(&before, &after));
    for (int i = 0; i < cores.n; i++) {
        CPU_OR(&all, &all, &cores.sets[i]);
        n += CPU_COUNT(&cores.sets[i]);
    }
    assert_true(CPU_EQUAL(&all, &mask));
    assert_int_equal(n, CPU_COUNT(&mask));
    cores_free(&cores);
}

static void check_places(const struct cores *cores, const cpu_set_t *mask, int lanes,
                         int threads)
{
    cpu_set_t places[10], all = set_of("");
    const bool fits = lanes * threads <= cores->n;
    int n = 0;
    cores_places(cores, &(struct cores_use){lanes, threads, false}, places);
    for (int i = 0; i < lanes; i++) {
        const int own = CPU_COUNT(&places[i]) / 2; /* of two processors each */
        CPU_OR(&all, &all, &places[i]);
        n += own;
        assert_true(fits ? own >= threads : own == cores->n);
        assert_true(!fits || own <= cores->n / lanes + 1);
    }
    assert_true(CPU_EQUAL(&all, mask));
    assert_int_equal(n, fits ? cores->n : lanes * cores->n);
}

static void places_are_equal_shares_or_all(void **state)
{
    (void)state;
    const cpu_set_t mask = set_of("0-15");
    struct cores cores = {0};
    pretend("core:8 pu:2", true);
    assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
    for (int lanes = 1; lanes <= 10; lanes++)
        for (int threads = 1; threads <= 10; threads++)
            check_places(&cores, &mask, lanes, threads);
    cores_free(&cores);
    pretend(NULL, false);
}

static void places_are_neighbours(void **state)
{
    (void)state;
    const cpu_set_t mask = set_of("0-7"), first = set_of("0,2,4,6"),
                    second = set_of("1,3,5,7");
    struct cores cores = {0};
    cpu_set_t places[2];
    pretend("pack:2 core:4 pu:1(indexes=0,2,4,6,1,3,5,7)", true);
    assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
    cores_places(&cores, &(struct cores_use){2, 3, false}, places);
    assert_true(CPU_EQUAL(&places[0], &first) && CPU_EQUAL(&places[1], &second));
    cores_free(&cores);
    pretend(NULL, false);
}

#define SMT "core:4 pu:2(indexes=0,4,1,5,2,6,3,7)"
#define PLAIN "core:8 pu:1"

static const struct {
    const char *machine;
    struct cores_use use;
    bool is_own;
    const char *exchange, *loader, *lanes[4];
    int room;
    const char *text;
} beside_lanes[] = {
    {SMT,
     {4, 1, true},
     true,
     "7",
     "",
     {"0,4", "1,5", "2,6", "3"},
     0,
     "lanes 0-6, loading 0-6, exchange 7"},
    {SMT,
     {2, 2, true},
     true,
     "7",
     "",
     {"0-1,4-5", "2-3,6"},
     0,
     "lanes 0-6, loading 0-6, exchange 7"},
    {SMT,
     {3, 1, true},
     true,
     "7",
     "2,3,6",
     {"0,4", "1,5", "2,3,6"},
     1,
     "lanes 0-6, loading 2-3,6, exchange 7"},
    {SMT,
     {4, 1, false},
     false,
     "0-7",
     "",
     {"0,4", "1,5", "2,6", "3,7"},
     0,
     "lanes 0-7, loading 0-7"},
    {PLAIN,
     {3, 1, true},
     true,
     "7",
     "0-6",
     {"0-1", "2-4", "5-6"},
     4,
     "lanes 0-6, loading 0-6, exchange 7"},
    {PLAIN,
     {3, 1, false},
     false,
     "0-7",
     "0-7",
     {"0-1", "2-4", "5-7"},
     5,
     "lanes 0-7, loading 0-7"},
    {PLAIN,
     {3, 2, true},
     true,
     "7",
     "2-6",
     {"0-1", "2-4", "5-6"},
     1,
     "lanes 0-6, loading 2-6, exchange 7"},
    {PLAIN,
     {1, 7, true},
     true,
     "7",
     "",
     {"0-6"},
     0,
     "lanes 0-6, loading 0-6, exchange 7"},
    {PLAIN,
     {4, 2, true},
     false,
     "0-7",
     "",
     {"0-1", "2-3", "4-5", "6-7"},
     0,
     "lanes 0-7, loading 0-7, exchange 0-7"},
    {PLAIN,
     {3, 3, true},
     false,
     "0-7",
     "",
     {"0-7", "0-7", "0-7"},
     0,
     "lanes 0-7, loading 0-7, exchange 0-7"},
};

/* The exchange's processor is no lane's, and costs none of them a core; loading stays
 * where lanes have room to move. */
static void threads_beside_lanes_find_a_place(void **state)
{
    const cpu_set_t mask = set_of("0-7");
    (void)state;
    for (size_t i = 0; i < sizeof beside_lanes / sizeof *beside_lanes; i++) {
        struct cores cores = {0};
        cpu_set_t places[4], place, others;
        char text[128];
        pretend(beside_lanes[i].machine, true);
        assert_int_equal(cores_of(&mask, &cores), CONVOY_OK);
        assert_int_equal(cores_exchange_place(&cores, &beside_lanes[i].use, &place),
                         beside_lanes[i].is_own);
        assert_set(&place, beside_lanes[i].exchange);
        assert_int_equal(
            cores_loader_place(&cores, &beside_lanes[i].use, &place, &others),
            beside_lanes[i].room);
        if (beside_lanes[i].room > 0)
            assert_set(&place, beside_lanes[i].loader);
        cores_places(&cores, &beside_lanes[i].use, places);
        for (int lane = 0; lane < beside_lanes[i].use.lanes; lane++)
            assert_set(&places[lane], beside_lanes[i].lanes[lane]);
        cores_text(&cores, &beside_lanes[i].use, text, sizeof text);
        assert_string_equal(text, beside_lanes[i].text);
        cores.roam = true;
        assert_false(cores_exchange_place(&cores, &beside_lanes[i].use, &place));
        assert_set(&place, "0-7");
        assert_int_equal(
            cores_loader_place(&cores, &beside_lanes[i].use, &place, &others), 0);
        cores_free(&cores);
    }
    pretend(NULL, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_of_a_core_are_one_and_neighbours_stand_together),
        cmocka_unit_test(what_hwloc_knows_of_another_machine_is_not_used),
        cmocka_unit_test(an_unknown_mask_is_one_core),
        cmocka_unit_test(cores_here_are_together_the_mask),
        cmocka_unit_test(places_are_equal_shares_or_all),
        cmocka_unit_test(places_are_neighbours),
        cmocka_unit_test(threads_beside_lanes_find_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
