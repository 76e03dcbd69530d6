/* Rank 0 asks each rank for the time, several times, and takes the answer that came
 * soonest: the other clock was read between question and answer, so taking it for the
 * middle is wrong by half of the time between the two at most. Ranks of one machine
 * share a clock; what is within the error of none is none.
 *
 * Clocks drift, by up to a millisecond in ten seconds, so times are put between two
 * comparisons. */
#include "comm/clocks.h"

#include "base/clock.h"
#include "comm/world.h"

#include <math.h>

enum { ROUNDS = 20, CLOCK_TAG = 11 };

/* On rank 0. */
static convoy_status ask(convoy_world *world, int rank, struct clock_offset *best)
{
    convoy_status status = CONVOY_OK;
    *best = (struct clock_offset){.error_s = INFINITY};
    for (int i = 0; i < ROUNDS; i++) {
        double theirs = 0;
        const double asked = clock_now_s();
        TRY_MPI(MPI_Send(&asked, 1, MPI_DOUBLE, rank, CLOCK_TAG, world->comm));
        TRY_MPI(MPI_Recv(&theirs, 1, MPI_DOUBLE, rank, CLOCK_TAG, world->comm,
                         MPI_STATUS_IGNORE));
        const double error_s = (clock_now_s() - asked) / 2;
        if (error_s < best->error_s)
            *best = (struct clock_offset){theirs - asked - error_s, error_s, theirs};
    }
    if (fabs(best->offset_s) <= best->error_s)
        best->offset_s = 0;
    TRY_MPI(MPI_Send(best, (int)(sizeof *best / sizeof(double)), MPI_DOUBLE, rank,
                     CLOCK_TAG, world->comm));
cleanup:
    return status;
}

static convoy_status answer(convoy_world *world, struct clock_offset *offset)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < ROUNDS; i++) {
        double theirs = 0;
        TRY_MPI(MPI_Recv(&theirs, 1, MPI_DOUBLE, 0, CLOCK_TAG, world->comm,
                         MPI_STATUS_IGNORE));
        const double now = clock_now_s();
        TRY_MPI(MPI_Send(&now, 1, MPI_DOUBLE, 0, CLOCK_TAG, world->comm));
    }
    TRY_MPI(MPI_Recv(offset, (int)(sizeof *offset / sizeof(double)), MPI_DOUBLE, 0,
                     CLOCK_TAG, world->comm, MPI_STATUS_IGNORE));
cleanup:
    return status;
}

convoy_status clocks_compare(convoy_world *world, bool takes_part,
                             struct clock_offset *offset)
{
    convoy_status status = CONVOY_OK;
    const int own = takes_part;
    struct clock_offset found = {.at_s = clock_now_s()};
    TRY(world_meet(world));
    TRY_MPI(MPI_Gather(&own, 1, MPI_INT, world->counts, 1, MPI_INT, 0, world->comm));
    for (int rank = 1; rank < world->size && world->rank == 0; rank++)
        if (world->counts[rank]) {
            struct clock_offset theirs;
            TRY(ask(world, rank, &theirs));
        }
    if (world->rank > 0 && takes_part)
        TRY(answer(world, &found));
    *offset = found;
cleanup:
    return status;
}

double clocks_of_root(const struct clock_offset *before,
                      const struct clock_offset *after, double now_s)
{
    const double span = after->at_s - before->at_s;
    const double share = span > 0 ? (now_s - before->at_s) / span : 0;
    return now_s - before->offset_s - share * (after->offset_s - before->offset_s);
}
