/* One step: forward and backward of this rank's microbatches, the exchange, the
 * optimizer.
 *
 * The lanes compute, add up their gradients, and, when all sums are there, update the
 * weights. The thread that called takes no part in that: it alone talks to other
 * ranks, and moves the exchange on.
 *
 * Ranks tell each other a few numbers a microbatch when the last of their forward
 * passes is done: its scores, whether this rank failed and whether it was asked to
 * stop. A rank that has failed by then still takes part, every rank learns of it at the
 * same place, and nobody is left waiting. A failure after that, in a backward pass, is
 * fatal to the job: other ranks are in the exchange.
 *
 * No weight changes before the guard (guard.h) has seen the sum of what all
 * microbatches say of their gradients, which is final when all of them are. */
#include "train/resolutions.h"

#include "base/clock.h"
#include "base/pulse.h"
#include "comm/tree.h"
#include "train/average.h"
#include "train/trace.h"

#include <math.h>

void step_scored_init(struct scored *scored)
{
    /* Neither fails with default attributes where there is memory for it. */
    pthread_mutex_init(&scored->mutex, NULL);
    pthread_cond_init(&scored->changed, NULL);
}

void step_scored_fini(struct scored *scored)
{
    pthread_cond_destroy(&scored->changed);
    pthread_mutex_destroy(&scored->mutex);
}

/* One more microbatch has its scores, or a lane has failed. */
static void tell_scored(struct scored *scored, bool failed)
{
    pthread_mutex_lock(&scored->mutex);
    scored->n += !failed;
    scored->failed = scored->failed || failed;
    pthread_cond_signal(&scored->changed);
    pthread_mutex_unlock(&scored->mutex);
}

/* Sleeps until n have; false: a lane has failed before. */
static bool wait_scored(struct scored *scored, int n)
{
    pthread_mutex_lock(&scored->mutex);
    while (scored->n < n && !scored->failed)
        pthread_cond_wait(&scored->changed, &scored->mutex);
    const bool all = scored->n >= n;
    pthread_mutex_unlock(&scored->mutex);
    return all;
}

struct pass {
    struct exchange *exchange;
    int leaf;
    struct guard_watch watch;
    double *ready_s; /* [n_ready] of the buckets that are made so far; NULL: not asked
                        for */
    int n_ready;
};

static void note_ready(struct pass *pass, int n)
{
    const double now_s = pass->ready_s && pass->n_ready < n ? clock_now_s() : 0;
    while (pass->ready_s && pass->n_ready < n)
        pass->ready_s[pass->n_ready++] = now_s;
}

/* Looks at a layer's gradients while they are in the cache. */
static void tell_final(void *context, size_t from)
{
    struct pass *pass = context;
    guard_watch_from(&pass->watch, from);
    if (from > 0)
        note_ready(pass,
                   buckets_from(exchange_buckets(pass->exchange), GUARD_HEAD + from));
    if (from > 0) /* all of it: exchange_leaf_done */
        exchange_leaf_final(pass->exchange, pass->leaf, GUARD_HEAD + from);
}

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
    const int n_buckets = exchange_buckets(t->exchange)->count;
    struct pass pass = {
        .exchange = t->exchange,
        .leaf = batch->index,
        .watch = guard_watch(&t->guard, t->net, leaf),
        .ready_s =
            t->lane_ready_s ? t->lane_ready_s + (size_t)lane * (size_t)n_buckets : NULL,
    };
    double traced = trace_now(t->trace);
    const struct compiled_batch inputs = {batch->images, batch->labels,
                                          leaf + GUARD_HEAD, batch->partners,
                                          batch->shares};
    TRY(compiled_forward_batch(compiled, &inputs, &info));
    score_microbatch(compiled, batch->labels, shared);
    shared[SHARED_BAD_RECORD] = batch->n_skipped ? (double)batch->first_skipped + 1 : 0;
    tell_scored(&t->scored, false);
    trace_mark(t->trace, lane, TRACE_FORWARD, batch->index, &traced);
    TRY(compiled_backward_telling(compiled, scale, &info, tell_final, &pass));
    guard_watch_end(&pass.watch, batch->index);
    note_ready(&pass, n_buckets);
    exchange_leaf_done(t->exchange, batch->index);
    trace_mark(t->trace, lane, TRACE_BACKWARD, batch->index, &traced);
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
    result->top5 = tree_sum(t->shared + SCORE_TOP5, M, N_SHARED) / samples;
    result->n_samples = left;
    result->lr = t->lr;
