/* Starts MPI, describes the job, and lets ranks agree on how they fared.
 *
 * An agreement is one MPI_Allreduce(MIN) of severity * size + rank: the smallest key
 * names the lowest rank of the worst kind of status. Texts stay where they are; only
 * the rank that is named speaks. What was agreed is marked so with the failure: any
 * other failure of a collective function is fatal (convoy_status_agreed).
 *
 * Whatever a collective function allocates, it allocates before an agreement: between
 * an agreement and the messages after it, only MPI can fail. */
#include "comm/world.h"

#include "base/memory.h"
#include "comm/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

convoy_status world_check(int result, const char *call, const char *file, int line)
{
    if (result == MPI_SUCCESS)
        return CONVOY_OK;
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0;
    MPI_Error_string(result, text, &length);
    return status_fail(
        CONVOY_ERROR_LIBRARY, file, line,
        "%.*s failed: %s; see what MPI or the batch system says about the "
        "network and the other ranks",
        (int)strcspn(call, "("), call, text);
}

static convoy_status start_mpi(bool *started, int *level)
{
    convoy_status status = CONVOY_OK;
    int is_initialized = 0, is_finalized = 0;
    TRY_MPI(MPI_Finalized(&is_finalized));
    if (is_finalized)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "MPI has already ended in this process, and it "
                 "starts only once: keep one world until the end"));
    TRY_MPI(MPI_Initialized(&is_initialized));
    if (is_initialized) {
        TRY_MPI(MPI_Query_thread(level));
    } else {
        TRY_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, level));
        *started = true;
    }
cleanup:
    return status;
}

/* What can fail on this rank alone. Lanes never call MPI, and the exchange beside them
 * is made by the thread that takes the step: so it serves that one thread alone may
 * call MPI while there are others. */
static convoy_status prepare(const convoy_world *job, int level, convoy_world **world)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)job->size;
    if (level < MPI_THREAD_FUNNELED)
        TRY(FAIL(CONVOY_ERROR_UNSUPPORTED,
                 "MPI offers thread level %d, at least MPI_THREAD_FUNNELED (%d) is "
                 "needed: use an MPI built with threads, or initialize it with "
                 "MPI_Init_thread",
                 level, MPI_THREAD_FUNNELED));
    TRY(mem_alloc(sizeof **world, (void **)world));
    **world = *job;
    TRY(mem_alloc_array(n, sizeof *(*world)->counts, (void **)&(*world)->counts));
    TRY(mem_alloc_array(n, sizeof *(*world)->offsets, (void **)&(*world)->offsets));
    TRY(mem_alloc_array(n + 1, sizeof(int), (void **)&(*world)->node_firsts));
cleanup:
    return status;
}

static void free_memory(convoy_world *world)
{
    mem_free(world->counts);
    mem_free(world->offsets);
    mem_free(world->node_firsts);
    mem_free(world);
}

/* CONVOY_RANKS_PER_NODE, for tests: what several nodes do, on one machine. 0: unset. */
static int pretended_node_size(void)
{
    const char *text = getenv("CONVOY_RANKS_PER_NODE");
    const long size = text ? strtol(text, NULL, 10) : 0;
    return size > 0 && size <= INT_MAX ? (int)size : 0;
}

/* Ranks that can share memory are on one node: in the launcher's numbers so far. */
static convoy_status find_nodes(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL;
    const int pretended = pretended_node_size();
    int among = 0;
    TRY(world_machine(world, &machine));
    TRY_MPI(MPI_Comm_rank(machine, &among));
    TRY_MPI(MPI_Comm_split(machine, pretended ? among / pretended : 0, world->rank,
                           &world->node_comm));
    TRY_MPI(MPI_Comm_set_errhandler(world->node_comm, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_rank(world->node_comm, &world->node_rank));
    TRY_MPI(MPI_Comm_size(world->node_comm, &world->node_size));
    world->node_first = world->rank;
    TRY_MPI(MPI_Bcast(&world->node_first, 1, MPI_INT, 0, world->node_comm));
cleanup:
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
    return status;
}

/* One after another, as their first ranks stand in the launcher's order; so rank 0
 * stays. */
static convoy_status number_ranks(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Comm_split(MPI_COMM_WORLD, 0, world->node_first, &world->comm));
    TRY_MPI(MPI_Comm_set_errhandler(world->comm, MPI_ERRORS_RETURN));
    TRY_MPI(MPI_Comm_rank(world->comm, &world->rank));
    world->node_first = world->rank - world->node_rank;
    TRY_MPI(MPI_Allgather(&world->node_first, 1, MPI_INT, world->counts, 1, MPI_INT,
                          world->comm));
    for (int rank = 0; rank < world->size; rank++) {
        if (world->counts[rank] == rank)
            world->node_firsts[world->nodes++] = rank;
        if (rank == world->rank)
            world->node = world->nodes - 1;
    }
    world->node_firsts[world->nodes] = world->size;
cleanup:
    return status;
}

