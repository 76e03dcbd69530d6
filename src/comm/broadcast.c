/* MPI counts in int, so what is larger goes in pieces. */
#include "comm/broadcast.h"

#include "comm/world.h"

#include <stdint.h>

convoy_status broadcast_bytes(convoy_world *world, size_t piece, void *bytes, size_t n)
{
    convoy_status status = CONVOY_OK;
    const size_t most = piece ? piece : (size_t)1 << 30;
    for (size_t at = 0; at < n; at += most) {
        const size_t left = n - at, count = left < most ? left : most;
        TRY_MPI(MPI_Bcast((uint8_t *)bytes + at, (int)count, MPI_BYTE, 0, world->comm));
        pulse();
    }
cleanup:
    return status;
}
