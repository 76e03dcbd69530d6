/* One step: forward and backward of this rank's microbatches, the exchange, the
 * optimizer.
 *
 * Ranks tell each other a few numbers a microbatch before the exchange: its scores,
 * whether this rank failed and whether it was asked to stop. A rank that fails thus
 * still takes part, every rank learns of it at the same place, and nobody is left
 * waiting. */
#include "train/trainer.h"

#include "comm/tree.h"
#include "base/clock.h"

#include <math.h>

/* Forward and backward of one microbatch into the exchange. */
static convoy_status run_microbatch(convoy_trainer *t, int lane,
                                    const struct batch *batch)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {
        .seed = t->recipe->seed,
        .step = t->step,
        .first_sample = (uint64_t)batch->index * (uint64_t)t->recipe->batch.microbatch};
    const float scale = (float)(1.0 / t->recipe->batch.size);
    struct compiled *compiled = t->net_lanes->copies[lane];
    double *shared = t->shared + (size_t)batch->index * N_SHARED;
    float *leaf = exchange_leaf(t->exchange, batch->index, lane);
    if (!leaf) /* another lane has failed */
        return CONVOY_OK;
    TRY(compiled_forward(compiled, batch->images, batch->labels, leaf, &info));
    score_microbatch(compiled, batch->labels, shared);
    shared[SHARED_BAD_RECORD] = batch->n_skipped ? (double)batch->first_skipped + 1 : 0;
    TRY(compiled_backward(compiled, scale, &info));
    exchange_leaf_done(t->exchange, batch->index);
cleanup:
    return status;
}

/* Microbatches as long as there are any; then what is left of adding them up. */
static convoy_status run_lane(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = context;
    const int count = exchange_count(t->exchange);
    while (atomic_fetch_add(&t->n_taken, 1) < count) {
        struct batch batch;
        TRY(loader_next(t->loader, &batch));
        status = run_microbatch(t, lane, &batch);
        loader_release(t->loader, &batch);
        if (status != CONVOY_OK)
            goto cleanup;
    }
    exchange_finish(t->exchange);
cleanup:
    if (status != CONVOY_OK) {
        atomic_store(&t->n_taken, count);
        exchange_cancel(t->exchange);
    }
    return status;
}

static convoy_status run_own(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(net_lanes_refresh(t->net_lanes));
    atomic_store(&t->n_taken, 0);
    TRY(lanes_run(t->lanes, run_lane, t));
cleanup:
    return status;
}

/* How many samples were left out, and the record of the first of them. */
static void find_skipped(const convoy_trainer *t, convoy_step_result *result)
{
    const int M = t->n_microbatches;
    const double samples = tree_sum(t->shared + SCORE_SAMPLES, M, N_SHARED);
    result->n_skipped = t->recipe->batch.size - (int)samples;
    result->first_skipped = 0;
    for (int j = 0; j < M; j++) {
        const double record = t->shared[(size_t)j * N_SHARED + SHARED_BAD_RECORD];
        if (record > 0) {
            result->first_skipped = (uint64_t)record - 1;
            return;
        }
    }
}

/* All ranks' numbers. Fails only with MPI. */
static convoy_status share(convoy_trainer *t, bool failed, bool stop,
                           convoy_step_result *result)
{
    convoy_status status = CONVOY_OK;
    const int first = exchange_first(t->exchange), M = t->n_microbatches;
    double *own = t->shared + (size_t)first * N_SHARED;
    own[SHARED_FAILED] = failed;
    own[SHARED_STOP] = stop;
    TRY(exchange_share(t->world, t->shared, M, N_SHARED));
    result->stop = tree_sum(t->shared + SHARED_STOP, M, N_SHARED) > 0;
    find_skipped(t, result);
    const int left = t->recipe->batch.size - result->n_skipped;
    const double samples = left > 0 ? left : 1;
    result->loss = tree_sum(t->shared + SCORE_LOSS, M, N_SHARED) / samples;
    result->top1 = tree_sum(t->shared + SCORE_TOP1, M, N_SHARED) / samples;
    result->n_samples = left;
    result->lr = schedule_lr(&t->schedule, t->step);
cleanup:
    return status;
}

/* Whether the step can be taken, by the shared numbers: so all ranks ask alike, and
 * agree where one has failed. failure: this rank's own. */
static convoy_status judge(convoy_trainer *t, const struct failure *failure,
                           const convoy_step_result *result)
{
    const int M = t->n_microbatches;
    if (tree_sum(t->shared + SHARED_FAILED, M, N_SHARED) > 0)
        return convoy_world_agree(t->world, failure->status == CONVOY_OK
                                                ? CONVOY_OK
                                                : status_restore(failure));
    if (isfinite(result->loss))
        return CONVOY_OK;
    return convoy_world_agree(
        t->world,
        FAIL(CONVOY_ERROR_ARGUMENT,
             "the loss is %s at step %llu: the training diverged; lower schedule.lr "
             "(now %g) or lengthen schedule.warmup_epochs",
             isnan(result->loss) ? "not a number" : "infinite",
             (unsigned long long)t->step, result->lr));
}