static convoy_status create_comms(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Comm_dup(world->comm, &world->exchange_comm));
    TRY_MPI(MPI_Comm_set_errhandler(world->exchange_comm, MPI_ERRORS_RETURN));
    TRY_MPI(
        MPI_Comm_split(world->comm, world->node_rank, world->rank, &world->peers_comm));
    TRY_MPI(MPI_Comm_set_errhandler(world->peers_comm, MPI_ERRORS_RETURN));
cleanup:
    return status;
}

convoy_status convoy_world_create(convoy_world **world)
{
    convoy_status status = CONVOY_OK;
    convoy_world *w = NULL, job = {.comm = MPI_COMM_WORLD};
    int level = MPI_THREAD_SINGLE;
    TRY(start_mpi(&job.started_mpi, &level));
    TRY_MPI(MPI_Comm_rank(job.comm, &job.rank));
    TRY_MPI(MPI_Comm_size(job.comm, &job.size));
    job.launched = job.rank;
    TRY(convoy_world_agree(&job, prepare(&job, level, &w)));
    TRY(find_nodes(w));
    TRY(number_ranks(w));
    TRY(create_comms(w));
    *world = w;
    w = NULL;
cleanup:
    if (w)
        free_memory(w);
    /* Ending MPI is collective: where not all ranks do it, none must wait for that. */
    if (status != CONVOY_OK && job.started_mpi && convoy_status_agreed())
        MPI_Finalize();
    return status;
}

void convoy_world_destroy(convoy_world *world)
{
    if (!world)
        return;
    watch_leave(world->watch);
    MPI_Comm_free(&world->peers_comm);
    MPI_Comm_free(&world->exchange_comm);
    MPI_Comm_free(&world->node_comm);
    MPI_Comm_free(&world->comm);
    if (world->started_mpi)
        MPI_Finalize();
    watch_destroy(world->watch);
    free_memory(world);
}

void world_nap(int *polls)
{
    enum { YIELDS = 50 };
    const struct timespec nap = {.tv_nsec = 20000};
    if (*polls < YIELDS) {
        ++*polls;
        sched_yield();
    } else {
        nanosleep(&nap, NULL);
    }
}

static convoy_status meet(const convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    MPI_Request request;
    int is_done = 0, polls = 0;
    TRY_MPI(MPI_Ibarrier(world->comm, &request));
    for (;;) {
        TRY_MPI(MPI_Test(&request, &is_done, MPI_STATUS_IGNORE));
        if (is_done)
            break;
        world_nap(&polls);
    }
cleanup:
    return status;
}

convoy_status world_meet(convoy_world *world)
{
    if (world->size == 1)
        return CONVOY_OK;
    pulse_wait();
    const convoy_status status = meet(world);
    pulse_go_on();
    pulse();
    return status;
}

int convoy_world_rank(const convoy_world *world)
{
    return world->rank;
}

int convoy_world_size(const convoy_world *world)
{
    return world->size;
}

int convoy_world_node_rank(const convoy_world *world)
{
    return world->node_rank;
}

int convoy_world_node_size(const convoy_world *world)
{
    return world->node_size;
}

int convoy_world_nodes(const convoy_world *world)
{
    return world->nodes;
}

/* The smaller, the sooner it is heard. A rank that was told of another's failure has
 * nothing to say itself, but must not be taken for a success. */
static long long severity(convoy_status status)
{
    switch (status) {
    case CONVOY_OK:
        return 3;
    case CONVOY_STOPPED:
        return 2;
    case CONVOY_ERROR_ELSEWHERE:
        return 1;
    default:
        return 0;
    }
}

convoy_status convoy_world_agree(convoy_world *world, convoy_status status)
{
    long long mine = severity(status) * world->size + world->rank, first = 0;
    pulse_wait();
    int result = MPI_Allreduce(&mine, &first, 1, MPI_LONG_LONG, MPI_MIN, world->comm);
    pulse_go_on();
    pulse();
    if (result != MPI_SUCCESS && status == CONVOY_OK)
        return world_check(result, "MPI_Allreduce", __FILE__, __LINE__);
    if (result != MPI_SUCCESS || first / world->size == severity(CONVOY_OK))
        return status;
    if (first != mine)
        status = FAIL(CONVOY_ERROR_ELSEWHERE, "rank %lld failed and reports why",
                      first % world->size);
    status_set_agreed();
    return status;
}

void convoy_world_abort(convoy_world *world, int code)
{
    int is_initialized = 0, is_finalized = 0;
    watch_fail(world ? world->watch : NULL, code);
    MPI_Initialized(&is_initialized);
    MPI_Finalized(&is_finalized);
    if (is_initialized && !is_finalized)
        MPI_Abort(world ? world->comm : MPI_COMM_WORLD, code);
    _Exit(code); /* MPI_Abort may try and return */
}
