/* Threads of a rank: what was wanted, else the environment's, and never more than the
 * OpenMP runtime bears. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpus.h"
#include "setup/setup.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static void set_environment(const char *omp, const char *slurm)
{
    unsetenv("OMP_NUM_THREADS");
    unsetenv("SLURM_CPUS_PER_TASK");
    if (omp)
        setenv("OMP_NUM_THREADS", omp, 1);
    if (slurm)
        setenv("SLURM_CPUS_PER_TASK", slurm, 1);
}

static void threads_come_from_the_first_that_says(void **state)
{
    static const struct {
        int wanted;
        const char *omp, *slurm;
        int threads;
    } cases[] = {{3, "2", "5", 3},    {0, "2", "5", 2},      {0, NULL, "5", 5},
                 {0, NULL, NULL, 1},  {0, "no", "5", 5},     {0, "-4", NULL, 1},
                 {0, "2,3", NULL, 2}, {0, "4096", "5", 4096}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int threads = 0;
        set_environment(cases[i].omp, cases[i].slurm);
        assert_int_equal(setup_threads(cases[i].wanted, &threads), CONVOY_OK);
        assert_int_equal(threads, cases[i].threads);
        assert_int_equal(omp_get_max_threads(), threads);
    }
}

static void too_many_are_refused_and_named(void **state)
{
    static const struct {
        int wanted;
        const char *omp, *slurm, *text;
    } cases[] = {
        {99999, "2", NULL, "threads is 99999; at most 4096 threads a rank work"},
        {0, "4097", NULL, "OMP_NUM_THREADS is 4097; at most 4096"},
        {0, NULL, "99999", "SLURM_CPUS_PER_TASK is 99999; at most"},
        {0, "99999999999999999999", NULL, "OMP_NUM_THREADS is 2147483647; at most"},
    };
    (void)state;
    omp_set_num_threads(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int threads = 7;
        set_environment(cases[i].omp, cases[i].slurm);
        assert_int_equal(setup_threads(cases[i].wanted, &threads),
                         CONVOY_ERROR_ARGUMENT);
        assert_non_null(strstr(convoy_status_text(), cases[i].text));
        assert_int_equal(threads, 7);
        assert_int_equal(omp_get_max_threads(), 2);
    }
}

static void what_openmp_would_start_is_looked_at(void **state)
{
    (void)state;
    omp_set_num_threads(CPUS_MAX_THREADS);
    assert_int_equal(cpus_check_openmp(), CONVOY_OK);
    omp_set_num_threads(CPUS_MAX_THREADS + 1);
    assert_int_equal(cpus_check_openmp(), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "would start 4097 threads"));
    omp_set_num_threads(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_come_from_the_first_that_says),
        cmocka_unit_test(too_many_are_refused_and_named),
        cmocka_unit_test(what_openmp_would_start_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
