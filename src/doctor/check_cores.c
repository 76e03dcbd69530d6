/* Where ranks were put: too many for the cores, several on one, or cores that none has.
 */
#include "doctor/check.h"

#include "comm/crowd.h"

#include <stdlib.h>
#include <string.h>

static int number(const struct survey *s, int rank, const char *name)
{
    return (int)survey_number(s, rank, name);
}

static struct crowd crowd_of_rank(const struct survey *s, int rank)
{
    struct crowd crowd = {.rank = rank,
                          .cores = number(s, rank, "cores in the mask"),
                          .share = survey_number(s, rank, "share"),
                          .sharers = number(s, rank, "sharers"),
                          .ranks = number(s, rank, "ranks of the machine"),
                          .used_cores = number(s, rank, "cores in use"),
                          .machine_cores = number(s, rank, "cores of the machine")};
    snprintf(crowd.host, sizeof crowd.host, "%s", survey_text(s, rank, "host"));
    return crowd;
}

/* The rank, among those that agree, for which what the function tells is least. */
static int least_rank(const struct survey *s,
                      double (*of)(const struct survey *s, int rank))
{
    int least = 0;
    for (int rank = 1; rank < s->n; rank++)
        if (of(s, rank) < of(s, least))
            least = rank;
    return least;
}

static double cores_a_rank(const struct survey *s, int rank)
{
    return survey_number(s, rank, "cores of the machine") /
           (survey_number(s, rank, "ranks of the machine") + 1e-9);
}

static double share_of(const struct survey *s, int rank)
{
    return survey_number(s, rank, "share");
}

static double minus_idle(const struct survey *s, int rank)
{
    return survey_number(s, rank, "cores in use") -
           survey_number(s, rank, "cores of the machine");
}

static void check_cores(const struct survey *s, struct findings *f)
{
    char found[CROWD_TEXT_SIZE], mend[CROWD_TEXT_SIZE];
    const struct crowd crowd = crowd_of_rank(s, least_rank(s, cores_a_rank));
    if (crowd.ranks > crowd.machine_cores && crowd_text(&crowd, found, mend))
        check_found(f, CONVOY_LEVEL_WRONG, mend, "more ranks than cores: %s", found);
    else
        check_found(f, CONVOY_LEVEL_OK, "",
                    "%s has " COUNT " for " COUNT ", no host fewer", crowd.host,
                    COUNTED(crowd.machine_cores, "core", "s"),
                    COUNTED(crowd.ranks, "rank", "s"));
}

static bool is_overlapping(const struct survey *s, int rank, const void *context)
{
    (void)context;
    return survey_number(s, rank, "overlaps") > 0;
}

/* Ranks on each other's cores though the host has enough. */
static void check_binding(const struct survey *s, struct findings *f)
{
    char found[CROWD_TEXT_SIZE], mend[CROWD_TEXT_SIZE], hosts[HOSTS_SIZE];
    const int least = least_rank(s, share_of);
    struct crowd crowd = crowd_of_rank(s, least);
    survey_hosts(s, is_overlapping, NULL, hosts);
    if (crowd.sharers > 0 && crowd.used_cores < crowd.machine_cores) {
        const int ranks = crowd.ranks;
        crowd.ranks = ranks < crowd.machine_cores ? ranks : crowd.machine_cores;
        crowd_text(&crowd, found, mend);
        check_found(f, CONVOY_LEVEL_WRONG, mend, "%s%s",
                    crowd.used_cores == 1 ? "all ranks of a host on one core: " : "",
                    found);
    } else if (crowd.sharers > 0 && crowd.ranks <= crowd.machine_cores) {
        crowd_text(&crowd, found, mend);
        check_found(f, CONVOY_LEVEL_WRONG, mend, "%s", found);
    } else if (*hosts && crowd.sharers == 0) {
        check_found(
            f, CONVOY_LEVEL_LOOK, "bind with --cpu-bind=cores or mpirun --bind-to none",
            "masks of ranks are the same in part on %s: lanes are not pinned to cores",
            hosts);
    } else if (crowd.sharers == 0) {
        check_found(f, CONVOY_LEVEL_OK, "", COUNT " a rank at least (%s)%s",
                    COUNTED(number(s, least, "cores"), "core", "s"), crowd.host,
                    number(s, least, "processors") > number(s, least, "cores")
                        ? ", with several hardware threads each: convoy counts cores"
                        : "");
    }
}

/* mpirun, in a job too, binds by its own options. */
static bool is_bound_by_srun(const struct survey *s, int rank)
{
    return *survey_env(s, rank, "SLURM_JOB_ID") &&
           !*survey_env(s, rank, "OMPI_COMM_WORLD_SIZE");
}

/* Of the job, on rank 0's host, by Slurm: "16(x3),8" or "16". */
static int slurm_cpus(const struct survey *s)
{
    const int of_job = atoi(survey_env(s, 0, "SLURM_JOB_CPUS_PER_NODE")),
              of_step = atoi(survey_env(s, 0, "SLURM_CPUS_ON_NODE"));
    return of_job > of_step ? of_job : of_step;
}

/* Slurm binds a task to --cpus-per-task CPUs, one if it is not given; sruns of 22.05
 * to 23.02 do not take it over from sbatch. */
