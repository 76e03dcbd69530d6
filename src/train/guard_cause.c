/* Why a step was not taken. The rank that has the microbatch gets it from its loader
 * again, which makes the same samples of the same records, and computes it op by op:
 * the first op with a value that is no finite number names the layer and the pass. What
 * was found goes to all ranks as numbers; ops have the same number on every rank.
 *
 * Where a second run finds nothing, the first one was not what the recipe says: some
 * machine does not compute or remember well. Whatever fails here fails for itself: the
 * cause is then not told. */
#include "train/guard.h"

#include "base/magnitude.h"
#include "base/memory.h"
#include "base/text.h"
#include "comm/tree.h"
#include "pack/pack.h"
#include "train/resolutions.h"

#include <math.h>

struct search {
    convoy_trainer *trainer;
    int microbatch;
    double *told; /* its row */
};

/* Of those that told names. */
static void add_record(struct search *search, uint32_t record)
{
    double *told = search->told;
    const int n = (int)told[GUARD_N_RECORDS]++;
    if (GUARD_RECORDS + n < GUARD_TOLD)
        told[GUARD_RECORDS + n] = record;
}

static bool is_image_finite(const convoy_trainer *t, const struct batch *batch, int row)
{
    const int *shape = resolutions_shape(t);
    const size_t n = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    const size_t at = (size_t)row * n;
    if (t->recipe->precision == RECIPE_PRECISION_BF16)
        return magnitudes_below_bf16((const uint16_t *)batch->images + at, n, INFINITY);
    return magnitudes_below((const float *)batch->images + at, n, INFINITY);
}

/* Samples whose images, or whose losses after a whole forward pass, are not finite; all
 * where that is said of none. */
static void add_records(struct search *search, const struct batch *batch,
                        const float *losses)
{
    const convoy_trainer *t = search->trainer;
    for (int i = 0; i < batch->n_samples; i++)
        if (losses ? batch->labels[i] >= 0 && !isfinite(losses[i])
                   : !is_image_finite(t, batch, i))
            add_record(search, batch->records[i]);
    search->told[GUARD_BY_LOSS] = search->told[GUARD_N_RECORDS] > 0;
}

static convoy_status compute(struct search *search, const struct batch *batch,
                             float *leaf)
{
    convoy_status status = CONVOY_OK;
    const convoy_trainer *t = search->trainer;
    struct compiled *compiled = t->net_lanes->copies[0];
    const struct run_info info = {
        .seed = t->recipe->seed,
        .step = t->step,
        .first_sample = (uint64_t)batch->index * (uint64_t)t->recipe->batch.microbatch};
    const struct compiled_batch inputs = {batch->images, batch->labels, leaf,
                                          batch->partners, batch->shares};
    int op = NO_OP;
    add_records(search, batch, NULL);
    if (search->told[GUARD_N_RECORDS] > 0) {
        search->told[GUARD_OP] = GUARD_OP_IMAGES;
        return CONVOY_OK;
    }
    TRY(compiled_find_nonfinite(compiled, (float)(1.0 / t->recipe->batch.size), &inputs,
                                &info, &op));
    search->told[GUARD_OP] = op;
    if (op == NO_OP)
        search->told[GUARD_OP] =
            magnitudes_below(leaf, net_leaf_floats(t->net), t->guard.limit)
                ? GUARD_OP_NONE
                : GUARD_OP_LARGE;
    if (op != NO_OP && program_cost(compiled->program, op).phase == PHASE_FORWARD) {
        TRY(compiled_forward_batch(compiled, &inputs, &info));
        add_records(search, batch, compiled_losses(compiled));
    }
    for (int i = 0; i < batch->n_samples && search->told[GUARD_BY_LOSS] == 0; i++)
        add_record(search, batch->records[i]);
cleanup:
    return status;
}

/* One lane takes this rank's microbatches in turn until it has the one. */
static convoy_status find(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct search *search = context;
    convoy_trainer *t = search->trainer;
    float *leaf = NULL;
    struct batch batch;
    if (lane > 0)
        return CONVOY_OK;
    TRY(mem_alloc_array(net_leaf_floats(t->net), sizeof *leaf, (void **)&leaf));
    do {
        TRY(loader_next(t->loader, &batch));
        if (batch.index == search->microbatch)
            status = compute(search, &batch, leaf);
        loader_release(t->loader, &batch);
    } while (status == CONVOY_OK && batch.index != search->microbatch);
cleanup:
    mem_free(leaf);
    return status;
}

static void start_anew(convoy_trainer *t)
{
    t->is_loading = false;
    records_restart(t->records);
}

convoy_status guard_find_cause(convoy_trainer *t, int microbatch)
{
    convoy_status status = CONVOY_OK;
    struct search search = {t, microbatch,
                            t->guard.told + (size_t)microbatch * GUARD_TOLD};
    const int first = exchange_first(t->exchange), count = exchange_count(t->exchange);
    start_anew(t);
    TRY(step_begin_loading(t));
    search.told[GUARD_N_RECORDS] = 0;
    if (first <= microbatch && microbatch < first + count &&
        lanes_run(t->lanes, find, &search) != CONVOY_OK) {
        convoy_status_clear();
        search.told[GUARD_OP] = GUARD_OP_UNKNOWN;
        search.told[GUARD_N_RECORDS] = 0;
    }
    TRY(exchange_share(t->world, t->guard.told, t->n_microbatches, GUARD_TOLD));
cleanup:
    start_anew(t);
    return status;
}

/* Which rank computes a microbatch. */
static int rank_of(const convoy_trainer *t, int microbatch)
{
    const int size = convoy_world_size(t->world);
    for (int rank = 0; rank < size; rank++) {
        int first, count;
        tree_range(t->n_microbatches, rank, size, &first, &count);
        if (microbatch < first + count)
            return rank;
    }
    return size - 1;
}

static void append_records(const convoy_trainer *t, const double *told, char *text,
                           size_t size)
{
    const int n = (int)told[GUARD_N_RECORDS], most = GUARD_TOLD - GUARD_RECORDS;
    if (n == 0)
        return;
    text_append(text, size, "%s record%s ",
                told[GUARD_BY_LOSS] > 0 ? ", of" : ", in a microbatch of",
                n > 1 ? "s" : "");
    for (int i = 0; i < n && i < most; i++)
        text_append(text, size, "%s%.0f", i > 0 ? ", " : "", told[GUARD_RECORDS + i]);
    if (n > most)
        text_append(text, size, " and %d more", n - most);
    text_append(text, size, " of %.1000s", t->recipe->data.train);
}

void guard_append_cause(const convoy_trainer *t, int microbatch, char *text,
                        size_t size)
{
    const double *told = t->guard.told + (size_t)microbatch * GUARD_TOLD;
    const int op = (int)told[GUARD_OP];
    if (op == GUARD_OP_UNKNOWN)
        return;
    if (op == GUARD_OP_NONE)
        text_append(text, size,
                    "; computed once more it is finite: the memory or a processor of "
                    "rank %d may be faulty",
                    rank_of(t, microbatch));
    else if (op == GUARD_OP_LARGE)
        text_append(text, size, ": gradients so large that their sum may overflow");
    else if (op == GUARD_OP_IMAGES)
        text_append(text, size,
                    ": the image itself, scaled by data.std, is not finite");
    else if (op >= 0) {
        const struct program_cost at =
            program_cost(t->net_lanes->copies[0]->program, op);
        text_append(text, size, ": first in the %s pass of %s (%s)",
                    at.phase == PHASE_FORWARD ? "forward" : "backward", at.layer,
                    at.kind);
    }
    append_records(t, told, text, size);
}
