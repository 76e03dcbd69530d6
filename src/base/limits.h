/* How much memory is left to this process. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

/* Bytes that could still be taken: what the machine has free, and no more than is left
 * within the limits of the control groups that the process is in (version 1 or 2), as a
 * batch system sets them. 0: unknown. */
uint64_t limits_memory_left(void);

/* The same with other folders for /proc and /sys/fs/cgroup. */
uint64_t limits_memory_left_in(const char *proc, const char *cgroups);

#endif
