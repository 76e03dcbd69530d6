/* To be preloaded (LD_PRELOAD) in front of MPI: each MPI_Allgatherv, of which a step of
 * a training on several ranks has one, first sleeps for 20 ms. A training that a test
 * lets run for a minute then leaves the processors to others. */
#include <mpi.h>
#include <time.h>

// NOLINTNEXTLINE(readability-function-size): the parameters are MPI's
int MPI_Allgatherv(const void *send, int n_send, MPI_Datatype send_type, void *receive,
                   const int *counts, const int *offsets, MPI_Datatype receive_type,
                   MPI_Comm comm)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return PMPI_Allgatherv(send, n_send, send_type, receive, counts, offsets,
                           receive_type, comm);
}
