/* Two ranks on one core take twice as long as two ranks on two, and nothing else tells
 * them apart: a launcher's default is easily one core for all, or one of many. Threads
 * that wait for each other on one core take many times as long. The worst rank counts,
 * on whichever host it is, since all wait for it in each step.
 *
 * A rule is a function of one rank's facts, so trainings, which refuse, and the doctor,
 * which tells, say the same. */
#include "comm/launch.h"

#include "base/cpus.h"
#include "comm/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "1 core", "2 cores". */
#define COUNT "%d %s%s"
#define COUNTED(n, noun) (n), (noun), (n) == 1 ? "" : "s"

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Of "16(x3),8" the 8. */
static int least_cpus(const char *text)
{
    int least = atoi(text);
    while ((text = strchr(text, ',')))
        least = smaller(least, atoi(++text));
    return least;
}

void launch_read(struct launch *l, int ranks,
                 const char *(*get)(const void *context, const char *name),
                 const void *context)
{
    const int of_job = least_cpus(get(context, "SLURM_JOB_CPUS_PER_NODE")),
              of_step = atoi(get(context, "SLURM_CPUS_ON_NODE"));
    l->job_cpus = of_job > of_step ? of_job : of_step;
    l->asked = atoi(get(context, "SLURM_CPUS_PER_TASK"));
    l->passed = atoi(get(context, "SRUN_CPUS_PER_TASK"));
    if (*get(context, "OMPI_COMM_WORLD_SIZE")) /* in a job of Slurm, too */
        l->launcher = LAUNCHER_MPIRUN;
    else if (*get(context, "SLURM_JOB_ID") && *get(context, "SLURM_STEP_ID"))
        l->launcher = LAUNCHER_SRUN;
    else
        l->launcher = ranks > 1 ? LAUNCHER_OTHER : LAUNCHER_NONE;
}

static const char *from_environment(const void *context, const char *name)
{
    const char *value = getenv(name);
    (void)context;
    return value ? value : "";
}

void launch_here(const convoy_world *world, const struct cores *cores,
                 const struct cores_use *use, struct launch *l)
{
    *l = (struct launch){.crowd = cores->crowd,
                         .cores = cores->n,
                         .processors = CPU_COUNT(&cores->mask),
                         .core_threads = cores->core_threads,
                         .lanes = use->lanes,
                         .threads = use->threads,
                         .is_bound = cpus_are_bound()};
    launch_read(l, world->size, from_environment, NULL);
}

/* Cores of a rank's machine that the job may use, as far as is known. */
static int job_cores(const struct launch *l)
{
    const int machine = l->crowd.machine_cores;
    return l->job_cpus > 0 ? smaller(machine, l->job_cpus) : machine;
}

static int cores_for_each(const struct launch *l)
{
    const int each = l->crowd.ranks > 0 ? job_cores(l) / l->crowd.ranks : 0;
    return each > 1 ? each : 1;
}

/* The option that gives each rank so many cores. */
static void say_option(const struct launch *l, int cores, char mend[LAUNCH_TEXT_SIZE])
{
    char mpirun[96], srun[96];
    /* Where Slurm counts hardware threads, so does this option. */
    const int cpus = l->job_cpus > l->crowd.machine_cores && l->core_threads > 1
                         ? cores * l->core_threads
                         : cores;
    /* Ranks that all have the same few cores were not bound by mpirun. */
    const bool is_within = l->crowd.used_cores == l->crowd.cores && l->crowd.ranks > 1;
    snprintf(mpirun, sizeof mpirun, "mpirun --map-by slot:PE=%d%s", cores,
             is_within ? "" : " (or --bind-to none)");
    snprintf(srun, sizeof srun, "srun --cpus-per-task=%d --cpu-bind=cores", cpus);
    snprintf(mend, LAUNCH_TEXT_SIZE, "start with %s%s%s%s",
             l->launcher == LAUNCHER_SRUN ? srun : mpirun,
             l->launcher == LAUNCHER_SRUN || l->launcher == LAUNCHER_MPIRUN ? ""
                                                                            : ", or ",
             l->launcher == LAUNCHER_SRUN || l->launcher == LAUNCHER_MPIRUN ? "" : srun,
             l->is_bound ? ", and unset OMP_PROC_BIND, OMP_PLACES and GOMP_CPU_AFFINITY"
                         : "");
}

