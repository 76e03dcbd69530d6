/* The processors that this process may use. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include "base/status.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

/* Threads that a process may be told to have: more than any machine has processors, and
 * so few that the OpenMP runtime still starts them. */
enum { CPUS_MAX_THREADS = 4096 };

/* The processors that the process was given. Where OpenMP binds threads
 * (OMP_PROC_BIND), the calling thread may have but one of them. */
void cpus_mask(cpu_set_t *mask);

/* Whether OpenMP binds threads: by OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY. */
bool cpus_are_bound(void);

/* How many processors there are in cpus_mask, at least 1. */
int cpus_allowed(void);

/* "0-3,8"; as much as there is room for. */
void cpus_list(const cpu_set_t *set, char *text, size_t size);

/* ARGUMENT: OpenMP, by its environment, would start more than CPUS_MAX_THREADS threads.
 */
convoy_status cpus_check_openmp(void);

/* "avx512_core", "avx2", …: the widest vector instructions of this machine that matter
 * to summation order; "generic" elsewhere. */
const char *cpus_isa(void);

#endif
