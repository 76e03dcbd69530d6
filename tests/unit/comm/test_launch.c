/* Mistakes of a launch, as one rank's facts: which is refused, which is told, and with
 * which option. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "comm/launch.h"

#include <stdio.h>
#include <string.h>

/* A rank that has four cores of its own, one of two on a machine of eight. */
static struct launch good(enum launcher launcher)
{
    return (struct launch){.crowd = {.rank = 3,
                                     .cores = 4,
                                     .share = 4,
                                     .ranks = 2,
                                     .used_cores = 8,
                                     .machine_cores = 8,
                                     .host = "node7"},
                           .launcher = launcher,
                           .cores = 4,
                           .processors = 4,
                           .core_threads = 1,
                           .lanes = 4,
                           .threads = 1};
}

/* So many ranks on cores that all of them have. */
static struct launch crowded(enum launcher launcher, int ranks, int cores)
{
    struct launch l = good(launcher);
    l.crowd.ranks = l.crowd.sharers = ranks;
    l.crowd.cores = l.crowd.used_cores = cores;
    l.crowd.share = (double)cores / ranks;
    l.cores = l.lanes = 1;
    return l;
}

static struct launch with_lanes(enum launcher launcher, int lanes, int threads)
{
    struct launch l = good(launcher);
    l.lanes = lanes;
    l.threads = threads;
    return l;
}

/* One core of the eight, by an srun that was told this. */
static struct launch in_slurm(enum launcher launcher, int asked, int passed, int job)
{
    struct launch l = good(launcher);
    l.crowd.cores = l.cores = l.processors = l.lanes = 1;
    l.crowd.share = 1;
    l.crowd.used_cores = 2;
    l.asked = asked;
    l.passed = passed;
    l.job_cpus = job;
    return l;
}

static struct launch overlapping(enum launcher launcher)
{
    struct launch l = good(launcher);
    l.crowd.overlaps = true;
    return l;
}

static struct launch bound_to_a_core(enum launcher launcher)
{
    struct launch l = in_slurm(launcher, 0, 0, 0);
    return l;
}

static struct launch bound_by_openmp(void)
{
    struct launch l = crowded(LAUNCHER_MPIRUN, 2, 1);
    l.is_bound = true;
    return l;
}

static struct launch hardware_threads(void)
{
    struct launch l = in_slurm(LAUNCHER_SRUN, 0, 0, 4);
    l.core_threads = l.processors = 2;
    return l;
}

struct mistake {
    struct launch launch;
    enum launch_rule rule;
    enum launch_level level;
    const char *found, *mend, *not_mend; /* parts; NULL: not looked at */
};

/* Each is told with the option that mends it. */
static void check_mistakes(const struct mistake *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct launch_finding f;
        launch_look(&cases[i].launch, cases[i].rule, &f);
        if (f.level != cases[i].level ||
            (cases[i].found && !strstr(f.found, cases[i].found)) ||
            (cases[i].mend && !strstr(f.mend, cases[i].mend)) ||
            (cases[i].not_mend && strstr(f.mend, cases[i].not_mend)))
            fail_msg("case %zu: level %d, %s -> %s", i, (int)f.level, f.found, f.mend);
    }
}

