/* Precise batch norm (Wu and Johnson 2021, "Rethinking Batch in BatchNorm", section 3;
 * torch.optim.swa_utils.update_bn). Running statistics are those of weights that have
 * changed since, with most weight on the last few steps; of averaged weights they are
 * the average of other nets' statistics. Here the weights stay as they are, and
 * training batches go through the net, forward only, as training passes them:
 *
 *     mean     <- the mean over microbatches of their means
 *     variance <- the mean over microbatches of their unbiased variances
 *
 * A batch's statistics are added up as a step's are, in the tree over its microbatches
 * (comm/exchange.h), and batches in their order, in double: so the bits depend neither
 * on ranks nor lanes. */
#include "infer/norm_recompute.h"

#include "base/memory.h"
#include "base/pulse.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "comm/world.h"

#include <string.h>

/* As many as pycls takes for its precise batch norm. */
enum { ENOUGH_SAMPLES = 8192 };

struct norm_recompute {
    convoy_world *world;
    struct norm_options options;
    struct exchange *exchange; /* of statistics alone */
    double *sums;              /* [buffer_floats] over all microbatches */
    float *kept;               /* [buffer_floats] the running statistics */

    /* Of the batch that lanes are at: */
    const struct norm_batches *batches;
    uint64_t step;
    atomic_int n_taken; /* of this rank's microbatches */
};

int norm_n_batches(const convoy_recipe *recipe, uint64_t steps_per_epoch)
{
    const int size = recipe->batch.size;
    const int wanted = recipe->eval.batches > 0 ? recipe->eval.batches
                                                : (ENOUGH_SAMPLES + size - 1) / size;
    return (uint64_t)wanted < steps_per_epoch ? wanted : (int)steps_per_epoch;
}

uint64_t norm_first_step(uint64_t step, uint64_t steps_per_epoch)
{
    return step > 0 ? (step - 1) / steps_per_epoch * steps_per_epoch : 0;
}

bool norm_has_any(const convoy_net *net)
{
    for (int i = 0; i < net->store.n_buffers; i++)
        if (net->store.buffers[i].n_values > 0)
            return true;
    return false;
}

static struct exchange_options exchange_of(const convoy_net *net, int n_microbatches,
                                           int lanes)
{
    return (struct exchange_options){
        .n_leaves = n_microbatches, .n = net->store.buffer_floats, .lanes = lanes};
}

uint64_t norm_recompute_bytes(const convoy_net *net, int n_microbatches, int rank,
                              int n_ranks, int lanes)
{
    const uint64_t n = net->store.buffer_floats;
    const uint64_t n_vectors = (uint64_t)exchange_n_vectors(
        n_microbatches, rank, n_ranks, lanes, exchange_algorithm_at(0));
    return n * (n_vectors * sizeof(float) + sizeof(double) + sizeof(float));
}

static convoy_status allocate(struct norm_recompute *norm)
{
    convoy_status status = CONVOY_OK;
    const size_t n = norm->options.net->store.buffer_floats;
    TRY(mem_alloc_array(n, sizeof *norm->sums, (void **)&norm->sums));
    TRY(mem_alloc_array(n, sizeof *norm->kept, (void **)&norm->kept));
cleanup:
    return status;
}

convoy_status norm_recompute_create(convoy_world *world,
                                    const struct norm_options *options,
                                    struct norm_recompute **out)
{
    convoy_status status = CONVOY_OK;
    struct norm_recompute *norm = NULL;
    const struct exchange_options exchange =
        exchange_of(options->net, options->n_microbatches, lanes_n(options->lanes));
    status = mem_alloc(sizeof *norm, (void **)&norm);
    if (status == CONVOY_OK) {
        norm->world = world;
        norm->options = *options;
        status = allocate(norm);
    }
    TRY(convoy_world_agree(world, status));
    TRY(exchange_create(world, &exchange, &norm->exchange));
    *out = norm;
    norm = NULL;
cleanup:
    norm_recompute_destroy(norm);
    return status;
}

void norm_recompute_destroy(struct norm_recompute *norm)
{
    if (!norm)
        return;
    exchange_destroy(norm->exchange);
    mem_free(norm->sums);
    mem_free(norm->kept);
    mem_free(norm);
}

