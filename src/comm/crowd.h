/* Ranks that share cores, because the launcher put them there. */
#ifndef COMM_CROWD_H
#define COMM_CROWD_H

#include <convoy/world.h>

#include "base/status.h"

#include <mpi.h>
#include <sched.h>

/* How it is for one rank; a core is counted once, whatever its hardware threads. */
struct crowd {
    int rank;
    int cores;         /* in its mask */
    double share;      /* of them; of k ranks on a core each counts 1/k */
    int sharers;       /* where share is below 1: the ranks on the most wanted of its
                          cores; else 0 */
    bool overlaps;     /* its cores are another's in part: they cannot be divided */
    int ranks;         /* of its machine */
    int used_cores;    /* in the masks of these ranks together */
    int machine_cores; /* that the machine has for the job */
    char host[MPI_MAX_PROCESSOR_NAME];
};

/* Of this rank, whose cores have these numbers on its machine, each of which users
 * [CPU_SETSIZE] ranks may use (world_count_users); all but overlaps and machine_cores.
 * Local. LIBRARY. */
convoy_status crowd_of(const convoy_world *world, MPI_Comm machine,
                       const cpu_set_t *numbers, const int *users, struct crowd *own);

#endif
