/* How fast hosts and network are, and what limits they set. */
#include "doctor/check.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const double slow = 0.8;         /* of the median: worth a look */
static const double slow_network = 0.5; /* the same, of neighbours */
static const double slow_for_ib = 1e9;  /* bytes a second: no InfiniBand */
enum { FILES_BESIDE_RANKS = 64 };

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of the ranks that have the fact, and the least of them with its rank, -1
 * where none has it. */
struct spread {
    double median, least;
    int rank, n;
};

static struct spread spread_of(const struct survey *s, const char *fact)
{
    struct spread spread = {.rank = -1};
    double *values = NULL;
    if (mem_alloc_array((size_t)s->n, sizeof *values, (void **)&values) != CONVOY_OK)
        return spread;
    for (int rank = 0; rank < s->n; rank++) {
        const double value = survey_number(s, rank, fact);
        if (value <= 0)
            continue;
        values[spread.n++] = value;
        if (spread.rank < 0 || value < spread.least) {
            spread.least = value;
            spread.rank = rank;
        }
    }
    qsort(values, (size_t)spread.n, sizeof *values, compare);
    if (spread.n > 0) /* of two the faster one */
        spread.median = values[spread.n / 2];
    mem_free(values);
    return spread;
}

static void check_speed(const struct survey *s, struct findings *f)
{
    const struct spread speed = spread_of(s, "flop/s a core");
    if (speed.rank < 0)
        return;
    const char *host = survey_text(s, speed.rank, "host");
    if (speed.least < slow * speed.median)
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "try again; if it stays, leave the host out (--exclude), or look for other "
            "work on it, heat, a low clock",
            "rank %d on %s multiplies matrices at %.1f GFLOP/s a core, the median is "
            "%.1f: all wait for the slowest",
            speed.rank, host, speed.least / 1e9, speed.median / 1e9);
    else
        check_found(
            f, CONVOY_LEVEL_OK, "",
            "%.1f GFLOP/s a core, %.1f at the least (%s); some percent are noise",
            speed.median / 1e9, speed.least / 1e9, host);
}

static void check_network(const struct survey *s, struct findings *f)
{
    const struct spread speed = spread_of(s, "ring bytes/s");
    if (speed.rank < 0)
        return;
    const int to = (int)survey_number(s, speed.rank, "ring to");
    const char *from_host = survey_text(s, speed.rank, "host"),
               *to_host = survey_text(s, to < s->n ? to : 0, "host");
    const char *card = survey_text(s, speed.rank, "infiniband");
    if (speed.least < slow_network * speed.median)
        check_found(f, CONVOY_LEVEL_LOOK,
                    "try again; if it stays, leave one of them out (--exclude)",
                    "%.2f GB/s from %s to %s, the median between neighbours is %.2f",
                    speed.least / 1e9, from_host, to_host, speed.median / 1e9);
    else if (*card && speed.median < slow_for_ib)
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "see which network MPI takes: OMPI_MCA_pml=ucx, or the site's advice",
            "%.2f GB/s between neighbours is slow for %s: MPI may use Ethernet",
            speed.median / 1e9, card);
    else
        check_found(
            f, CONVOY_LEVEL_OK, "",
            "%.2f GB/s between neighbours, both ways at once, %.2f at the least (%s "
            "to %s)",
            speed.median / 1e9, speed.least / 1e9, from_host, to_host);
}

static bool has_few_files(const struct survey *s, int rank, const void *context)
{
    (void)context;
    const double limit = survey_number(s, rank, "open files");
    return limit > 0 && limit < 2.0 * s->n + FILES_BESIDE_RANKS;
}

static bool is_unlocked(const struct survey *s, int rank, const void *context)
{
    (void)context;
    return *survey_text(s, rank, "infiniband") &&
           strcmp(survey_text(s, rank, "locked memory"), "none") != 0;
}

static void check_limits(const struct survey *s, struct findings *f)
{
    char hosts[HOSTS_SIZE];
    survey_hosts(s, has_few_files, NULL, hosts);
    if (*hosts)
        check_found(f, CONVOY_LEVEL_LOOK, "ulimit -n 65536 in the job script",
                    "ulimit -n is small for " COUNT
                    " on %s: over TCP each takes a file",
                    COUNTED(s->n, "rank", "s"), hosts);
    survey_hosts(s, is_unlocked, NULL, hosts);
    if (*hosts && survey_machines(s) > 1)
        check_found(f, CONVOY_LEVEL_LOOK,
                    "ulimit -l unlimited in the job script, or ask the site",
                    "ulimit -l limits locked memory on %s, which InfiniBand needs",
                    hosts);
}

/* Bytes that Slurm lets each rank of the host take; 0: not told. */
static double slurm_bytes(const struct survey *s, int rank)
{
    const double ranks = survey_number(s, rank, "ranks of the machine"),
                 per_node = atof(survey_env(s, rank, "SLURM_MEM_PER_NODE")),
                 per_cpu = atof(survey_env(s, rank, "SLURM_MEM_PER_CPU")),
                 cpus = atof(survey_env(s, rank, "SLURM_CPUS_ON_NODE"));
    return (1 << 20) * (per_node > 0 ? per_node : per_cpu * cpus) / (ranks + 1e-9);
}

/* What a rank has: the less of what is free and what the job asked for. */
static double bytes_left(const struct survey *s, int rank)
{
    const double free_bytes = survey_number(s, rank, "memory left"),
                 slurm = slurm_bytes(s, rank);
    return slurm > 0 && (slurm < free_bytes || free_bytes <= 0) ? slurm : free_bytes;
}

/* Rank 0's plan, which is that of all, against the rank that has least. */
static void check_memory(const struct survey *s, struct findings *f)
{
    const double need = survey_number(s, 0, "plan bytes"),
                 least = survey_number(s, 0, "plan least bytes");
    int rank = -1;
    for (int i = 0; i < s->n; i++)
        if (bytes_left(s, i) > 0 &&
            (rank < 0 || bytes_left(s, i) < bytes_left(s, rank)))
            rank = i;
    if (rank < 0)
        return;
    const double left = bytes_left(s, rank);
    const char *host = survey_text(s, rank, "host");
    const int ranks = (int)survey_number(s, rank, "ranks of the machine");
    if (least > left)
        check_found(
            f, CONVOY_LEVEL_WRONG,
            "more memory (#SBATCH --mem), fewer ranks a node, or a smaller "
            "batch.microbatch; 'convoy info RECIPE.yaml' has the plan",
            "too little memory: a rank needs %s at least, each of the %d of %s has %s",
            check_amount(least).text, ranks, host, check_amount(left).text);
    else if (need > left)
        check_found(
            f, CONVOY_LEVEL_LOOK,
            "more memory (#SBATCH --mem), or a smaller batch.microbatch",
            "lanes on all cores of a rank need %s, each of the %d of %s has %s: there "
            "will be fewer lanes",
            check_amount(need).text, ranks, host, check_amount(left).text);
    else if (need > 0)
        check_found(f, CONVOY_LEVEL_OK, "",
                    "a rank needs %s, each has %s at least (%s)",
                    check_amount(need).text, check_amount(left).text, host);
    else
        check_found(f, CONVOY_LEVEL_OK, "", "a rank has %s at least (%s)",
                    check_amount(left).text, host);
}

const struct check checks_of_machines[] = {{"speed", check_speed},
                                           {"network", check_network},
                                           {"limits", check_limits},
                                           {"memory", check_memory},
                                           {NULL, NULL}};
