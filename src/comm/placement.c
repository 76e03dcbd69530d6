/* Where the ranks run, and what of a machine each may count on: processors, from the
 * affinity masks that the launcher gave, and memory. */
#include "comm/world.h"

#include "base/cpus.h"
#include "base/limits.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

convoy_status world_machine(const convoy_world *world, MPI_Comm *machine)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Comm_split_type(world->comm, MPI_COMM_TYPE_SHARED, world->rank,
                                MPI_INFO_NULL, machine));
cleanup:
    return status;
}

convoy_status world_count_users(MPI_Comm machine, const cpu_set_t *own, int *users)
{
    convoy_status status = CONVOY_OK;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        users[cpu] = CPU_ISSET(cpu, own) ? 1 : 0;
    TRY_MPI(MPI_Allreduce(MPI_IN_PLACE, users, CPU_SETSIZE, MPI_INT, MPI_SUM, machine));
cleanup:
    return status;
}

int world_share(const cpu_set_t *own, const int *users)
{
    double share = 0;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, own))
            share += 1.0 / users[cpu];
    /* The hair keeps 3 · (1/3) from being rounded down to 0. */
    return share + 1e-6 < 1 ? 1 : (int)(share + 1e-6);
}

/* All ranks get the smallest share: so many threads on each. */
convoy_status convoy_world_cpus(convoy_world *world, int *cpus)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL;
    cpu_set_t own;
    int users[CPU_SETSIZE];
    cpus_mask(&own);
    TRY(world_machine(world, &machine));
    TRY(world_count_users(machine, &own, users));
    const int share = world_share(&own, users);
    TRY_MPI(MPI_Allreduce(&share, cpus, 1, MPI_INT, MPI_MIN, world->comm));
cleanup:
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
    return status;
}

/* Control groups may give each rank another reading: the least is for all. */
convoy_status world_memory_left(convoy_world *world, uint64_t *bytes)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL;
    const uint64_t left = limits_memory_left(), own = left > 0 ? left : UINT64_MAX;
    uint64_t least = 0;
    int n = 1;
    TRY(world_machine(world, &machine));
    TRY_MPI(MPI_Comm_size(machine, &n));
    TRY_MPI(MPI_Allreduce(&own, &least, 1, MPI_UINT64_T, MPI_MIN, machine));
    *bytes = least == UINT64_MAX ? 0 : least / (uint64_t)n;
cleanup:
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
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
    TRY(world_check(MPI_Get_processor_name(own, &length), "MPI_Get_processor_name",
                    __FILE__, __LINE__));
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
