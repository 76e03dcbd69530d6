/* Memory that one rank cannot get strands nobody: each allocation of a training, a
 * resumed one and an evaluation fails in its turn, on either of two ranks, and both
 * come back, agreed, with one to tell of it. Only a checkpoint that lacks memory while
 * it is written is tried again, and then is there. Of allocations with the same
 * callers, eight functions deep, these are the first and the second of the first
 * scenario that has them: the others would take the same ways back.
 *
 * The linker's --wrap redirects what convoy's own objects call: every allocation of
 * ours, in whatever thread, but not those inside libraries. Records are held in memory,
 * as on two nodes, so that the ranks send each other samples, too. Files are in memory
 * where there is a file system for it: a disk that others keep busy would only make the
 * many short runs long.
 *
 *     test_allocation [all]     all: every such allocation; else a sample of them */
#include "comm/world.h"
#include "support/idx_file.h"
#include "support/stuck.h"

#include <convoy/pack.h>
#include <convoy/train.h>

#include <execinfo.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEPS = 3, TIME_S = 60, STRIDE = 15 };

static atomic_int n_allocations, fail_at; /* fail_at 0: none */
static char what[128];

/* How often the callers with this hash have been here; open addressing. */
static struct place {
    uint64_t callers;
    int n;     /* in this turn */
    bool done; /* in an earlier scenario */
} places[4096];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of the nearest eight callers; never 0, which a free place has. */
static uint64_t hash_callers(void)
{
    void *callers[2 + 8]; /* after this function and the one that asks */
    const int n = backtrace(callers, 2 + 8);
    uint64_t hash = 1;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)callers[i]) * 0x9e3779b97f4a7c15 | 1;
    return hash;
}

/* Whether these callers are here for the first or second time, and new. */
static bool counts(void)
{
    enum { N = sizeof places / sizeof *places };
    const uint64_t callers = hash_callers();
    pthread_mutex_lock(&places_lock);
    size_t i = (callers >> 32) % N, tried = 0;
    while (places[i].callers && places[i].callers != callers && ++tried < N)
        i = (i + 1) % N;
    places[i].callers = callers;
    const bool is = ++places[i].n <= 2 && !places[i].done;
    pthread_mutex_unlock(&places_lock);
    return is;
}

/* For the next turn, or the next scenario. */
static void leave_places(bool done)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        places[i].done |= done && places[i].callers;
        places[i].n = 0;
    }
}

/* Whether the failure was in the thread that writes checkpoints (saver.c). */
static atomic_bool was_saving;

static bool is_saving(void)
{
    char name[16] = "";
    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
           strcmp(name, "convoy-save") == 0;
}

static bool fails(void)
{
    if (fail_at == 0 || !counts() || atomic_fetch_add(&n_allocations, 1) + 1 != fail_at)
        return false;
    was_saving = is_saving();
    return true;
}

#define FAILING(result, name, parameters, arguments)                                   \
    result __real_##name parameters;                                                   \
    result __wrap_##name parameters;                                                   \
    result __wrap_##name parameters                                                    \
    {                                                                                  \
        return fails() ? NULL : __real_##name arguments;                               \
    }

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
FAILING(void *, malloc, (size_t n), (n))
FAILING(void *, calloc, (size_t n, size_t size), (n, size))
FAILING(void *, realloc, (void *p, size_t n), (p, n))
FAILING(void *, aligned_alloc, (size_t a, size_t n), (a, n))
FAILING(FILE *, open_memstream, (char **text, size_t *n), (text, n))
// NOLINTEND(readability-identifier-naming)

/* What all scenarios work with. */
struct job {
    convoy_world *world; /* of this test; scenarios have their own */
    char folder[SCRATCH_PATH], out[2 * SCRATCH_PATH], saved[2 * SCRATCH_PATH];
};

static void barrier(const struct job *job)
{
    MPI_Barrier(job->world->comm);
}

