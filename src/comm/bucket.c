/* Reduce-scatter, then allgather, both by direct messages. A bucket is cut into one
 * segment a rank. Every rank collects all ranks' pieces (complete subtrees) of its own
 * segment, adds them along the tree, and sends the sum of its segment to all. Each rank
 * so sends and receives about (pieces + 1) * n floats, whatever the number of ranks,
 * and adds each element's pieces in one order, whoever does it.
 *
 * Pieces are merged like leaves are (tree.c), block by block: a block of every
 * unfinished sum fits the cache, so memory is read once for each piece and written
 * once.
 *
 * Two buckets are under way at a time: while one is added up, the next one's messages
 * travel. The sum of the own segment goes to slot 0 in place: nobody else reads that
 * segment there. The others' segments of slot 0 are received only after all sends from
 * it are done. */
#include "comm/bucket.h"

#include "base/lanes.h"
#include "base/memory.h"
#include "comm/tree.h"
#include "comm/world.h"

enum {
    LINE = MEM_ALIGNMENT / (int)sizeof(float),
    BLOCK = 2048,           /* floats added at a time */
    WORTH_WAKING = 1 << 15, /* additions that are worth waking a lane for */
    BUCKET_N = 1 << 22,
    SEGMENT_N = 1 << 14,
    N_BUCKETS = 2,
    TAG_SUM = TREE_MAX_NODES /* after the pieces' tags */
};

struct range {
    size_t begin, n;
};

struct piece {
    int rank, slot;
    int merges; /* of the tree's sums, possible once this piece is there */
};

struct bucket {
    struct range range;   /* of the vector */
    struct range segment; /* of the vector: what this rank adds up */
    float *received;      /* [n_pieces - n_own, segment_n] */
    float **pieces; /* [n_pieces] their values of the segment, in the tree's order */
    MPI_Request *requests;
    int n_requests;
};

struct bucket_plan {
    struct exchange_vectors vectors;
    size_t bucket_n;      /* floats of a bucket */
    struct piece *pieces; /* [n_pieces] of all ranks */
    int n_pieces, n_own;
    size_t segment_n; /* of the longest segment */
    size_t grain;     /* floats of a segment that a worker adds up at a time */
    struct bucket buckets[N_BUCKETS];
    float *scratch; /* [lanes_workers, depth, BLOCK] */
    int depth;
};

size_t bucket_default_n(int size)
{
    size_t n = (size_t)size * SEGMENT_N;
    return n > BUCKET_N ? n : BUCKET_N;
}

/* The q-th of size parts, equal but for a cache line. */
static struct range segment_of(struct range whole, int q, int size)
{
    size_t lines = (whole.n + LINE - 1) / LINE;
    size_t begin = lines * (size_t)q / (size_t)size * LINE;
    size_t end = lines * (size_t)(q + 1) / (size_t)size * LINE;
    end = end < whole.n ? end : whole.n; /* the last line may be a part of one */
    begin = begin < end ? begin : end;
    return (struct range){whole.begin + begin, end - begin};
}

/* Counts every rank's pieces, and lists them unless pieces is NULL. */
static int list_pieces(const struct bucket_plan *plan, struct piece *pieces)
{
    int n = 0, n_leaves = plan->vectors.n_leaves;
    for (int rank = 0; rank < plan->vectors.world->size; rank++) {
        struct tree_node nodes[TREE_MAX_NODES];
        int first, count;
        tree_range(n_leaves, rank, plan->vectors.world->size, &first, &count);
        int n_nodes = tree_cover(n_leaves, first, count, nodes);
        for (int k = 0; pieces && k < n_nodes; k++) {
            int merges = tree_completed(n_leaves, nodes[k].hi, 0, nodes[k].lo);
            pieces[n + k] = (struct piece){rank, k, merges};
        }
        n += n_nodes;
    }
    return n;
}

static convoy_status find_pieces(struct bucket_plan *plan)
{
    convoy_status status = CONVOY_OK;
    int *merges = NULL;
    int n = list_pieces(plan, NULL);
    TRY(mem_alloc_array((size_t)n, sizeof *plan->pieces, (void **)&plan->pieces));
    TRY(mem_alloc_array((size_t)n, sizeof *merges, (void **)&merges));
    plan->n_pieces = list_pieces(plan, plan->pieces);
    for (int i = 0; i < n; i++) {
        merges[i] = plan->pieces[i].merges;
        plan->n_own += plan->pieces[i].rank == plan->vectors.world->rank;
    }
    plan->depth = tree_depth(merges, n);
cleanup:
    mem_free(merges);
    return status;
}

