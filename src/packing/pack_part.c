/* Making one file of a pack: records are read, proven and written block by block.
 *
 * Within a block all threads read and prove, in the order in which the records lie in
 * the source; then they are written in the pack's order. A packed archive can be read
 * by one thread and forwards only, so its blocks are large: where its order is another
 * than the pack's, each block unpacks it anew. */
#include "packing/pack_part.h"

#include "base/cpus.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "pack/pack_file.h"
#include "packing/pack_writer.h"
#include "packing/prover.h"

#include <limits.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Most records and bytes of a block. */
enum { BLOCK = 1024, SERIAL_BLOCK = 1 << 16 };
static const uint64_t block_bytes = UINT64_C(1) << 25, serial_block_bytes = UINT64_C(1)
                                                                            << 28;

/* A record on its way. */
struct slot {
    uint64_t entry, place;
    void *buffer;
    size_t capacity;
    struct new_record record;
    convoy_status status;
    char *problem; /* of status */
};

struct worker {
    struct pack_job *job;
    struct slot *slots; /* [n_slots] */
    size_t n_slots;
    struct slot **order; /* [n] those of the block, by place */
    size_t n;
    struct prover **provers; /* [n_threads] */
    int n_threads;
    bool is_serial;
};

static void worker_free(struct worker *worker)
{
    for (size_t i = 0; worker->slots && i < worker->n_slots; i++) {
        mem_free(worker->slots[i].buffer);
        mem_free(worker->slots[i].problem);
    }
    for (int t = 0; worker->provers && t < worker->n_threads; t++)
        prover_destroy(worker->provers[t]);
    mem_free(worker->slots);
    mem_free(worker->order);
    mem_free(worker->provers);
}

/* *worker is to be freed also on error. */
static convoy_status worker_init(struct pack_job *job, uint64_t n_records,
                                 struct worker *worker)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_options *options = job->plan->options;
    *worker = (struct worker){.job = job};
    worker->is_serial = source_reader_is_serial(job->reader);
    worker->n_slots = worker->is_serial ? SERIAL_BLOCK : BLOCK;
    if (n_records < worker->n_slots)
        worker->n_slots = (size_t)n_records;
    TRY(cpus_check_openmp());
    worker->n_threads = options->threads ? options->threads : omp_get_max_threads();
    TRY(mem_alloc_array(worker->n_slots, sizeof *worker->slots,
                        (void **)&worker->slots));
    TRY(mem_alloc_array(worker->n_slots, sizeof *worker->order,
                        (void **)&worker->order));
    TRY(mem_alloc_array((size_t)worker->n_threads, sizeof *worker->provers,
                        (void **)&worker->provers));
    for (int t = 0; t < worker->n_threads; t++)
        TRY(prover_create(options, &worker->provers[t]));
cleanup:
    return status;
}

