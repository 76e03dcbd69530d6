/* The nodes of the tree that lie in the own range are written down: leaves first, then
 * inner nodes. A node is ready when its value is there and no sum has begun to take it
 * up. What becomes ready climbs: with its sibling ready too it is added to it, the sum
 * to the sibling of their parent, and so on as far as siblings are ready. One pass over
 * the memory makes such a chain, a block of it at a time, in the cache. Its result
 * replaces the first sibling, all other buffers become free: among them the one that
 * the lane in leaves_done has just filled, and which it likes best for its next leaf.
 *
 * A pass is cut into ranges, which workers claim with an atomic counter. Workers enter
 * and leave a sum under the mutex; one leaves only when all ranges are claimed and its
 * own are done, so the last to leave ends the sum, and nobody waits for it. What has
 * no claimed range is nobody's: whoever has nothing else to do takes it, at the latest
 * the lanes in leaves_finish.
 *
 * Why there is always a buffer in the end: buffers are given out in the order of
 * leaves, so when no leaf is under way and all is added, what is there is the sums of
 * a prefix of the leaves, as on a stack to which leaves are pushed one by one, and
 * those fit with one more leaf. The other lanes - 1 buffers are for leaves that end
 * out of order.
 *
 * With buckets the last sums are leaves_tail.c's. */
#include "comm/leaves_parts.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <stdint.h>

int leaves_n_slots(const struct leaves_options *options)
{
    const int first = options->first, count = options->count;
    const int more = options->lanes > 1 ? options->lanes : 0;
    int depth = 0, n = 0;
    for (int leaf = first; leaf < first + count; leaf++) {
        depth++;
        n = n > depth ? n : depth;
        depth -= tree_completed(options->n_leaves, leaf + 1, first, leaf);
    }
    n = more < count - n ? n + more : count;
    return n > options->least_slots ? n : options->least_slots;
}

size_t leaves_bytes(const struct leaves_options *options)
{
    return (size_t)leaves_n_slots(options) * sizeof(float) *
           mem_round_up_floats(options->n > 0 ? options->n : 1);
}

/* Writes down the subtree over own leaves [lo, hi); returns its root. */
static int add_nodes(struct leaves *l, int lo, int hi)
{
    if (hi - lo == 1)
        return lo - l->first;
    const int middle = tree_split(lo, hi);
    const int left = add_nodes(l, lo, middle), right = add_nodes(l, middle, hi);
    const int parent = l->n_nodes++;
    l->nodes[left].parent = l->nodes[right].parent = parent;
    l->nodes[parent].lo = lo;
    l->nodes[parent].hi = hi;
    l->nodes[left].sibling = right;
    l->nodes[left].is_left = true;
    l->nodes[right].sibling = left;
    return parent;
}

static convoy_status create_nodes(struct leaves *l, const struct leaves_options *o)
{
    convoy_status status = CONVOY_OK;
    struct tree_node cover[TREE_MAX_NODES];
    TRY(mem_alloc_array((size_t)o->count, 2 * sizeof *l->nodes, (void **)&l->nodes));
    for (size_t i = 0; i < 2 * (size_t)o->count; i++)
        l->nodes[i].parent = l->nodes[i].sibling = LEAVES_NONE;
    for (int i = 0; i < o->count; i++) {
        l->nodes[i].lo = o->first + i;
        l->nodes[i].hi = o->first + i + 1;
    }
    l->n_nodes = o->count;
    l->n_roots = tree_cover(o->n_leaves, o->first, o->count, cover);
    if (o->halves && o->count == o->n_leaves && o->count > 1) {
        const int middle = tree_split(cover[0].lo, cover[0].hi);
        cover[1] = (struct tree_node){middle, cover[0].hi};
        cover[0].hi = middle;
        l->n_roots = 2;
    }
    for (int k = 0; k < l->n_roots; k++)
        l->roots[k] = add_nodes(l, cover[k].lo, cover[k].hi);
cleanup:
    return status;
}

