/* To be preloaded (LD_PRELOAD) in front of MPI: call number CONVOY_TEST_FAIL_AT of
 * MPI_Allgatherv fails on rank 1, and on that rank alone. What a network does to one
 * rank, in short: the others wait for it. */
#include <mpi.h>
#include <stdlib.h>

// NOLINTNEXTLINE(readability-function-size): the parameters are MPI's
int MPI_Allgatherv(const void *send, int n_send, MPI_Datatype send_type, void *receive,
                   const int *counts, const int *offsets, MPI_Datatype receive_type,
                   MPI_Comm comm)
{
    static int n_calls;
    const char *at = getenv("CONVOY_TEST_FAIL_AT");
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (at && rank == 1 && ++n_calls == atoi(at))
        return MPI_ERR_OTHER;
    return PMPI_Allgatherv(send, n_send, send_type, receive, counts, offsets,
                           receive_type, comm);
}
