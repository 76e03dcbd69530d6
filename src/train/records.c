/* Who holds which record, and the sending of a step's records to those who need them.
 *
 * The ring: block s mod n_blocks has what other nodes sent for step s, the records in
 * the order of their rows among those from the same rank. The loader works at most
 * `ahead` steps ahead of the step that is taken; with ahead + 1 blocks, the one that is
 * written next is that of a step whose rows are all made. */
#include "train/records.h"

#include "base/memory.h"
#include "comm/exchange.h"
#include "comm/swap.h"
#include "comm/tree.h"
#include "load/record_store.h"
#include "load/sampler.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a rank tells the others of its node about its part. */
enum { TOLD_PID, TOLD_FD, N_TOLD };

struct block {
    uint8_t *bytes;
    size_t capacity;
    size_t *offsets; /* [rows of this rank]; unused for rows of this node's records */
};

struct records {
    convoy_world *world;
    const convoy_pack *pack;
    struct loader_options options;
    enum record_place place;
    struct record_store *store;
    struct record_reader reader;
    int rank, size;
    int *nodes;    /* [size] the lowest rank on each rank's node */
    bool all_here; /* nothing is ever sent */

    /* For sending. */
    struct sampler *sampler;
    struct swap *swap;
    uint32_t *order; /* [n_microbatches · microbatch] of a step */
    size_t *send_bytes, *receive_bytes, *fill; /* [size] */
    void *send;
    size_t send_capacity;
    int ahead, n_blocks;
    struct block *blocks;
    bool begun;
    uint64_t next; /* step to send for */
};

static const char *stage_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

/* Rank's range of the microbatches, as the loader has it. */
static int microbatches_of(const struct records *r, int rank, int *first)
{
    int count = 0;
    tree_range(r->options.n_microbatches, rank, r->size, first, &count);
    return count;
}

/* Where each rank's part ends. */
static uint64_t part_end(const struct records *r, int rank)
{
    const uint64_t n = convoy_pack_describe(r->pack)->n_records;
    int first = 0;
    if (!r->options.evaluate)
        return n * ((uint64_t)rank + 1) / (uint64_t)r->size;
    const int count = microbatches_of(r, rank, &first);
    const uint64_t end =
        ((uint64_t)first + (uint64_t)count) * (uint64_t)r->options.microbatch;
    return end < n ? end : n;
}

static convoy_status create_store(struct records *r)
{
    convoy_status status = CONVOY_OK;
    uint64_t *ends = NULL;
    TRY(mem_alloc_array((size_t)r->size, sizeof *ends, (void **)&ends));
    for (int p = 0; p < r->size; p++)
        ends[p] = part_end(r, p);
    TRY(record_store_create(r->pack, ends, r->size, &r->store));
cleanup:
    mem_free(ends);
    return status;
}

static bool is_here(const struct records *r, int rank)
{
    return r->nodes[rank] == r->nodes[r->rank];
}

static convoy_status check_room(const struct records *r)
{
    uint64_t bytes = 0;
    for (int p = 0; p < r->size; p++)
        if (is_here(r, p))
            bytes += record_store_bytes(r->store, p);
    return record_store_check_room(r->store, r->place, stage_folder(), bytes);
}

/* Opens what the other ranks of this node hold. */
static convoy_status open_others(struct records *r, const double *told)
{
    convoy_status status = CONVOY_OK;
    for (int p = 0; p < r->size && !r->options.evaluate; p++)
        if (p != r->rank && is_here(r, p))
            TRY(record_store_open(r->store, p, r->place,
                                  (int)told[p * N_TOLD + TOLD_PID],
                                  (int)told[p * N_TOLD + TOLD_FD]));
cleanup:
    return status;
}

/* Fills the node's share. Collective. */
static convoy_status fill_store(struct records *r)
{
    convoy_status status = CONVOY_OK;
    double *told = NULL;
    int fd = -1;
    TRY(convoy_world_agree(r->world, mem_alloc_array((size_t)r->size * N_TOLD,
                                                     sizeof *told, (void **)&told)));
    TRY(convoy_world_agree(r->world, check_room(r)));
    TRY(convoy_world_agree(r->world, record_store_hold(r->store, r->rank, r->place,
                                                       stage_folder(),
                                                       r->options.skip_bad, &fd)));
    told[r->rank * N_TOLD + TOLD_PID] = getpid();
    told[r->rank * N_TOLD + TOLD_FD] = fd;
    TRY(exchange_share(r->world, told, r->size, N_TOLD));
    TRY(convoy_world_agree(r->world, open_others(r, told)));
cleanup:
    mem_free(told);
    return status;
}

/* As many steps as any rank's ring can reach into, if its rank has the fewest
 * microbatches a step: lanes, and so rings, may differ. The same on all ranks, which
 * send for the same step at a time. Collective. */