static convoy_status train(const struct job *job, convoy_world *world)
{
    char text[4 * SCRATCH_PATH], file[2 * SCRATCH_PATH];
    const uint64_t stop_after = STEPS;
    const convoy_trace_options trace = {.file = file, .steps = {2, 2}};
    const convoy_train_options options = {.out = job->out,
                                          .oversubscribe = true,
                                          .stop_after_steps = &stop_after,
                                          .trace = &trace};
    convoy_recipe *recipe = NULL;
    snprintf(file, sizeof file, "%s/trace.json", job->folder);
    snprintf(text, sizeof text,
             "model: {name: mlp, width: 8}\n"
             "data: {train: %s/train.h5, val: %s/train.h5, read: memory, threads: 1}\n"
             "batch: {size: 8, microbatch: 4}\n"
             "schedule: {epochs: 3, lr: 0.01}\n"
             "threads: 1\n",
             job->folder, job->folder);
    convoy_status status = convoy_world_agree(
        world, convoy_recipe_load_text("test", text, NULL, 0, &recipe));
    if (status == CONVOY_OK)
        status = convoy_train_run(world, recipe, &options);
    convoy_recipe_destroy(recipe);
    return status;
}

static convoy_status evaluate(const struct job *job, convoy_world *world)
{
    char pack[2 * SCRATCH_PATH];
    convoy_eval_result result;
    snprintf(pack, sizeof pack, "%s/train.h5", job->folder);
    return convoy_eval_run(world, job->saved, pack, NULL, &result);
}

static const struct scenario {
    const char *name;
    convoy_status (*run)(const struct job *job, convoy_world *world);
    bool resumes; /* from the checkpoint of step 2, the end of an epoch */
} scenarios[] = {
    {"training", train, false},
    {"resuming", train, true},
    {"evaluation", evaluate, false},
};

/* A run folder for the scenario. */
static int make_out(struct job *job, const struct scenario *scenario)
{
    char path[2 * SCRATCH_PATH + 64];
    size_t n = 0;
    snprintf(job->out, sizeof job->out, "%s/out", job->folder);
    if (job->world->rank > 0)
        return 0;
    scratch_remove(job->out);
    if (!scenario->resumes)
        return 0;
    unsigned char *bytes = scratch_read(job->saved, &n);
    snprintf(path, sizeof path, "%s/checkpoints", job->out);
    int bad = !bytes || mkdir(job->out, 0700) || mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/checkpoints/step-00000002.h5", job->out);
    bad = bad || scratch_write(path, bytes, n);
    free(bytes);
    return bad;
}

/* The scenario with a world of its own. */
static convoy_status live(const struct job *job, const struct scenario *scenario)
{
    convoy_world *world = NULL;
    convoy_status status = convoy_world_create(&world);
    if (status == CONVOY_OK)
        status = scenario->run(job, world);
    if (status == CONVOY_OK || convoy_status_agreed())
        convoy_world_destroy(world);
    return status;
}

/* What there was of a failure. */
enum { FIRED = 1, FIRED_SAVING };

/* Whether this rank came back as it should. */
static bool is_right(const struct job *job, convoy_status status, int failing,
                     int fired)
{
    char last[2 * SCRATCH_PATH + 64];
    snprintf(last, sizeof last, "%s/checkpoints/step-%08d.h5", job->out, STEPS);
    if (!fired)
        return status == CONVOY_OK;
    if (status == CONVOY_OK && fired == FIRED_SAVING)
        return job->world->rank > 0 || access(last, F_OK) == 0;
    if (status == CONVOY_OK || !convoy_status_agreed())
        return false;
    if (job->world->rank != failing)
        return status == CONVOY_ERROR_ELSEWHERE;
    return status == CONVOY_ERROR_MEMORY;
}

/* Lets allocation n fail on one rank; false: there are not so many. Ends the test where
 * a rank comes back in another way. */