cleanup:
    return status;
}

/* Whether the step can be exchanged, by the shared numbers: so all ranks ask alike, and
 * agree where one has failed. failure: this rank's own. */
static convoy_status judge(convoy_trainer *t, const struct failure *failure)
{
    const int M = t->n_microbatches;
    if (tree_sum(t->shared + SHARED_FAILED, M, N_SHARED) > 0)
        return convoy_world_agree(t->world, failure->status == CONVOY_OK
                                                ? CONVOY_OK
                                                : status_restore(failure));
    return CONVOY_OK;
}

/* Where an update finds its gradients: the last sum is made for the piece that is used
 * at once. */
static const float *gradients(const void *context, size_t begin, size_t end,
                              float *room)
{
    return leaf_sum_values(context, GUARD_HEAD + begin, GUARD_HEAD + end, room);
}

/* A worker's marks of what it updates. */
struct update_marks {
    convoy_trainer *trainer;
    int lane;
    double traced;
};

static void mark_updated(void *context, size_t begin)
{
    struct update_marks *marks = context;
    const convoy_trainer *t = marks->trainer;
    const int bucket =
        buckets_to(exchange_buckets(t->exchange), GUARD_HEAD + begin) - 1;
    trace_mark(t->trace, marks->lane, TRACE_UPDATE, bucket, &marks->traced);
}

/* Sleeps until the sums of all gradients are there. False: cancelled, or the weights
 * must not change. */
static bool wait_for_gradients(convoy_trainer *t, int worker, struct leaf_sum *sum)
{
    const int lane = worker / t->threads;
    const int n_buckets = buckets_to(exchange_buckets(t->exchange), 0);
    const bool is_first = worker % t->threads == 0;
    const double start = clock_now_s();
    double traced = is_first ? trace_now(t->trace) : 0;
    const bool is_there = exchange_wait(t->exchange, n_buckets, sum);
    if (is_first)
        t->lane_seconds[lane].exposed += clock_now_s() - start;
    trace_mark(t->trace, lane, TRACE_EXPOSED, n_buckets - 1, &traced);
    return is_there && guard_allows(&t->guard, sum);
}

/* By all threads of all lanes. Where weights must not change, none of them begins. */
static void update(void *context, int worker)
{
    convoy_trainer *t = context;
    struct leaf_sum sum;
    const struct update_source source = {gradients, &sum};
    struct update_marks marks = {t, worker / t->threads, 0};
    if (!wait_for_gradients(t, worker, &sum)) {
        update_cancel(t->update);
        return;
    }
    const bool is_first = worker % t->threads == 0;
    marks.traced = is_first ? trace_now(t->trace) : 0;
    update_work(t->update, worker, &source, marks.traced > 0 ? mark_updated : NULL,
                &marks);
}

/* Microbatches as long as there are any. */
static convoy_status run_microbatches(convoy_trainer *t, int lane)
{
    convoy_status status = CONVOY_OK;
    const int count = exchange_count(t->exchange);
    while (atomic_fetch_add(&t->n_taken, 1) < count) {
        struct batch batch;
        double traced = trace_now(t->trace);
        TRY(loader_next(t->loader, &batch));
        trace_mark(t->trace, lane, TRACE_INPUT, -1, &traced);
        const double since_s = clock_now_s();
        status = run_microbatch(t, lane, &batch);
        t->lane_seconds[lane].at_work += clock_now_s() - since_s;
        loader_release(t->loader, &batch);
        if (status != CONVOY_OK)
            goto cleanup;
    }
cleanup:
    return status;
}

/* A lane's whole step. */
static convoy_status run_lane(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    convoy_trainer *t = context;
    struct lane_seconds *seconds = &t->lane_seconds[lane];
    *seconds = (struct lane_seconds){.exposed = 0};
    TRY(run_microbatches(t, lane));
    double traced = trace_now(t->trace);
    const double since_s = clock_now_s();
    exchange_finish(t->exchange);
    trace_mark(t->trace, lane, TRACE_SUMS, -1, &traced);
    seconds->computed = clock_now_s();
    seconds->at_work += seconds->computed - since_s;
    lanes_team(t->lanes, lane, update, t);
    seconds->ended = clock_now_s();
cleanup:
    if (status != CONVOY_OK) {
        atomic_store(&t->n_taken, exchange_count(t->exchange));
        tell_scored(&t->scored, true);
        exchange_cancel(t->exchange);
        update_cancel(t->update);
    }
    return status;
}

