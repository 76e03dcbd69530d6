/* Where the ranks run, and how many processors each may count on, from the affinity
 * masks that the launcher gave. A processor that k ranks of a node may use counts 1/k
 * for each; all ranks get the smallest share, rounded down, since results depend on the
 * threads. */
#include "comm/world.h"

#include "base/cpus.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* In how many masks of this node's ranks each processor is. */
static convoy_status count_users(const convoy_world *world, const cpu_set_t *own,
                                 int *users)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm node = MPI_COMM_NULL;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        users[cpu] = CPU_ISSET(cpu, own) ? 1 : 0;
    TRY_MPI(MPI_Comm_split_type(world->comm, MPI_COMM_TYPE_SHARED, world->rank,
                                MPI_INFO_NULL, &node));
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, users, CPU_SETSIZE, MPI_INT, MPI_SUM, node));
cleanup:
    if (node != MPI_COMM_NULL)
        MPI_Comm_free(&node);
    return status;
}

convoy_status convoy_world_cpus(convoy_world *world, int *cpus)
{
    convoy_status status = CONVOY_OK;
    cpu_set_t own;
    int users[CPU_SETSIZE];
    double share = 0;
    cpus_mask(&own);
    TRY(count_users(world, &own, users));
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &own))
            share += 1.0 / users[cpu];
    /* The hair keeps 3 · (1/3) from being rounded down to 0. */
    int whole = share + 1e-6 < 1 ? 1 : (int)(share + 1e-6);
    TRY_MPI(MPI_Allreduce(&whole, cpus, 1, MPI_INT, MPI_MIN, world->comm));
cleanup:
    return status;
}

void world_mpi_version(char *text, size_t size)
{
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(version, &length);
    /* The first line says enough: some libraries add a page. */
    snprintf(text, size, "%.*s", (int)strcspn(version, ",\n"), version);
}

convoy_status world_hosts(convoy_world *world, char **hosts)
{
    enum { NAME_SIZE = MPI_MAX_PROCESSOR_NAME };
    convoy_status status = CONVOY_OK;
    char own[NAME_SIZE] = "", *names = NULL, *text = NULL;
    const size_t n = (size_t)world->size;
    int length = 0;
    size_t used = 0;
    TRY_MPI(MPI_Get_processor_name(own, &length));
    status = mem_alloc_array(n, NAME_SIZE, (void **)&names);
    if (status == CONVOY_OK)
        status = mem_alloc_array(n, NAME_SIZE + 1, (void **)&text);
    TRY(convoy_world_agree(world, status));
    TRY_MPI(MPI_Allgather(own, NAME_SIZE, MPI_CHAR, names, NAME_SIZE, MPI_CHAR,
                          world->comm));
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++)
            seen = strcmp(names + i * NAME_SIZE, names + j * NAME_SIZE) == 0;
        if (!seen)
            used += (size_t)snprintf(text + used, NAME_SIZE + 1, "%s%s",
                                     used ? "," : "", names + i * NAME_SIZE);
    }
    *hosts = text;
    text = NULL;
cleanup:
    mem_free(names);
    mem_free(text);
    return status;
}
