/* Texts and speeds of ranks, which may be of different versions of convoy: so the
 * messages are as simple as can be, lengths and then bytes. */
#include "comm/gather.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/world.h"

#include <limits.h>
#include <string.h>

enum { REPEATS = 4, RING_TAG = 7 };

/* Places for lengths of text one behind the other, each with its 0, behind the pointers
 * to them. Root; local. */
static convoy_status make_room(const int *lengths, int n, int *offsets, char ***texts)
{
    convoy_status status = CONVOY_OK;
    size_t bytes = 0;
    char **made = NULL;
    for (int i = 0; i < n; i++) {
        offsets[i] = (int)bytes;
        bytes += (size_t)lengths[i] + 1;
        if (bytes > INT_MAX)
            TRY(FAIL(CONVOY_ERROR_MEMORY, "%d ranks tell more than 2 GiB", n));
    }
    TRY(mem_alloc((size_t)n * sizeof *made + bytes, (void **)&made));
    for (int i = 0; i < n; i++)
        made[i] = (char *)(made + n) + offsets[i];
    *texts = made;
cleanup:
    return status;
}

convoy_status gather_texts(convoy_world *world, const char *text, char ***texts)
{
    convoy_status status = CONVOY_OK;
    const int length = (int)strlen(text);
    char **made = NULL;
    TRY_MPI(MPI_Gather(&length, 1, MPI_INT, world->counts, 1, MPI_INT, 0, world->comm));
    if (world->rank == 0)
        status = make_room(world->counts, world->size, world->offsets, &made);
    TRY(convoy_world_agree(world, status));
    TRY_MPI(MPI_Gatherv(text, length, MPI_CHAR, made ? made[0] : NULL, world->counts,
                        world->offsets, MPI_CHAR, 0, world->comm));
    *texts = made;
    made = NULL;
cleanup:
    mem_free(made);
    return status;
}

static convoy_status reduce(convoy_world *world, double *values, int n, MPI_Op op)
{
    convoy_status status = CONVOY_OK;
    if (world->size == 1)
        return CONVOY_OK;
    TRY(world_meet(world));
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_DOUBLE, op, world->comm));
cleanup:
    return status;
}

convoy_status gather_most(convoy_world *world, double *values, int n)
{
    return reduce(world, values, n, MPI_MAX);
}

convoy_status gather_sums(convoy_world *world, double *values, int n)
{
    return reduce(world, values, n, MPI_SUM);
}

convoy_status gather_machine(const convoy_world *world, int *first)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL;
    TRY(world_machine(world, &machine));
    TRY_MPI(MPI_Allreduce(&world->rank, first, 1, MPI_INT, MPI_MIN, machine));
cleanup:
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
    return status;
}

/* The first message, which makes connections, is not timed. */
static convoy_status turn_ring(MPI_Comm ring, char *room, size_t bytes,
                               struct ring_speed *speed)
{
    convoy_status status = CONVOY_OK;
    int rank = 0, size = 0;
    double since_s = 0;
    TRY_MPI(MPI_Comm_rank(ring, &rank));
    TRY_MPI(MPI_Comm_size(ring, &size));
    const int to = (rank + 1) % size, from = (rank + size - 1) % size;
    for (int i = 0; i <= REPEATS; i++) {
        if (i == 1)
            since_s = clock_now_s();
        TRY_MPI(MPI_Sendrecv(room, (int)bytes, MPI_BYTE, to, RING_TAG, room + bytes,
                             (int)bytes, MPI_BYTE, from, RING_TAG, ring,
                             MPI_STATUS_IGNORE));
    }
    speed->bytes_a_s = REPEATS * (double)bytes / (clock_now_s() - since_s);
cleanup:
    return status;
}

convoy_status gather_ring_speed(convoy_world *world, size_t bytes,
                                struct ring_speed *speed)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm ring = MPI_COMM_NULL;
    char *room = NULL;
    int first = 0, size = 0;
    *speed = (struct ring_speed){0};
    TRY(gather_machine(world, &first));
    const bool takes_part = first == world->rank;
    TRY_MPI(MPI_Comm_split(world->comm, takes_part ? 0 : MPI_UNDEFINED, world->rank,
                           &ring));
    if (takes_part)
        status = mem_alloc(2 * bytes, (void **)&room);
    TRY(convoy_world_agree(world, status));
    if (!takes_part)
        goto cleanup;
    TRY_MPI(MPI_Comm_size(ring, &size));
    if (size < 2)
        goto cleanup;
    TRY(turn_ring(ring, room, bytes, speed));
    int rank = 0, to = 0;
    TRY_MPI(MPI_Comm_rank(ring, &rank));
    TRY_MPI(MPI_Sendrecv(&world->rank, 1, MPI_INT, (rank + size - 1) % size, RING_TAG,
                         &to, 1, MPI_INT, (rank + 1) % size, RING_TAG, ring,
                         MPI_STATUS_IGNORE));
    speed->to = to;
cleanup:
    if (ring != MPI_COMM_NULL)
        MPI_Comm_free(&ring);
    mem_free(room);
    return status;
}
