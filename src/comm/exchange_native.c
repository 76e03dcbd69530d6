/* The sum as the MPI library makes it: MPI_Allreduce of the ranks' own sums, in the
 * order that the library likes. To compare with, and for networks that it knows better.
 * Out of place: Open MPI is slow in place.
 */
#include "base/memory.h"
#include "comm/exchange_algorithm.h"
#include "comm/world.h"

enum { CALL_N = 1 << 26 }; /* floats an MPI_Allreduce: counts are int */

/* 8 MiB: one bucket travels at a time, and the shorter, the more a network waits. */
enum { BUCKET_N = 1 << 21 };

extern const struct exchange_algorithm exchange_native;

static convoy_status init(const struct exchange_vectors *vectors, void **plan)
{
    convoy_status status = CONVOY_OK;
    struct exchange_vectors *copy = NULL;
    TRY(mem_alloc(sizeof *copy, (void **)&copy));
    *copy = *vectors;
    *plan = copy;
cleanup:
    return status;
}

/* Blocking: of Open MPI's non-blocking ones a thread that blocks is the faster. */
static convoy_status post(void *plan, int bucket)
{
    convoy_status status = CONVOY_OK;
    const struct exchange_vectors *v = plan;
    const struct extent span = buckets_extent(v->buckets, bucket);
    float *own = v->slots[0], *total = v->slots[exchange_native.sum_slot];
    for (size_t begin = span.begin; begin < span.end; begin += CALL_N) {
        const size_t left = span.end - begin;
        TRY_MPI(MPI_Allreduce(own + begin, total + begin,
                              (int)(left < CALL_N ? left : CALL_N), MPI_FLOAT, MPI_SUM,
                              v->world->exchange_comm));
    }
cleanup:
    return status;
}

const struct exchange_algorithm exchange_native = {
    .about = {.name = "native",
              .help = "in the MPI library's order: gives up equal bits"},
    .ordered = false,
    .sum_slot = 1,
    .bucket_n = BUCKET_N,
    .init = init,
    .post = post,
    .destroy = mem_free,
};
