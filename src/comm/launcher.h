/* Open MPI's launcher of this process, mpirun or its daemon on this host, if that is
 * what started it. */
#ifndef COMM_LAUNCHER_H
#define COMM_LAUNCHER_H

#include <stdbool.h>

bool launcher_is_there(void);

/* Kills it: for when it would outlast its ranks. */
void launcher_end(void);

#endif