/* A microbatch's statistics into the exchange. */
static convoy_status pass(struct norm_recompute *norm, int lane,
                          const struct batch *batch)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {.seed = norm->options.seed,
                                  .step = norm->step,
                                  .first_sample = (uint64_t)batch->index *
                                                  (uint64_t)norm->options.microbatch};
    float *leaf = exchange_leaf(norm->exchange, batch->index, lane);
    if (!leaf) /* another lane has failed */
        return CONVOY_OK;
    const struct compiled_batch inputs = {.images = batch->images,
                                          .labels = batch->labels};
    TRY(compiled_forward_statistics(norm->batches->net_lanes->copies[lane], &inputs,
                                    leaf, &info));
    exchange_leaf_done(norm->exchange, batch->index);
cleanup:
    return status;
}

/* Microbatches of one batch as long as there are any. */
static convoy_status pass_lane(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct norm_recompute *norm = context;
    struct loader *loader = norm->batches->loader;
    const int count = exchange_count(norm->exchange);
    while (atomic_fetch_add(&norm->n_taken, 1) < count) {
        struct batch batch;
        TRY(loader_next(loader, &batch));
        status = pass(norm, lane, &batch);
        loader_release(loader, &batch);
        if (status != CONVOY_OK)
            goto cleanup;
    }
    exchange_finish(norm->exchange);
cleanup:
    if (status != CONVOY_OK) {
        atomic_store(&norm->n_taken, count);
        exchange_cancel(norm->exchange);
    }
    return status;
}

/* All ranks' statistics of one batch. Lanes are done before ranks exchange: vectors are
 * short, and so all agree on how the lanes fared first. */
static convoy_status add_batch(struct norm_recompute *norm, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    const struct norm_batches *batches = norm->batches;
    const size_t n = norm->options.net->store.buffer_floats;
    struct leaf_sum sum;
    norm->step = step;
    if (batches->feed)
        TRY(batches->feed(batches->context, step));
    exchange_begin(norm->exchange);
    atomic_store(&norm->n_taken, 0);
    TRY(convoy_world_agree(norm->world,
                           lanes_run(norm->options.lanes, pass_lane, norm)));
    TRY(exchange_reduce(norm->exchange));
    exchange_wait(norm->exchange, buckets_to(exchange_buckets(norm->exchange), 0),
                  &sum);
    const float *values = leaf_sum_values(&sum, 0, n, NULL);
    for (size_t i = 0; i < n; i++)
        norm->sums[i] += (double)values[i];
    exchange_restart(norm->exchange);
cleanup:
    return status;
}

/* Local. */
static convoy_status begin(struct norm_recompute *norm)
{
    convoy_status status = CONVOY_OK;
    const struct norm_batches *batches = norm->batches;
    TRY(net_lanes_refresh(batches->net_lanes));
    TRY(loader_start(batches->loader, batches->first_step));
cleanup:
    return status;
}

convoy_status norm_recompute_run(struct norm_recompute *norm,
                                 const struct norm_batches *batches)
{
    convoy_status status = CONVOY_OK;
    const struct norm_options *o = &norm->options;
    const struct param_store *store = &o->net->store;
    norm->batches = batches;
    pulse_enter_phase(PULSE_EVALUATION);
    memset(norm->sums, 0, store->buffer_floats * sizeof *norm->sums);
    TRY(convoy_world_agree(norm->world, begin(norm)));
    for (int b = 0; b < o->batches; b++)
        TRY(add_batch(norm, batches->first_step + (uint64_t)b));
    memcpy(norm->kept, store->buffer_data, store->buffer_floats * sizeof *norm->kept);
    compiled_set_buffers(batches->net_lanes->copies[0], norm->sums,
                         (double)o->batches * o->n_microbatches);
cleanup:
    loader_stop(batches->loader);
    return status;
}

void norm_recompute_undo(struct norm_recompute *norm)
{
    const struct param_store *store = &norm->options.net->store;
    memcpy(store->buffer_data, norm->kept, store->buffer_floats * sizeof *norm->kept);
}
