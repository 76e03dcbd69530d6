/* Training steps of one model, timed: what a rank does for its microbatches, on lanes
 * as in training, the sum of their gradients and the optimizer, without loading and
 * exchange. Samples are random and the same for all; their values do not matter to the
 * time. */
#include <convoy/bench.h>
#include <convoy/model.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/bf16.h"
#include "base/memory.h"
#include "base/rng.h"
#include "bench/bench_limit.h"
#include "comm/cores.h"
#include "comm/leaves.h"
#include "net/net_lanes.h"
#include "optim/update.h"
#include "setup/setup.h"
#include "setup/setup_lanes.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Parameters that are worth waking lanes for. */
enum { UPDATE_TOGETHER = 1 << 18 };

struct bench {
    convoy_net *net;
    struct cores cores;
    struct lanes *lanes;
    struct net_lanes *net_lanes;
    struct leaves *leaves;
    struct optimizer *optimizer;
    struct update_range range; /* all parameters, which learn alike */
    struct update *update;
    struct bench_rows rows;
    struct limit *limit; /* NULL: not asked for */
    dnnl_data_type_t type;
    void *images; /* of this type */
    int32_t *labels;
    double *seconds, *cpu_seconds; /* [steps] */
    double update_s, update_cpu_s; /* of all optimizer steps */
    int n_microbatches;
    double *lane_cpu_s;  /* [lanes] of the step so far */
    double shared_cpu_s; /* of what all lanes do together in it, divided by all */

    /* Of a step: */
    uint64_t step;
    atomic_int n_taken; /* microbatches */
};

static void free_bench(struct bench *b)
{
    limit_destroy(b->limit);
    bench_rows_free(&b->rows);
    net_lanes_destroy(b->net_lanes);
    leaves_destroy(b->leaves);
    lanes_destroy(b->lanes);
    cores_free(&b->cores);
    update_destroy(b->update);
    optimizer_destroy(b->optimizer);
    convoy_net_destroy(b->net);
    mem_free(b->images);
    mem_free(b->labels);
    mem_free(b->seconds);
    mem_free(b->cpu_seconds);
    mem_free(b->lane_cpu_s);
}