static void crowds_are_told_with_the_option_that_mends_them(void **state)
{
    const struct mistake cases[] = {
        {crowded(LAUNCHER_MPIRUN, 9, 8), LAUNCH_CORES, LAUNCH_REFUSED,
         "node7 has 9 ranks for 8 cores",
         "at most 8 ranks a node (mpirun --map-by ppr:8:node)", "srun"},
        {crowded(LAUNCHER_SRUN, 9, 8), LAUNCH_CORES, LAUNCH_REFUSED, "9 ranks",
         "srun --ntasks-per-node=8", "mpirun"},
        {crowded(LAUNCHER_MPIRUN, 8, 8), LAUNCH_CORES, LAUNCH_GOOD, NULL, NULL, NULL},
        {crowded(LAUNCHER_MPIRUN, 2, 1), LAUNCH_BINDING, LAUNCH_REFUSED,
         "all ranks of a host on one core: 2 ranks of node7 share 1 core of 8 there",
         "mpirun --map-by slot:PE=4", "bind-to none"},
        {crowded(LAUNCHER_SRUN, 4, 2), LAUNCH_BINDING, LAUNCH_REFUSED,
         "4 ranks of node7 share 2 cores of 8 there",
         "srun --cpus-per-task=2 --cpu-bind=cores", "mpirun"},
        {crowded(LAUNCHER_OTHER, 2, 1), LAUNCH_BINDING, LAUNCH_REFUSED, NULL,
         "mpirun --map-by slot:PE=4, or srun --cpus-per-task=4 --cpu-bind=cores", NULL},
        {overlapping(LAUNCHER_MPIRUN), LAUNCH_BINDING, LAUNCH_REFUSED,
         "the same in part on node7", "--map-by slot:PE=4 (or --bind-to none)", "srun"},
        {overlapping(LAUNCHER_SRUN), LAUNCH_BINDING, LAUNCH_REFUSED, NULL,
         "srun --cpus-per-task=4 --cpu-bind=cores", "mpirun"},
        {bound_by_openmp(), LAUNCH_BINDING, LAUNCH_REFUSED, NULL,
         "unset OMP_PROC_BIND, OMP_PLACES", NULL},
        {good(LAUNCHER_MPIRUN), LAUNCH_BINDING, LAUNCH_GOOD, NULL, NULL, NULL},
    };
    (void)state;
    check_mistakes(cases, sizeof cases / sizeof *cases);
}

static void missing_cpus_are_told_with_the_option_that_mends_them(void **state)
{
    const struct mistake cases[] = {
        {in_slurm(LAUNCHER_SRUN, 4, 0, 8), LAUNCH_CPUS, LAUNCH_REFUSED,
         "SLURM_CPUS_PER_TASK is 4, but rank 3 may use 1 processor of node7",
         "SRUN_CPUS_PER_TASK=4, or srun --cpus-per-task=4", NULL},
        {in_slurm(LAUNCHER_MPIRUN, 4, 0, 8), LAUNCH_CPUS, LAUNCH_NOTE, NULL,
         "mpirun --map-by slot:PE=4", "srun"},
        {in_slurm(LAUNCHER_NONE, 4, 0, 8), LAUNCH_CPUS, LAUNCH_NOTE, NULL, NULL, NULL},
        {in_slurm(LAUNCHER_SRUN, 4, 4, 8), LAUNCH_CPUS, LAUNCH_GOOD, NULL, NULL, NULL},
        {in_slurm(LAUNCHER_SRUN, 0, 0, 8), LAUNCH_CPUS, LAUNCH_REFUSED,
         "--cpus-per-task is missing: rank 3 has 1 core, its host node7 has 8 for 2 "
         "ranks",
         "srun --cpus-per-task=4 (in a script: #SBATCH --cpus-per-task=4", NULL},
        {in_slurm(LAUNCHER_SRUN, 1, 0, 8), LAUNCH_CPUS, LAUNCH_NOTE,
         "--cpus-per-task is 1", NULL, NULL},
        /* The job holds no more. */
        {in_slurm(LAUNCHER_SRUN, 0, 0, 2), LAUNCH_CPUS, LAUNCH_NOTE, "is missing", NULL,
         NULL},
        {hardware_threads(), LAUNCH_CPUS, LAUNCH_NOTE, NULL, NULL, NULL},
        {good(LAUNCHER_SRUN), LAUNCH_CPUS, LAUNCH_GOOD, NULL, NULL, NULL},
    };
    (void)state;
    check_mistakes(cases, sizeof cases / sizeof *cases);
}

static void wrong_teams_and_idle_cores_are_told_with_what_mends_them(void **state)
{
    const struct mistake cases[] = {
        {with_lanes(LAUNCHER_MPIRUN, 1, 8), LAUNCH_TEAMS, LAUNCH_REFUSED,
         "a lane of rank 3 computes with 8 threads, but can count on 4 cores of node7",
         "fewer ranks a node, or fewer threads", "PE"},
        {with_lanes(LAUNCHER_MPIRUN, 5, 1), LAUNCH_TEAMS, LAUNCH_REFUSED,
         "rank 3 computes on 5 lanes of 1 thread, but can count on 4 cores",
         "lanes: auto", "PE"},
        {with_lanes(LAUNCHER_NONE, 5, 1), LAUNCH_TEAMS, LAUNCH_GOOD, NULL, NULL, NULL},
        {with_lanes(LAUNCHER_NONE, 1, 5), LAUNCH_TEAMS, LAUNCH_NOTE, NULL, NULL, NULL},
        {good(LAUNCHER_MPIRUN), LAUNCH_TEAMS, LAUNCH_GOOD, NULL, NULL, NULL},
        {bound_to_a_core(LAUNCHER_MPIRUN), LAUNCH_IDLE, LAUNCH_NOTE,
         "node7 has 8 cores, its ranks may use 2 of them",
         "mpirun --map-by slot:PE=4 (or --bind-to none)", "srun"},
        {in_slurm(LAUNCHER_MPIRUN, 0, 0, 2), LAUNCH_IDLE, LAUNCH_GOOD, NULL, NULL,
         NULL},
        {good(LAUNCHER_MPIRUN), LAUNCH_IDLE, LAUNCH_GOOD, NULL, NULL, NULL},
    };
    (void)state;
    check_mistakes(cases, sizeof cases / sizeof *cases);
}