/* Starts the lanes and waits for the last forward pass. A failure is saved; without one
 * the lanes go on. */
static void begin_computing(convoy_trainer *t, struct failure *failure)
{
    exchange_begin(t->exchange);
    resolutions_turn(t, t->step);
    t->lr = schedule_lr(&t->schedule, t->step);
    t->momentum = schedule_momentum(&t->schedule, t->step);
    double traced = trace_now(t->trace);
    convoy_status status = net_lanes_refresh(t->net_lanes);
    trace_mark_caller(t->trace, TRACE_PREPARE, &traced);
    if (status == CONVOY_OK) {
        atomic_store(&t->n_taken, 0);
        update_begin(t->update, &(struct update_step){
                                    .params = t->net->store.param_data,
                                    .step = t->step,
                                    .lr = t->lr,
                                    .momentum = t->momentum < 0 ? NULL : &t->momentum});
        t->scored.n = 0;
        t->scored.failed = false;
        lanes_start(t->lanes, run_lane, t);
        if (!wait_scored(&t->scored, exchange_count(t->exchange)))
            status = lanes_wait(t->lanes);
        trace_mark_caller(t->trace, TRACE_SCORED, &traced);
    }
    if (status != CONVOY_OK)
        status_save(status, failure);
}

/* The loader is started at the first step, and anew after convoy_trainer_load and after
 * an evaluation, which works in its memory. */
static convoy_status start_loader(convoy_trainer *t)
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

convoy_status step_begin_loading(convoy_trainer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(start_loader(t));
    TRY(records_feed(t->records, t->loader, t->step, t->total_steps));
cleanup:
    return status;
}

/* Waits for the lanes of a step that is exchanged, or, where others have failed, not.
 * The lanes' failure explains the exchange's; it is nobody's agreement. */
static convoy_status end_computing(convoy_trainer *t, convoy_status status)
{
    struct failure failure;
    if (status == CONVOY_OK) {
        status = exchange_reduce(t->exchange);
        const convoy_status lanes = lanes_wait(t->lanes);
        return lanes == CONVOY_OK ? status : lanes;
    }
    status_save(status, &failure);
    exchange_cancel(t->exchange);
    lanes_wait(t->lanes);
    return status_restore(&failure);
}

static convoy_status run_step(convoy_trainer *t, bool stop, convoy_step_result *result)
{
    struct failure failure = {0};
    begin_computing(t, &failure);
    double traced = trace_now(t->trace);
    const bool failed = failure.status != CONVOY_OK;
    convoy_status status = share(t, failed, stop, result);
    if (status == CONVOY_OK)
        status = judge(t, &failure);
    t->guard.is_loss_finite = isfinite(result->loss);
    trace_mark_caller(t->trace, TRACE_SCORES, &traced);
    if (!failed)
        status = end_computing(t, status);
    trace_mark_caller(t->trace, TRACE_EXCHANGE, &traced);
    return status;
}

/* All that is done by lanes, and beside them what ranks tell each other, by the
 * caller's thread: where it has a processor of its own, for so long there. */
static convoy_status compute(convoy_trainer *t, bool stop, convoy_step_result *result)
{
    const pthread_t self = pthread_self();
    cpu_set_t before;
    const bool moves =
        t->has_place && pthread_getaffinity_np(self, sizeof before, &before) == 0;
    if (moves)
        pthread_setaffinity_np(self, sizeof t->exchange_place, &t->exchange_place);
    const convoy_status status = run_step(t, stop, result);
    if (moves)
        pthread_setaffinity_np(self, sizeof before, &before);
    return status;
}

/* What of the time since start the lanes, in the mean, spent on what. */
static void add_seconds(const convoy_trainer *t, double start,
                        convoy_step_seconds *seconds)
{
    const double waited = loader_waited_s(t->loader), n = lanes_n(t->lanes);
    double exposed = 0, updating = 0, working = -exchange_slept_s(t->exchange) / n;
    for (int i = 0; i < lanes_n(t->lanes); i++) {
        const struct lane_seconds *lane = &t->lane_seconds[i];
        exposed += lane->exposed / n;
        updating += (lane->ended - lane->computed - lane->exposed) / n;
        working += lane->at_work / n;
    }
    seconds->waited = waited;
    seconds->input += waited;
    seconds->exchange = exposed;
    seconds->hidden = fmax(0, exchange_in_flight_s(t->exchange) - exposed);
    seconds->optimizer = updating;
    seconds->working = fmax(0, working) + updating;
    seconds->compute = clock_now_s() - start - waited - exposed - updating;
}

