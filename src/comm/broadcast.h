/* Bytes from rank 0 to all. */
#ifndef COMM_BROADCAST_H
#define COMM_BROADCAST_H

#include <convoy/world.h>

#include <stddef.h>

/* n bytes of rank 0 become those of all ranks, in messages of at most piece bytes (0:
 * 1 GiB). Collective, with the same n and piece; called by the thread that owns the
 * world. Errors: LIBRARY (others may wait forever: end the job). */
convoy_status broadcast_bytes(convoy_world *world, size_t piece, void *bytes, size_t n);

#endif
