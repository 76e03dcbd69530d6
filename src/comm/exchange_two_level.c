/* The ordered sum in two levels. The ranks of a node see each other's vectors in shared
 * memory: each of them, an owner, adds up one slice of a bucket over all pieces of the
 * node, along the tree, as far as that goes within the node. Then the owners of the
 * same slice on all nodes sum what is left by direct messages (direct.h), each as its
 * node's member, and the sum lands in shared memory, where all ranks of the node read
 * it. So between N nodes of R ranks there are N² R messages in the place of (N R)², and
 * a node sends (its subtrees + 1) n floats and not R times that. On one node nothing is
 * sent at all.
 *
 * Where nodes have different numbers of ranks there are as many owners as the smallest
 * has; the others only give and read.
 *
 * Ranks of a node tell each other where they are by numbers in shared memory that only
 * grow: buckets are numbered over all steps. The pieces' sums are made in place, each
 * in its left operand, so the sum ends in the first slot of the node's first rank. That
 * rank must not write there before all have read: exchange_begin waits for that. */
#include "base/memory.h"
#include "base/pulse.h"
#include "comm/direct.h"
#include "comm/exchange_algorithm.h"
#include "comm/node_memory.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <stdatomic.h>

enum { BLOCK = 2048 }; /* floats added at a time */

extern const struct exchange_algorithm exchange_direct;

/* What a rank tells the others of its node. */
struct board {
    _Atomic uint64_t given;                    /* buckets whose pieces are there */
    _Atomic uint64_t summed[EXCHANGE_FLIGHTS]; /* the last bucket of a flight whose
                                                  slice has its sum */
    _Atomic uint64_t steps_read;  /* whose sums it does not need any more */
    size_t roots[TREE_MAX_NODES]; /* where its pieces begin: floats from its slots */
};
_Static_assert(sizeof(struct board) <= EXCHANGE_BOARD_BYTES, "room for it");

/* A piece of the node's: a complete subtree of one of its ranks. */
struct node_piece {
    int node_rank, k; /* the rank's k-th */
    int merges;       /* within the node, possible once this piece is there */
};

struct slice {
    enum { WAITS_FOR_PIECES, WAITS_FOR_NODES, WAITS_FOR_OWNERS } stage;
    struct extent extent; /* of the vector: what this rank adds up */
};

struct two_level_plan {
    struct exchange_vectors vectors;
    int n_owners;
    struct node_piece *pieces; /* [n_pieces] in the tree's order */
    int n_pieces;
    int n_roots;                      /* of the node's subtrees */
    int first_pieces[TREE_MAX_NODES]; /* of each of these, where its sum is made */
    struct direct *direct;            /* NULL: one node, or no owner */
    struct slice slices[EXCHANGE_FLIGHTS];
    uint64_t steps; /* done */
    /* Of this step, once is_known: */
    bool is_known;
    float **values;               /* [n_pieces] */
    float *roots[TREE_MAX_NODES]; /* [n_roots] */
};

static struct board *board_of(const struct two_level_plan *p, int node_rank)
{
    return node_memory_of(p->vectors.shared, node_rank);
}

static float *slots_of(const struct two_level_plan *p, int node_rank)
{
    char *memory = node_memory_of(p->vectors.shared, node_rank);
    return (float *)(void *)(memory + EXCHANGE_BOARD_BYTES);
}

static struct board *own_board(const struct two_level_plan *p)
{
    return board_of(p, p->vectors.world->node_rank);
}

static int first_leaf(const struct two_level_plan *p, int rank)
{
    const struct exchange_vectors *v = &p->vectors;
    int first, count;
    if (rank == v->world->size)
        return v->n_leaves;
    tree_range(v->n_leaves, rank, v->world->size, &first, &count);
    return first;
}

/* Counts the pieces of this node's ranks, and lists them unless pieces is NULL. */
static int list_pieces(const struct two_level_plan *p, struct node_piece *pieces)
{
    const struct convoy_world *world = p->vectors.world;
    const int n_leaves = p->vectors.n_leaves,
              node_first = first_leaf(p, world->node_first);
    int n = 0;
    for (int r = 0; r < world->node_size; r++) {
        struct tree_node nodes[TREE_MAX_NODES];
        const int first = first_leaf(p, world->node_first + r);
        const int end = first_leaf(p, world->node_first + r + 1);
        const int n_nodes = tree_cover(n_leaves, first, end - first, nodes);
        for (int k = 0; pieces && k < n_nodes; k++) {
            const int merges =
                tree_completed(n_leaves, nodes[k].hi, node_first, nodes[k].lo);
            pieces[n + k] = (struct node_piece){r, k, merges};
        }
        n += n_nodes;
    }
    return n;
}

