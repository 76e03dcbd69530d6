/* The ordered sum by direct messages between all pairs of ranks (direct.h). A rank's
 * messages grow with the number of ranks, and the bytes do not: about (pieces + 1) n
 * floats each way, where a rank has at most the logarithm of its leaves in pieces, and
 * one where ranks and leaves are powers of two.
 */
#include "base/memory.h"
#include "comm/direct.h"
#include "comm/exchange_algorithm.h"
#include "comm/tree.h"
#include "comm/world.h"

_Static_assert((int)EXCHANGE_FLIGHTS <= (int)DIRECT_FLIGHTS, "a flight a bucket");

struct direct_plan {
    struct exchange_vectors vectors;
    struct direct *direct;
};

static void destroy(void *plan)
{
    struct direct_plan *p = plan;
    if (p)
        direct_destroy(p->direct);
    mem_free(p);
}

static convoy_status init(const struct exchange_vectors *vectors, void **plan)
{
    convoy_status status = CONVOY_OK;
    struct direct_plan *p = NULL;
    const int size = vectors->world->size;
    int *firsts = NULL;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    TRY(mem_alloc_array((size_t)size + 1, sizeof *firsts, (void **)&firsts));
    for (int rank = 0; rank < size; rank++) {
        int count;
        tree_range(vectors->n_leaves, rank, size, &firsts[rank], &count);
    }
    firsts[size] = vectors->n_leaves;
    p->vectors = *vectors;
    const struct direct_options options = {.comm = vectors->world->exchange_comm,
                                           .n_leaves = vectors->n_leaves,
                                           .firsts = firsts,
                                           .most = vectors->buckets->most,
                                           .flights = vectors->buckets->flights};
    TRY(direct_create(&options, &p->direct));
    *plan = p;
    p = NULL;
cleanup:
    destroy(p);
    mem_free(firsts);
    return status;
}

static size_t bytes(const struct exchange_ranks *ranks, const struct buckets *buckets)
{
    int n_received = 0;
    for (int rank = 0; rank < ranks->size; rank++)
        if (rank != ranks->rank)
            n_received += tree_n_pieces(ranks->n_leaves, rank, rank + 1, ranks->size);
    return direct_bytes(n_received, ranks->size, buckets->most, buckets->flights);
}

static convoy_status post(void *plan, int bucket)
{
    const struct direct_plan *p = plan;
    return direct_post(p->direct, bucket % p->vectors.buckets->flights,
                       buckets_extent(p->vectors.buckets, bucket), p->vectors.slots);
}

static convoy_status test(void *plan, int bucket, bool *done)
{
    const struct direct_plan *p = plan;
    return direct_test(p->direct, bucket % p->vectors.buckets->flights, done);
}

extern const struct exchange_algorithm exchange_direct;
const struct exchange_algorithm exchange_direct = {
    .about = {.name = "direct",
              .help = "in the fixed order, by messages between all pairs of ranks",
              .same = EXCHANGE_SAME_SUMS},
    .ordered = true,
    .sum_slot = 0,
    .init = init,
    .bytes = bytes,
    .post = post,
    .test = test,
    .destroy = destroy,
};