static convoy_status create_bucket(const struct bucket_plan *plan,
                                   struct bucket *bucket)
{
    convoy_status status = CONVOY_OK;
    int size = plan->vectors.world->size;
    size_t n_pieces = (size_t)plan->n_pieces;
    size_t n_received = (size_t)(plan->n_pieces - plan->n_own);
    size_t n_sent = (size_t)(size - 1) * (size_t)(plan->n_own + 2);
    TRY(mem_alloc_array(n_received, plan->segment_n * sizeof(float),
                        (void **)&bucket->received));
    TRY(mem_alloc_array(n_pieces, sizeof *bucket->pieces, (void **)&bucket->pieces));
    TRY(mem_alloc_array(n_received + n_sent, sizeof(MPI_Request),
                        (void **)&bucket->requests));
    float *next = bucket->received;
    for (int i = 0; i < plan->n_pieces; i++) {
        if (plan->pieces[i].rank == plan->vectors.world->rank)
            continue; /* stays in its slot */
        bucket->pieces[i] = next;
        next += plan->segment_n;
    }
cleanup:
    return status;
}

convoy_status bucket_plan_create(const struct exchange_vectors *vectors,
                                 size_t bucket_n, struct bucket_plan **plan)
{
    convoy_status status = CONVOY_OK;
    struct bucket_plan *p = NULL;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    p->vectors = *vectors;
    TRY(find_pieces(p));
    const size_t most = mem_round_up_floats(vectors->n > 0 ? vectors->n : 1);
    p->bucket_n = bucket_n < most ? bucket_n : most;
    size_t lines = p->bucket_n / LINE, size = (size_t)p->vectors.world->size;
    p->segment_n = (lines + size - 1) / size * LINE;
    p->grain = (size_t)(WORTH_WAKING / (p->n_pieces + 1) / BLOCK + 1) * BLOCK;
    for (int i = 0; i < N_BUCKETS; i++)
        TRY(create_bucket(p, &p->buckets[i]));
    const size_t n_workers = (size_t)lanes_workers(vectors->lanes);
    TRY(mem_alloc_array(n_workers * (size_t)p->depth, BLOCK * sizeof(float),
                        (void **)&p->scratch));
    *plan = p;
    p = NULL;
cleanup:
    bucket_plan_destroy(p);
    return status;
}

void bucket_plan_destroy(struct bucket_plan *plan)
{
    if (!plan)
        return;
    for (int i = 0; i < N_BUCKETS; i++) {
        mem_free(plan->buckets[i].received);
        mem_free(plan->buckets[i].pieces);
        mem_free(plan->buckets[i].requests);
    }
    mem_free(plan->pieces);
    mem_free(plan->scratch);
    mem_free(plan);
}

/* The lengths of messages are those of segments: far below INT_MAX. */
static convoy_status post_receive(const struct bucket_plan *plan, struct bucket *bucket,
                                  float *values, size_t n, int rank, int tag)
{
    convoy_status status = CONVOY_OK;
    if (n == 0)
        return CONVOY_OK;
    TRY_MPI(MPI_Irecv(values, (int)n, MPI_FLOAT, rank, tag,
                      plan->vectors.world->exchange_comm,
                      &bucket->requests[bucket->n_requests]));
    bucket->n_requests++;
cleanup:
    return status;
}

static convoy_status post_send(const struct bucket_plan *plan, struct bucket *bucket,
                               const float *values, size_t n, int rank, int tag)
{
    convoy_status status = CONVOY_OK;
    if (n == 0)
        return CONVOY_OK;
    TRY_MPI(MPI_Isend(values, (int)n, MPI_FLOAT, rank, tag,
                      plan->vectors.world->exchange_comm,
                      &bucket->requests[bucket->n_requests]));
    bucket->n_requests++;
cleanup:
    return status;
}

static convoy_status wait_all(struct bucket *bucket)
{
    convoy_status status = CONVOY_OK;
    TRY_MPI(MPI_Waitall(bucket->n_requests, bucket->requests, MPI_STATUSES_IGNORE));
    bucket->n_requests = 0;
cleanup:
    return status;
}

static float *slot(const struct bucket_plan *plan, int k)
{
    return plan->vectors.slots[k];
}

