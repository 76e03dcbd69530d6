/* lanes = min(cores / threads, microbatches, the most whose bytes are left). */
#include "setup/setup_lanes.h"

#include <stdio.h>
#include <stdlib.h>

/* "1 lane", "2 lanes". */
#define COUNT "%d %s%s"
#define COUNTED(n, noun, plural) (n), (noun), (n) == 1 ? "" : (plural)

struct amount {
    char text[32];
};

/* "40.0 MiB" or "3.2 GiB". */
static struct amount amount_of(uint64_t bytes)
{
    struct amount amount;
    const double mib = (double)bytes / (1 << 20);
    if (mib < 1024)
        snprintf(amount.text, sizeof amount.text, "%.1f MiB", mib);
    else
        snprintf(amount.text, sizeof amount.text, "%.1f GiB", mib / 1024);
    return amount;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static uint64_t bytes_of(const struct lane_facts *f, int lanes)
{
    return f->bytes ? f->bytes(f->context, lanes) : 0;
}

/* The most lanes, up to so many, that memory holds; maybe none. */
static int lanes_in_memory(const struct lane_facts *f, int most)
{
    int held = 0;
    if (f->left_bytes == 0)
        return most;
    while (held < most) { /* between the two, by halves */
        const int n = most - (most - held) / 2;
        if (bytes_of(f, n) <= f->left_bytes)
            held = n;
        else
            most = n - 1;
    }
    return held;
}

static convoy_status refuse(const struct lane_facts *f, int lanes, int held)
{
    char fewer[64] = "";
    if (held > 0)
        snprintf(fewer, sizeof fewer, "lanes: %d (or auto), ", held);
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "memory does not hold " COUNT ": %s are needed, %s are left to this "
                "rank: take %sa smaller batch.microbatch, fewer ranks a node, or nodes "
                "with more memory; 'convoy info RECIPE.yaml' has the plan",
                COUNTED(lanes, "lane", "s"), amount_of(bytes_of(f, lanes)).text,
                amount_of(f->left_bytes).text, fewer);
}

/* The largest microbatch that gives each rank so many of them a step, or 0. */
static int microbatch_for(const struct lane_facts *f, int lanes)
{
    const long long parts = (long long)f->ranks * lanes;
    for (int m = (int)(f->batch / parts); m > 0; m--)
        if (f->batch % m == 0)
            return m;
    return 0;
}

/* Why there are fewer lanes than so many, and what would make them useful. */
static void tell_limit(const struct lane_facts *f, int lanes, int wanted, char *text,
                       size_t size)
{
    char advice[96] = "";
    if (lanes < f->microbatches) {
        snprintf(text, size, "; memory holds no more (%s with one more, %s are left)",
                 amount_of(bytes_of(f, lanes + 1)).text, amount_of(f->left_bytes).text);
        return;
    }
    if (f->microbatch == 0) /* one pass over samples: nothing to choose */
        return;
    const int microbatch = microbatch_for(f, wanted);
    if (microbatch > 0)
        snprintf(advice, sizeof advice, "batch.microbatch: %d or ", microbatch);
    snprintf(text, size,
             "; a step has only " COUNT " a rank: %sbatch.size: %lld would use all",
             COUNTED(lanes, "microbatch", "es"), advice,
             (long long)f->microbatch * f->ranks * wanted);
}

/* Microbatches that leave much of the lanes without work in the last round. */
static void tell_rest(const struct lane_facts *f, int lanes, char *text, size_t size)
{
    const long long rounds = ((long long)f->microbatches + lanes - 1) / lanes;
    const long long room = rounds * lanes;
    if (f->microbatch > 0 && 10 * (room - f->microbatches) >= room)
        snprintf(text, size,
                 "; " COUNT " a rank leave some idle in the last round: batch.size: "
                 "%lld would use all",
                 COUNTED(f->microbatches, "microbatch", "es"),
                 (long long)f->microbatch * f->ranks * room);
}

/* Where so many threads of lanes compute, and who else does. */
static void tell_place(const struct lane_facts *f, long long threads, char *text,
                       size_t size)
{
    if (f->sharers > 0)
        snprintf(text, size, COUNT ", which %d ranks share",
                 COUNTED(f->shared_cores, "core", "s"), f->sharers);
    else
        snprintf(text, size, COUNT "%s", COUNTED(f->cores, "core", "s"),
                 threads > f->cores    ? ", which they share"
                 : threads == f->cores ? ", which loading shares"
                                       : "");
}

convoy_status setup_lanes(const struct lane_facts *f, struct lane_choice *choice)
{
    const int on_cores = f->cores > f->threads ? f->cores / f->threads : 1;
    const int wanted = f->wanted > 0 ? f->wanted : on_cores;
    int lanes = smaller(wanted, f->microbatches);
    const int held = lanes_in_memory(f, lanes);
    if (f->wanted == 0)
        lanes = held > 1 ? held : 1;
    if (held < lanes)
        return refuse(f, lanes, held);
    const long long threads = (long long)lanes * f->threads;
    char limit[192] = "", place[64] = "";
    if (lanes < wanted)
        tell_limit(f, lanes, wanted, limit, sizeof limit);
    else if (threads <= f->cores)
        tell_rest(f, lanes, limit, sizeof limit);
    tell_place(f, threads, place, sizeof place);
    snprintf(choice->text, sizeof choice->text, COUNT " of " COUNT " on %s%s",
             COUNTED(lanes, "lane", "s"), COUNTED(f->threads, "thread", "s"), place,
             limit);
    choice->lanes = lanes;
    return CONVOY_OK;
}

/* A whole number above 0, else 0. */
static long from_environment(const char *name)
{
    const char *text = getenv(name);
    const long value = text ? strtol(text, NULL, 10) : 0;
    return value > 0 ? value : 0;
}

void setup_note_environment(int lanes, int threads, char *text, size_t size)
{
    const long openmp = from_environment("OMP_NUM_THREADS");
    text[0] = '\0';
    if (openmp > 0 && openmp != threads && openmp != (long)lanes * threads)
        snprintf(text, size,
                 "OMP_NUM_THREADS is %ld, but this rank computes with " COUNT
                 " of " COUNT ": the recipe's lanes and threads decide",
                 openmp, COUNTED(lanes, "lane", "s"), COUNTED(threads, "thread", "s"));
}
