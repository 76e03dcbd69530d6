/* The processors of this process, also where OpenMP has bound its threads: for that the
 * test starts itself again with OMP_PROC_BIND. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cpus.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void without_binding_the_mask_is_the_threads(void **state)
{
    (void)state;
    cpu_set_t found, mask;
    if (omp_get_proc_bind() != omp_proc_bind_false)
        skip();
    cpus_mask(&found);
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    assert_true(CPU_EQUAL(&found, &mask));
    assert_int_equal(cpus_allowed(), CPU_COUNT(&mask));
}

static void bound_threads_leave_the_mask_whole(void **state)
{
    int status = 0;
    char n[16];
    if (cpus_allowed() < 2)
        skip();
    snprintf(n, sizeof n, "%d", cpus_allowed());
    const pid_t child = fork();
    if (child == 0) {
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("OMP_NUM_THREADS", "1", 1);
        unsetenv("OMP_PLACES");
        execl("/proc/self/exe", *state, n, NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return cpus_allowed() == atoi(argv[1]) ? 0 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_binding_the_mask_is_the_threads),
        cmocka_unit_test_prestate(bound_threads_leave_the_mask_whole, argv[0]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
