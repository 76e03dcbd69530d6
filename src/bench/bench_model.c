/* A training step of one model, timed: what a rank does for one microbatch, and the
 * optimizer, without loading and exchange. Samples are random and the same each step;
 * their values do not matter to the time. */
#include <convoy/bench.h>
#include <convoy/model.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"
#include "optim/optim.h"
#include "setup/setup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct bench {
    convoy_net *net;
    struct compiled *compiled;
    struct optimizer *optimizer;
    float *images, *leaf;
    int32_t *labels;
    double *seconds, *cpu_seconds; /* [steps] */
    double update_s;               /* of all optimizer steps */
};

static void free_bench(struct bench *b)
{
    compiled_destroy(b->compiled);
    optimizer_destroy(b->optimizer);
    convoy_net_destroy(b->net);
    mem_free(b->images);
    mem_free(b->leaf);
    mem_free(b->labels);
    mem_free(b->seconds);
    mem_free(b->cpu_seconds);
}

/* A random batch of n samples. */
static convoy_status draw_batch(struct bench *b, const int shape[3], int n, int classes)
{
    convoy_status status = CONVOY_OK;
    const size_t values =
        (size_t)n * (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    const struct rng rng = rng_stream(1, RNG_AUGMENT, 0, 0);
    TRY(mem_alloc_array(values, sizeof *b->images, (void **)&b->images));
    TRY(mem_alloc_array((size_t)n, sizeof *b->labels, (void **)&b->labels));
    for (size_t i = 0; i < values; i++)
        b->images[i] = (float)rng_unit(&rng, i) - 0.5F;
    for (int i = 0; i < n; i++)
        b->labels[i] = i % classes;
cleanup:
    return status;
}

/* The one that recipes have by default, and as they have it. */
static convoy_status create_optimizer(struct bench *b)
{
    convoy_recipe *recipe = NULL;
    convoy_status status = CONVOY_OK;
    TRY(convoy_recipe_load_text("bench", "model: {name: any}\ndata: {train: none}\n",
                                NULL, 0, &recipe));
    TRY(setup_optimizer(recipe, net_param_floats(b->net), &b->optimizer));
cleanup:
    convoy_recipe_destroy(recipe);
    return status;
}

static convoy_status prepare(struct bench *b, const convoy_bench_model_options *o,
                             convoy_bench_model_result *r)
{
    convoy_status status = CONVOY_OK;
    convoy_model_options model = {.classes = o->classes};
    const struct compile_options compiling = {
        .n = r->microbatch, .type = dnnl_f32, .training = true};
    int classes = 0;
    TRY(convoy_model_defaults(o->model, r->shape, &classes));
    if (o->size > 0)
        r->shape[1] = r->shape[2] = o->size;
    if (o->classes == 0)
        model.classes = classes;
    TRY(convoy_model_build(o->model, r->shape, &model, &b->net));
    r->n_params = convoy_net_n_params(b->net);
    TRY(net_compile(b->net, &compiling, &b->compiled));
    TRY(param_store_init(&b->net->store, &b->net->dnn, 1));
    TRY(create_optimizer(b));
    TRY(mem_alloc_array(net_leaf_floats(b->net), sizeof *b->leaf, (void **)&b->leaf));
    TRY(mem_alloc_array((size_t)r->steps, sizeof *b->seconds, (void **)&b->seconds));
    TRY(mem_alloc_array((size_t)r->steps, sizeof *b->cpu_seconds,
                        (void **)&b->cpu_seconds));
    TRY(draw_batch(b, r->shape, r->microbatch, model.classes));
cleanup:
    return status;
}

/* In one range, or tensor by tensor where the optimizer wants that. */
static void update(struct bench *b)
{
    const struct param_store *store = &b->net->store;
    const bool whole = optimizer_kind(b->optimizer)->whole_tensors;
    for (int i = 0; i < (whole ? store->n_params : 1); i++) {
        const struct stored_param *p = &store->params[i];
        const size_t begin = whole ? p->offset : 0,
                     end = whole ? begin + p->n_floats : net_param_floats(b->net);
        optimizer_step(b->optimizer, store->param_data, b->leaf, begin, end, 1e-4,
                       1e-4);
    }
}

static convoy_status run_step(struct bench *b, int n, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {.seed = 1, .step = step};
    TRY(compiled_refresh(b->compiled));
    TRY(compiled_forward(b->compiled, b->images, b->labels, b->leaf, &info));
    TRY(compiled_backward(b->compiled, 1.0F / (float)n, &info));
    const double start = clock_now_s();
    update(b);
    b->update_s += clock_now_s() - start;
    net_update_buffers(b->net, b->leaf + net_param_floats(b->net), 1);
cleanup:
    return status;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static convoy_status measure(struct bench *b, convoy_bench_model_result *r)
{
    convoy_status status = CONVOY_OK;
    struct rusage usage;
    const double n = r->microbatch;
    TRY(run_step(b, r->microbatch, 0));
    program_time(b->compiled->program, true);
    b->update_s = 0;
    for (int i = 0; i < r->steps; i++) {
        const double start = clock_now_s(), cpu_start = clock_thread_s();
        TRY(run_step(b, r->microbatch, (uint64_t)i + 1));
        b->seconds[i] = clock_now_s() - start;
        b->cpu_seconds[i] = clock_thread_s() - cpu_start;
    }
    qsort(b->seconds, (size_t)r->steps, sizeof *b->seconds, ascending);
    qsort(b->cpu_seconds, (size_t)r->steps, sizeof *b->cpu_seconds, ascending);
    r->images_per_cpu_s = n / b->cpu_seconds[r->steps / 2];
    r->images_per_s = n / b->seconds[r->steps / 2];
    r->best_images_per_s = n / b->seconds[0];
    r->planned_bytes = program_arena_bytes(b->compiled->program);
    getrusage(RUSAGE_SELF, &usage);
    r->peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
cleanup:
    return status;
}

/* Whether an op before op i is of the same work: then it has been reported with it. */
static bool is_reported(const struct program *program, int i)
{
    const struct program_cost op = program_cost(program, i);
    for (int before = 0; before < i; before++) {
        const struct program_cost other = program_cost(program, before);
        if (other.phase == op.phase && strcmp(other.kind, op.kind) == 0 &&
            other.primitive == op.primitive)
            return true;
    }
    return false;
}

static void report(const struct bench *b, int steps,
                   void (*visit)(void *context, const convoy_bench_cost *cost),
                   void *context)
{
    static const char *const phases[] = {"weights", "forward", "backward"};
    const struct program *program = b->compiled->program;
    for (int i = 0; i < program_n_ops(program); i++) {
        const struct program_cost op = program_cost(program, i);
        convoy_bench_cost cost = {
            .kind = op.kind, .phase = phases[op.phase], .primitive = op.primitive};
        if (is_reported(program, i))
            continue;
        for (int j = i; j < program_n_ops(program); j++) {
            const struct program_cost other = program_cost(program, j);
            if (other.phase == op.phase && strcmp(other.kind, op.kind) == 0 &&
                other.primitive == op.primitive)
                cost.seconds += other.seconds / steps;
        }
        visit(context, &cost);
    }
    visit(context,
          &(convoy_bench_cost){.kind = optimizer_kind(b->optimizer)->about.name,
                               .phase = "step",
                               .seconds = b->update_s / steps});
}

convoy_status convoy_bench_model(const convoy_bench_model_options *options,
                                 void (*visit)(void *context,
                                               const convoy_bench_cost *cost),
                                 void *context, convoy_bench_model_result *result)
{
    convoy_status status = CONVOY_OK;
    struct bench b = {0};
    convoy_bench_model_result r = {
        .microbatch = options->microbatch > 0 ? options->microbatch : 32,
        .steps = options->steps > 0 ? options->steps : 5};
    TRY(setup_threads(options->threads, &r.threads));
    TRY(prepare(&b, options, &r));
    TRY(measure(&b, &r));
    if (visit)
        report(&b, r.steps, visit, context);
    *result = r;
cleanup:
    free_bench(&b);
    return status;
}
