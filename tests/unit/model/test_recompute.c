/* Recomputing activations changes memory, not bits: losses, gradients and statistics of
 * nets with batch norm, with and without. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "net/net.h"

#include <convoy/model.h>

#include <string.h>

enum { N = 3, SIDE = 32 };

struct outcome {
    float *leaf;
    size_t n, bytes;
    float losses[N];
};

#define OK(call)                                                                       \
    do {                                                                               \
        if ((call) != CONVOY_OK)                                                       \
            fail_msg("%s", convoy_status_text());                                      \
    } while (0)

static void run(const char *name, const convoy_model_options *options, bool recompute,
                struct outcome *o)
{
    const struct compile_options compiling = {
        .n = N, .type = dnnl_f32, .training = true, .recompute = recompute};
    const struct run_info info = {.seed = 1};
    const int shape[3] = {3, SIDE, SIDE};
    const int32_t labels[N] = {3, 1, 0};
    static float images[N * 3 * SIDE * SIDE];
    const struct rng rng = rng_stream(1, RNG_AUGMENT, 0, 0);
    convoy_net *net = NULL;
    struct compiled *compiled = NULL;
    for (uint64_t i = 0; i < sizeof images / sizeof *images; i++)
        images[i] = (float)rng_normal(&rng, i);
    OK(convoy_model_build(name, shape, options, &net));
    OK(net_compile(net, &compiling, &compiled));
    OK(param_store_init(&net->store, &net->dnn, NULL, 5));
    o->n = net_leaf_floats(net);
    o->bytes = program_arena_bytes(compiled->program);
    OK(mem_alloc_array(o->n, sizeof *o->leaf, (void **)&o->leaf));
    for (int turn = 0; turn < 2; turn++) { /* the second finds the first one's memory */
        OK(compiled_refresh(compiled));
        OK(compiled_forward(compiled, images, labels, o->leaf, &info));
        OK(compiled_backward(compiled, 1.0F / N, &info));
    }
    memcpy(o->losses, compiled_losses(compiled), sizeof o->losses);
    compiled_destroy(compiled);
    convoy_net_destroy(net);
}

/* share: of the memory that is left, at most. */
static void check(const char *name, convoy_model_options options, double share)
{
    struct outcome kept = {0}, recomputed = {0};
    options.classes = 4;
    run(name, &options, false, &kept);
    run(name, &options, true, &recomputed);
    assert_memory_equal(kept.losses, recomputed.losses, sizeof kept.losses);
    assert_int_equal(kept.n, recomputed.n);
    assert_int_equal(memcmp(kept.leaf, recomputed.leaf, kept.n * sizeof *kept.leaf), 0);
    if (!((double)recomputed.bytes <= share * (double)kept.bytes))
        fail_msg("%s: %zu bytes recomputing, %zu without", name, recomputed.bytes,
                 kept.bytes);
    mem_free(kept.leaf);
    mem_free(recomputed.leaf);
}

static void bits_stay_and_memory_goes(void **state)
{
    (void)state;
    check("mlp", (convoy_model_options){.width = 32}, 1);
    check("lenet", (convoy_model_options){.batch_norm = true, .dropout = 0.3F}, 1);
    check("plain20", (convoy_model_options){0}, 0.8);
    check("resnet20", (convoy_model_options){0}, 0.8);
    check("resnet20", (convoy_model_options){.pre_activation = true}, 0.8);
    /* At this size scratch of the convolutions takes more than activations do. */
    check("resnet18", (convoy_model_options){0}, 1);
    check("resnet18", (convoy_model_options){.pre_activation = true}, 1);
    check("densenet121", (convoy_model_options){0}, 0.7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_stay_and_memory_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