static void check_cpus_per_task(const struct survey *s, struct findings *f)
{
    const int asked = atoi(survey_env(s, 0, "SLURM_CPUS_PER_TASK")),
              passed = atoi(survey_env(s, 0, "SRUN_CPUS_PER_TASK")),
              had = number(s, 0, "processors"), cores = number(s, 0, "cores"),
              ranks = number(s, 0, "ranks of the machine"),
              on_host = number(s, 0, "cores of the machine");
    char fix[256];
    if (!is_bound_by_srun(s, 0))
        return;
    if (asked > had && asked > passed) {
        snprintf(fix, sizeof fix,
                 "export SRUN_CPUS_PER_TASK=%d, or srun --cpus-per-task=%d", asked,
                 asked);
        check_found(f, CONVOY_LEVEL_WRONG, fix,
                    "SLURM_CPUS_PER_TASK is %d, but rank 0 may use " COUNT
                    ": srun did not take it over from sbatch",
                    asked, COUNTED(had, "processor", "s"));
    } else if (asked <= 1 && ranks > 0 && cores < on_host / ranks) {
        snprintf(fix, sizeof fix,
                 "#SBATCH --cpus-per-task=%d and export SRUN_CPUS_PER_TASK=%d",
                 on_host / ranks, on_host / ranks);
        check_found(
            f, cores * ranks < slurm_cpus(s) ? CONVOY_LEVEL_WRONG : CONVOY_LEVEL_LOOK,
            fix,
            "--cpus-per-task is %s: rank 0 has " COUNT
            ", its host has %d for %d rank%s",
            asked == 1 ? "1" : "missing", COUNTED(cores, "core", "s"), on_host, ranks,
            ranks > 1 ? "s" : "");
    } else if (asked > 1 && asked == had && had >= 2 * cores) {
        check_found(f, CONVOY_LEVEL_LOOK,
                    "twice the --cpus-per-task, or #SBATCH --hint=nomultithread",
                    "--cpus-per-task=%d are " COUNT " with two hardware threads each",
                    asked, COUNTED(cores, "core", "s"));
    } else if (asked > 0) {
        check_found(f, CONVOY_LEVEL_OK, "", "--cpus-per-task is %d", asked);
    } else {
        check_found(
            f, CONVOY_LEVEL_OK, "",
            "--cpus-per-task is not set, but rank 0 has all cores there are for it");
    }
}

/* mpirun binds each of two ranks to a core of its own, and leaves all others. */
static void check_idle(const struct survey *s, struct findings *f)
{
    const int rank = least_rank(s, minus_idle);
    const struct crowd crowd = crowd_of_rank(s, rank);
    const int each = crowd.ranks > 0 ? crowd.machine_cores / crowd.ranks : 0;
    char fix[256];
    const bool is_told =
        crowd.sharers > 0 || (is_bound_by_srun(s, rank) &&
                              atoi(survey_env(s, rank, "SLURM_CPUS_PER_TASK")) <= 1);
    if (is_told) /* by the checks before */
        return;
    if (crowd.used_cores >= crowd.machine_cores) {
        check_found(f, CONVOY_LEVEL_OK, "", "no core is left over");
        return;
    }
    snprintf(fix, sizeof fix,
             "mpirun --map-by slot:PE=%d or --bind-to none (srun: --cpus-per-task=%d)",
             each, each);
    check_found(f, CONVOY_LEVEL_LOOK, fix,
                "%s has %d cores, its ranks may use %d of them", crowd.host,
                crowd.machine_cores, crowd.used_cores);
}

static bool has_no_lanes(const struct survey *s, int rank, const void *context)
{
    (void)context;
    return survey_has(s, rank, "lanes error");
}

static bool has_other_threads(const struct survey *s, int rank, const void *context)
{
    (void)context;
    return strcmp(survey_env(s, rank, "OMP_NUM_THREADS"),
                  survey_env(s, 0, "OMP_NUM_THREADS")) != 0;
}

static void check_openmp(const struct survey *s, struct findings *f)
{
    char hosts[HOSTS_SIZE];
    const char *threads = survey_env(s, 0, "OMP_NUM_THREADS");
    for (int rank = 0; rank < s->n; rank++)
        if (has_no_lanes(s, rank, NULL)) {
            check_found(f, CONVOY_LEVEL_WRONG,
                        "unset OMP_PROC_BIND OMP_PLACES OMP_THREAD_LIMIT",
                        "rank %d on %s cannot start its threads: %s", rank,
                        survey_text(s, rank, "host"),
                        survey_text(s, rank, "lanes error"));
            return;
        }
    survey_hosts(s, has_other_threads, NULL, hosts);
    if (*hosts)
        check_found(f, CONVOY_LEVEL_LOOK, "set OMP_NUM_THREADS alike, or not at all",
                    "OMP_NUM_THREADS is '%s' on %s, another on %s", threads,
                    survey_text(s, 0, "host"), hosts);
    else
        check_found(f, CONVOY_LEVEL_OK, "",
                    "OMP_NUM_THREADS is %s; lanes and threads of the recipe decide",
                    *threads ? threads : "not set");
}

const struct check checks_of_cores[] = {{"cores", check_cores},
                                        {"binding", check_binding},
                                        {"cpus-per-task", check_cpus_per_task},
                                        {"idle", check_idle},
                                        {"openmp", check_openmp},
                                        {NULL, NULL}};
