/* The ordered sum by direct messages: reduce-scatter, then allgather, bucket by bucket
 * (bucket.c). Every rank talks to every other, so its messages grow with their number,
 * and the bytes do not: about (pieces + 1) n floats each way, where a rank has at most
 * the logarithm of its leaves in pieces, and one where ranks and leaves are powers of
 * two.
 */
#include "comm/bucket.h"
#include "comm/exchange_algorithm.h"
#include "comm/world.h"

static convoy_status init(const struct exchange_vectors *vectors, void **plan)
{
    convoy_status status = CONVOY_OK;
    struct bucket_plan *buckets = NULL;
    TRY(bucket_plan_create(vectors, bucket_default_n(vectors->world->size), &buckets));
    *plan = buckets;
cleanup:
    return status;
}

static convoy_status reduce(void *plan)
{
    return bucket_sum(plan);
}

static void destroy(void *plan)
{
    bucket_plan_destroy(plan);
}

extern const struct exchange_algorithm exchange_direct;
const struct exchange_algorithm exchange_direct = {
    .about = {.name = "direct",
              .help = "in the fixed order, by messages between all pairs of ranks"},
    .ordered = true,
    .sum_slot = 0,
    .init = init,
    .reduce = reduce,
    .destroy = destroy,
};
