/* Memory is zeroed and aligned, and large memory is left for its users to touch. */
#include "base/memory.h"

#include <malloc.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

enum { MEGABYTE = 1 << 20, N_THREADS = 4 };

static unsigned char *take(size_t bytes)
{
    void *memory = NULL;
    assert_int_equal(mem_alloc(bytes, &memory), CONVOY_OK);
    assert_int_equal((uintptr_t)memory % MEM_ALIGNMENT, 0);
    return memory;
}

static void memory_that_was_used_before_is_zero_again(void **state)
{
    static const size_t sizes[] = {1,
                                   64,
                                   4096,
                                   MEGABYTE - 1,
                                   MEGABYTE,
                                   MEGABYTE + 1,
                                   MEGABYTE + 4096,
                                   3 * MEGABYTE + 12345};
    (void)state;
    /* From the heap, whose memory is used again, not from new pages. */
    mallopt(M_MMAP_THRESHOLD, 256 * MEGABYTE);
    mallopt(M_TRIM_THRESHOLD, 1024 * MEGABYTE);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *memory = take(sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++)
                if (memory[k] != 0)
                    fail_msg("byte %zu of %zu is %d", k, sizes[i], memory[k]);
            memset(memory, 0xa5, sizes[i]);
            mem_free(memory);
        }
}

static void neighbours_of_large_memory_keep_their_values(void **state)
{
    enum { N = 8, SIZE = MEGABYTE + 64 };
    unsigned char *blocks[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        blocks[i] = take(SIZE);
        memset(blocks[i], i + 1, SIZE);
    }
    for (int i = 0; i < N; i += 2)
        mem_free(blocks[i]);
    for (int i = 0; i < N; i += 2)
        blocks[i] = take(SIZE);
    for (int i = 1; i < N; i += 2)
        for (size_t k = 0; k < SIZE; k++)
            assert_int_equal(blocks[i][k], i + 1);
    for (int i = 0; i < N; i++)
        mem_free(blocks[i]);
}

static long faults_of_this_thread(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

static void large_memory_is_touched_by_those_who_write_to_it(void **state)
{
    const size_t bytes = (size_t)64 * MEGABYTE;
    long faults[N_THREADS] = {0};
    (void)state;
    const long before = faults_of_this_thread();
    unsigned char *memory = take(bytes);
    /* Clearing would take a fault a page, 16384 of them (32 if pages are huge). */
    assert_true(faults_of_this_thread() - before < 16);
#pragma omp parallel num_threads(N_THREADS)
    {
        const int t = omp_get_thread_num();
        const long start = faults_of_this_thread();
#pragma omp for schedule(static)
        for (size_t i = 0; i < bytes; i++)
            memory[i] = 1;
        faults[t] = faults_of_this_thread() - start;
    }
    for (int t = 0; t < N_THREADS; t++)
        assert_true(faults[t] >= 4);
    mem_free(memory);
}

static void products_that_overflow_are_refused(void **state)
{
    void *memory = NULL;
    (void)state;
    assert_int_equal(mem_alloc_array(SIZE_MAX / 2, 3, &memory), CONVOY_ERROR_MEMORY);
    assert_int_equal(mem_alloc(SIZE_MAX - 8, &memory), CONVOY_ERROR_MEMORY);
    assert_null(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_memory_is_touched_by_those_who_write_to_it),
        cmocka_unit_test(memory_that_was_used_before_is_zero_again),
        cmocka_unit_test(neighbours_of_large_memory_keep_their_values),
        cmocka_unit_test(products_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