struct update {
    convoy_trainer *trainer;
    const struct leaf_sum *sum;
    double lr;
};

/* A step of what of the range is within [begin, end), by grads of [begin, end). */
static void update_range(const struct update *u, const struct learning_range *range,
                         size_t begin, size_t end, const float *grads)
{
    const convoy_trainer *t = u->trainer;
    const size_t from = begin > range->begin ? begin : range->begin,
                 to = end < range->end ? end : range->end;
    if (from < to)
        optimizer_step(t->optimizer, t->net->store.param_data, grads + (from - begin),
                       from, to, u->lr * range->lr_scale,
                       range->decay ? t->recipe->optimizer.weight_decay : 0);
}

/* The last sum is made in the cache, for the piece that is used at once. */
static void update_piece(void *context, int worker, size_t begin, size_t end)
{
    const struct update *u = context;
    const convoy_trainer *t = u->trainer;
    float *room = t->update_room + (size_t)worker * UPDATE_PIECE;
    const float *grads = leaf_sum_values(u->sum, begin, end, room);
    for (int i = 0; i < t->n_ranges; i++)
        update_range(u, &t->ranges[i], begin, end, grads);
}

static void update_tensors(void *context, int worker, size_t begin, size_t end)
{
    const struct update *u = context;
    const struct learning_range *ranges = u->trainer->ranges;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        update_range(u, &ranges[i], ranges[i].begin, ranges[i].end,
                     leaf_sum_values(u->sum, ranges[i].begin, ranges[i].end, NULL));
}

/* By all lanes: values in pieces, or tensor by tensor where the optimizer wants whole
 * ones. Its bits do not depend on how that is cut. */
static void update(convoy_trainer *t, const struct leaf_sum *sum, double lr)
{
    const size_t n = net_param_floats(t->net);
    struct lanes *lanes = n < UPDATE_TOGETHER ? NULL : t->lanes;
    struct update u = {t, sum, lr};
    if (optimizer_kind(t->optimizer)->whole_tensors)
        lanes_for(lanes, (size_t)t->n_ranges, 1, update_tensors, &u);
    else
        lanes_for(lanes, n, UPDATE_PIECE, update_piece, &u);
    net_update_buffers(t->net, leaf_sum_values(sum, n, net_leaf_floats(t->net), NULL),
                       t->n_microbatches);
}

/* Seconds since *at, which becomes now. */
static double lap(double *at)
{
    const double since = *at;
    *at = clock_now_s();
    return *at - since;
}

/* The loader is started at the first step, and anew after convoy_trainer_load and after
 * an evaluation, which works in its memory. */
static convoy_status begin_loading(convoy_trainer *t)
{
    if (t->is_loading)
        return CONVOY_OK;
    if (t->step >= t->total_steps)
        return convoy_world_agree(t->world,
                                  FAIL(CONVOY_ERROR_ARGUMENT,
                                       "all %llu steps of the schedule are done",
                                       (unsigned long long)t->total_steps));
    const convoy_status status =
        convoy_world_agree(t->world, loader_start(t->loader, t->step));
    t->is_loading = status == CONVOY_OK;
    return status;
}

/* Forward and backward passes of this rank, and what ranks tell each other of them. at:
 * the time until now has been counted. */
static convoy_status compute(convoy_trainer *t, bool stop, double *at,
                             convoy_step_result *result)
{
    convoy_status status = CONVOY_OK;
    struct failure failure = {0};
    convoy_step_seconds *seconds = &result->seconds;
    const convoy_status own = run_own(t);
    if (own != CONVOY_OK)
        status_save(own, &failure);
    seconds->waited = loader_waited_s(t->loader);
    seconds->input += seconds->waited;
    seconds->compute = lap(at) - seconds->waited;
    TRY(share(t, own != CONVOY_OK, stop, result));
    TRY(judge(t, &failure, result));
cleanup:
    return status;
}

convoy_status convoy_trainer_step(convoy_trainer *t, bool stop,
                                  convoy_step_result *result)
{
    convoy_status status = CONVOY_OK;
    struct leaf_sum sum;
    convoy_step_result made = {0};
    double at = clock_now_s();
    TRY(begin_loading(t));
    TRY(records_feed(t->records, t->loader, t->step, t->total_steps));
    made.seconds.input = lap(&at);
    TRY(compute(t, stop, &at, &made));
    TRY(exchange_reduce(t->exchange, &sum));
    made.seconds.exchange = lap(&at);
    update(t, &sum, made.lr);
    made.seconds.optimizer = lap(&at);
    t->step++;
    t->is_loading = t->step < t->total_steps;
    *result = made;
cleanup:
    return status;
}
