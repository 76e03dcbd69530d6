/* Point-to-point messages between the pairs that have something to say: unlike
 * MPI_Alltoallv's, their lengths need not fit an int. Longer ones go in pieces. */
#include "comm/swap.h"

#include "base/memory.h"
#include "comm/world.h"

enum { TAG = 77, PIECE = 1 << 30 };

struct swap {
    convoy_world *world;
    size_t piece;
    void *requests; /* MPI_Request [capacity / sizeof] */
    size_t capacity;
};

convoy_status swap_create(convoy_world *world, size_t piece, struct swap **swap)
{
    convoy_status status = mem_alloc(sizeof **swap, (void **)swap);
    if (status != CONVOY_OK)
        return status;
    (*swap)->world = world;
    (*swap)->piece = piece ? piece : PIECE;
    return CONVOY_OK;
}

void swap_destroy(struct swap *swap)
{
    if (!swap)
        return;
    mem_free(swap->requests);
    mem_free(swap);
}

static size_t n_pieces(const struct swap *swap, const size_t *bytes)
{
    size_t pieces = 0;
    for (int r = 0; r < swap->world->size; r++)
        pieces += (bytes[r] + swap->piece - 1) / swap->piece;
    return pieces;
}

static int piece_length(const struct swap *swap, size_t left)
{
    return (int)(left < swap->piece ? left : swap->piece);
}

static convoy_status start_receives(const struct swap *swap, uint8_t *to,
                                    const size_t *bytes, MPI_Request *requests, int *n)
{
    convoy_status status = CONVOY_OK;
    for (int r = 0; r < swap->world->size; r++)
        for (size_t left = bytes[r]; left > 0;) {
            const int length = piece_length(swap, left);
            TRY_MPI(MPI_Irecv(to, length, MPI_BYTE, r, TAG, swap->world->comm,
                              &requests[*n]));
            (*n)++;
            to += length;
            left -= (size_t)length;
        }
cleanup:
    return status;
}

static convoy_status start_sends(const struct swap *swap, const uint8_t *from,
                                 const size_t *bytes, MPI_Request *requests, int *n)
{
    convoy_status status = CONVOY_OK;
    for (int r = 0; r < swap->world->size; r++)
        for (size_t left = bytes[r]; left > 0;) {
            const int length = piece_length(swap, left);
            TRY_MPI(MPI_Isend(from, length, MPI_BYTE, r, TAG, swap->world->comm,
                              &requests[*n]));
            (*n)++;
            from += length;
            left -= (size_t)length;
        }
cleanup:
    return status;
}

convoy_status swap_reserve(struct swap *swap, const size_t *send_bytes,
                           const size_t *receive_bytes)
{
    const size_t most = n_pieces(swap, send_bytes) + n_pieces(swap, receive_bytes);
    return mem_reserve(&swap->requests, &swap->capacity, most * sizeof(MPI_Request));
}

convoy_status swap_bytes(struct swap *swap, const uint8_t *send,
                         const size_t *send_bytes, uint8_t *receive,
                         const size_t *receive_bytes)
{
    convoy_status status = CONVOY_OK;
    int n = 0;
    TRY(start_receives(swap, receive, receive_bytes, swap->requests, &n));
    TRY(start_sends(swap, send, send_bytes, swap->requests, &n));
    TRY_MPI(MPI_Waitall(n, swap->requests, MPI_STATUSES_IGNORE));
cleanup:
    return status;
}

convoy_status swap_nodes(convoy_world *world, int *out)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(
        MPI_Allgather(&world->node_first, 1, MPI_INT, out, 1, MPI_INT, world->comm));
cleanup:
    return status;
}
