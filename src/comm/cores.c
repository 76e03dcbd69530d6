/* hwloc says which hardware threads are one core, and orders cores by what they share:
 * package, NUMA domain, cache. Only cores are asked for, and what orders them.
 *
 * A core's number is its lowest processor's, of the whole core, not of the part in this
 * rank's mask: by these numbers ranks of a node find out whose cores are the same. */
#include "comm/cores.h"

#include "base/cpus.h"
#include "base/hash.h"
#include "base/memory.h"
#include "comm/world.h"

#include <hwloc.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* NULL: hwloc cannot tell, or tells of another machine (HWLOC_XMLFILE). Its component
 * x86 binds the calling thread to one processor after another, for what Linux knows. */
static hwloc_topology_t load_topology(void)
{
    hwloc_topology_t topology = NULL;
    if (hwloc_topology_init(&topology) != 0)
        return NULL;
    hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST,
                                  "x86");
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE,
                                   HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(topology) == 0 && hwloc_topology_is_thissystem(topology))
        return topology;
    hwloc_topology_destroy(topology);
    return NULL;
}

/* Of the machine, as far as the control group lets the process on it. */
static void count_cores(hwloc_topology_t topology, struct cores *cores)
{
    hwloc_obj_t core = NULL;
    int n = 0, threads = 1;
    while (topology &&
           (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core))) {
        const int own = hwloc_bitmap_weight(core->complete_cpuset);
        n += hwloc_bitmap_intersects(core->complete_cpuset,
                                     hwloc_topology_get_allowed_cpuset(topology));
        threads = own > threads ? own : threads;
    }
    if (n == 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cores->machine = n > 0 ? n : 1;
    cores->core_threads = threads;
}

/* A core of its processors in left, which are then left no more. */
static void add_core(hwloc_const_cpuset_t processors, cpu_set_t *left,
                     struct cores *cores, cpu_set_t *numbers)
{
    cpu_set_t *set = &cores->sets[cores->n];
    CPU_ZERO(set);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, left) && hwloc_bitmap_isset(processors, (unsigned)cpu))
            CPU_SET(cpu, set);
    if (CPU_COUNT(set) == 0)
        return;
    CPU_XOR(left, left, set);
    CPU_SET((size_t)hwloc_bitmap_first(processors), numbers);
    cores->n++;
}

/* The cores of mask, and their numbers. */
static convoy_status find_cores(const cpu_set_t *mask, struct cores *cores,
                                cpu_set_t *numbers)
{
    convoy_status status = CONVOY_OK;
    cpu_set_t left = *mask;
    hwloc_topology_t topology = NULL;
    cores->n = 0;
    cores->mask = *mask;
    CPU_ZERO(numbers);
    TRY(mem_alloc_array((size_t)CPU_COUNT(mask) + 1, sizeof *cores->sets,
                        (void **)&cores->sets));
    topology = load_topology();
    count_cores(topology, cores);
    hwloc_obj_t core = NULL;
    while (topology &&
           (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)))
        if (CPU_COUNT(&left) > 0)
            add_core(core->complete_cpuset, &left, cores, numbers);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &left))
            continue;
        CPU_SET(cpu, numbers);
        CPU_ZERO(&cores->sets[cores->n]);
        CPU_SET(cpu, &cores->sets[cores->n]);
        cores->n++;
    }
    if (cores->n == 0) /* more processors than a cpu_set_t holds */
        CPU_ZERO(&cores->sets[cores->n++]);
cleanup:
    if (topology)
        hwloc_topology_destroy(topology);
    return status;
}

convoy_status cores_of(const cpu_set_t *mask, struct cores *cores)
{
    cpu_set_t numbers;
    *cores = (struct cores){0};
    return find_cores(mask, cores, &numbers);
}

convoy_status cores_here(struct cores *cores)
{
    cpu_set_t mask;
    cpus_mask(&mask);
    return cores_of(&mask, cores);
}

void cores_free(struct cores *cores)
{
    mem_free(cores->sets);
    *cores = (struct cores){0};
}

/* How many ranks of the machine have just these cores, and how many of them are before
 * this one; n 0: some have a part of them. */
struct owners {
    int n, before;
};

static convoy_status find_owners(MPI_Comm machine, const cpu_set_t *numbers,
                                 const int *users, struct owners *owners)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm same = MPI_COMM_NULL;
    const uint64_t hash = hash_64(numbers, sizeof *numbers);
    int rank = 0;
    TRY_MPI(MPI_Comm_rank(machine, &rank));
    TRY_MPI(MPI_Comm_split(machine, (int)(hash & INT_MAX), rank, &same));
    TRY_MPI(MPI_Comm_size(same, &owners->n));
    TRY_MPI(MPI_Comm_rank(same, &owners->before));
    for (size_t core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, numbers) && users[core] != owners->n)
            owners->n = 0;
cleanup:
    if (same != MPI_COMM_NULL)
        MPI_Comm_free(&same);
    return status;
}

/* This rank's part of cores that owners have in common. */
static void take_part(struct cores *cores, struct owners owners)
{
    const int first = (int)((long long)cores->n * owners.before / owners.n);
    const int end = (int)((long long)cores->n * (owners.before + 1) / owners.n);
    cores->n = end - first;
    memmove(cores->sets, cores->sets + first, (size_t)cores->n * sizeof *cores->sets);
}

/* So many cores as are this rank's in the mean, anywhere in its mask. */
static void roam(struct cores *cores, const cpu_set_t *mask, const cpu_set_t *numbers,
                 const int *users)
{
    cores->roam = true;
    cores->n = world_share(numbers, users);
    for (int i = 0; i < cores->n; i++)
        cores->sets[i] = *mask;
}

convoy_status cores_share(convoy_world *world, struct cores *cores)
{
    convoy_status status = CONVOY_OK;
    MPI_Comm machine = MPI_COMM_NULL;
    cpu_set_t mask, numbers;
    int users[CPU_SETSIZE];
    struct owners owners = {0};
    *cores = (struct cores){0};
    cpus_mask(&mask);
    TRY(convoy_world_agree(world, find_cores(&mask, cores, &numbers)));
    TRY(world_machine(world, &machine));
    TRY(world_count_users(machine, &numbers, users));
    TRY(find_owners(machine, &numbers, users, &owners));
    TRY(crowd_of(world, machine, &numbers, users, &cores->crowd));
    /* Ranks in steps or containers with cores of their own do not see each other's. */
    cores->crowd.machine_cores = cores->machine > cores->crowd.used_cores
                                     ? cores->machine
                                     : cores->crowd.used_cores;
    cores->crowd.overlaps = owners.n == 0;
    if (owners.n > 0 && owners.n <= cores->n)
        take_part(cores, owners);
    else
        roam(cores, &mask, &numbers, users);
cleanup:
    if (machine != MPI_COMM_NULL)
        MPI_Comm_free(&machine);
    if (status != CONVOY_OK)
        cores_free(cores);
    return status;
}

void cores_hwloc_interface(char *text, size_t size)
{
    const unsigned version = hwloc_get_api_version();
    snprintf(text, size, "%u.%u", version >> 16, version >> 8 & 0xff);
}