static convoy_status create_slots(struct leaves *l, const struct leaves_options *o)
{
    convoy_status status = CONVOY_OK;
    const size_t line = MEM_ALIGNMENT / sizeof(float);
    if (o->n > SIZE_MAX / sizeof(float) - line)
        TRY(FAIL(CONVOY_ERROR_MEMORY, "cannot allocate %zu floats for gradients",
                 o->n));
    const size_t stride = mem_round_up_floats(o->n > 0 ? o->n : 1);
    l->n_slots = leaves_n_slots(o);
    const size_t n_slots = (size_t)l->n_slots;
    float *memory = o->memory;
    TRY(mem_alloc_array(n_slots, sizeof *l->slots, (void **)&l->slots));
    TRY(mem_alloc_array(n_slots, sizeof *l->pointers, (void **)&l->pointers));
    if (!memory)
        TRY(mem_alloc_array(n_slots, stride * sizeof(float), (void **)&l->memory));
    memory = memory ? memory : l->memory;
    for (size_t i = 0; i < n_slots; i++) {
        l->slots[i].values = memory + i * stride;
        l->slots[i].home = LEAVES_NONE;
    }
    l->n_sums = l->n_slots / 2; /* a sum holds two buffers and more */
    TRY(mem_alloc_array((size_t)l->n_sums, sizeof *l->sums, (void **)&l->sums));
    TRY(mem_alloc_array(n_slots, sizeof *l->tail, (void **)&l->tail));
cleanup:
    return status;
}

convoy_status leaves_create(const struct leaves_options *options,
                            struct leaves **leaves)
{
    convoy_status status = CONVOY_OK;
    struct leaves *l = NULL;
    TRY(mem_alloc(sizeof *l, (void **)&l));
    /* Neither fails with default attributes where there is memory for it. */
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->n = options->n;
    l->n_leaves = options->n_leaves;
    l->first = options->first;
    l->count = options->count;
    if (options->buckets)
        l->buckets = *options->buckets;
    TRY(create_nodes(l, options));
    TRY(create_slots(l, options));
    *leaves = l;
    l = NULL;
cleanup:
    leaves_destroy(l);
    return status;
}

void leaves_destroy(struct leaves *leaves)
{
    if (!leaves)
        return;
    pthread_cond_destroy(&leaves->changed);
    pthread_mutex_destroy(&leaves->mutex);
    mem_free(leaves->nodes);
    mem_free(leaves->slots);
    mem_free(leaves->pointers);
    mem_free(leaves->memory);
    mem_free(leaves->sums);
    mem_free(leaves->tail);
    mem_free(leaves);
}

/* Adds the chain in [begin, end). */
static void add_range(const struct leaves *l, const struct leaf_chain *sum,
                      size_t begin, size_t end)
{
    float *const to = l->slots[sum->adds[0].slot].values;
    for (size_t at = begin; at < end; at += LEAVES_BLOCK) {
        const size_t n = end - at < LEAVES_BLOCK ? end - at : LEAVES_BLOCK;
        const float *so_far = l->slots[sum->slot].values + at;
        for (int i = 0; i < sum->n_adds; i++) {
            const float *other = l->slots[sum->adds[i].slot].values + at;
            if (sum->adds[i].is_left)
                tree_add(to + at, other, so_far, n);
            else
                tree_add(to + at, so_far, other, n);
            so_far = to + at;
        }
    }
}

static void claim_ranges(const struct leaves *l, struct leaf_chain *sum)
{
    for (;;) {
        const size_t begin = atomic_fetch_add(&sum->next, LEAVES_RANGE);
        if (begin >= l->n)
            return;
        add_range(l, sum, begin,
                  l->n - begin < LEAVES_RANGE ? l->n : begin + LEAVES_RANGE);
    }
}

static struct leaf_chain *find_sum(const struct leaves *l, bool is_open)
{
    for (int i = 0; i < l->n_sums; i++)
        if (is_open ? l->sums[i].is_open : l->sums[i].n_adds == 0)
            return &l->sums[i];
    return NULL;
}