static convoy_status agree_on_ahead(struct records *r)
{
    convoy_status status = CONVOY_OK;
    double *ahead = NULL;
    TRY(convoy_world_agree(
        r->world, mem_alloc_array((size_t)r->size, sizeof *ahead, (void **)&ahead)));
    ahead[r->rank] =
        loader_steps_ahead(&r->options, r->options.n_microbatches / r->size);
    TRY(exchange_share(r->world, ahead, r->size, 1));
    for (int p = 0; p < r->size; p++)
        r->ahead = ahead[p] > r->ahead ? (int)ahead[p] : r->ahead;
cleanup:
    mem_free(ahead);
    return status;
}

static convoy_status create_sending(struct records *r)
{
    convoy_status status = CONVOY_OK;
    const struct loader_options *o = &r->options;
    const size_t n = (size_t)r->size, m = (size_t)o->microbatch;
    const uint64_t n_records = convoy_pack_describe(r->pack)->n_records;
    TRY(sampler_create((uint32_t)n_records, o->seed, o->shuffle, &r->sampler));
    TRY(swap_create(r->world, 0, &r->swap));
    TRY(mem_alloc_array((size_t)o->n_microbatches * m, sizeof *r->order,
                        (void **)&r->order));
    TRY(mem_alloc_array(n, sizeof *r->send_bytes, (void **)&r->send_bytes));
    TRY(mem_alloc_array(n, sizeof *r->receive_bytes, (void **)&r->receive_bytes));
    TRY(mem_alloc_array(n, sizeof *r->fill, (void **)&r->fill));
    r->n_blocks = r->ahead + 1;
    TRY(mem_alloc_array((size_t)r->n_blocks, sizeof *r->blocks, (void **)&r->blocks));
    for (int i = 0; i < r->n_blocks; i++)
        TRY(mem_alloc_array((size_t)o->count * m, sizeof(size_t),
                            (void **)&r->blocks[i].offsets));
cleanup:
    return status;
}

/* The loader's call, from many threads. */
static convoy_status read_record(void *context, uint64_t step, int row, uint64_t record,
                                 void **buffer, size_t *capacity,
                                 struct pack_record *read)
{
    const struct records *r = context;
    if (r->all_here || record_store_has(r->store, record_store_part(r->store, record)))
        return record_store_read(r->store, record, buffer, capacity, read);
    const struct block *block = &r->blocks[step % (uint64_t)r->n_blocks];
    return pack_take(r->pack, record, block->bytes + block->offsets[row], read);
}

static bool is_one_node(const struct records *r)
{
    for (int p = 0; p < r->size; p++)
        if (!is_here(r, p))
            return false;
    return true;
}

static convoy_status create_local(struct records *r)
{
    convoy_status status = create_store(r);
    r->all_here = r->options.evaluate || is_one_node(r);
    r->reader = (struct record_reader){read_record, r, !r->all_here};
    if (status == CONVOY_OK && !r->all_here)
        status = create_sending(r);
    return status;
}

convoy_status records_create(convoy_world *world, const convoy_pack *pack,
                             enum recipe_read read,
                             const struct loader_options *options,
                             struct records **records)
{
    convoy_status status = CONVOY_OK;
    struct records *r = NULL;
    *records = NULL;
    if (read == RECIPE_READ_DIRECT)
        return CONVOY_OK;
    status = mem_alloc(sizeof *r, (void **)&r);
    if (status == CONVOY_OK) {
        r->world = world;
        r->pack = pack;
        r->options = *options;
        r->place = read == RECIPE_READ_MEMORY ? RECORD_MEMORY : RECORD_DISK;
        r->rank = convoy_world_rank(world);
        r->size = convoy_world_size(world);
        status = mem_alloc_array((size_t)r->size, sizeof *r->nodes, (void **)&r->nodes);
    }
    TRY(convoy_world_agree(world, status));
    TRY(swap_nodes(world, r->nodes));
    if (!options->evaluate) /* of which nothing is sent */
        TRY(agree_on_ahead(r));
    TRY(convoy_world_agree(world, create_local(r)));
    TRY(fill_store(r));
    *records = r;
    r = NULL;
cleanup:
    records_destroy(r);
    return status;
}

void records_destroy(struct records *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->n_blocks && r->blocks; i++) {
        mem_free(r->blocks[i].bytes);
        mem_free(r->blocks[i].offsets);
    }
    mem_free(r->blocks);
    mem_free(r->send);
    mem_free(r->send_bytes);
    mem_free(r->receive_bytes);
    mem_free(r->fill);
    mem_free(r->order);
    swap_destroy(r->swap);
    sampler_destroy(r->sampler);
    record_store_destroy(r->store);
    mem_free(r->nodes);
    mem_free(r);
}

