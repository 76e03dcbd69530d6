/* Affinity mask and instruction set. OpenMP binds the main thread before main begins.
 * The places into which it divided the mask are together that mask again, or what
 * OMP_PLACES names of it. */
#include "base/cpus.h"

#include <omp.h>
#include <stdio.h>

enum { MAX_PLACE = CPU_SETSIZE };

bool cpus_are_bound(void)
{
    return omp_get_proc_bind() != omp_proc_bind_false;
}

void cpus_mask(cpu_set_t *mask)
{
    CPU_ZERO(mask);
    sched_getaffinity(0, sizeof *mask, mask);
    for (int place = 0; cpus_are_bound() && place < omp_get_num_places(); place++) {
        int ids[MAX_PLACE];
        const int n = omp_get_place_num_procs(place);
        if (n > MAX_PLACE)
            continue;
        omp_get_place_proc_ids(place, ids);
        for (int i = 0; i < n; i++)
            if (ids[i] >= 0 && ids[i] < CPU_SETSIZE)
                CPU_SET((size_t)ids[i], mask);
    }
}

int cpus_allowed(void)
{
    cpu_set_t mask;
    cpus_mask(&mask);
    int n = CPU_COUNT(&mask);
    return n > 0 ? n : 1;
}

void cpus_list(const cpu_set_t *set, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t cpu = 0; cpu < CPU_SETSIZE && used < size; cpu++) {
        const size_t first = cpu;
        if (!CPU_ISSET(cpu, set))
            continue;
        while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, set))
            cpu++;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%zu", used ? "," : "", first);
        if (cpu > first && used < size)
            used += (size_t)snprintf(text + used, size - used, "-%zu", cpu);
    }
}

convoy_status cpus_check_openmp(void)
{
    const int n = omp_get_max_threads();
    if (n <= CPUS_MAX_THREADS)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "OpenMP would start %d threads (OMP_NUM_THREADS); at most %d work", n,
                CPUS_MAX_THREADS);
}

const char *cpus_isa(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
        return "avx512_core";
    if (__builtin_cpu_supports("avx2"))
        return "avx2";
    if (__builtin_cpu_supports("sse4.1"))
        return "sse41";
#endif
    return "generic";
}
