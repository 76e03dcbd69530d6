/* Memory that the ranks of a node share. */
#ifndef COMM_NODE_MEMORY_H
#define COMM_NODE_MEMORY_H

#include <convoy/world.h>

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct node_memory;

/* Room for so many bytes of each rank of this node, zeroed, each rank's on pages of its
 * own, where it was the first to touch them. *made is new; free with
 * node_memory_destroy. Collective over all ranks of all nodes; ranks agree. Errors: IO
 * (/dev/shm is missing or full, or the ranks of a node do not see the same one; the
 * text says how much is asked for), MEMORY, LIBRARY. */
convoy_status node_memory_create(convoy_world *world, size_t bytes,
                                 struct node_memory **made);

/* Takes NULL. Local: other ranks keep what they have. */
void node_memory_destroy(struct node_memory *memory);

/* The part of a rank of this node, 0 <= node_rank < its number. Local. */
void *node_memory_of(const struct node_memory *memory, int node_rank);

/* Bytes that /dev/shm has left on this node; 0: it is not there. Local. */
uint64_t node_memory_left(void);

#endif
