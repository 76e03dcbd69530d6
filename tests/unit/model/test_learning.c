/* Every model of the list compiles and learns, at a small input size; without the
 * argument "all" only those of at most 12 million parameters, in seconds. Most of the
 * time would go into the initial weights, of which some models have 140 million; so
 * the linker's --wrap lets these be drawn from a table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"

#include <convoy/model.h>

#include <math.h>
#include <string.h>

static int64_t most_params = 12000000;

enum { N_NORMALS_LOG2 = 16 };
static double normals[1 << N_NORMALS_LOG2];

// NOLINTBEGIN(readability-identifier-naming): the linker's --wrap asks for these names
double __real_rng_normal(const struct rng *rng, uint64_t i);
double __wrap_rng_normal(const struct rng *rng, uint64_t i);
double __wrap_rng_normal(const struct rng *rng, uint64_t i)
{
    (void)rng;
    return normals[i * 0x9e3779b97f4a7c15 >> (64 - N_NORMALS_LOG2)];
}

static void draw_normals(void)
{
    const struct rng rng = rng_stream(1, RNG_INIT, 0, 0);
    for (uint64_t i = 0; i < sizeof normals / sizeof *normals; i++)
        normals[i] = __real_rng_normal(&rng, i);
}
// NOLINTEND(readability-identifier-naming)

/* Two images on which a model can learn at once: its own channels, at most 64 pixels a
 * side. */
static float *make_images(const int shape[3])
{
    const int64_t n = (int64_t)2 * shape[0] * shape[1] * shape[2];
    float *images = NULL;
    assert_int_equal(mem_alloc_array((size_t)n, sizeof *images, (void **)&images),
                     CONVOY_OK);
    for (int64_t i = 0; i < n; i++)
        images[i] = (float)(i % 11) / 11.0F - (i < n / 2 ? 0 : 1);
    return images;
}

/* A step against the gradient of loss, as long as its slope says to take a twentieth
 * off: nets differ by orders of magnitude in the rate that suits them. */
static void descend(convoy_net *net, const float *gradient, double loss)
{
    double square = 0;
    for (size_t i = 0; i < net_param_floats(net); i++)
        square += (double)gradient[i] * (double)gradient[i];
    assert_true(isfinite(square) && square > 0);
    const float rate = (float)(0.05 * loss / square);
    for (size_t i = 0; i < net_param_floats(net); i++)
        net->store.param_data[i] -= rate * gradient[i];
}

/* What of a leaf was told to be final, as it was then. */
struct final {
    const float *leaf;
    float *told;
    size_t from;
    int n_told;
};

/* program_final */
static void keep_final(void *context, size_t from)
{
    struct final *final = context;
    assert_true(from < final->from);
    memcpy(final->told + from, final->leaf + from,
           (final->from - from) * sizeof *final->leaf);
    final->from = from;
    final->n_told++;
}

/* A backward pass that tells, layer by layer, what no later op touches. */
static void run_backward(struct compiled *compiled, const convoy_net *net,
                         const struct run_info *info, float *leaf)
{
    const size_t n = net_param_floats(net);
    struct final final = {.leaf = leaf, .from = n};
    assert_int_equal(mem_alloc_array(n, sizeof *leaf, (void **)&final.told), CONVOY_OK);
    memset(leaf, 0, n * sizeof *leaf); /* what no op touches adds nothing */
    assert_int_equal(
        compiled_backward_telling(compiled, 0.5F, info, keep_final, &final), CONVOY_OK);
    assert_int_equal(final.from, 0);
    assert_true(final.n_told > 1);
    /* assert_memory_equal compares byte by byte. */
    assert_int_equal(memcmp(final.told, leaf, n * sizeof *leaf), 0);
    mem_free(final.told);
}

/* A few steps of plain gradient descent on one batch of two samples; one is what the
 * largest nets have time for. */
static void assert_net_learns(const char *name, convoy_net *net, const int shape[3])
{
    const struct compile_options options = {.n = 2, .type = dnnl_f32, .training = true};
    const struct run_info info = {.seed = 1};
    const int32_t labels[2] = {3, 7};
    struct compiled *compiled = NULL;
    float *images = make_images(shape), *leaf = NULL;
    const int last = convoy_net_n_params(net) <= 12000000 ? 5 : 1;
    double losses[6];
    assert_int_equal(net_compile(net, &options, &compiled), CONVOY_OK);
    assert_int_equal(param_store_init(&net->store, &net->dnn, NULL, 5), CONVOY_OK);
    assert_int_equal(
        mem_alloc_array(net_leaf_floats(net), sizeof *leaf, (void **)&leaf), CONVOY_OK);
    for (int step = 0; step <= last; step++) {
        assert_int_equal(compiled_refresh(compiled), CONVOY_OK);
        assert_int_equal(compiled_forward(compiled, images, labels, leaf, &info),
                         CONVOY_OK);
        run_backward(compiled, net, &info, leaf);
        losses[step] =
            (double)compiled_losses(compiled)[0] + (double)compiled_losses(compiled)[1];
        if (step < last)
            descend(net, leaf, losses[step] / 2);
    }
    if (!(isfinite(losses[last]) && losses[last] < losses[0]))
        fail_msg("%s: loss %g after %g", name, losses[last], losses[0]);
    mem_free(images);
    mem_free(leaf);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

/* Of width 8 where the model can be narrow. */
static convoy_net *build(const char *name, const int shape[3],
                         convoy_model_options options)
{
    convoy_net *net = NULL;
    options.width = 8;
    if (convoy_model_build(name, shape, &options, &net) == CONVOY_OK)
        return net;
    options.width = 0;
    if (convoy_model_build(name, shape, &options, &net) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return net;
}

static void assert_learns(const char *name, convoy_model_options options)
{
    int shape[3];
    assert_int_equal(convoy_model_defaults(name, shape, &options.classes), CONVOY_OK);
    shape[1] = shape[2] = shape[1] < 64 ? shape[1] : 64;
    convoy_net *net = build(name, shape, options);
    if (convoy_net_n_params(net) <= most_params)
        assert_net_learns(name, net, shape);
    else
        convoy_net_destroy(net);
}

static void every_model_learns(void **state)
{
    (void)state;
    for (int i = 0; convoy_model_name(i); i++) {
        assert_true(strlen(convoy_model_summary(i)) > 10);
        assert_learns(convoy_model_name(i), (convoy_model_options){0});
    }
    assert_null(convoy_model_name(-1));
    assert_null(convoy_model_summary(1000));
}

static void variants_learn(void **state)
{
    (void)state;
    assert_learns("resnet20", (convoy_model_options){.pre_activation = true});
    assert_learns("resnet18", (convoy_model_options){.pre_activation = true});
    assert_learns("resnet50",
                  (convoy_model_options){.pre_activation = true, .variant = "v1"});
    assert_learns("resnet50", (convoy_model_options){.zero_init_residual = true});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_learns),
        cmocka_unit_test(variants_learn),
    };
    if (argc > 1 && strcmp(argv[1], "all") == 0)
        most_params = INT64_MAX;
    draw_normals();
    return cmocka_run_group_tests_name("learning", tests, NULL, NULL);
}