/* The node's value is there: it climbs, or waits for its sibling. */
static void climb(struct leaves *l, int node)
{
    struct own_node *const nodes = l->nodes;
    const int slot = nodes[node].slot;
    struct leaf_chain *sum = NULL;
    nodes[node].n_final = l->buckets.count;
    while (l->n_tail == 0 && nodes[node].parent != LEAVES_NONE &&
           nodes[nodes[node].sibling].is_ready) {
        struct own_node *other = &nodes[nodes[node].sibling];
        if (!sum)
            sum = find_sum(l, false);
        assert(sum && sum->n_adds < LEAVES_MAX_ADDS);
        nodes[node].is_value = other->is_value = other->is_ready = false;
        sum->adds[sum->n_adds].slot = other->slot;
        sum->adds[sum->n_adds].is_left = other->is_left;
        sum->n_adds++;
        node = nodes[node].parent;
    }
    if (sum) {
        sum->node = node;
        sum->slot = slot;
        sum->next = 0;
        sum->is_open = true;
        nodes[node].slot = sum->adds[0].slot;
        nodes[node].is_value = true;
        nodes[node].n_final = 0;
    } else {
        nodes[node].is_ready = true;
        l->n_made += nodes[node].parent == LEAVES_NONE;
        leaves_advance(l);
    }
    pthread_cond_broadcast(&l->changed);
}

static void end(struct leaves *l, struct leaf_chain *sum)
{
    l->slots[sum->slot].is_taken = false;
    for (int i = 1; i < sum->n_adds; i++)
        l->slots[sum->adds[i].slot].is_taken = false;
    sum->n_adds = 0;
    climb(l, sum->node);
}

/* The bucket's sums, with whoever else is at them. */
static void work_at_merge(struct leaves *l)
{
    struct leaf_merge *merge = &l->merge;
    merge->n_workers++;
    pthread_mutex_unlock(&l->mutex);
#pragma omp parallel if (merge->span.end - merge->span.begin > LEAVES_PARALLEL_FROM)
    leaves_claim_merges(l);
    pthread_mutex_lock(&l->mutex);
    merge->is_open = false;
    if (--merge->n_workers > 0)
        return;
    atomic_fetch_add(&l->n_merged, 1);
    leaves_advance(l);
    pthread_cond_broadcast(&l->changed);
}

/* Does what there is to add; whether there was anything. The caller holds the mutex,
 * which is free meanwhile. */
static bool work(struct leaves *l)
{
    struct leaf_chain *sum = find_sum(l, true);
    if (!sum && !l->merge.is_open)
        return false;
    if (!sum) {
        work_at_merge(l);
        return true;
    }
    sum->n_workers++;
    pthread_mutex_unlock(&l->mutex);
#pragma omp parallel if (l->n > LEAVES_PARALLEL_FROM)
    claim_ranges(l, sum);
    pthread_mutex_lock(&l->mutex);
    sum->is_open = false;
    if (--sum->n_workers == 0)
        end(l, sum);
    return true;
}

static void work_or_sleep(struct leaves *l)
{
    if (work(l))
        return;
    const double since_s = clock_now_s();
    pthread_cond_wait(&l->changed, &l->mutex);
    l->slept_s += clock_now_s() - since_s;
}

/* A free buffer: one that the lane touched first, or nobody yet, or any; or NULL. */
static struct leaf_slot *find_slot(const struct leaves *l, int lane)
{
    struct leaf_slot *best = NULL;
    for (int i = 0; i < l->n_slots; i++) {
        struct leaf_slot *slot = &l->slots[i];
        if (slot->is_taken)
            continue;
        if (slot->home == lane)
            return slot;
        if (!best || (best->home != LEAVES_NONE && slot->home == LEAVES_NONE))
            best = slot;
    }
    return best;
}

float *leaves_take(struct leaves *leaves, int leaf, int lane)
{
    struct leaf_slot *slot = NULL;
    pthread_mutex_lock(&leaves->mutex);
    while (!leaves->is_cancelled) {
        if (leaf - leaves->first == leaves->next)
            slot = find_slot(leaves, lane);
        if (slot)
            break;
        work_or_sleep(leaves);
    }
    if (slot) {
        slot->is_taken = true;
        if (slot->home == LEAVES_NONE)
            slot->home = lane;
        struct own_node *node = &leaves->nodes[leaves->next++];
        node->slot = (int)(slot - leaves->slots);
        node->is_value = true;
        if (leaves->next == leaves->count && leaves->buckets.count > 0)
            leaves_begin_tail(leaves);
        pthread_cond_broadcast(&leaves->changed);
    }
    pthread_mutex_unlock(&leaves->mutex);
    return slot ? slot->values : NULL;
}

/* Only its lane writes what is final of a leaf. Adding is left to lanes that have
 * nothing else to do, if there are any. */
