/* Each check, on what ranks might tell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "doctor/check.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_RANKS = 4, TEXT_SIZE = 2048 };

/* Facts as here, and those of all ranks before them: of a name the first counts. */
struct job {
    const char *ranks[MAX_RANKS]; /* NULL: there are no more */
};

/* What a good job of a rank on each of two hosts with four cores tells. */
static const char *const good =
    "cores\t4\nprocessors\t4\ncores in the mask\t4\nshare\t4\nsharers\t0\noverlaps\t0\n"
    "ranks of the machine\t1\ncores in use\t4\ncores of the machine\t4\n"
    "convoy\t0.1.0\nbuild\tabc\nonednn\t2.6.3\nisa\tavx2\nmpi\tOpen MPI v4.1.4\n"
    "hwloc\t2.8\nprocessor\tAMD EPYC 9654\nopen files\t1024\nlocked memory\tnone\n"
    "flop/s a core\t40e9\nmemory left\t1073741824\nenv PATH\t/bin\n";

static void run(const char *check, const struct job *job, struct findings *findings)
{
    static char texts[MAX_RANKS][TEXT_SIZE];
    char *pointers[MAX_RANKS];
    struct survey survey;
    int n = 0;
    for (; n < MAX_RANKS && job->ranks[n]; n++) {
        const int used =
            snprintf(texts[n], TEXT_SIZE, "%s%smachine\t%d\nhost\tnode%d\n",
                     job->ranks[n], good, n, n + 1);
        assert_true(used > 0 && used < TEXT_SIZE);
        pointers[n] = texts[n];
    }
    survey_read(&survey, pointers, n);
    checks_run(check, &survey, findings);
    assert_int_equal(findings->status, CONVOY_OK);
}

struct expectation {
    const char *check;
    struct job job;
    convoy_level level;     /* of the first finding */
    const char *text, *fix; /* parts of them */
};

static void check_all(const struct expectation *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct findings findings = {0};
        run(cases[i].check, &cases[i].job, &findings);
        if (findings.n == 0)
            fail_msg("case %zu of %s: nothing found", i, cases[i].check);
        const convoy_finding *found = &findings.items[0];
        if (found->level != cases[i].level || !strstr(found->text, cases[i].text) ||
            !strstr(found->fix, cases[i].fix) ||
            (*found->fix == '\0') != (found->level == CONVOY_LEVEL_OK) ||
            strcmp(found->check, cases[i].check) != 0)
            fail_msg("case %zu: %s %s: '%s' -> '%s'", i,
                     convoy_level_name(found->level), found->check, found->text,
                     found->fix);
        mem_free(findings.items);
    }
}

#define CHECK_ALL(cases) check_all((cases), sizeof(cases) / sizeof *(cases))
#define OK CONVOY_LEVEL_OK
#define LOOK CONVOY_LEVEL_LOOK
#define WRONG CONVOY_LEVEL_WRONG

