/* Affinity mask and instruction set. */
#include "base/cpus.h"

#include <sched.h>

int cpus_allowed(void)
{
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
        return 1;
    int n = CPU_COUNT(&mask);
    return n > 0 ? n : 1;
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
