/* Evaluation: microbatches are numbered over the whole pack, each rank takes a
 * contiguous range, and every rank then adds the scores of all microbatches in the
 * tree's order: the result does not depend on the number of ranks. */
#include "infer/evaluator.h"

#include "base/memory.h"
#include "comm/exchange.h"
#include "comm/tree.h"
#include "infer/score.h"

struct evaluator {
    convoy_world *world;
    struct compiled *compiled;
    struct loader *loader; /* NULL: more ranks than microbatches, nothing to do here */
    double *scores;        /* [n_microbatches, N_SCORES] */
    int n_microbatches, first, count;
    const char *path; /* the pack's */
};

void evaluator_loading(const convoy_world *world, const convoy_pack *pack,
                       struct loader_options *options)
{
    const uint64_t n = convoy_pack_describe(pack)->n_records,
                   m = (uint64_t)options->microbatch;
    options->evaluate = true;
    options->shuffle = false;
    options->n_microbatches = (int)((n + m - 1) / m);
    tree_range(options->n_microbatches, convoy_world_rank(world),
               convoy_world_size(world), &options->first, &options->count);
}

convoy_status evaluator_create(convoy_world *world, convoy_net *net,
                               const convoy_pack *pack,
                               const struct loader_options *options,
                               const struct evaluator_loan *loan,
                               struct evaluator **evaluator)
{
    convoy_status status = CONVOY_OK;
    struct evaluator *made = NULL;
    struct loader_options loading = *options;
    const struct compile_options compiling = {.n = options->microbatch,
                                              .type = dnnl_f32};
    TRY(mem_alloc(sizeof *made, (void **)&made));
    evaluator_loading(world, pack, &loading);
    loading.lender = loan->loader;
    made->world = world;
    made->path = pack_path(pack);
    made->n_microbatches = loading.n_microbatches;
    made->first = loading.first;
    made->count = loading.count;
    TRY(mem_alloc_array((size_t)made->n_microbatches * N_SCORES, sizeof(double),
                        (void **)&made->scores));
    TRY(net_plan(net, &compiling, &made->compiled));
    TRY(compiled_allocate(made->compiled, loan->compiled));
    TRY(program_create_primitives(made->compiled->program, 0, 1));
    if (made->count > 0)
        TRY(loader_create(pack, &loading, &made->loader));
    *evaluator = made;
    made = NULL;
cleanup:
    evaluator_destroy(made);
    return status;
}

void evaluator_destroy(struct evaluator *evaluator)
{
    if (!evaluator)
        return;
    loader_destroy(evaluator->loader);
    compiled_destroy(evaluator->compiled);
    mem_free(evaluator->scores);
    mem_free(evaluator);
}

/* This rank's microbatches into scores. */
static convoy_status
score_own(struct evaluator *e,
          void (*progress)(void *context, uint64_t done, uint64_t total), void *context)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    TRY(compiled_refresh(e->compiled));
    if (e->loader)
        TRY(loader_start(e->loader, 0));
    for (int i = 0; i < e->count; i++) {
        struct batch batch;
        TRY(loader_next(e->loader, &batch));
        status = compiled_forward(e->compiled, batch.images, batch.labels, NULL, &info);
        if (status == CONVOY_OK)
            score_microbatch(e->compiled, batch.labels,
                             e->scores + (size_t)(e->first + i) * N_SCORES);
        loader_release(e->loader, &batch);
        if (status != CONVOY_OK)
            goto cleanup;
        if (progress)
            progress(context, (uint64_t)i + 1, (uint64_t)e->count);
    }
cleanup:
    if (e->loader)
        loader_stop(e->loader);
    return status;
}

convoy_status evaluator_run(struct evaluator *e,
                            void (*progress)(void *context, uint64_t done,
                                             uint64_t total),
                            void *context, convoy_eval_result *result)
{
    convoy_status status = CONVOY_OK;
    double sums[N_SCORES];
    TRY(convoy_world_agree(e->world, score_own(e, progress, context)));
    TRY(exchange_share(e->world, e->scores, e->n_microbatches, N_SCORES));
    for (int s = 0; s < N_SCORES; s++)
        sums[s] = tree_sum(e->scores + s, e->n_microbatches, N_SCORES);
    const double n = sums[SCORE_SAMPLES];
    if (n == 0) /* on every rank */
        TRY(convoy_world_agree(e->world,
                               FAIL(CONVOY_ERROR_FORMAT,
                                    "%s: all its records are damaged: 'convoy "
                                    "verify' says how",
                                    e->path)));
    result->n_samples = (uint64_t)n;
    result->loss = sums[SCORE_LOSS] / n;
    result->top1 = sums[SCORE_TOP1] / n;
    result->top5 = sums[SCORE_TOP5] / n;
cleanup:
    return status;
}
