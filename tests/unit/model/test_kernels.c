/* No net of the zoo is left with one of oneDNN's reference kernels, a hundred times
 * slower than the others, for a layer that takes time. Nets are planned only: nothing
 * is allocated or run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/net.h"

#include <convoy/model.h>

#include <string.h>

/* In which ways a net is compiled: a microbatch of training's and one image. */
static const struct compile_options ways[] = {
    {.n = 32, .type = dnnl_f32, .training = true, .threads = 1},
    {.n = 32, .type = dnnl_f32, .threads = 1},
    {.n = 1, .type = dnnl_f32, .threads = 1},
    {.n = 32, .type = dnnl_bf16, .training = true, .threads = 1},
    {.n = 32, .type = dnnl_bf16, .threads = 1},
};

/* What has to have fast kernels. */
static const char *const kinds[] = {"conv",     "inner_product",   "max_pool",
                                    "avg_pool", "global_avg_pool", "lrn"};

/* Where oneDNN has nothing better, in any layout: from a version on, and without an
 * instruction set. */
static const struct {
    const char *model, *kind;
    enum phase phase;
    int onednn;
    dnnl_cpu_isa_t without;
} exceptions[] = {
    /* oneDNN 3 has others for LRN's gradient on AVX-512 only. */
    {"alexnet2012", "lrn", PHASE_BACKWARD, 3, dnnl_cpu_isa_avx512_core},
};

static bool uses(dnnl_cpu_isa_t isa)
{
    const unsigned used = dnnl_get_effective_cpu_isa(), wanted = isa;
    return (used & wanted) == wanted;
}

static bool is_of_note(const char *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

static bool is_excepted(const char *model, const struct program_cost *op)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (strcmp(exceptions[i].model, model) == 0 &&
            strcmp(exceptions[i].kind, op->kind) == 0 &&
            exceptions[i].phase == op->phase &&
            exceptions[i].onednn <= DNNL_VERSION_MAJOR && !uses(exceptions[i].without))
            return true;
    return false;
}

/* How many ops of the plan have reference kernels; n_seen: are of note. */
static int count_references(const struct compiled *plan, const char *model, int *n_seen)
{
    int n = 0;
    for (int i = 0; i < program_n_ops(plan->program); i++) {
        const struct program_cost op = program_cost(plan->program, i);
        if (!op.primitive || !is_of_note(op.kind))
            continue;
        ++*n_seen;
        if (!op.reference || is_excepted(model, &op))
            continue;
        print_message("%s, %s of %d: '%s' (%s), phase %d: %s\n", model,
                      plan->training ? "training" : "inference", plan->n, op.layer,
                      op.kind, (int)op.phase, op.kernels);
        n++;
    }
    return n;
}

static int plan_and_count(const char *model, const struct compile_options *way)
{
    convoy_model_options options = {0};
    convoy_net *net = NULL;
    struct compiled *plan = NULL;
    int shape[3], n_seen = 0;
    if (convoy_model_defaults(model, shape, &options.classes) != CONVOY_OK ||
        convoy_model_build(model, shape, &options, &net) != CONVOY_OK ||
        net_plan(net, way, &plan) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    const int n = count_references(plan, model, &n_seen);
    assert_true(n_seen > 0);
    compiled_destroy(plan);
    convoy_net_destroy(net);
    return n;
}

static void no_model_gets_reference_kernels(void **state)
{
    int n = 0;
    (void)state;
    if (!uses(dnnl_cpu_isa_avx2)) {
        print_message("oneDNN uses no AVX2 here: nothing to see\n");
        skip();
    }
    for (int i = 0; convoy_model_name(i); i++)
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
            if (dnn_check_type(ways[w].type) == CONVOY_OK)
                n += plan_and_count(convoy_model_name(i), &ways[w]);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_model_gets_reference_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