/* What is left on a stack of all pieces are the node's subtrees. */
static void find_roots(struct two_level_plan *p)
{
    for (int i = 0; i < p->n_pieces; i++) {
        p->first_pieces[p->n_roots++] = i;
        p->n_roots -= p->pieces[i].merges;
    }
}

static convoy_status find_pieces(struct two_level_plan *p)
{
    convoy_status status = CONVOY_OK;
    const int n = list_pieces(p, NULL);
    TRY(mem_alloc_array((size_t)n, sizeof *p->pieces, (void **)&p->pieces));
    TRY(mem_alloc_array((size_t)n, sizeof *p->values, (void **)&p->values));
    p->n_pieces = list_pieces(p, p->pieces);
    find_roots(p);
cleanup:
    return status;
}

/* As many as the smallest node has ranks. */
static int count_owners(const int *node_firsts, int nodes)
{
    int n = node_firsts[1] - node_firsts[0];
    for (int node = 1; node < nodes; node++) {
        const int size = node_firsts[node + 1] - node_firsts[node];
        n = size < n ? size : n;
    }
    return n;
}

/* Floats that an owner sums of a bucket, at most: the last slice is as long as any. */
static size_t slice_floats(size_t bucket, int n_owners)
{
    const struct extent slice =
        extent_part((struct extent){0, bucket}, n_owners - 1, n_owners);
    return slice.end - slice.begin;
}

static convoy_status create_direct(struct two_level_plan *p)
{
    convoy_status status = CONVOY_OK;
    const struct convoy_world *world = p->vectors.world;
    int *firsts = NULL;
    if (world->nodes == 1 || world->node_rank >= p->n_owners)
        return CONVOY_OK;
    TRY(mem_alloc_array((size_t)world->nodes + 1, sizeof *firsts, (void **)&firsts));
    for (int node = 0; node <= world->nodes; node++)
        firsts[node] = first_leaf(p, world->node_firsts[node]);
    const struct direct_options options = {
        .comm = world->peers_comm,
        .n_leaves = p->vectors.n_leaves,
        .firsts = firsts,
        .most = slice_floats(p->vectors.buckets->most, p->n_owners),
        .flights = p->vectors.buckets->flights};
    TRY(direct_create(&options, &p->direct));
cleanup:
    mem_free(firsts);
    return status;
}

static void destroy(void *plan)
{
    struct two_level_plan *p = plan;
    if (!p)
        return;
    direct_destroy(p->direct);
    mem_free(p->pieces);
    mem_free(p->values);
    mem_free(p);
}

static convoy_status init(const struct exchange_vectors *vectors, void **plan)
{
    convoy_status status = CONVOY_OK;
    struct two_level_plan *p = NULL;
    TRY(mem_alloc(sizeof *p, (void **)&p));
    p->vectors = *vectors;
    p->n_owners = count_owners(vectors->world->node_firsts, vectors->world->nodes);
    TRY(find_pieces(p));
    TRY(create_direct(p));
    *plan = p;
    p = NULL;
cleanup:
    destroy(p);
    return status;
}

static size_t bytes(const struct exchange_ranks *ranks, const struct buckets *buckets)
{
    const int *firsts = ranks->node_firsts;
    int n_received = 0, place = ranks->rank; /* among the ranks of its node */
    if (!firsts) /* nobody shares, so each is its node's only owner */
        return exchange_direct.bytes(ranks, buckets);
    const int n_owners = count_owners(firsts, ranks->nodes);
    for (int node = 0; node < ranks->nodes; node++)
        if (firsts[node] <= ranks->rank && ranks->rank < firsts[node + 1])
            place = ranks->rank - firsts[node];
        else
            n_received += tree_n_pieces(ranks->n_leaves, firsts[node], firsts[node + 1],
                                        ranks->size);
    return place < n_owners
               ? direct_bytes(n_received, ranks->nodes,
                              slice_floats(buckets->most, n_owners), buckets->flights)
               : 0;
}

static void begin(void *plan)
{
    const struct two_level_plan *p = plan;
    int polls = 0;
    if (p->vectors.world->node_rank > 0)
        return;
    pulse_wait();
    for (int r = 0; r < p->vectors.world->node_size; r++)
        while (atomic_load(&board_of(p, r)->steps_read) < p->steps)
            world_nap(&polls);
    pulse_go_on();
}

static void end(void *plan)
{
    struct two_level_plan *p = plan;
    p->steps++;
    p->is_known = false;
    atomic_store(&own_board(p)->steps_read, p->steps);
}

static int flight_of(const struct two_level_plan *p, int bucket)
{
    return bucket % p->vectors.buckets->flights;
}

/* Counted over all steps, from 1 on. */
static uint64_t number_of(const struct two_level_plan *p, int bucket)
{
    return p->steps * (uint64_t)p->vectors.buckets->count + (uint64_t)bucket + 1;
}

