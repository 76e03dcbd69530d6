/* The processors that this process may use. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* The number of processors in the process's affinity mask, at least 1. */
int cpus_allowed(void);

/* "avx512_core", "avx2", …: the widest vector instructions of this machine that matter
 * to summation order; "generic" elsewhere. */
const char *cpus_isa(void);

#endif