/* A lane's team of five fits into what each rank could have, if it had asked. */
static void an_option_is_named_only_where_it_suffices(void **state)
{
    struct launch l = with_lanes(LAUNCHER_MPIRUN, 1, 4);
    struct launch_finding f;
    (void)state;
    l.cores = 1;
    launch_look(&l, LAUNCH_TEAMS, &f);
    assert_non_null(strstr(f.mend, "slot:PE=4"));
    l.lanes = 2;
    launch_look(&l, LAUNCH_TEAMS, &f);
    assert_non_null(strstr(f.mend, "slot:PE=4"));
    l.crowd.ranks = 4;
    launch_look(&l, LAUNCH_TEAMS, &f);
    assert_null(strstr(f.mend, "slot:PE"));
}

static void the_refusal_names_rank_host_and_the_way_out(void **state)
{
    const struct launch bad = crowded(LAUNCHER_MPIRUN, 2, 1),
                        idle = bound_to_a_core(LAUNCHER_MPIRUN);
    (void)state;
    assert_int_equal(launch_check(&idle), CONVOY_OK);
    assert_int_equal(launch_check(&bad), CONVOY_ERROR_ARGUMENT);
    assert_non_null(strstr(convoy_status_text(), "placement of rank 3 on node7: "));
    assert_non_null(strstr(convoy_status_text(), "--oversubscribe"));
}

struct variables {
    const char *names[8], *values[8];
};

static const char *get(const void *context, const char *name)
{
    const struct variables *v = context;
    for (int i = 0; i < 8 && v->names[i]; i++)
        if (strcmp(v->names[i], name) == 0)
            return v->values[i];
    return "";
}

static void the_launcher_is_known_by_its_environment(void **state)
{
    static const struct {
        struct variables variables;
        int ranks;
        enum launcher launcher;
        int job_cpus;
    } cases[] = {
        {{{0}, {0}}, 1, LAUNCHER_NONE, 0},
        {{{0}, {0}}, 2, LAUNCHER_OTHER, 0},
        {{{"OMPI_COMM_WORLD_SIZE"}, {"1"}}, 1, LAUNCHER_MPIRUN, 0},
        {{{"SLURM_JOB_ID", "SLURM_STEP_ID"}, {"7", "0"}}, 2, LAUNCHER_SRUN, 0},
        {{{"SLURM_JOB_ID", "SLURM_STEP_ID", "OMPI_COMM_WORLD_SIZE"}, {"7", "0", "2"}},
         2,
         LAUNCHER_MPIRUN,
         0},
        /* A batch script itself. */
        {{{"SLURM_JOB_ID", "SLURM_JOB_CPUS_PER_NODE"}, {"7", "16(x3),8"}},
         1,
         LAUNCHER_NONE,
         8},
        {{{"SLURM_CPUS_ON_NODE"}, {"4"}}, 1, LAUNCHER_NONE, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct launch l = {.cores = 1};
        launch_read(&l, cases[i].ranks, get, &cases[i].variables);
        assert_int_equal(l.launcher, cases[i].launcher);
        assert_int_equal(l.job_cpus, cases[i].job_cpus);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crowds_are_told_with_the_option_that_mends_them),
        cmocka_unit_test(missing_cpus_are_told_with_the_option_that_mends_them),
        cmocka_unit_test(wrong_teams_and_idle_cores_are_told_with_what_mends_them),
        cmocka_unit_test(an_option_is_named_only_where_it_suffices),
        cmocka_unit_test(the_refusal_names_rank_host_and_the_way_out),
        cmocka_unit_test(the_launcher_is_known_by_its_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