static convoy_status post(void *plan, int bucket)
{
    struct two_level_plan *p = plan;
    const struct convoy_world *world = p->vectors.world;
    struct slice *slice = &p->slices[flight_of(p, bucket)];
    struct board *board = own_board(p);
    const float *slots = slots_of(p, world->node_rank);
    for (int i = 0; bucket == 0 && i < p->n_pieces; i++)
        if (p->pieces[i].node_rank == world->node_rank) {
            const int k = p->pieces[i].k;
            board->roots[k] = (size_t)(p->vectors.slots[k] - slots);
        }
    atomic_store(&board->given, number_of(p, bucket));
    slice->stage = WAITS_FOR_OWNERS;
    if (world->node_rank < p->n_owners) {
        slice->stage = WAITS_FOR_PIECES;
        slice->extent = extent_part(buckets_extent(p->vectors.buckets, bucket),
                                    world->node_rank, p->n_owners);
    }
    return CONVOY_OK;
}

/* Where the ranks' pieces are, in this step. */
static void find_values(struct two_level_plan *p)
{
    if (p->is_known)
        return;
    for (int i = 0; i < p->n_pieces; i++) {
        const struct node_piece *piece = &p->pieces[i];
        p->values[i] = slots_of(p, piece->node_rank) +
                       board_of(p, piece->node_rank)->roots[piece->k];
    }
    for (int k = 0; k < p->n_roots; k++)
        p->roots[k] = p->values[p->first_pieces[k]];
    p->is_known = true;
}

static bool have_given(const struct two_level_plan *p, int bucket)
{
    for (int r = 0; r < p->vectors.world->node_size; r++)
        if (atomic_load(&board_of(p, r)->given) < number_of(p, bucket))
            return false;
    return true;
}

static bool have_summed(const struct two_level_plan *p, int bucket)
{
    for (int r = 0; r < p->n_owners; r++)
        if (atomic_load(&board_of(p, r)->summed[flight_of(p, bucket)]) <
            number_of(p, bucket))
            return false;
    return true;
}

static void add_pieces(const struct two_level_plan *p, struct extent extent)
{
    for (size_t at = extent.begin; at < extent.end; at += BLOCK) {
        const size_t n = extent.end - at < BLOCK ? extent.end - at : BLOCK;
        float *sums[TREE_MAX_NODES] = {0};
        int depth = 0;
        for (int i = 0; i < p->n_pieces; i++) {
            sums[depth++] = p->values[i] + at;
            for (int m = p->pieces[i].merges; m > 0; m--, depth--)
                tree_add(sums[depth - 2], sums[depth - 2], sums[depth - 1], n);
        }
    }
}

static void tell_summed(const struct two_level_plan *p, struct slice *slice, int bucket)
{
    atomic_store(&own_board(p)->summed[flight_of(p, bucket)], number_of(p, bucket));
    slice->stage = WAITS_FOR_OWNERS;
}

static convoy_status sum_pieces(struct two_level_plan *p, struct slice *slice,
                                int bucket)
{
    find_values(p);
    add_pieces(p, slice->extent);
    if (!p->direct) {
        tell_summed(p, slice, bucket);
        return CONVOY_OK;
    }
    slice->stage = WAITS_FOR_NODES;
    return direct_post(p->direct, flight_of(p, bucket), slice->extent, p->roots);
}

static convoy_status test(void *plan, int bucket, bool *done)
{
    convoy_status status = CONVOY_OK;
    struct two_level_plan *p = plan;
    struct slice *slice = &p->slices[flight_of(p, bucket)];
    bool is_summed = false;
    if (slice->stage == WAITS_FOR_PIECES && have_given(p, bucket))
        TRY(sum_pieces(p, slice, bucket));
    if (slice->stage == WAITS_FOR_NODES) {
        TRY(direct_test(p->direct, flight_of(p, bucket), &is_summed));
        if (is_summed)
            tell_summed(p, slice, bucket);
    }
    *done = slice->stage == WAITS_FOR_OWNERS && have_summed(p, bucket);
cleanup:
    return status;
}

static float *sum(void *plan)
{
    struct two_level_plan *p = plan;
    find_values(p);
    return p->roots[0];
}

extern const struct exchange_algorithm exchange_two_level;
const struct exchange_algorithm exchange_two_level = {
    .about = {.name = "two-level",
              .help = "in the fixed order, by shared memory within nodes and messages "
                      "between them",
              .same = EXCHANGE_SAME_SUMS},
    .ordered = true,
    .shares = true,
    .sum_slot = 0,
    .init = init,
    .bytes = bytes,
    .begin = begin,
    .post = post,
    .test = test,
    .sum = sum,
    .end = end,
    .destroy = destroy,
};
