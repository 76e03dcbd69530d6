/* What an evaluation's options, the checkpoint's recipe and the pack come to: what is
 * told goes before what the recipe says. All of it is known, and refused where it does
 * not fit, before memory is taken. */
#include "infer/evaluation.h"

#include "comm/world.h"
#include "setup/machine.h"
#include "setup/setup.h"

#include <stdio.h>
#include <string.h>

/* As trained, unless told another. */
static convoy_status choose_precision(struct evaluation *e,
                                      const convoy_eval_options *options)
{
    struct loader_options *loading = &e->inference.loading;
    if (options->precision && strcmp(options->precision, "f32") != 0 &&
        strcmp(options->precision, "bf16") != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "the precision is '%s', expected f32 or bf16", options->precision);
    if (options->precision)
        loading->bf16 = strcmp(options->precision, "bf16") == 0;
    const convoy_status status = dnn_check_type(loading->bf16 ? dnnl_bf16 : dnnl_f32);
    if (status != CONVOY_OK && !options->precision)
        return status_prefix(status,
                             "the net was trained in bf16 (with --precision f32 "
                             "it is evaluated anywhere)");
    return status;
}

/* As in training, unless told another. */
static convoy_status choose_norm(const convoy_world *world, struct evaluation *e,
                                 const convoy_eval_options *options)
{
    const char *told = options->batch_norm;
    const bool recompute = told && strcmp(told, "recompute") == 0;
    if (told && !recompute && strcmp(told, "running") != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "batch_norm is '%s', expected running or recompute", told);
    if (told ? !recompute
             : e->inference.recipe->eval.batch_norm == RECIPE_BATCH_NORM_RUNNING)
        return CONVOY_OK;
    e->recomputes = true;
    return eval_norm_plan(world, &e->inference, e->threads, &e->norm);
}

/* As trained, unless told another. */
static convoy_status choose_size(struct evaluation *e,
                                 const convoy_eval_options *options)
{
    struct loader_options *loading = &e->inference.loading;
    const bool is_raw = convoy_pack_describe(e->pack)->encoding == CONVOY_ENCODING_RAW;
    if (options->crop < 0 || options->resize < 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "a crop of %d, a resize of %d: neither can be "
                    "below 0",
                    options->crop, options->resize);
    if (options->resize > 0)
        loading->resize = options->resize;
    if (options->crop > 0)
        loading->shape[1] = loading->shape[2] = options->crop;
    if ((options->crop > 0 || options->resize > 0) && !is_raw && loading->resize > 0 &&
        loading->resize < loading->shape[1])
        return FAIL(
            CONVOY_ERROR_ARGUMENT,
            "a crop of %d is more than the shorter side of %d that it is cut out "
            "of; set a larger one, too (--resize)",
            loading->shape[1], loading->resize);
    return CONVOY_OK;
}

convoy_status evaluation_prepare(const convoy_world *world, struct evaluation *e,
                                 const char *weights, const char *data,
                                 const convoy_eval_options *options)
{
    convoy_status status = CONVOY_OK;
    struct inference *inference = &e->inference;
    TRY(inference_build(inference));
    TRY(choose_precision(e, options));
    const int threads = checkpoint_describe(inference->checkpoint)->threads;
    e->threads = options->threads ? options->threads : threads > 0 ? threads : 1;
    e->flips = options->flip || inference->recipe->eval.flip;
    if (options->microbatch > 0)
        inference->loading.microbatch = options->microbatch;
    TRY(convoy_pack_open(data, &e->pack));
    TRY(inference_check_pack(inference, e->pack, weights, data));
    TRY(choose_size(e, options));
    TRY(choose_norm(world, e, options));
cleanup:
    return status;
}

convoy_status evaluation_make(struct evaluation *e, convoy_world *world, uint64_t left,
                              const convoy_eval_options *options)
{
    convoy_status status = CONVOY_OK;
    struct evaluator_loan loan = {0};
    struct inference *inference = &e->inference;
    struct loader_options loading = inference->loading;
    struct compiled *plan = NULL;
    evaluator_loading(world, e->pack, &loading);
    TRY(evaluator_plan(inference->net, &loading, e->threads, &plan));
    const struct inference_lanes wanted = {.lanes = options->lanes,
                                           .threads = e->threads,
                                           .microbatches = loading.count,
                                           .loading = &loading,
                                           .left_bytes = left};
    if (e->recomputes) { /* which takes more memory */
        const struct eval_norm *norm = &e->norm;
        struct inference_lanes more = wanted;
        more.loading = &norm->loading;
        more.microbatches =
            norm->loading.count > loading.count ? norm->loading.count : loading.count;
        TRY(inference_lanes(&more, norm->plan, &e->cores, &e->lanes));
        TRY(eval_norm_make(&e->norm, e->lanes));
        loan = (struct evaluator_loan){norm->net_lanes, norm->loader};
    } else {
        TRY(inference_lanes(&wanted, plan, &e->cores, &e->lanes));
    }
    struct compiled *taken = plan;
    plan = NULL;
    TRY(evaluator_create(world, e->lanes, taken, e->pack, &inference->loading, &loan,
                         &e->evaluator));
    if (e->flips)
        TRY(evaluator_flip(e->evaluator));
cleanup:
    compiled_destroy(plan);
    return status;
}

convoy_status evaluation_check_same(convoy_world *world, const struct evaluation *e,
                                    const char *weights)
{
    char machine[MACHINE_FACTS_SIZE], facts[MACHINE_FACTS_SIZE + 4096 + 256];
    machine_facts(machine);
    snprintf(facts, sizeof facts,
             "%sthreads\t%d\nmicrobatch\t%d\n--precision\t%s\n--crop\t%d\n"
             "--resize\t%d\n--flip\t%d\n--data with pack id\t%s\n--weights\t%s\n"
             "--ema\t%s\n--batch-norm\t%s\n",
             machine, e->threads, e->inference.loading.microbatch,
             e->inference.loading.bf16 ? "bf16" : "f32", e->inference.loading.shape[1],
             e->inference.loading.resize, e->flips, convoy_pack_describe(e->pack)->id,
             weights, e->inference.ema ? "yes" : "no",
             e->recomputes ? "recompute" : "running");
    return convoy_world_same(world, facts);
}

void evaluation_free(struct evaluation *e)
{
    evaluator_destroy(e->evaluator);
    eval_norm_free(&e->norm);
    lanes_destroy(e->lanes);
    cores_free(&e->cores);
    convoy_pack_close(e->pack);
    inference_close(&e->inference);
}
