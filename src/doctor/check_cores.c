/* Where ranks were put: too many for the cores, several on one, or cores that none has.
 */
#include "doctor/check.h"

#include "comm/launch.h"

#include <string.h>

static int number(const struct survey *s, int rank, const char *name)
{
    return (int)survey_number(s, rank, name);
}

struct place {
    const struct survey *survey;
    int rank;
};

static const char *variable(const void *context, const char *name)
{
    const struct place *place = context;
    return survey_env(place->survey, place->rank, name);
}

/* Lanes and threads are the recipe's, which only a training has. */
static struct launch launch_of(const struct survey *s, int rank)
{
    const struct place place = {s, rank};
    struct launch launch = {
        .crowd = {.rank = rank,
                  .cores = number(s, rank, "cores in the mask"),
                  .share = survey_number(s, rank, "share"),
                  .sharers = number(s, rank, "sharers"),
                  .overlaps = survey_number(s, rank, "overlaps") > 0,
                  .ranks = number(s, rank, "ranks of the machine"),
                  .used_cores = number(s, rank, "cores in use"),
                  .machine_cores = number(s, rank, "cores of the machine")},
        .cores = number(s, rank, "cores"),
        .processors = number(s, rank, "processors"),
        .core_threads = number(s, rank, "threads of a core"),
        .is_bound = survey_number(s, rank, "bound by OpenMP") > 0};
    snprintf(launch.crowd.host, sizeof launch.crowd.host, "%s",
             survey_text(s, rank, "host"));
    launch_read(&launch, s->n, variable, &place);
    return launch;
}

/* What the rule finds, if anything. */
static bool look(const struct launch *launch, enum launch_rule rule, struct findings *f)
{
    struct launch_finding finding;
    launch_look(launch, rule, &finding);
    if (finding.level == LAUNCH_GOOD)
        return false;
    check_found(
        f, finding.level == LAUNCH_REFUSED ? CONVOY_LEVEL_WRONG : CONVOY_LEVEL_LOOK,
        finding.mend, "%s", finding.found);
    return true;
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
    const struct launch launch = launch_of(s, least_rank(s, cores_a_rank));
    const struct crowd *crowd = &launch.crowd;
    if (!look(&launch, LAUNCH_CORES, f))
        check_found(f, CONVOY_LEVEL_OK, "",
                    "%s has " COUNT " for " COUNT ", no host fewer", crowd->host,
                    COUNTED(crowd->machine_cores, "core", "s"),
                    COUNTED(crowd->ranks, "rank", "s"));
}

/* Ranks on each other's cores though the host has enough. */
static void check_binding(const struct survey *s, struct findings *f)
{
    const int least = least_rank(s, share_of);
    const struct launch launch = launch_of(s, least);
    if (look(&launch, LAUNCH_BINDING, f) || launch.crowd.sharers > 0)
        return;
    for (int rank = 0; rank < s->n; rank++) {
        const struct launch other = launch_of(s, rank);
        if (look(&other, LAUNCH_BINDING, f))
            return;
    }
    check_found(f, CONVOY_LEVEL_OK, "", COUNT " a rank at least (%s)%s",
                COUNTED(launch.cores, "core", "s"), launch.crowd.host,
                launch.processors > launch.cores
                    ? ", with several hardware threads each: convoy counts cores"
                    : "");
}

static void check_cpus_per_task(const struct survey *s, struct findings *f)
{
    const struct launch launch = launch_of(s, 0);
    const int asked = launch.asked, cores = launch.cores;
    if (launch.launcher != LAUNCHER_SRUN || look(&launch, LAUNCH_CPUS, f))
        return;
    if (asked > 1 && asked == launch.processors && asked >= 2 * cores)
        check_found(f, CONVOY_LEVEL_LOOK,
                    "twice the --cpus-per-task, or #SBATCH --hint=nomultithread",
                    "--cpus-per-task=%d are " COUNT " with two hardware threads each",
                    asked, COUNTED(cores, "core", "s"));
    else if (asked > 0)
        check_found(f, CONVOY_LEVEL_OK, "", "--cpus-per-task is %d", asked);
    else
        check_found(
            f, CONVOY_LEVEL_OK, "",
            "--cpus-per-task is not set, but rank 0 has all cores there are for it");
}

static void check_idle(const struct survey *s, struct findings *f)
{
    const struct launch launch = launch_of(s, least_rank(s, minus_idle));
    if (!look(&launch, LAUNCH_IDLE, f) &&
        launch.crowd.used_cores >= launch.crowd.machine_cores)
        check_found(f, CONVOY_LEVEL_OK, "", "no core is left over");
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
