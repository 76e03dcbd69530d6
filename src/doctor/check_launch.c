/* How the ranks were started: whether all of them are one job, and what of the
 * environment reached them. */
#include "doctor/check.h"

#include <stdlib.h>
#include <string.h>

static int env_number(const struct survey *s, const char *name)
{
    return atoi(survey_env(s, 0, name));
}

static bool is_set(const struct survey *s, const char *name)
{
    return *survey_env(s, 0, name) != '\0';
}

static bool any(const struct survey *s, int rank, const void *context)
{
    (void)s, (void)rank, (void)context;
    return true;
}

static void check_ranks(const struct survey *s, struct findings *f)
{
    char hosts[HOSTS_SIZE];
    const int machines = survey_machines(s);
    survey_hosts(s, any, NULL, hosts);
    check_found(f, CONVOY_LEVEL_OK, "", COUNT " on " COUNT ": %s",
                COUNTED(s->n, "rank", "s"), COUNTED(machines, "host", "s"), hosts);
}

/* A process that takes itself for the only one, though several were started. */
static void check_alone(const struct survey *s, struct findings *f)
{
    const int by_mpirun = env_number(s, "OMPI_COMM_WORLD_SIZE"),
              by_pmi = env_number(s, "PMI_SIZE"),
              by_srun = env_number(s, "SLURM_STEP_NUM_TASKS"),
              in_job = env_number(s, "SLURM_NTASKS");
    const bool in_step = is_set(s, "SLURM_STEP_ID");
    const char *mpi = survey_text(s, 0, "mpi");
    if (by_mpirun > 1)
        check_found(
            f, CONVOY_LEVEL_WRONG,
            "start with the mpirun of the MPI library that convoy was built with",
            "mpirun started %d processes, each of which takes itself for the only one "
            "(%s): mpirun is another library's",
            by_mpirun, mpi);
    else if (in_step && by_srun > 1)
        check_found(
            f, CONVOY_LEVEL_WRONG,
            "srun --mpi=pmix (srun --mpi=list names what there is), else mpirun in "
            "the job",
            "srun started %d tasks, each of which takes itself for the only one: Slurm "
            "and MPI (%s) do not find each other",
            by_srun, mpi);
    else if (by_pmi > 1)
        check_found(
            f, CONVOY_LEVEL_WRONG,
            "start with the launcher of the MPI library that convoy was built with",
            "%d processes were started, each of which takes itself for the only one "
            "(%s)",
            by_pmi, mpi);
    else if (!in_step && in_job > 1)
        check_found(
            f, CONVOY_LEVEL_LOOK, "start it as the training: srun convoy doctor ...",
            "one process in a job of %d tasks: it sees only its own host", in_job);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "one process");
}

static void check_start(const struct survey *s, struct findings *f)
{
    const bool by_mpirun = is_set(s, "OMPI_COMM_WORLD_SIZE");
    if (s->n == 1)
        check_alone(s, f);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "%s; %s",
                    by_mpirun                     ? "by mpirun"
                    : !is_set(s, "SLURM_STEP_ID") ? "by a launcher of MPI"
                    : is_set(s, "PMIX_RANK")      ? "by srun, with PMIx"
                                                  : "by srun",
                    survey_text(s, 0, "mpi"));
}

static bool has_no_path(const struct survey *s, int rank, const void *context)
{
    (void)context;
    return !*survey_env(s, rank, "PATH");
}

/* --export=NONE: what modules set does not reach the ranks. */
static void check_environment(const struct survey *s, struct findings *f)
{
    static const char *const fix =
        "srun --export=ALL, or export SLURM_EXPORT_ENV=ALL before srun";
    char hosts[HOSTS_SIZE];
    survey_hosts(s, has_no_path, NULL, hosts);
    if (*hosts)
        check_found(
            f, CONVOY_LEVEL_LOOK, fix,
            "PATH is not set for ranks on %s: the environment was not passed on, nor "
            "what modules set",
            hosts);
    else if (strcmp(survey_env(s, 0, "SLURM_EXPORT_ENV"), "NONE") == 0)
        check_found(
            f, CONVOY_LEVEL_LOOK, fix,
            "SLURM_EXPORT_ENV is NONE (sbatch --export=NONE): an srun passes on "
            "nothing that modules set");
    else
        check_found(f, CONVOY_LEVEL_OK, "", "PATH reaches all ranks");
}

const struct check checks_of_launch[] = {{"ranks", check_ranks},
                                         {"launch", check_start},
                                         {"environment", check_environment},
                                         {NULL, NULL}};
