/* The processors that this process may use. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

#include <sched.h>

/* The processors that the process was given. Where OpenMP binds threads
 * (OMP_PROC_BIND), the calling thread may have but one of them. */
void cpus_mask(cpu_set_t *mask);

/* Their number, at least 1. */
int cpus_allowed(void);

/* "avx512_core", "avx2", …: the widest vector instructions of this machine that matter
 * to summation order; "generic" elsewhere. */
const char *cpus_isa(void);

#endif