void leaves_final(struct leaves *leaves, int leaf, size_t from)
{
    struct own_node *node = &leaves->nodes[leaf - leaves->first];
    const int n_final =
        leaves->buckets.count > 0 ? buckets_from(&leaves->buckets, from) : 0;
    if (n_final <= node->n_final || from == 0) /* all of it: leaves_done */
        return;
    pthread_mutex_lock(&leaves->mutex);
    node->n_final = n_final;
    leaves_advance(leaves);
    while (leaves->n_idle == 0 && work(leaves))
        continue;
    pthread_mutex_unlock(&leaves->mutex);
}

void leaves_done(struct leaves *leaves, int leaf)
{
    pthread_mutex_lock(&leaves->mutex);
    climb(leaves, leaf - leaves->first);
    while (work(leaves))
        continue;
    pthread_mutex_unlock(&leaves->mutex);
}

static bool is_made(const struct leaves *l)
{
    if (l->buckets.count > 0)
        return l->n_merged == l->buckets.count;
    return l->n_made == l->n_roots;
}

void leaves_finish(struct leaves *leaves)
{
    pthread_mutex_lock(&leaves->mutex);
    leaves->n_idle++;
    while (!is_made(leaves) && !leaves->is_cancelled)
        work_or_sleep(leaves);
    leaves->n_idle--;
    pthread_mutex_unlock(&leaves->mutex);
}

void leaves_cancel(struct leaves *leaves)
{
    pthread_mutex_lock(&leaves->mutex);
    leaves->is_cancelled = true;
    pthread_cond_broadcast(&leaves->changed);
    pthread_mutex_unlock(&leaves->mutex);
}

int leaves_n_merged(struct leaves *leaves, bool *is_cancelled)
{
    *is_cancelled = atomic_load(&leaves->is_cancelled);
    return atomic_load(&leaves->n_merged);
}

void leaves_wait(struct leaves *leaves, int n_merged)
{
    pthread_mutex_lock(&leaves->mutex);
    while (!leaves->is_cancelled &&
           (leaves->buckets.count > 0 ? leaves->n_merged < n_merged : !is_made(leaves)))
        pthread_cond_wait(&leaves->changed, &leaves->mutex);
    pthread_mutex_unlock(&leaves->mutex);
}

float *const *leaves_sums(struct leaves *leaves)
{
    int n = 0;
    if (leaves->n_tail > 0)
        return leaves->pointers;
    for (int k = 0; k < leaves->n_roots; k++)
        if (leaves->nodes[leaves->roots[k]].is_ready)
            leaves->pointers[n++] =
                leaves->slots[leaves->nodes[leaves->roots[k]].slot].values;
    for (int i = 0; i < leaves->n_slots; i++)
        if (!leaves->slots[i].is_taken)
            leaves->pointers[n++] = leaves->slots[i].values;
    return leaves->pointers;
}

struct leaf_sum leaves_total(struct leaves *leaves)
{
    float *const *sums = leaves_sums(leaves);
    assert(leaves->n_roots <= 2);
    return (struct leaf_sum){sums[0], leaves->n_roots == 2 ? sums[1] : NULL};
}

const float *leaf_sum_values(const struct leaf_sum *sum, size_t begin, size_t end,
                             float *room)
{
    float *to = room ? room : sum->left + begin;
    if (!sum->right)
        return sum->left + begin;
    tree_add(to, sum->left + begin, sum->right + begin, end - begin);
    return to;
}

double leaves_slept_s(const struct leaves *leaves)
{
    return leaves->slept_s;
}

void leaves_restart(struct leaves *leaves)
{
    leaves->slept_s = 0;
    for (int i = 0; i < leaves->n_nodes; i++) {
        leaves->nodes[i].is_ready = leaves->nodes[i].is_value = false;
        leaves->nodes[i].n_final = 0;
    }
    for (int i = 0; i < leaves->n_slots; i++)
        leaves->slots[i].is_taken = false;
    for (int i = 0; i < leaves->n_sums; i++) {
        leaves->sums[i].n_adds = 0;
        leaves->sums[i].is_open = false;
    }
    leaves->next = leaves->n_made = leaves->n_tail = 0;
    leaves->merge.is_open = false;
    atomic_store(&leaves->n_merged, 0);
    leaves->is_cancelled = false;
}