static void look_at_cores(const struct launch *l, struct launch_finding *f)
{
    const struct crowd *c = &l->crowd;
    const int n = c->machine_cores;
    if (c->ranks <= n)
        return;
    f->level = LAUNCH_REFUSED;
    snprintf(f->found, sizeof f->found,
             "more ranks than cores: %s has %d ranks for " COUNT, c->host, c->ranks,
             COUNTED(n, "core"));
    char with_srun[48] = "", with_mpirun[48] = "";
    if (l->launcher != LAUNCHER_MPIRUN)
        snprintf(with_srun, sizeof with_srun, "srun --ntasks-per-node=%d", n);
    if (l->launcher != LAUNCHER_SRUN)
        snprintf(with_mpirun, sizeof with_mpirun, "mpirun --map-by ppr:%d:node", n);
    snprintf(f->mend, sizeof f->mend, "start at most " COUNT " a node (%s%s%s)",
             COUNTED(n, "rank"), with_srun, *with_srun && *with_mpirun ? ", or " : "",
             with_mpirun);
}

static void look_at_binding(const struct launch *l, struct launch_finding *f)
{
    const struct crowd *c = &l->crowd;
    const bool crowds = c->sharers > 0 && (c->used_cores < c->machine_cores ||
                                           c->ranks <= c->machine_cores);
    if (!crowds && (c->sharers > 0 || !c->overlaps))
        return;
    f->level = LAUNCH_REFUSED;
    say_option(l, cores_for_each(l), f->mend);
    if (crowds)
        snprintf(f->found, sizeof f->found,
                 "%s%d ranks of %s share " COUNT " of %d there",
                 c->used_cores == 1 ? "all ranks of a host on one core: " : "",
                 c->sharers, c->host, COUNTED(c->cores, "core"), c->machine_cores);
    else
        snprintf(f->found, sizeof f->found,
                 "masks of ranks are the same in part on %s: none has cores of its own",
                 c->host);
}

/* Slurm binds a task to --cpus-per-task CPUs, one if it is not given; sruns of 22.05
 * to 23.02 do not take it over from sbatch. */
static void look_at_forgotten_cpus(const struct launch *l, struct launch_finding *f)
{
    const bool is_srun = l->launcher == LAUNCHER_SRUN;
    f->level = is_srun ? LAUNCH_REFUSED : LAUNCH_NOTE;
    snprintf(f->found, sizeof f->found,
             "SLURM_CPUS_PER_TASK is %d, but rank %d may use " COUNT " of %s%s",
             l->asked, l->crowd.rank, COUNTED(l->processors, "processor"),
             l->crowd.host, is_srun ? ": srun did not take it over from sbatch" : "");
    if (l->launcher == LAUNCHER_MPIRUN)
        snprintf(f->mend, sizeof f->mend, "start with mpirun --map-by slot:PE=%d",
                 l->asked);
    else
        snprintf(f->mend, sizeof f->mend,
                 "export SRUN_CPUS_PER_TASK=%d, or srun --cpus-per-task=%d", l->asked,
                 l->asked);
}

/* Refused is what wastes CPUs that the job has, and that nobody asked for. */
static void look_at_cpus(const struct launch *l, struct launch_finding *f)
{
    const struct crowd *c = &l->crowd;
    if (l->asked > l->processors && l->asked > l->passed) {
        look_at_forgotten_cpus(l, f);
        return;
    }
    if (l->launcher != LAUNCHER_SRUN || l->asked > 1 || c->ranks < 1 ||
        l->cores >= c->machine_cores / c->ranks)
        return;
    const bool wastes =
        l->cores * c->ranks < l->job_cpus && l->processors * c->ranks < l->job_cpus;
    const int each = (wastes ? l->job_cpus : c->machine_cores) / c->ranks;
    f->level = wastes && l->asked == 0 ? LAUNCH_REFUSED : LAUNCH_NOTE;
    snprintf(f->found, sizeof f->found,
             "--cpus-per-task is %s: rank %d has " COUNT
             ", its host %s has %d for " COUNT,
             l->asked == 1 ? "1" : "missing", c->rank, COUNTED(l->cores, "core"),
             c->host, c->machine_cores, COUNTED(c->ranks, "rank"));
    snprintf(f->mend, sizeof f->mend,
             "srun --cpus-per-task=%d (in a script: #SBATCH --cpus-per-task=%d and "
             "export SRUN_CPUS_PER_TASK=%d)",
             each, each, each);
}

