/* How many lanes, and what is said of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "setup/setup_lanes.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* What a rank needs: so much, and so much a lane. */
static uint64_t fixed_bytes, lane_bytes;

static uint64_t bytes_of(const void *context, int lanes)
{
    assert_null(context);
    if (lane_bytes > 0 && (uint64_t)lanes > (UINT64_MAX - fixed_bytes) / lane_bytes)
        return UINT64_MAX;
    return fixed_bytes + (uint64_t)lanes * lane_bytes;
}

/* A rank of one, with two microbatches of 64 in each step of 128, and room. */
static struct lane_facts facts(void)
{
    fixed_bytes = 100 * MIB;
    lane_bytes = 10 * MIB;
    return (struct lane_facts){.threads = 1,
                               .cores = 2,
                               .microbatches = 2,
                               .microbatch = 64,
                               .batch = 128,
                               .ranks = 1,
                               .bytes = bytes_of,
                               .left_bytes = 10000 * MIB};
}

static struct lane_choice choose(const struct lane_facts *f)
{
    struct lane_choice choice;
    if (setup_lanes(f, &choice) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return choice;
}

static void check(const struct lane_facts *f, int lanes, const char *text)
{
    const struct lane_choice choice = choose(f);
    assert_string_equal(choice.text, text);
    assert_int_equal(choice.lanes, lanes);
}

static void lanes_fill_the_cores(void **state)
{
    static const struct {
        int cores, threads, lanes;
        const char *text;
    } cases[] = {
        {1, 1, 1, "1 lane of 1 thread on 1 core, which loading shares"},
        {2, 1, 2, "2 lanes of 1 thread on 2 cores, which loading shares"},
        {64, 1, 64, "64 lanes of 1 thread on 64 cores, which loading shares"},
        {8, 3, 2, "2 lanes of 3 threads on 8 cores"},
        {8, 8, 1, "1 lane of 8 threads on 8 cores, which loading shares"},
        {2, 16, 1, "1 lane of 16 threads on 2 cores, which they share"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lane_facts f = facts();
        f.cores = cases[i].cores;
        f.threads = cases[i].threads;
        f.microbatches = 64;
        check(&f, cases[i].lanes, cases[i].text);
        f.left_bytes = 0; /* unknown */
        check(&f, cases[i].lanes, cases[i].text);
    }
}

static void ranks_that_share_cores_are_told(void **state)
{
    (void)state;
    struct lane_facts f = facts();
    f.cores = f.shared_cores = 1;
    f.sharers = 2;
    check(&f, 1, "1 lane of 1 thread on 1 core, which 2 ranks share");
    f.shared_cores = 2;
    f.sharers = 4;
    check(&f, 1, "1 lane of 1 thread on 2 cores, which 4 ranks share");
}

static void few_microbatches_are_told_with_what_would_help(void **state)
{
    static const struct {
        int cores, threads, microbatches, microbatch, batch, ranks, lanes;
        const char *text;
    } cases[] = {
        {8, 1, 3, 32, 96, 1, 3,
         "3 lanes of 1 thread on 8 cores; a step has only 3 microbatches a rank: "
         "batch.microbatch: 12 or batch.size: 256 would use all"},
        {4, 1, 1, 64, 128, 2, 1,
         "1 lane of 1 thread on 4 cores; a step has only 1 microbatch a rank: "
         "batch.microbatch: 16 or batch.size: 512 would use all"},
        /* 256 / 48 is no whole number of samples: the next divisor below. */
        {64, 2, 8, 32, 256, 1, 8,
         "8 lanes of 2 threads on 64 cores; a step has only 8 microbatches a rank: "
         "batch.microbatch: 8 or batch.size: 1024 would use all"},
        {48, 1, 8, 32, 256, 1, 8,
         "8 lanes of 1 thread on 48 cores; a step has only 8 microbatches a rank: "
         "batch.microbatch: 4 or batch.size: 1536 would use all"},
        /* 8, then 4: two rounds, of which the second is half empty. */
        {8, 1, 12, 32, 384, 1, 8,
         "8 lanes of 1 thread on 8 cores, which loading shares; 12 microbatches a rank "
         "leave some idle in the last round: batch.size: 512 would use all"},
        {8, 1, 15, 32, 480, 1, 8,
         "8 lanes of 1 thread on 8 cores, which loading shares"},
        /* No microbatch is small enough. */
        {8, 1, 1, 1, 4, 4, 1,
         "1 lane of 1 thread on 8 cores; a step has only 1 microbatch a rank: "
         "batch.size: 32 would use all"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lane_facts f = facts();
        f.cores = cases[i].cores;
        f.threads = cases[i].threads;
        f.microbatches = cases[i].microbatches;
        f.microbatch = cases[i].microbatch;
        f.batch = cases[i].batch;
        f.ranks = cases[i].ranks;
        check(&f, cases[i].lanes, cases[i].text);
    }
}

/* What is advised uses all cores, and the next larger divisor would not. */
static void the_advised_microbatch_is_the_largest_that_helps(void **state)
{
    (void)state;
    for (int batch = 1; batch <= 96; batch++)
        for (int ranks = 1; ranks <= 3 && ranks <= batch; ranks++) {
            struct lane_facts f = facts();
            f.cores = 8;
            f.microbatch = f.batch = batch;
            f.microbatches = 1;
            f.ranks = ranks;
            int best = 0;
            for (int m = 1; m <= batch; m++)
                if (batch % m == 0 && batch / m / ranks >= 8)
                    best = m;
            const struct lane_choice choice = choose(&f);
            const char *found = strstr(choice.text, "batch.microbatch: ");
            assert_int_equal(found ? atoi(found + strlen("batch.microbatch: ")) : 0,
                             best);
        }
}

static void memory_limits_auto(void **state)
{
    (void)state;
    struct lane_facts f = facts();
    f.cores = f.microbatches = 8;
    f.left_bytes = 135 * MIB;
    check(&f, 3,
          "3 lanes of 1 thread on 8 cores; memory holds no more (140.0 MiB with one "
          "more, 135.0 MiB are left)");
    f.left_bytes = 110 * MIB;
    assert_int_equal(choose(&f).lanes, 1);
    f.left_bytes = 180 * MIB;
    assert_int_equal(choose(&f).lanes, 8);
    f.bytes = NULL;
    f.left_bytes = 1;
    assert_int_equal(choose(&f).lanes, 8);
}

static void the_recipes_number_holds(void **state)
{
    (void)state;
    struct lane_facts f = facts();
    f.microbatches = 16;
    f.wanted = 1;
    check(&f, 1, "1 lane of 1 thread on 2 cores");
    f.wanted = 5;
    check(&f, 5, "5 lanes of 1 thread on 2 cores, which they share");
    f.wanted = 17;
    f.microbatch = 4;
    f.batch = 64;
    check(&f, 16,
          "16 lanes of 1 thread on 2 cores, which they share; a step has only 16 "
          "microbatches a rank: batch.microbatch: 2 or batch.size: 68 would use all");
}

static void refused(const struct lane_facts *f, const char *text)
{
    struct lane_choice choice = {.lanes = 77};
    assert_int_equal(setup_lanes(f, &choice), CONVOY_ERROR_ARGUMENT);
    assert_string_equal(convoy_status_text(), text);
    assert_int_equal(choice.lanes, 77);
}

static void what_memory_does_not_hold_is_refused(void **state)
{
    (void)state;
    struct lane_facts f = facts();
    f.left_bytes = 109 * MIB;
    refused(&f, "memory does not hold 1 lane: 110.0 MiB are needed, 109.0 MiB are left "
                "to this rank: take a smaller batch.microbatch, fewer ranks a node, or "
                "nodes with more memory; 'convoy info RECIPE.yaml' has the plan");
    f.left_bytes = 50 * MIB;
    fixed_bytes = 2560 * MIB;
    refused(&f, "memory does not hold 1 lane: 2.5 GiB are needed, 50.0 MiB are left to "
                "this rank: take a smaller batch.microbatch, fewer ranks a node, or "
                "nodes with more memory; 'convoy info RECIPE.yaml' has the plan");
    f = facts();
    f.microbatches = 7;
    f.wanted = 8; /* of which 7 are of use */
    f.left_bytes = 135 * MIB;
    refused(&f,
            "memory does not hold 7 lanes: 170.0 MiB are needed, 135.0 MiB are left "
            "to this rank: take lanes: 3 (or auto), a smaller batch.microbatch, "
            "fewer ranks a node, or nodes with more memory; 'convoy info "
            "RECIPE.yaml' has the plan");
}

/* The largest numbers make no other sense of a sum. */
static void extremes_do_not_overflow(void **state)
{
    (void)state;
    struct lane_facts f = facts();
    f.cores = f.microbatches = f.batch = f.ranks = INT_MAX;
    f.microbatch = 1;
    f.left_bytes = UINT64_MAX - 1;
    fixed_bytes = lane_bytes = UINT64_MAX;
    assert_int_equal(setup_lanes(&f, &(struct lane_choice){0}), CONVOY_ERROR_ARGUMENT);
    fixed_bytes = 0;
    lane_bytes = UINT64_MAX - 1;
    assert_int_equal(choose(&f).lanes, 1);
    lane_bytes = 1;
    assert_int_equal(choose(&f).lanes, INT_MAX);
    f.microbatches = 1;
    f.threads = 4096;
    f.wanted = 4096;
    assert_int_equal(choose(&f).lanes, 1);
}

static void the_environment_is_told_where_it_asks_for_something_else(void **state)
{
    static const struct {
        const char *openmp; /* NULL: not set */
        int lanes, threads;
        const char *text;
    } cases[] = {
        {NULL, 4, 1, ""},
        {"1", 4, 1, ""},
        {"8", 4, 2, ""},
        {"2", 4, 2, ""},
        {"no", 4, 1, ""},
        {"0", 4, 1, ""},
        {"16", 4, 1,
         "OMP_NUM_THREADS is 16, but this rank computes with 4 lanes of 1 thread: the "
         "recipe's lanes and threads decide"},
        {"1", 1, 3,
         "OMP_NUM_THREADS is 1, but this rank computes with 1 lane of 3 threads: the "
         "recipe's lanes and threads decide"},
        {"16,2", 2, 1,
         "OMP_NUM_THREADS is 16, but this rank computes with 2 lanes of 1 thread: the "
         "recipe's lanes and threads decide"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512] = "?";
        unsetenv("OMP_NUM_THREADS");
        if (cases[i].openmp)
            setenv("OMP_NUM_THREADS", cases[i].openmp, 1);
        setup_note_environment(cases[i].lanes, cases[i].threads, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_fill_the_cores),
        cmocka_unit_test(ranks_that_share_cores_are_told),
        cmocka_unit_test(few_microbatches_are_told_with_what_would_help),
        cmocka_unit_test(the_advised_microbatch_is_the_largest_that_helps),
        cmocka_unit_test(memory_limits_auto),
        cmocka_unit_test(the_recipes_number_holds),
        cmocka_unit_test(what_memory_does_not_hold_is_refused),
        cmocka_unit_test(extremes_do_not_overflow),
        cmocka_unit_test(the_environment_is_told_where_it_asks_for_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