/* A random batch of n samples. */
static convoy_status draw_batch(struct bench *b, const int shape[3], int n, int classes)
{
    convoy_status status = CONVOY_OK;
    const size_t values =
        (size_t)n * (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    const struct rng rng = rng_stream(1, RNG_AUGMENT, 0, 0);
    TRY(mem_alloc_array(values, dnnl_data_type_size(b->type), &b->images));
    TRY(mem_alloc_array((size_t)n, sizeof *b->labels, (void **)&b->labels));
    for (size_t i = 0; i < values; i++) {
        const float value = (float)rng_unit(&rng, i) - 0.5F;
        if (b->type == dnnl_bf16)
            ((uint16_t *)b->images)[i] = bf16_from_f32(value);
        else
            ((float *)b->images)[i] = value;
    }
    for (int i = 0; i < n; i++)
        b->labels[i] = i % classes;
cleanup:
    return status;
}

/* The one that recipes have by default, and as they have it. */
/* The default recipe's. */
static convoy_status create_optimizer(struct bench *b)
{
    convoy_recipe *recipe = NULL;
    convoy_status status = CONVOY_OK;
    TRY(convoy_recipe_load_text("bench", "model: {name: any}\ndata: {train: none}\n",
                                NULL, 0, &recipe));
    TRY(setup_optimizer(recipe, net_param_floats(b->net), &b->optimizer));
    b->range = (struct update_range){
        .end = net_param_floats(b->net), .lr_scale = 1, .weight_decay = 1e-4};
    const struct update_options options = {.optimizer = b->optimizer,
                                           .ranges = &b->range,
                                           .n_ranges = 1,
                                           .workers = lanes_workers(b->lanes)};
    TRY(update_create(&options, &b->update));
cleanup:
    convoy_recipe_destroy(recipe);
    return status;
}

static convoy_status plan(struct bench *b, const convoy_bench_model_options *o,
                          convoy_bench_model_result *r, struct compiled **compiled)
{
    convoy_status status = CONVOY_OK;
    convoy_model_options model = {.classes = o->classes, .blur_pool = o->blur_pool};
    const struct compile_options compiling = {.n = r->microbatch,
                                              .type = b->type,
                                              .training = true,
                                              .threads = r->threads,
                                              .recompute = o->recompute,
                                              .rivals = o->limit};
    TRY(convoy_model_defaults(o->model, r->shape, &r->classes));
    if (o->size > 0)
        r->shape[1] = r->shape[2] = o->size;
    if (o->classes > 0)
        r->classes = o->classes;
    model.classes = r->classes;
    TRY(convoy_model_build(o->model, r->shape, &model, &b->net));
    r->n_params = convoy_net_n_params(b->net);
    TRY(net_plan(b->net, &compiling, compiled));
cleanup:
    return status;
}

static struct leaves_options leaves_of(const struct bench *b, int n_microbatches,
                                       int lanes)
{
    return (struct leaves_options){.n_leaves = n_microbatches,
                                   .count = n_microbatches,
                                   .n = net_leaf_floats(b->net),
                                   .lanes = lanes,
                                   .halves = true};
}

struct need {
    const struct bench *bench;
    const struct compiled *compiled;
    int microbatches; /* 0: as many as lanes */
};

/* Weights, the optimizer's state, gradients and activations. */
static uint64_t bytes_of(const void *context, int lanes)
{
    const struct need *need = context;
    const convoy_net *net = need->bench->net;
    const struct program *program = need->compiled->program;
    const struct leaves_options leaves = leaves_of(
        need->bench, need->microbatches > 0 ? need->microbatches : lanes, lanes);
    return sizeof(float) * (2 * net_param_floats(net) +
                            (size_t)leaves_n_slots(&leaves) * net_leaf_floats(net)) +
           program_prepared_bytes(program) +
           (uint64_t)lanes * program_arena_bytes(program);
}

/* As training does, with as many microbatches as lanes unless told how many. */
static convoy_status choose_lanes(struct bench *b, const convoy_bench_model_options *o,
                                  const struct compiled *compiled,
                                  convoy_bench_model_result *r)
{
    convoy_status status = CONVOY_OK;
    struct lane_choice choice;
    const struct need need = {b, compiled, o->microbatches};
    TRY(cores_here(&b->cores));
    const int most = o->lanes > 0 ? o->lanes : b->cores.n;
    const struct lane_facts facts = {.wanted = o->lanes,
                                     .threads = r->threads,
                                     .cores = b->cores.n,
                                     .microbatches =
                                         o->microbatches > 0 ? o->microbatches : most,
                                     .bytes = bytes_of,
                                     .context = &need,
                                     .left_bytes = limits_memory_left()};
    TRY(setup_lanes(&facts, &choice));
    r->lanes = choice.lanes;
    r->microbatches = o->microbatches > 0 ? o->microbatches : r->lanes;
cleanup:
    return status;
}

static convoy_status prepare(struct bench *b, const convoy_bench_model_options *o,
                             convoy_bench_model_result *r)
{
    convoy_status status = CONVOY_OK;
    struct compiled *compiled = NULL;
    TRY(plan(b, o, r, &compiled));
    TRY(choose_lanes(b, o, compiled, r));
    const struct cores_use use = {.lanes = r->lanes, .threads = r->threads};
    TRY(cores_start_lanes(&b->cores, &use, &b->lanes));
    struct compiled *taken = compiled;
    compiled = NULL;
    TRY(net_lanes_create(b->lanes, taken, NULL, &b->net_lanes));
    TRY(param_store_init(&b->net->store, &b->net->dnn, b->lanes, 1));
    TRY(create_optimizer(b));
    const struct leaves_options leaves = leaves_of(b, r->microbatches, r->lanes);
    b->n_microbatches = r->microbatches;
    TRY(leaves_create(&leaves, &b->leaves));
    TRY(mem_alloc_array((size_t)r->steps, sizeof *b->seconds, (void **)&b->seconds));
    TRY(mem_alloc_array((size_t)r->steps, sizeof *b->cpu_seconds,
                        (void **)&b->cpu_seconds));
    TRY(mem_alloc_array((size_t)r->lanes, sizeof *b->lane_cpu_s,
                        (void **)&b->lane_cpu_s));
    TRY(draw_batch(b, r->shape, r->microbatch, r->classes));
    TRY(bench_rows_make(b->net_lanes->copies[0]->program, &b->rows));
cleanup:
    compiled_destroy(compiled);
    return status;
}

struct pass {
    struct update *update;
    struct update_source source;
    int number;
};

static const float *gradients(const void *context, size_t begin, size_t end,
                              float *room)
{
    return leaf_sum_values(context, begin, end, room);
}

static void update_pieces(void *context, int worker, size_t begin, size_t end)
{
    const struct pass *pass = context;
    for (size_t piece = begin; piece < end; piece++)
        update_piece(pass->update, pass->number, piece, worker, &pass->source);
}

static void update(struct bench *b)
{
    const size_t n = net_param_floats(b->net);
    struct lanes *lanes = n < UPDATE_TOGETHER ? NULL : b->lanes;
    const double start = clock_now_s(), cpu_start = clock_process_s();
    const struct leaf_sum sum = leaves_total(b->leaves);
    struct pass pass = {b->update, {gradients, &sum}, 0};
    update_begin(b->update, &(struct update_step){.params = b->net->store.param_data,
                                                  .step = b->step,
                                                  .lr = 1e-4});
    for (; pass.number < update_n_passes(b->update); pass.number++) {
        lanes_for(lanes, update_n_pieces(b->update), 1, update_pieces, &pass);
        update_end_pass(b->update, pass.number);
    }
    compiled_update_buffers(b->net_lanes->copies[0],
                            leaf_sum_values(&sum, n, net_leaf_floats(b->net), NULL),
                            b->n_microbatches);
    b->update_s += clock_now_s() - start;
    const double cpu_s =
        (clock_process_s() - cpu_start) / (lanes ? lanes_workers(lanes) : 1);
    b->update_cpu_s += cpu_s;
    b->shared_cpu_s += cpu_s;
}

static convoy_status run_microbatch(struct bench *b, int lane, int j)
{
    convoy_status status = CONVOY_OK;
    struct compiled *compiled = b->net_lanes->copies[lane];
    const struct run_info info = {.seed = 1,
                                  .step = b->step,
                                  .first_sample = (uint64_t)j * (uint64_t)compiled->n};
    float *leaf = leaves_take(b->leaves, j, lane);
    if (!leaf)
        return CONVOY_OK;
    TRY(compiled_forward(compiled, b->images, b->labels, leaf, &info));
    TRY(compiled_backward(compiled, 1.0F / (float)compiled->n, &info));
    leaves_done(b->leaves, j);
cleanup:
    return status;
}

static convoy_status run_lane(void *context, int lane)
{
    convoy_status status = CONVOY_OK;
    struct bench *b = context;
    const double start = clock_thread_s();
    for (int j = atomic_fetch_add(&b->n_taken, 1); j < b->n_microbatches;
         j = atomic_fetch_add(&b->n_taken, 1))
        TRY(run_microbatch(b, lane, j));
    leaves_finish(b->leaves);
    b->lane_cpu_s[lane] = clock_thread_s() - start;
cleanup:
    if (status != CONVOY_OK)
        leaves_cancel(b->leaves);
    return status;
}

static convoy_status run_step(struct bench *b, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    b->step = step;
    atomic_store(&b->n_taken, 0);
    const double cpu_start = clock_process_s();
    TRY(net_lanes_refresh(b->net_lanes));
    b->shared_cpu_s = (clock_process_s() - cpu_start) / lanes_workers(b->lanes);
    TRY(lanes_run(b->lanes, run_lane, b));
    update(b);
    leaves_restart(b->leaves);
cleanup:
    return status;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the last step: of the lanes' first threads, in the mean, and of what is shared. */
static double step_cpu_s(const struct bench *b)
{
    double sum = 0;
    for (int i = 0; i < lanes_n(b->lanes); i++)
        sum += b->lane_cpu_s[i];
    return sum / lanes_n(b->lanes) + b->shared_cpu_s;
}

/* With the limit; the steps' times are in order. */
static void compare(const struct bench *b, convoy_bench_model_result *r)
{
    const struct bench_seconds limit = limit_seconds(b->limit);
    r->limit_s = limit.seconds;
    r->limit_cpu_s = limit.cpu_seconds;
    r->limit_share = limit.seconds / b->seconds[r->steps / 2];
    r->limit_cpu_share = limit.cpu_seconds / b->cpu_seconds[r->steps / 2];
}

/* Of a step: before the limit takes memory, if that is measured, too. */
static void note_peak(convoy_bench_model_result *r)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    r->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
}

static convoy_status measure(struct bench *b, bool limit, convoy_bench_model_result *r)
{
    convoy_status status = CONVOY_OK;
    const double n = (double)r->microbatch * r->microbatches;
    TRY(run_step(b, 0));
    if (limit) {
        note_peak(r);
        TRY(limit_create(b->net_lanes, &b->rows, r->microbatches, r->steps, &b->limit));
    }
    for (int i = 0; i < r->lanes; i++)
        program_time(b->net_lanes->copies[i]->program, true);
    b->update_s = b->update_cpu_s = 0;
    for (int i = 0; i < r->steps; i++) {
        const double start = clock_now_s();
        TRY(run_step(b, (uint64_t)i + 1));
        b->seconds[i] = clock_now_s() - start;
        b->cpu_seconds[i] = step_cpu_s(b);
        if (b->limit)
            TRY(limit_measure(b->limit));
    }
    qsort(b->seconds, (size_t)r->steps, sizeof *b->seconds, ascending);
    qsort(b->cpu_seconds, (size_t)r->steps, sizeof *b->cpu_seconds, ascending);
    r->images_per_cpu_s = n / b->cpu_seconds[r->steps / 2];
    r->images_per_s = n / b->seconds[r->steps / 2];
    r->best_images_per_s = n / b->seconds[0];
    if (b->limit)
        compare(b, r);
    r->planned_bytes =
        (uint64_t)r->lanes * program_arena_bytes(b->net_lanes->copies[0]->program);
    if (!limit)
        note_peak(r);
cleanup:
    return status;
}

static void report(const struct bench *b, int steps,
                   void (*visit)(void *context, const convoy_bench_cost *cost),
                   void *context)
{
    static const char *const phases[] = {"weights", "forward", "backward"};
    for (int row = 0; row < b->rows.n_rows; row++) {
        const struct program_cost op =
            program_cost(b->net_lanes->copies[0]->program, b->rows.first_op[row]);
        convoy_bench_cost cost = {
            .kind = op.kind, .phase = phases[op.phase], .primitive = op.primitive};
        cost.seconds = bench_rows_time(&b->rows, b->net_lanes, row).seconds / steps;
        if (b->limit) {
            cost.cpu_seconds = limit_row_ours_cpu_s(b->limit, row);
            cost.limit_seconds = limit_row_cpu_s(b->limit, row);
        }
        visit(context, &cost);
    }
    visit(context,
          &(convoy_bench_cost){.kind = optimizer_kind(b->optimizer)->about.name,
                               .phase = "step",
                               .seconds = b->update_s / steps,
                               .cpu_seconds = b->limit ? b->update_cpu_s / steps : 0});
}

static convoy_status choose_type(const char *precision, dnnl_data_type_t *type)
{
    if (!precision || strcmp(precision, "f32") == 0)
        return CONVOY_OK;
    if (strcmp(precision, "bf16") != 0)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "the precision is '%s', expected f32 or bf16", precision);
    *type = dnnl_bf16;
    return dnn_check_type(*type);
}

convoy_status convoy_bench_model(const convoy_bench_model_options *options,
                                 void (*visit)(void *context,
                                               const convoy_bench_cost *cost),
                                 void *context, convoy_bench_model_result *result)
{
    convoy_status status = CONVOY_OK;
    struct bench b = {.type = dnnl_f32};
    convoy_bench_model_result r = {
        .microbatch = options->microbatch > 0 ? options->microbatch : 32,
        .threads = options->threads > 0 ? options->threads : 1,
        .steps = options->steps > 0 ? options->steps : 5};
    TRY(choose_type(options->precision, &b.type));
    TRY(prepare(&b, options, &r));
    TRY(measure(&b, options->limit, &r));
    if (visit)
        report(&b, r.steps, visit, context);
    *result = r;
cleanup:
    free_bench(&b);
    return status;
}