const struct record_reader *records_reader(const struct records *records)
{
    return records ? &records->reader : NULL;
}

/* The records of rank in the step whose order is r->order. */
static const uint32_t *rows_of(const struct records *r, int rank, int *n)
{
    int first = 0;
    *n = microbatches_of(r, rank, &first) * r->options.microbatch;
    return r->order + (size_t)first * (size_t)r->options.microbatch;
}

/* How much this rank sends to each, and the bytes, one rank's after another's. */
static convoy_status pack_send(struct records *r)
{
    convoy_status status = CONVOY_OK;
    size_t total = 0, at = 0;
    for (int q = 0; q < r->size; q++) {
        int n = 0;
        const uint32_t *rows = rows_of(r, q, &n);
        r->send_bytes[q] = 0;
        for (int i = 0; i < n && !is_here(r, q); i++)
            if (record_store_part(r->store, rows[i]) == r->rank)
                r->send_bytes[q] += pack_record_bytes(r->pack, rows[i]);
        total += r->send_bytes[q];
    }
    TRY(mem_reserve(&r->send, &r->send_capacity, total));
    for (int q = 0; q < r->size; q++) {
        int n = 0;
        const uint32_t *rows = rows_of(r, q, &n);
        for (int i = 0; i < n && !is_here(r, q); i++) {
            if (record_store_part(r->store, rows[i]) != r->rank)
                continue;
            TRY(record_store_copy(r->store, rows[i], (char *)r->send + at));
            at += pack_record_bytes(r->pack, rows[i]);
        }
    }
cleanup:
    return status;
}

/* How much comes from each, and where each row's record will be in block. */
static convoy_status place_receive(struct records *r, struct block *block)
{
    int n = 0;
    const uint32_t *rows = rows_of(r, r->rank, &n);
    size_t total = 0;
    void *bytes = block->bytes;
    memset(r->receive_bytes, 0, (size_t)r->size * sizeof *r->receive_bytes);
    for (int i = 0; i < n; i++) {
        const int p = record_store_part(r->store, rows[i]);
        if (!is_here(r, p))
            r->receive_bytes[p] += pack_record_bytes(r->pack, rows[i]);
    }
    for (int p = 0; p < r->size; p++) {
        r->fill[p] = total;
        total += r->receive_bytes[p];
    }
    for (int i = 0; i < n; i++) {
        const int p = record_store_part(r->store, rows[i]);
        block->offsets[i] = r->fill[p];
        if (!is_here(r, p))
            r->fill[p] += pack_record_bytes(r->pack, rows[i]);
    }
    convoy_status status = mem_reserve(&bytes, &block->capacity, total);
    block->bytes = bytes;
    return status;
}

static convoy_status prepare_swap(struct records *r, struct block *block)
{
    convoy_status status = CONVOY_OK;
    TRY(place_receive(r, block));
    TRY(pack_send(r));
    TRY(swap_reserve(r->swap, r->send_bytes, r->receive_bytes));
cleanup:
    return status;
}

/* Sends and receives the records of one step. Collective; ranks agree on the outcome.
 */
static convoy_status send_step(struct records *r, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    const struct loader_options *o = &r->options;
    const uint64_t n = convoy_pack_describe(r->pack)->n_records;
    const uint64_t per_epoch =
        loader_steps_per_epoch(n, o->microbatch, o->n_microbatches);
    const int batch = o->n_microbatches * o->microbatch;
    struct block *block = &r->blocks[step % (uint64_t)r->n_blocks];
    const struct sampler_step of = {.epoch = step / per_epoch,
                                    .step = step % per_epoch,
                                    .batch = (uint64_t)batch,
                                    .repeats = sampler_repeats(o->augment.repeats)};
    sampler_batch(r->sampler, &of, 0, batch, r->order);
    TRY(convoy_world_agree(r->world, prepare_swap(r, block)));
    TRY(swap_bytes(r->swap, r->send, r->send_bytes, block->bytes, r->receive_bytes));
cleanup:
    return status;
}

void records_restart(struct records *r)
{
    if (r)
        r->begun = false;
}

convoy_status records_feed(struct records *r, struct loader *loader, uint64_t step,
                           uint64_t end)
{
    convoy_status status = CONVOY_OK;
    if (!r || r->all_here)
        return CONVOY_OK;
    const uint64_t reach = step + (uint64_t)r->n_blocks;
    if (!r->begun)
        r->next = step;
    r->begun = true;
    for (; r->next < reach && r->next < end; r->next++) {
        TRY(send_step(r, r->next));
        loader_feed(loader, r->next + 1);
    }
    /* Where nothing was left to send, the loader may have been started anew. */
    loader_feed(loader, r->next);
cleanup:
    return status;
}