/* When the lanes of a rank alone had made a bucket's gradients. */
static double made_s(const convoy_trainer *t, int bucket)
{
    const int n = exchange_buckets(t->exchange)->count;
    double last_s = 0;
    for (int lane = 0; lane < lanes_n(t->lanes); lane++)
        last_s =
            fmax(last_s, t->lane_ready_s[(size_t)lane * (size_t)n + (size_t)bucket]);
    return last_s;
}

static void note_buckets(const convoy_trainer *t, double start)
{
    const struct bucket_times *times = exchange_times(t->exchange);
    const int n = exchange_buckets(t->exchange)->count;
    for (int b = 0; b < n; b++)
        t->bucket_seconds[b] =
            t->lane_ready_s
                ? (struct bucket_seconds){.ready = made_s(t, b) - start}
                : (struct bucket_seconds){.ready = times[b].ready_s - start,
                                          .sent = times[b].posted_s - start,
                                          .done = times[b].arrived_s - start};
}

/* The running statistics, which lie behind the gradients. */
static void update_buffers(const convoy_trainer *t, const struct leaf_sum *sum)
{
    compiled_update_buffers(t->net_lanes->copies[0],
                            leaf_sum_values(sum, GUARD_HEAD + net_param_floats(t->net),
                                            guard_leaf_floats(t->net), NULL),
                            t->n_microbatches);
}

/* In the steps after which there is a line of metrics. */
static void measure_gradients(const convoy_trainer *t, const struct leaf_sum *sum,
                              convoy_step_result *result)
{
    const uint64_t every = (uint64_t)t->recipe->metrics.every_steps;
    if (!t->grad_norms || (t->step + 1) % every != 0)
        return;
    grad_norms_measure(t->grad_norms, sum);
    result->grad_norms = grad_norms_values(t->grad_norms);
    result->grad_names = grad_norms_names(t->grad_norms);
    result->n_grad_norms = grad_norms_n(t->grad_norms);
}

/* Also after a step that changed nothing: when the average is due depends on the number
 * of the step alone. Its time counts as the optimizer's. */
static void take_average(convoy_trainer *t, convoy_step_seconds *seconds)
{
    const double seconds_here = average_step(t);
    seconds->optimizer += seconds_here;
    seconds->working += seconds_here;
}

convoy_status convoy_trainer_step(convoy_trainer *t, bool stop,
                                  convoy_step_result *result)
{
    convoy_status status = CONVOY_OK;
    struct leaf_sum sum;
    convoy_step_result made = {0};
    const double began = clock_now_s();
    trace_step_begin(t->trace, t->step + 1);
    double traced = trace_now(t->trace), traced_step = traced;
    pulse_enter(PULSE_STEP, t->step + 1);
    TRY(step_begin_loading(t));
    const double start = clock_now_s();
    made.seconds.input = start - began;
    trace_mark_caller(t->trace, TRACE_FEED, &traced);
    TRY(compute(t, stop, &made));
    traced = trace_now(t->trace);
    pulse_enter_phase(PULSE_STEP);
    exchange_wait(t->exchange, 0, &sum);
    const bool is_taken = guard_allows(&t->guard, &sum);
    made.grad_norm = update_grad_norm(t->update);
    made.clipped = update_clipped(t->update);
    if (is_taken)
        update_buffers(t, &sum);
    measure_gradients(t, &sum, &made);
    add_seconds(t, start, &made.seconds);
    note_buckets(t, began);
    trace_mark_caller(t->trace, TRACE_BUFFERS, &traced);
    trace_mark_caller(t->trace, TRACE_STEP, &traced_step);
    trace_step_end(t->trace, t->exchange);
    exchange_restart(t->exchange);
    TRY(guard_end_step(t, is_taken, &made));
    take_average(t, &made.seconds);
    t->step++;
    t->is_loading = t->is_loading && t->step < t->total_steps;
    *result = made;
cleanup:
    return status;
}