/* A process by itself may have more lanes than cores, to try what other machines do. */
static void look_at_teams(const struct launch *l, struct launch_finding *f)
{
    const long long computing = (long long)l->lanes * l->threads;
    const int each = cores_for_each(l);
    const bool is_alone = l->launcher == LAUNCHER_NONE;
    if (computing <= l->cores || l->crowd.sharers > 0 || l->crowd.overlaps ||
        (is_alone && l->threads <= l->cores))
        return;
    f->level = is_alone ? LAUNCH_NOTE : LAUNCH_REFUSED;
    if (l->threads > l->cores)
        snprintf(f->found, sizeof f->found,
                 "a lane of rank %d computes with %d threads, but can count on " COUNT
                 " of %s only",
                 l->crowd.rank, l->threads, COUNTED(l->cores, "core"), l->crowd.host);
    else
        snprintf(f->found, sizeof f->found,
                 "rank %d computes on " COUNT " of " COUNT ", but can count on " COUNT
                 " of %s only",
                 l->crowd.rank, COUNTED(l->lanes, "lane"),
                 COUNTED(l->threads, "thread"), COUNTED(l->cores, "core"),
                 l->crowd.host);
    if (computing <= each)
        say_option(l, (int)computing, f->mend);
    else if (l->threads <= l->cores)
        snprintf(f->mend, sizeof f->mend, "%s in the recipe", "lanes: auto");
    else if (l->threads <= each) /* for a lane at least */
        say_option(l, l->threads, f->mend);
    else
        snprintf(f->mend, sizeof f->mend,
                 "start with fewer ranks a node, or fewer threads in the recipe");
}

/* mpirun binds each of two ranks to a core of its own, and leaves all others. */
static void look_at_idle(const struct launch *l, struct launch_finding *f)
{
    const struct crowd *c = &l->crowd;
    const bool is_told =
        c->sharers > 0 || (l->launcher == LAUNCHER_SRUN && l->asked <= 1);
    if (is_told || c->used_cores >= job_cores(l) ||
        (l->job_cpus > 0 && c->used_cores * l->core_threads >= l->job_cpus))
        return;
    f->level = LAUNCH_NOTE;
    snprintf(f->found, sizeof f->found, "%s has %d cores, its ranks may use %d of them",
             c->host, job_cores(l), c->used_cores);
    say_option(l, cores_for_each(l), f->mend);
}

void launch_look(const struct launch *l, enum launch_rule rule,
                 struct launch_finding *finding)
{
    static void (*const looks[N_LAUNCH_RULES])(const struct launch *l,
                                               struct launch_finding *f) = {
        [LAUNCH_CORES] = look_at_cores, [LAUNCH_BINDING] = look_at_binding,
        [LAUNCH_CPUS] = look_at_cpus,   [LAUNCH_TEAMS] = look_at_teams,
        [LAUNCH_IDLE] = look_at_idle,
    };
    *finding = (struct launch_finding){.level = LAUNCH_GOOD};
    looks[rule](l, finding);
}

/* The first rule that makes this level at least, or N_LAUNCH_RULES. */
static enum launch_rule first_broken(const struct launch *l, enum launch_level level,
                                     struct launch_finding *f)
{
    for (int rule = 0; rule < N_LAUNCH_RULES; rule++) {
        launch_look(l, (enum launch_rule)rule, f);
        if (f->level >= level)
            return (enum launch_rule)rule;
    }
    return N_LAUNCH_RULES;
}

convoy_status launch_worst(convoy_world *world, const struct launch *own,
                           struct launch *worst)
{
    convoy_status status = CONVOY_OK;
    struct launch_finding finding;
    struct {
        double badness;
        int rank;
    } mine = {0, world->rank}, most = {0};
    const int refused = (int)first_broken(own, LAUNCH_REFUSED, &finding),
              noted = (int)first_broken(own, LAUNCH_NOTE, &finding);
    /* Rules count more than shares, of which the smaller is worse. */
    mine.badness =
        1000.0 * (2 * N_LAUNCH_RULES - refused - noted) + 1 / (own->crowd.share + 1e-3);
    *worst = *own;
    TRY_MPI(MPI_Allreduce(&mine, &most, 1, MPI_DOUBLE_INT, MPI_MAXLOC, world->comm));
    TRY_MPI(MPI_Bcast(worst, (int)sizeof *worst, MPI_BYTE, most.rank, world->comm));
cleanup:
    return status;
}

convoy_status launch_check(const struct launch *l)
{
    struct launch_finding f;
    if (first_broken(l, LAUNCH_REFUSED, &f) == N_LAUNCH_RULES)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "placement of rank %d on %s: %s: %s; or take it as it is, slow, with "
                "--oversubscribe",
                l->crowd.rank, l->crowd.host, f.found, f.mend);
}
