/* Evaluation: microbatches are numbered over the whole pack, each rank takes a
 * contiguous range, and every rank then adds the scores of all microbatches in the
 * tree's order: the result does not depend on the number of ranks. */
#include "infer/evaluator.h"

#include "base/memory.h"
#include "base/pulse.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "infer/mirror.h"
#include "infer/score.h"

#include <pthread.h>
#include <string.h>

struct evaluator {
    convoy_world *world; /* NULL: this process alone */
    struct lanes *lanes;
    struct net_lanes *net_lanes;
    struct loader *loader; /* NULL: more ranks than microbatches, nothing to do here */
    double *scores;        /* [n_microbatches, N_SCORES] */
    int n_microbatches;    /* that are evaluated, on all ranks */
    int count;             /* of them, here */
    int shape[3];          /* of a sample */
    bool bf16;
    float *logits;    /* [lanes, m, classes] of images as they are, while their mirror
                         images are computed; NULL: those are not asked for */
    const char *path; /* the pack's */

    /* Of a run: */
    atomic_bool failed;
    pthread_mutex_t mutex; /* for the next three */
    int n_done;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

/* Of the pack's microbatches those that are asked for. */
static int n_evaluated(const struct loader_options *options)
{
    const int n = options->n_microbatches, most = options->at_most;
    return most > 0 && most < n ? most : n;
}

void evaluator_loading(const convoy_world *world, const convoy_pack *pack,
                       struct loader_options *options)
{
    const uint64_t n = convoy_pack_describe(pack)->n_records,
                   m = (uint64_t)options->microbatch;
    options->evaluate = true;
    options->shuffle = false;
    options->n_microbatches = (int)((n + m - 1) / m);
    tree_range(n_evaluated(options), world ? convoy_world_rank(world) : 0,
               world ? convoy_world_size(world) : 1, &options->first, &options->count);
}

convoy_status evaluator_plan(convoy_net *net, const struct loader_options *options,
                             int threads, struct compiled **plan)
{
    const struct compile_options compiling = {
        .n = options->microbatch,
        .height = options->shape[1],
        .width = options->shape[2],
        .type = options->bf16 ? dnnl_bf16 : dnnl_f32,
        .threads = threads,
    };
    return net_plan(net, &compiling, plan);
}

convoy_status evaluator_create(convoy_world *world, struct lanes *lanes,
                               struct compiled *plan, const convoy_pack *pack,
                               const struct loader_options *options,
                               const struct evaluator_loan *loan,
                               struct evaluator **evaluator)
{
    convoy_status status = CONVOY_OK;
    struct evaluator *made = NULL;
    struct loader_options loading = *options;
    struct compiled *left = plan;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    pthread_mutex_init(&made->mutex, NULL);
    evaluator_loading(world, pack, &loading);
    loading.lender = loan->loader;
    loading.consumers = lanes_n(lanes);
    made->world = world;
    made->lanes = lanes;
    made->path = pack_path(pack);
    made->n_microbatches = n_evaluated(&loading);
    memcpy(made->shape, loading.shape, sizeof made->shape);
    made->bf16 = loading.bf16;
    made->count = loading.count;
    TRY(mem_alloc_array((size_t)made->n_microbatches * N_SCORES, sizeof(double),
                        (void **)&made->scores));
    left = NULL;
    TRY(net_lanes_create(lanes, plan, loan->net_lanes, &made->net_lanes));
    if (made->count > 0)
        TRY(loader_create(pack, &loading, &made->loader));
    *evaluator = made;
    made = NULL;
cleanup:
    compiled_destroy(left);
    evaluator_destroy(made);
    return status;
}

/* Of a microbatch's logits. */
static size_t n_logits(const struct compiled *compiled)
{
    const convoy_net *net = compiled->net;
    return (size_t)compiled->n * (size_t)net->nodes[net->logits].shape.c;
}

convoy_status evaluator_flip(struct evaluator *e)
{
    const size_t n = n_logits(e->net_lanes->copies[0]);
    if (e->logits)
        return CONVOY_OK;
    return mem_alloc_array((size_t)e->net_lanes->n * n, sizeof *e->logits,
                           (void **)&e->logits);
}

void evaluator_destroy(struct evaluator *evaluator)
{
    if (!evaluator)
        return;
    loader_destroy(evaluator->loader);
    net_lanes_destroy(evaluator->net_lanes);
    pthread_mutex_destroy(&evaluator->mutex);
    mem_free(evaluator->scores);
    mem_free(evaluator->logits);
    mem_free(evaluator);
}

static void report(struct evaluator *e)
{
    if (!e->progress)
        return;
    pthread_mutex_lock(&e->mutex);
    e->n_done++;
    e->progress(e->context, (uint64_t)e->n_done, (uint64_t)e->count);
    pthread_mutex_unlock(&e->mutex);
}

static convoy_status score_batch(struct evaluator *e, int lane,
                                 const struct batch *batch)
{
    convoy_status status = CONVOY_OK;
    struct compiled *compiled = e->net_lanes->copies[lane];
    const struct run_info info = {0};
    const size_t n = n_logits(compiled), m = (size_t)compiled->n;
    double *scores = e->scores + (size_t)batch->index * N_SCORES;
    TRY(compiled_forward(compiled, batch->images, batch->labels, NULL, &info));
    if (!e->logits) {
        score_microbatch(compiled, batch->labels, scores);
        return CONVOY_OK;
    }
    float *logits = e->logits + (size_t)lane * n;
    memcpy(logits, compiled_logits(compiled), n * sizeof *logits);
    mirror_rows(batch->images, m * (size_t)e->shape[0] * (size_t)e->shape[1],
                e->shape[2], e->bf16 ? sizeof(uint16_t) : sizeof(float));
    TRY(compiled_forward(compiled, batch->images, batch->labels, NULL, &info));
    mirror_mean(logits, compiled_logits(compiled), n);
    score_logits(logits, compiled->n, (int64_t)(n / m), batch->labels, scores);
cleanup:
    return status;
}

/* Microbatches until the loader has no more. */
static convoy_status score_lane(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct evaluator *e = context;
    while (!atomic_load(&e->failed)) {
        struct batch batch;
        TRY(loader_next(e->loader, &batch));
        if (!batch.images)
            break;
        status = score_batch(e, lane, &batch);
        loader_release(e->loader, &batch);
        if (status != CONVOY_OK)
            goto cleanup;
        report(e);
    }
cleanup:
    if (status != CONVOY_OK)
        atomic_store(&e->failed, true);
    return status;
}

/* This rank's microbatches into scores. */
static convoy_status score_own(struct evaluator *e)
{
    convoy_status status = CONVOY_OK;
    if (!e->loader)
        return CONVOY_OK;
    atomic_store(&e->failed, false);
    e->n_done = 0;
    TRY(net_lanes_refresh(e->net_lanes));
    TRY(loader_start(e->loader, 0));
    TRY(lanes_run(e->lanes, score_lane, e));
cleanup:
    loader_stop(e->loader);
    return status;
}

static convoy_status agree(const struct evaluator *e, convoy_status status)
{
    return e->world ? convoy_world_agree(e->world, status) : status;
}

convoy_status evaluator_run(struct evaluator *e,
                            void (*progress)(void *context, uint64_t done,
                                             uint64_t total),
                            void *context, convoy_eval_result *result)
{
    convoy_status status = CONVOY_OK;
    double sums[N_SCORES];
    e->progress = progress;
    e->context = context;
    pulse_enter_phase(PULSE_EVALUATION);
    TRY(agree(e, score_own(e)));
    if (e->world)
        TRY(exchange_share(e->world, e->scores, e->n_microbatches, N_SCORES));
    for (int s = 0; s < N_SCORES; s++)
        sums[s] = tree_sum(e->scores + s, e->n_microbatches, N_SCORES);
    const double n = sums[SCORE_SAMPLES];
    if (n == 0) /* on every rank */
        TRY(agree(e, FAIL(CONVOY_ERROR_FORMAT,
                          "%s: all its records are damaged: 'convoy verify' says how",
                          e->path)));
    result->n_samples = (uint64_t)n;
    result->loss = sums[SCORE_LOSS] / n;
    result->top1 = sums[SCORE_TOP1] / n;
    result->top5 = sums[SCORE_TOP5] / n;
cleanup:
    return status;
}