static int compare_places(const void *a, const void *b)
{
    const struct slot *x = *(struct slot *const *)a, *y = *(struct slot *const *)b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Fills slots from entry first on; at least one, and not up to end where that is too
 * much. */
static void choose_block(struct worker *worker, uint64_t first, uint64_t end)
{
    const struct listing *listing = &worker->job->plan->listing;
    const uint64_t most = worker->is_serial ? serial_block_bytes : block_bytes;
    uint64_t bytes = 0;
    size_t n = 0;
    for (; n < worker->n_slots && first + n < end && (n == 0 || bytes < most); n++) {
        struct slot *slot = &worker->slots[n];
        slot->entry = first + n;
        slot->place = listing->entries[slot->entry].place;
        slot->status = CONVOY_OK;
        bytes += listing->entries[slot->entry].n_bytes;
        worker->order[n] = slot;
    }
    worker->n = n;
    if (listing->is_container)
        qsort(worker->order, n, sizeof *worker->order, compare_places);
}

/* Keeps why the thread's last call failed. */
static void keep_problem(struct slot *slot, convoy_status status)
{
    mem_free(slot->problem);
    slot->problem = NULL;
    slot->status = status;
    if (status == CONVOY_OK)
        return;
    const convoy_status kept = mem_copy_text(convoy_status_text(), &slot->problem);
    if (kept != CONVOY_OK)
        slot->status = kept;
}

static convoy_status read_slot(const struct pack_job *job, struct slot *slot)
{
    convoy_status status =
        source_reader_read(job->reader, slot->entry, &slot->buffer, &slot->capacity);
    /* The file could not be read, whatever is in it: that is no reason to go on. */
    return status == CONVOY_ERROR_FORMAT ? CONVOY_ERROR_IO : status;
}

/* The records of the block, in the order in which they lie in a stream that only goes
 * forward: a file that links give several names is read once. */
static void read_serially(struct worker *worker)
{
    const struct pack_job *job = worker->job;
    const struct listing_entry *entries = job->plan->listing.entries;
    for (size_t i = 0; i < worker->n; i++) {
        struct slot *slot = worker->order[i], *last = i ? worker->order[i - 1] : NULL;
        const size_t n = entries[slot->entry].n_bytes;
        convoy_status status;
        if (last && last->place == slot->place && last->status == CONVOY_OK &&
            entries[last->entry].n_bytes == n) {
            status = mem_reserve(&slot->buffer, &slot->capacity, n);
            if (status == CONVOY_OK && n > 0)
                memcpy(slot->buffer, last->buffer, n);
        } else {
            status = read_slot(job, slot);
        }
        keep_problem(slot, status);
    }
}

static convoy_status prove_slot(const struct pack_job *job, struct prover *prover,
                                struct slot *slot)
{
    const struct listing *listing = &job->plan->listing;
    const struct listing_entry *entry = &listing->entries[slot->entry];
    char name[PATH_MAX];
    convoy_status status = CONVOY_OK;
    if (listing->is_raw) {
        slot->record = (struct new_record){.bytes = slot->buffer,
                                           .n_bytes = entry->n_bytes,
                                           .encoding = CONVOY_ENCODING_RAW,
                                           .width = (uint16_t)listing->shape[2],
                                           .height = (uint16_t)listing->shape[1]};
    } else {
        status = prover_take(prover, &slot->buffer, &slot->capacity, entry->n_bytes,
                             &slot->record);
        if (status != CONVOY_OK) {
            source_reader_name(job->reader, slot->entry, name, sizeof name);
            status_prefix(status, "%s", name);
        }
    }
    slot->record.label = entry->label;
    return status;
}

/* Reads and proves the block. */
static void take_block(struct worker *worker)
{
    const struct pack_job *job = worker->job;
    const long n = (long)worker->n;
    if (worker->is_serial)
        read_serially(worker);
#pragma omp parallel for schedule(dynamic) num_threads(worker->n_threads)
    for (long i = 0; i < n; i++) {
        struct slot *slot = worker->order[i];
        struct prover *prover = worker->provers[omp_get_thread_num()];
        if (!worker->is_serial)
            keep_problem(slot, read_slot(job, slot));
        if (slot->status == CONVOY_OK)
            keep_problem(slot, prove_slot(job, prover, slot));
    }
}

static convoy_status write_block(struct worker *worker, struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    const bool strict = worker->job->plan->options->strict;
    for (size_t i = 0; i < worker->n; i++) {
        const struct slot *slot = &worker->slots[i];
        if (slot->status == CONVOY_OK)
            TRY(pack_writer_add(writer, &slot->record));
        else if (slot->status == CONVOY_ERROR_FORMAT && !strict)
            TRY(pack_writer_note(writer, slot->problem));
        else
            TRY(FAIL(slot->status, "%s", slot->problem ? slot->problem : ""));
    }
cleanup:
    return status;
}

static convoy_status write_records(struct pack_job *job, int k,
                                   struct pack_writer *writer)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_options *options = job->plan->options;
    struct worker worker;
    uint64_t first = 0, end = 0;
    pack_plan_range(job->plan, k, &first, &end);
    TRY(worker_init(job, end - first, &worker));
    while (first < end) {
        choose_block(&worker, first, end);
        take_block(&worker);
        TRY(write_block(&worker, writer));
        first += worker.n;
        job->n_done += worker.n;
        if (options->progress)
            options->progress(options->context, job->n_done, job->n_all);
    }
cleanup:
    worker_free(&worker);
    return status;
}

convoy_status pack_part_write(struct pack_job *job, int k, const char *path)
{
    convoy_status status = CONVOY_OK;
    const struct pack_plan *plan = job->plan;
    const struct listing *listing = &plan->listing;
    struct pack_writer *writer = NULL;
    char state[33];
    struct pack_facts facts = {.classes = &listing->classes,
                               .part = k,
                               .n_parts = plan->n_parts,
                               .plan = plan->id,
                               .state = state};
    memcpy(facts.shape, listing->shape, sizeof facts.shape);
    TRY(pack_plan_state(plan, k, state));
    TRY(pack_writer_create(path, &facts, &writer));
    for (size_t i = 0; k == 0 && i < listing->notes.n; i++)
        TRY(pack_writer_note(writer, texts_get(&listing->notes, i)));
    TRY(write_records(job, k, writer));
    TRY(pack_writer_commit(writer));
cleanup:
    pack_writer_destroy(writer);
    return status;
}

/* Whether all checksums hold. */
static bool is_undamaged(const char *path)
{
    convoy_pack *pack = NULL;
    void *buffer = NULL;
    size_t capacity = 0;
    struct pack_record record;
    convoy_status status = convoy_pack_open(path, &pack);
    const uint64_t n = status == CONVOY_OK ? convoy_pack_describe(pack)->n_records : 0;
    for (uint64_t i = 0; i < n && status == CONVOY_OK; i++)
        status = pack_read(pack, i, &buffer, &capacity, &record);
    convoy_pack_close(pack);
    mem_free(buffer);
    return status == CONVOY_OK;
}

bool pack_part_is_done(const struct pack_job *job, int k, const char *path)
{
    const struct pack_plan *plan = job->plan;
    struct pack_file file = {.start = 0};
    char state[33];
    const bool is_ours = pack_plan_state(plan, k, state) == CONVOY_OK &&
                         pack_file_load(path, &file) == CONVOY_OK &&
                         file.info.part == k && file.info.n_parts == plan->n_parts &&
                         strcmp(file.plan, plan->id) == 0 &&
                         strcmp(file.state, state) == 0;
    const bool is_empty = file.info.n_records == 0;
    pack_file_free(&file);
    return is_ours && (is_empty || is_undamaged(path));
}