static bool fails_well(struct job *job, const struct scenario *scenario, int failing,
                       int n)
{
    int fired = 0;
    snprintf(what, sizeof what, "%s, allocation %d of rank %d", scenario->name, n,
             failing);
    stuck_at(what);
    barrier(job);
    if (make_out(job, scenario))
        convoy_world_abort(job->world, 1);
    barrier(job);
    n_allocations = 0;
    was_saving = false;
    leave_places(false);
    fail_at = job->world->rank == failing ? n : 0;
    convoy_status_clear();
    const convoy_status status = live(job, scenario);
    if (fail_at && n_allocations >= fail_at)
        fired = was_saving ? FIRED_SAVING : FIRED;
    fail_at = 0;
    /* Not yet a collective: after a failure that was not agreed the other rank waits.
     */
    if (status != CONVOY_OK && !convoy_status_agreed()) {
        fprintf(stderr, "%s: not agreed on: %s (%s)\n", what, convoy_status_text(),
                convoy_status_where());
        convoy_world_abort(job->world, 1);
    }
    MPI_Bcast(&fired, 1, MPI_INT, failing, job->world->comm);
    if (!is_right(job, status, failing, fired)) {
        fprintf(stderr, "%s: rank %d came back with status %d: %s (%s)\n", what,
                job->world->rank, (int)status, convoy_status_text(),
                convoy_status_where());
        convoy_world_abort(job->world, 1);
    }
    return fired != 0;
}

static int set_up(struct job *job)
{
    char path[2 * SCRATCH_PATH + 64];
    int bad = 0;
    if (job->world->rank == 0) {
        if (access("/dev/shm", W_OK) == 0)
            setenv("TMPDIR", "/dev/shm", 1);
        bad = scratch_make(job->folder) || idx_write_set(job->folder, 16, 6, 6, 4);
        snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", job->folder);
        snprintf(job->out, sizeof job->out, "%s/train.h5", job->folder);
        bad = bad || convoy_pack_create(path, job->out, NULL) != CONVOY_OK;
    }
    MPI_Bcast(job->folder, SCRATCH_PATH, MPI_CHAR, 0, job->world->comm);
    MPI_Bcast(&bad, 1, MPI_INT, 0, job->world->comm);
    if (bad)
        return bad;
    snprintf(job->saved, sizeof job->saved, "%s/saved.h5", job->folder);
    fails_well(job, &scenarios[0], 0, 1 << 30); /* well, without a failure */
    snprintf(path, sizeof path, "%s/checkpoints/step-00000002.h5", job->out);
    return job->world->rank == 0 && rename(path, job->saved) != 0;
}

int main(int argc, char **argv)
{
    const int stride = argc > 1 && strcmp(argv[1], "all") == 0 ? 1 : STRIDE;
    struct job job = {0};
    setenv("CONVOY_RANKS_PER_NODE", "1", 1);
    if (convoy_world_create(&job.world) != CONVOY_OK ||
        stuck_begin(job.world->rank, TIME_S) != 0 || set_up(&job) != 0) {
        fprintf(stderr, "cannot set up: %s\n", convoy_status_text());
        convoy_world_abort(job.world, 1);
    }
    for (size_t s = 0; s < sizeof scenarios / sizeof *scenarios; s++)
        for (int failing = 0; failing < 2; failing++) {
            /* Samples of the two ranks and of the scenarios are others. */
            int n = stride == 1 ? 1 : 1 + ((int)s + 4 * failing) % stride;
            while (fails_well(&job, &scenarios[s], failing, n))
                n += stride;
            leave_places(true);
            if (job.world->rank == 0)
                printf("%s: up to allocation %d of rank %d\n", scenarios[s].name,
                       n - stride, failing);
            if (n < 100) /* what is replaced must be what is called */
                convoy_world_abort(job.world, 1);
        }
    stuck_at("the end");
    if (job.world->rank == 0)
        scratch_remove(job.folder);
    convoy_world_destroy(job.world);
    return 0;
}
