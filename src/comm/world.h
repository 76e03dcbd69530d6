/* The ranks of a job, from the inside. */
#ifndef COMM_WORLD_H
#define COMM_WORLD_H

#include "base/status.h"

#include <convoy/world.h>

#include <mpi.h>

/* Duplicates of MPI_COMM_WORLD: no other library's messages, and errors are returned.
 * There are two, because two threads must not run collectives on one communicator. */
struct convoy_world {
    MPI_Comm comm;          /* for the thread that owns the world */
    MPI_Comm exchange_comm; /* for the thread that sums gradients, maybe another one */
    int rank, size;
    int node_rank, node_size, nodes;
    int node_first;        /* the lowest rank of this node */
    int *counts, *offsets; /* [size] each, scratch for gathers on comm */
    bool started_mpi;
};

/* What an MPI call's result means: OK, or LIBRARY with the call's name and MPI's text.
 */
convoy_status world_check(int result, const char *call, const char *file, int line);

#define TRY_MPI(call) TRY(world_check((call), #call, __FILE__, __LINE__))

/* "Open MPI v4.1.4": of the library that is loaded. Local. */
void world_mpi_version(char *text, size_t size);

/* The names of the job's hosts, each once, with commas between: new text on every rank,
 * free with mem_free. Collective; ranks agree. MEMORY. */
convoy_status world_hosts(convoy_world *world, char **hosts);

#endif