/* Starts collecting the pieces of every rank's segment of [begin, end). */
static convoy_status scatter(struct bucket_plan *plan, struct bucket *bucket,
                             struct range range)
{
    convoy_status status = CONVOY_OK;
    int rank = plan->vectors.world->rank, size = plan->vectors.world->size;
    bucket->range = range;
    bucket->segment = segment_of(range, rank, size);
    for (int i = 0; i < plan->n_pieces; i++) {
        const struct piece *piece = &plan->pieces[i];
        if (piece->rank == rank)
            bucket->pieces[i] = slot(plan, piece->slot) + bucket->segment.begin;
        else
            TRY(post_receive(plan, bucket, bucket->pieces[i], bucket->segment.n,
                             piece->rank, piece->slot));
    }
    for (int step = 1; step < size; step++) { /* ranks start with different partners */
        int to = (rank + step) % size;
        struct range segment = segment_of(range, to, size);
        for (int k = 0; k < plan->n_own; k++)
            TRY(post_send(plan, bucket, slot(plan, k) + segment.begin, segment.n, to,
                          k));
    }
cleanup:
    return status;
}

/* Adds n <= BLOCK floats of every piece, from the segment's float start on. */
static void combine_block(const struct bucket_plan *plan, const struct bucket *bucket,
                          size_t start, size_t n, float *scratch)
{
    const float *sums[TREE_MAX_NODES] = {0};
    int depth = 0;
    for (int i = 0; i < plan->n_pieces; i++) {
        sums[depth++] = bucket->pieces[i] + start;
        for (int m = plan->pieces[i].merges; m > 0; m--) {
            float *into = scratch + (size_t)(depth - 2) * BLOCK;
            if (i == plan->n_pieces - 1 && m == 1) /* the root */
                into = slot(plan, 0) + bucket->segment.begin + start;
            tree_add(into, sums[depth - 2], sums[depth - 1], n);
            depth--;
            sums[depth - 1] = into;
        }
    }
}

struct combination {
    const struct bucket_plan *plan;
    const struct bucket *bucket;
};

/* lanes_range_function: floats [begin, end) of the segment. */
static void combine_range(void *context, int worker, size_t begin, size_t end)
{
    const struct combination *c = context;
    float *scratch = c->plan->scratch + (size_t)worker * (size_t)c->plan->depth * BLOCK;
    for (size_t start = begin; start < end; start += BLOCK)
        combine_block(c->plan, c->bucket, start,
                      end - start < BLOCK ? end - start : BLOCK, scratch);
}

static void combine(const struct bucket_plan *plan, const struct bucket *bucket)
{
    struct combination c = {plan, bucket};
    lanes_for(plan->vectors.lanes, bucket->segment.n, plan->grain, combine_range, &c);
}

/* Starts sending the sum of the own segment and receiving the others'. */
static convoy_status gather(struct bucket_plan *plan, struct bucket *bucket)
{
    convoy_status status = CONVOY_OK;
    int rank = plan->vectors.world->rank, size = plan->vectors.world->size;
    float *sum = slot(plan, 0);
    for (int step = 1; step < size; step++) {
        int from = (rank + size - step) % size;
        struct range segment = segment_of(bucket->range, from, size);
        TRY(post_receive(plan, bucket, sum + segment.begin, segment.n, from, TAG_SUM));
    }
    for (int step = 1; step < size; step++) {
        int to = (rank + step) % size;
        TRY(post_send(plan, bucket, sum + bucket->segment.begin, bucket->segment.n, to,
                      TAG_SUM));
    }
cleanup:
    return status;
}

static convoy_status finish_scatter(struct bucket_plan *plan, struct bucket *bucket)
{
    convoy_status status = CONVOY_OK;
    TRY(wait_all(bucket));
    combine(plan, bucket);
    TRY(gather(plan, bucket));
cleanup:
    return status;
}

convoy_status bucket_sum(struct bucket_plan *plan)
{
    convoy_status status = CONVOY_OK;
    size_t n = plan->vectors.n, bucket_n = plan->bucket_n;
    size_t n_buckets = (n + bucket_n - 1) / bucket_n;
    for (size_t b = 0; b < n_buckets; b++) {
        struct bucket *now = &plan->buckets[b % N_BUCKETS];
        struct bucket *before = &plan->buckets[(b + 1) % N_BUCKETS];
        size_t begin = b * bucket_n, left = n - begin;
        TRY(wait_all(now));
        TRY(scatter(plan, now,
                    (struct range){begin, left < bucket_n ? left : bucket_n}));
        if (b > 0)
            TRY(finish_scatter(plan, before));
    }
    if (n_buckets > 0)
        TRY(finish_scatter(plan, &plan->buckets[(n_buckets - 1) % N_BUCKETS]));
    for (int i = 0; i < N_BUCKETS; i++)
        TRY(wait_all(&plan->buckets[i]));
cleanup:
    return status;
}
