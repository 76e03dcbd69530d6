/* Starts MPI, describes the job, and lets ranks agree on how they fared.
 *
 * An agreement is one MPI_Allreduce(MIN) of severity * size + rank: the smallest key
 * names the lowest rank of the worst kind of status. Texts stay where they are; only
 * the rank that is named speaks. */
#include "comm/world.h"

#include "base/memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

/* The exchange has a thread of its own: calls from more than one thread, one at a time,
 * is the least that serves. */
static convoy_status start_mpi(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    int is_initialized = 0, is_finalized = 0, level = MPI_THREAD_SINGLE;
    TRY_MPI(MPI_Finalized(&is_finalized));
    if (is_finalized)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "MPI has already ended in this process, and it "
                 "starts only once: keep one world until the end"));
    TRY_MPI(MPI_Initialized(&is_initialized));
    if (is_initialized) {
        TRY_MPI(MPI_Query_thread(&level));
    } else {
        TRY_MPI(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level));
        world->started_mpi = true;
    }
    if (level < MPI_THREAD_SERIALIZED)
        TRY(FAIL(CONVOY_ERROR_UNSUPPORTED,
                 "MPI offers thread level %d, at least MPI_THREAD_SERIALIZED (%d) is "
                 "needed: use an MPI built with threads, or initialize it with "
                 "MPI_Init_thread",
                 level, MPI_THREAD_SERIALIZED));
cleanup:
    return status;
}

static convoy_status duplicate(MPI_Comm *comm)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, comm));
    TRY_MPI(MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN));
cleanup:
    return status;
}

/* CONVOY_RANKS_PER_NODE, for tests: what several nodes do, on one machine. 0: unset. */
static int pretended_node_size(void)
{
    const char *text = getenv("CONVOY_RANKS_PER_NODE");
    const long size = text ? strtol(text, NULL, 10) : 0;
    return size > 0 && size <= INT_MAX ? (int)size : 0;
}

/* Ranks that can share memory are on one node. */
static convoy_status find_nodes(convoy_world *world)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL, node = MPI_COMM_NULL;
    const int pretended = pretended_node_size();
    int among = 0;
    TRY_MPI(MPI_Comm_split_type(world->comm, MPI_COMM_TYPE_SHARED, world->rank,
                                MPI_INFO_NULL, &machine));
    TRY_MPI(MPI_Comm_rank(machine, &among));
    TRY_MPI(
        MPI_Comm_split(machine, pretended ? among / pretended : 0, world->rank, &node));
    TRY_MPI(MPI_Comm_rank(node, &world->node_rank));
    TRY_MPI(MPI_Comm_size(node, &world->node_size));
    world->node_first = world->rank;
    TRY_MPI(MPI_Bcast(&world->node_first, 1, MPI_INT, 0, node));
    int is_first = world->node_rank == 0;
    TRY_MPI(MPI_Allreduce(&is_first, &world->nodes, 1, MPI_INT, MPI_SUM, world->comm));
cleanup:
    if (node != MPI_COMM_NULL)
        MPI_Comm_free(&node);
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
    return status;
}

convoy_status convoy_world_create(convoy_world **world)
{
    convoy_status status = CONVOY_OK;
    convoy_world *w = NULL;
    TRY(mem_alloc(sizeof *w, (void **)&w));
    w->comm = w->exchange_comm = MPI_COMM_NULL;
    TRY(start_mpi(w));
    TRY(duplicate(&w->comm));
    TRY(duplicate(&w->exchange_comm));
    TRY_MPI(MPI_Comm_rank(w->comm, &w->rank));
    TRY_MPI(MPI_Comm_size(w->comm, &w->size));
    TRY(find_nodes(w));
    size_t n = (size_t)w->size;
    status = mem_alloc_array(n, sizeof *w->counts, (void **)&w->counts);
    if (status == CONVOY_OK)
        status = mem_alloc_array(n, sizeof *w->offsets, (void **)&w->offsets);
    TRY(convoy_world_agree(w, status));
    *world = w;
    w = NULL;
cleanup:
    convoy_world_destroy(w);
    return status;
}

void convoy_world_destroy(convoy_world *world)
{
    if (!world)
        return;
    if (world->exchange_comm != MPI_COMM_NULL)
        MPI_Comm_free(&world->exchange_comm);
    if (world->comm != MPI_COMM_NULL)
        MPI_Comm_free(&world->comm);
    if (world->started_mpi)
        MPI_Finalize();
    mem_free(world->counts);
    mem_free(world->offsets);
    mem_free(world);
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
    int result = MPI_Allreduce(&mine, &first, 1, MPI_LONG_LONG, MPI_MIN, world->comm);
    if (result != MPI_SUCCESS && status == CONVOY_OK)
        return world_check(result, "MPI_Allreduce", __FILE__, __LINE__);
    if (result != MPI_SUCCESS || first == mine)
        return status;
    if (first / world->size == severity(CONVOY_OK))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ELSEWHERE, "rank %lld failed and reports why",
                first % world->size);
}

void convoy_world_abort(convoy_world *world, int code)
{
    MPI_Abort(world->comm, code);
    _Exit(code); /* MPI_Abort may try and return */
}