static void launches(void **state)
{
    static const struct expectation cases[] = {
        {"ranks", {{"", ""}}, OK, "2 ranks on 2 hosts: node1, node2", ""},
        {"ranks", {{"", "machine\t0\n"}}, OK, "2 ranks on 1 host: node1", ""},
        {"ranks",
         {{"", "", "machine\t0\nhost\tnode1\n", "machine\t1\nhost\tnode2\n"}},
         OK,
         "4 ranks on 2 hosts: node1, node2",
         ""},
        {"launch", {{""}}, OK, "one process", ""},
        {"launch",
         {{"env SLURM_STEP_ID\t0\nenv PMIX_RANK\t0\n", ""}},
         OK,
         "by srun, with PMIx; Open MPI v4.1.4",
         ""},
        {"launch", {{"env OMPI_COMM_WORLD_SIZE\t2\n", ""}}, OK, "by mpirun", ""},
        {"launch",
         {{"env OMPI_COMM_WORLD_SIZE\t4\n"}},
         WRONG,
         "mpirun started 4 processes",
         "the mpirun of"},
        {"launch",
         {{"env SLURM_STEP_ID\t0\nenv SLURM_STEP_NUM_TASKS\t8\n"}},
         WRONG,
         "srun started 8 tasks",
         "srun --mpi=pmix"},
        {"launch", {{"env PMI_SIZE\t3\n"}}, WRONG, "3 processes", "launcher"},
        {"launch", {{"env SLURM_NTASKS\t3\n"}}, LOOK, "a job of 3 tasks", "srun"},
        {"environment", {{""}}, OK, "PATH", ""},
        {"environment", {{"", "env PATH\t\n"}}, LOOK, "node2", "--export=ALL"},
        {"environment",
         {{"env SLURM_EXPORT_ENV\tNONE\n"}},
         LOOK,
         "SLURM_EXPORT_ENV is NONE",
         "SLURM_EXPORT_ENV=ALL"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Of two ranks on a host with two cores. */
#define PAIR "machine\t0\nranks of the machine\t2\ncores of the machine\t2\n"
#define ON_ONE_CORE                                                                    \
    PAIR "cores in the mask\t1\nshare\t0.5\nsharers\t2\ncores in use\t1\ncores\t1\n"
#define CROWDED                                                                        \
    "machine\t0\nranks of the machine\t3\ncores of the machine\t2\n"                   \
    "cores in the mask\t2\nshare\t0.667\nsharers\t3\ncores in use\t2\ncores\t1\n"
#define IN_JOB "env SLURM_JOB_ID\t7\nenv SLURM_STEP_ID\t0\n"
#define ONE_OF_FOUR                                                                    \
    "cores\t1\nprocessors\t1\ncores in the mask\t1\nshare\t1\ncores in use\t1\n"

static void cores_and_masks(void **state)
{
    static const struct expectation cases[] = {
        {"cores", {{"", ""}}, OK, "4 cores for 1 rank", ""},
        {"cores",
         {{CROWDED, CROWDED, CROWDED}},
         WRONG,
         "more ranks than cores: node1 has 3 ranks for 2 cores",
         "at most 2 ranks a node"},
        {"cores", {{ON_ONE_CORE, ON_ONE_CORE}}, OK, "2 cores for 2 ranks", ""},
        {"binding", {{"", ""}}, OK, "4 cores a rank at least", ""},
        {"binding",
         {{"", ON_ONE_CORE, ON_ONE_CORE}},
         WRONG,
         "all ranks of a host on one core: 2 ranks of node2 share 1 core of 2",
         "--cpus-per-task=1 --cpu-bind=cores"},
        {"binding", {{"", "overlaps\t1\n"}}, WRONG, "in part on node2", "--cpu-bind"},
        {"binding", {{"processors\t8\n"}}, OK, "several hardware threads", ""},
        {"idle", {{""}}, OK, "no core", ""},
        {"idle",
         {{"", "cores in use\t2\nranks of the machine\t2\n"}},
         LOOK,
         "node2 has 4 cores, its ranks may use 2",
         "slot:PE=2"},
        {"openmp", {{"env OMP_NUM_THREADS\t4\n", ""}}, LOOK, "'4' on node1", "alike"},
        {"openmp",
         {{"", "lanes error\tno\n"}},
         WRONG,
         "rank 1 on node2",
         "OMP_PROC_BIND"},
        {"openmp", {{""}}, OK, "OMP_NUM_THREADS is not set", ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void cpus_of_tasks(void **state)
{
    static const struct expectation cases[] = {
        {"cpus-per-task",
         {{IN_JOB ONE_OF_FOUR "env SLURM_JOB_CPUS_PER_NODE\t4(x2)\n"}},
         WRONG,
         "--cpus-per-task is missing: rank 0 has 1 core, its host node1 has 4 for 1 "
         "rank",
         "--cpus-per-task=4"},
        {"cpus-per-task",
         {{IN_JOB ONE_OF_FOUR "env SLURM_CPUS_ON_NODE\t1\n"}},
         LOOK,
         "is missing",
         "SRUN_CPUS_PER_TASK=4"},
        {"cpus-per-task",
         {{IN_JOB ONE_OF_FOUR "env SLURM_CPUS_PER_TASK\t1\n"}},
         LOOK,
         "--cpus-per-task is 1: rank 0 has 1 core, its host node1 has 4 for 1 rank",
         "SRUN_CPUS_PER_TASK=4"},
        {"cpus-per-task",
         {{IN_JOB ONE_OF_FOUR "env SLURM_CPUS_PER_TASK\t4\n"}},
         WRONG,
         "srun did not take it over",
         "SRUN_CPUS_PER_TASK=4"},
        {"cpus-per-task",
         {{IN_JOB "env SLURM_CPUS_PER_TASK\t8\nprocessors\t8\n"}},
         LOOK,
         "4 cores with two hardware threads",
         "nomultithread"},
        {"cpus-per-task",
         {{IN_JOB "env SLURM_CPUS_PER_TASK\t4\n"}},
         OK,
         "--cpus-per-task is 4",
         ""},
        {"cpus-per-task", {{IN_JOB}}, OK, "has all cores", ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define ROME "mpi\tOpen MPI v5.0.1\nprocessor\tAMD EPYC 7H12 64-Core\n"
#define ON_ROME "mpi\tOpen MPI v5.0.1\nmachine\t0\n"
#define HAN "env OMPI_MCA_coll_han_priority\t"

static void programs(void **state)
{
    static const struct expectation cases[] = {
        {"convoy", {{"", ""}}, OK, "version 0.1.0", ""},
        {"convoy",
         {{"", "", "convoy\t0.0.9\n"}},
         WRONG,
         "node3: convoy version 0.0.9 (rank 2), elsewhere 0.1.0",
         "same convoy"},
        {"convoy",
         {{"build\tdef\n", "", ""}},
         WRONG,
         "node1: build of convoy def (rank 0), elsewhere abc",
         "same convoy"},
        {"onednn", {{"", "onednn\t3.7\n", ""}}, WRONG, "oneDNN version 3.7", "oneDNN"},
        {"onednn", {{"", "isa\tavx512\n", ""}}, WRONG, "avx512", "--constraint"},
        {"processor", {{"", "processor\tother\n", ""}}, LOOK, "other", "--constraint"},
        {"mpi", {{"", "mpi\tOpen MPI v5.0.1\n", ""}}, WRONG, "v5.0.1", "same MPI"},
        {"mpi", {{ROME, ON_ROME}}, LOOK, "native only", "OMPI_MCA_coll=^han"},
        {"mpi", {{ROME HAN "40\n", ON_ROME}}, LOOK, "native only", "=^han"},
        {"mpi", {{ROME HAN "0\n", ON_ROME}}, OK, "v5.0.1", ""},
        {"mpi", {{ROME "env OMPI_MCA_coll\t^han\n", ON_ROME}}, OK, "v5.0.1", ""},
        {"mpi", {{""}}, OK, "Open MPI v4.1.4", ""},
        {"hwloc", {{"hwloc\t2.4\n"}}, OK, "interface 2.4", ""},
        {"hwloc", {{"hwloc\t2.5\n"}}, LOOK, "interface 2.5", "2.8 or newer"},
        {"hwloc", {{"hwloc\t2.6\n"}}, LOOK, "interface 2.6", "2.8 or newer"},
        {"hwloc", {{"hwloc\t2.7\n"}}, LOOK, "interface 2.7", "2.8 or newer"},
        {"hwloc", {{"hwloc\t2.8\n"}}, OK, "interface 2.8", ""},
        {"hwloc", {{"hwloc\t2.11\n"}}, OK, "interface 2.11", ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define NEEDS "plan bytes\t536870912\nplan least bytes\t268435456\n"

static void machines(void **state)
{
    static const struct expectation cases[] = {
        {"speed", {{"", ""}}, OK, "40.0 GFLOP/s a core", ""},
        {"speed",
         {{"", "flop/s a core\t30e9\n"}},
         LOOK,
         "rank 1 on node2 multiplies matrices at 30.0",
         "--exclude"},
        {"speed", {{"", "flop/s a core\t33e9\n"}}, OK, "33.0 at the least (node2)", ""},
        {"network",
         {{"ring bytes/s\t2e9\nring to\t1\n", "ring bytes/s\t1.9e9\nring to\t0\n"}},
         OK,
         "1.90 at the least (node2 to node1)",
         ""},
        {"network",
         {{"ring bytes/s\t2e9\nring to\t1\n", "ring bytes/s\t0.9e9\nring to\t0\n"}},
         LOOK,
         "0.90 GB/s from node2 to node1",
         "--exclude"},
        {"network",
         {{"ring bytes/s\t1e8\nring to\t1\ninfiniband\tmlx5_0\n",
           "ring bytes/s\t1e8\nring to\t0\ninfiniband\tmlx5_0\n"}},
         LOOK,
         "slow for mlx5_0",
         "ucx"},
        {"limits",
         {{"open files\t64\n", ""}},
         LOOK,
         "for 2 ranks on node1",
         "ulimit -n"},
        {"limits", {{"open files\t64\n"}}, LOOK, "for 1 rank on", "ulimit -n"},
        {"limits",
         {{"infiniband\tmlx5_0\nlocked memory\t65536\n", ""}},
         LOOK,
         "node1",
         "ulimit -l"},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void memory(void **state)
{
    static const struct expectation cases[] = {
        {"memory", {{"", ""}}, OK, "1.0 GiB at least", ""},
        {"memory", {{NEEDS, ""}}, OK, "needs 512 MiB, each has 1.0 GiB", ""},
        {"memory",
         {{NEEDS, "memory left\t300000000\n"}},
         LOOK,
         "the 1 of node2 has 286 MiB",
         "--mem"},
        {"memory",
         {{NEEDS, "memory left\t200000000\n"}},
         WRONG,
         "too little memory: a rank needs 256 MiB at least, each of the 1 of node2 has "
         "191 MiB",
         "--mem"},
        {"memory",
         {{NEEDS "env SLURM_MEM_PER_NODE\t100\n"}},
         WRONG,
         "100 MiB",
         "--mem"},
        {"memory", {{NEEDS "env SLURM_MEM_PER_NODE\t0\n"}}, OK, "1.0 GiB", ""},
        {"memory",
         {{NEEDS "env SLURM_MEM_PER_CPU\t100\nenv SLURM_CPUS_ON_NODE\t3\n"}},
         LOOK,
         "300 MiB",
         "--mem"},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define PACK(id, age)                                                                  \
    "pack path\t/scratch/p.h5\npack kind\tlocal\npack file system\text4\n"             \
    "pack id\t" id "\npack bytes\t1048576\npack age\t" age "\n"

static void data(void **state)
{
    static const struct expectation cases[] = {
        {"plan", {{"plan\t2 lanes\n"}}, OK, "rank 0: 2 lanes", ""},
        {"plan",
         {{"", "plan error\tno recipe\n"}},
         WRONG,
         "node2: no recipe",
         "recipe"},
        {"pack",
         {{PACK("a", "1"), PACK("a", "9")}},
         OK,
         "/scratch/p.h5, 1 MiB on ext4",
         ""},
        {"pack",
         {{PACK("a", "1"), "pack path\t/scratch/p.h5\npack error\tnot there\n"}},
         WRONG,
         "on node2, though other hosts have it: not there",
         "all hosts"},
        {"pack",
         {{"pack path\tx\npack error\tnot there\n"}},
         WRONG,
         "not there",
         "verify"},
        {"pack",
         {{PACK("a", "1"), PACK("b", "1")}},
         WRONG,
         "node2 has another",
         "copy"},
        {"pack",
         {{"pack kind\tmemory\n" PACK("a", "1")}},
         LOOK,
         "lies in memory (tmpfs) on node1",
         "disk"},
        {"scratch", {{PACK("a", "9.2")}}, LOOK, "not touched for 9 days", "project"},
        {"tmpdir", {{"tmpdir path\t/tmp\ntmpdir kind\tlocal\n"}}, OK, "is /tmp", ""},
        {"tmpdir",
         {{"tmpdir path\t/tmp\ntmpdir kind\tmemory\nstaging\t1\n"}},
         LOOK,
         "is memory",
         "data.read"},
        {"tmpdir", {{"tmpdir kind\tmemory\nstaging\t0\n"}}, OK, "is memory", ""},
        {"tmpdir",
         {{"tmpdir kind\tshared\nstaging\t1\n"}},
         LOOK,
         "gains nothing",
         "direct"},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define WEIGHTS "initial weights path\tw.h5\n"
#define READ WEIGHTS "initial weights bytes\t1048576\n"
#define UNREAD WEIGHTS "initial weights error\tnot there\n"

static void weights(void **state)
{
    static const struct expectation cases[] = {
        {"weights", {{READ, READ}}, OK, "w.h5, 1 MiB", ""},
        {"weights",
         {{UNREAD, READ}},
         WRONG,
         "on node1: w.h5: not there",
         "init.weights"},
        {"weights", {{UNREAD, UNREAD}}, WRONG, "on node1, node2: w.h5", "recipe"},
        {"weights", {{READ, UNREAD}}, LOOK, "be read on node2", "all hosts see it"},
        {"weights",
         {{READ, READ, WEIGHTS "initial weights bytes\t7\n"}},
         LOOK,
         "another size on node3 than on node1",
         "same file"},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define ROOM(place, device, files, files_left, space, space_left)                      \
    place " device\t" device "\n" place " files\t" files "\n" place                    \
          " files left\t" files_left "\n" place " space\t" space "\n" place            \
          " space left\t" space_left "\n"
#define FOLDER_ROOM ROOM("current folder", "1", "0", "0", "1e12", "5e11")

static void room(void **state)
{
    static const struct expectation cases[] = {
        {"room", {{FOLDER_ROOM}}, OK, "465.7 GiB left in the current folder", ""},
        {"room",
         {{ROOM("current folder", "1", "1e6", "10000", "1e12", "1e10")}},
         OK,
         "9.3 GiB",
         ""},
        {"room",
         {{ROOM("current folder", "1", "1e5", "9999", "1e12", "1e11")}},
         LOOK,
         "current folder: its file system on node1 has room for 9999 more files, of "
         "100000",
         "'convoy pack' makes one file"},
        {"room",
         {{"", ROOM("current folder", "1", "1e7", "9998", "1e12", "1e11")}},
         LOOK,
         "on node2 has room for 9998 more",
         "quota"},
        {"room",
         {{ROOM("current folder", "1", "0", "0", "1e10", "1e9")}},
         LOOK,
         "current folder: its file system on node1 has 954 MiB left, of 9.3 GiB",
         "quota"},
        {"room",
         {{ROOM("current folder", "1", "0", "0", "1e12", "1.1e9")}},
         OK,
         "1.0 GiB left",
         ""},
        {"room",
         {{FOLDER_ROOM ROOM("validation pack", "2", "1e6", "0", "1e12", "1e11")}},
         LOOK,
         "validation pack: its file system on node1 has room for 0 more files",
         "quota"},
        {"room", /* one file system is told of once */
         {{FOLDER_ROOM ROOM("pack", "1", "1e6", "0", "1e12", "1e11")}},
         OK,
         "current folder",
         ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

#define BATCH "slurm BatchFlag\t1\nslurm KillWait\t30\nscript\tread\n"

static void slurm(void **state)
{
    static const struct expectation cases[] = {
        {"requeue", {{BATCH "slurm Requeue\t1\n"}}, OK, "is requeued", ""},
        {"requeue", {{BATCH "slurm Requeue\t0\n"}}, LOOK, "not requeued", "--requeue"},
        {"open-mode",
         {{BATCH "slurm Requeue\t1\n"}},
         LOOK,
         "overwrites its log",
         "--open-mode=append"},
        {"open-mode",
         {{BATCH "slurm Requeue\t1\nscript --open-mode\tappend\n"}},
         OK,
         "appended",
         ""},
        {"open-mode", {{BATCH "slurm JobFileAppend\t1\n"}}, OK, "appended", ""},
        {"time",
         {{BATCH "slurm EndTime\t2026-01-01T00:00:00\n"}},
         OK,
         "2026-01-01",
         ""},
    };
    (void)state;
    CHECK_ALL(cases);
}

static void signals(void **state)
{
    static const struct expectation cases[] = {
        {"signal", {{BATCH}}, LOOK, "30 s (KillWait)", "--signal=B:USR1@300"},
        {"signal",
         {{BATCH "script --signal\tB:USR1@60\n"}},
         OK,
         "--signal=B:USR1@60",
         ""},
        {"signal",
         {{BATCH "script --signal\t\"RB:sigusr2@60\" -N2\n"}},
         OK,
         "RB:sigusr2@60\" comes",
         ""},
        {"signal", {{BATCH "env SBATCH_SIGNAL\tB:15\n"}}, OK, "B:15 comes", ""},
        {"signal",
         {{BATCH "env SBATCH_SIGNAL\tUSR1@60\n"}},
         LOOK,
         "--signal=USR1@60 has no B:",
         "--signal=B:USR1@300"},
        {"signal",
         {{BATCH "script --signal\tR:USR1@60\n"}},
         LOOK,
         "has no B:",
         "--signal=B:USR1@300"},
        {"signal",
         {{BATCH "script --signal\tB:ALRM@60\n"}},
         LOOK,
         "B:ALRM@60: convoy saves on USR1",
         "--signal=B:USR1@300"},
        {"signal",
         {{BATCH "script --signal\tB:9@60\n"}},
         LOOK,
         "other signals end it",
         "--signal=B:USR1@300"},
        {"signal",
         {{BATCH "script --signal\tB:USR1@29\n"}},
         LOOK,
         "29 s before the time limit, less than the 30 s (KillWait)",
         "--signal=B:USR1@300"},
        {"signal",
         {{"slurm KillWait\t120\n" BATCH "script --signal\tB:USR1\n"}},
         LOOK,
         "comes 60 s before",
         "--signal=B:USR1@300"},
    };
    (void)state;
    CHECK_ALL(cases);
}

/* Outside of Slurm, without a recipe or network: no word of them. */
static void what_does_not_apply_is_not_told(void **state)
{
    static const char *const silent[] = {
        "cpus-per-task", "plan",   "pack", "scratch", "network", "limits", "requeue",
        "open-mode",     "signal", "time", "tmpdir",  "weights", "room"};
    const struct job job = {{"", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        struct findings findings = {0};
        run(silent[i], &job, &findings);
        assert_int_equal(findings.n, 0);
    }
    struct findings all = {0};
    run(NULL, &job, &all);
    for (int i = 0; i < all.n; i++)
        assert_int_equal(all.items[i].level, CONVOY_LEVEL_OK);
    assert_true(all.n > 10);
    mem_free(all.items);
}

/* A rank of another version may tell anything, or nothing. */
static void ranks_that_tell_nothing_break_no_check(void **state)
{
    static const char *const others[] = {
        "",     "host",          "host\n",
        "\n\n", "machine\t-7\n", "ring to\t99\nring bytes/s\t1\nmachine\t1\n"};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char first[TEXT_SIZE], second[64], *texts[] = {first, second};
        struct findings findings = {0};
        struct survey survey;
        snprintf(first, sizeof first, "%smachine\t0\nhost\tnode1\n", good);
        snprintf(second, sizeof second, "%s", others[i]);
        survey_read(&survey, texts, 2);
        checks_run(NULL, &survey, &findings);
        assert_int_equal(findings.status, CONVOY_OK);
        mem_free(findings.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(launches),
        cmocka_unit_test(cores_and_masks),
        cmocka_unit_test(cpus_of_tasks),
        cmocka_unit_test(programs),
        cmocka_unit_test(machines),
        cmocka_unit_test(memory),
        cmocka_unit_test(data),
        cmocka_unit_test(weights),
        cmocka_unit_test(room),
        cmocka_unit_test(slurm),
        cmocka_unit_test(signals),
        cmocka_unit_test(what_does_not_apply_is_not_told),
        cmocka_unit_test(ranks_that_tell_nothing_break_no_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
