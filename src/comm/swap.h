/* Bytes from every rank to every rank. */
#ifndef COMM_SWAP_H
#define COMM_SWAP_H

#include <convoy/world.h>

#include <stddef.h>
#include <stdint.h>

struct swap;

/* New; free with swap_destroy. world is borrowed. piece: most bytes that one message
 * takes, up to INT_MAX; 0: 1 GiB. Errors: MEMORY. Local. */
convoy_status swap_create(convoy_world *world, size_t piece, struct swap **swap);

/* Takes NULL. Local. */
void swap_destroy(struct swap *swap);

/* Makes room for the messages that swap_bytes of these lengths sends and receives.
 * Local: agree on the outcome. MEMORY. */
convoy_status swap_reserve(struct swap *swap, const size_t *send_bytes,
                           const size_t *receive_bytes);

/* Sends send_bytes[r] bytes to each rank r and receives receive_bytes[r] of each. The
 * bytes for (of) rank 0 come first in send (receive), then those of rank 1, …, without
 * gaps; both sides of a pair know its number, which may be 0. After swap_reserve of the
 * same lengths. Collective; called by the thread that owns the world. Errors: LIBRARY.
 */
convoy_status swap_bytes(struct swap *swap, const uint8_t *send,
                         const size_t *send_bytes, uint8_t *receive,
                         const size_t *receive_bytes);

/* The lowest rank on each rank's node, out: [size]. Collective. Errors: LIBRARY. */
convoy_status swap_nodes(convoy_world *world, int *out);

#endif
