/* The ranks of a job, from the inside. */
#ifndef COMM_WORLD_H
#define COMM_WORLD_H

#include "base/pulse.h"
#include "base/status.h"

#include <convoy/world.h>

#include <mpi.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* Communicators of our own: no other library's messages, errors are returned, and ranks
 * are numbered node by node, whatever the launcher's order. */
struct convoy_world {
    MPI_Comm comm;          /* all ranks */
    MPI_Comm exchange_comm; /* all ranks, for messages with gradients */
    MPI_Comm node_comm;     /* this node's ranks */
    MPI_Comm peers_comm;    /* of each node the rank with this node_rank, if any */
    int rank, size;
    int launched; /* the launcher's number of this rank: in MPI_COMM_WORLD */
    int node_rank, node_size, nodes;
    int node;              /* number of this node, 0 <= node < nodes */
    int node_first;        /* the lowest rank of this node */
    int *node_firsts;      /* [nodes + 1] of each; the last is size */
    int *counts, *offsets; /* [size] each, scratch for gathers on comm */
    bool started_mpi;
    struct watch *watch; /* NULL: none */
};

/* What an MPI call's result means: OK, or LIBRARY with the call's name and MPI's text.
 */
convoy_status world_check(int result, const char *call, const char *file, int line);

/* The result, of a call that may have waited for other ranks. */
static inline int world_waited(int result)
{
    pulse_go_on();
    return result;
}

#define TRY_MPI(call)                                                                  \
    TRY((pulse_wait(), world_check(world_waited(call), #call, __FILE__, __LINE__)))

/* Waits a little before it is asked again what has happened; polls: how often nothing
 * had, in a row, to be set to 0 when something has. At first only other threads go
 * before, then it sleeps: lanes that are at work, or other ranks, may need the core.
 * Local. */
void world_nap(int *polls);

/* Waits for all ranks, without spinning: the next collective is then short. Collective.
 * LIBRARY. */
convoy_status world_meet(convoy_world *world);

/* The ranks on this machine, also where CONVOY_RANKS_PER_NODE pretends to several; free
 * with MPI_Comm_free. Collective. LIBRARY. */
convoy_status world_machine(const convoy_world *world, MPI_Comm *machine);

/* How long a rank may be silent, or get nowhere while others wait for it, before the
 * watch (convoy_world_watch) ends the job; at the start get nowhere for twice as long.
 * Local. */
void world_set_timeout(convoy_world *world, double seconds);

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
