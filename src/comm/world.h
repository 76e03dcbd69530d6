/* The ranks of a job, from the inside. */
#ifndef COMM_WORLD_H
#define COMM_WORLD_H

#include "base/status.h"

#include <convoy/world.h>

#include <mpi.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Waits a little before MPI is asked again what has happened: with idle, other ranks
 * may need the core, and nothing else of this one does; else its lanes are at work, and
 * sleeping costs them least. Local. */
void world_nap(bool idle);

/* Waits for all ranks, without spinning: the next collective is then short. Collective.
 * LIBRARY. */
convoy_status world_meet(convoy_world *world);

/* The ranks on this machine, also where CONVOY_RANKS_PER_NODE pretends to several; free
 * with MPI_Comm_free. Collective. LIBRARY. */
convoy_status world_machine(const convoy_world *world, MPI_Comm *machine);

/* In the sets of how many of the machine's ranks each processor is, out: users
 * [CPU_SETSIZE]. Collective. LIBRARY. */
convoy_status world_count_users(MPI_Comm machine, const cpu_set_t *own, int *users);

/* How much of own that is for each of its users: a processor with k counts 1/k. Rounded
 * down, at least 1. Local. */
int world_share(const cpu_set_t *own, const int *users);

/* Bytes that each rank of this machine can still take (limits_memory_left); 0: unknown.
 * Before any rank takes them. Collective. LIBRARY. */
convoy_status world_memory_left(convoy_world *world, uint64_t *bytes);

/* "Open MPI v4.1.4": of the library that is loaded. Local. */
void world_mpi_version(char *text, size_t size);

/* The names of the job's hosts, each once, with commas between: new text on every rank,
 * free with mem_free. Collective; ranks agree. MEMORY. */
convoy_status world_hosts(convoy_world *world, char **hosts);

#endif
