/* Kinds that are loops of convoy's own, in bf16: where these round but once, results
 * are f32's rounded, bit for bit. No primitive of oneDNN is needed, so every processor
 * can. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include "base/bf16.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NORM .epsilon = 1e-5F, .momentum = 0.1F

/* Odd sizes, so that loops have ends. */
static const struct layer_case cases[] = {
    {.kind = "dropout",
     .n = 3,
     .src = {{5, 3, 3, false}},
     .dst = {5, 3, 3, false},
     .a = {.p = 0.4F}},
    {.kind = "adaptive_avg_pool",
     .n = 3,
     .src = {{3, 7, 5, false}},
     .dst = {3, 5, 3, false},
     .a = {.height = 5, .width = 3}},
    {.kind = "adaptive_avg_pool",
     .n = 2,
     .src = {{5, 3, 7, false}},
     .dst = {5, 7, 9, false},
     .a = {.height = 7, .width = 9}},
    {.kind = "blur_pool",
     .n = 3,
     .src = {{5, 7, 9, false}},
     .dst = {5, 4, 5, false},
     .a = {.stride = {2, 2}}},
    {.kind = "blur_pool",
     .n = 2,
     .src = {{5, 6, 7, false}},
     .dst = {5, 6, 4, false},
     .a = {.stride = {1, 2}}},
    {.kind = "batch_norm",
     .n = 3,
     .src = {{5, 7, 5, false}},
     .dst = {5, 7, 5, false},
     .a = {NORM},
     .relu = true},
    {.kind = "batch_norm",
     .n = 1,
     .src = {{3, 3, 3, false}},
     .dst = {3, 3, 3, false},
     .a = {NORM}},
    {.kind = "max_pool",
     .n = 3,
     .src = {{5, 7, 9, false}},
     .dst = {5, 3, 4, false},
     .a = {.kernel = {2, 2}, .stride = {2, 2}}},
    {.kind = "max_pool",
     .n = 2,
     .src = {{5, 6, 9, false}},
     .dst = {5, 2, 9, false},
     .a = {.kernel = {3, 1}, .stride = {3, 1}},
     .relu = true},
};
enum { N_CASES = sizeof cases / sizeof *cases, MAX_VALUES = 3 * 5 * 63 };

/* A case computed in a type; what are values are f32 here. */
struct result {
    float dst[MAX_VALUES], diff_src[MAX_VALUES];
    float grads[64], statistics[64];
};

static size_t size_of(dnnl_data_type_t type)
{
    return type == dnnl_bf16 ? sizeof(uint16_t) : sizeof(float);
}

static void widen(dnnl_data_type_t type, const void *from, float *to)
{
    for (int i = 0; i < MAX_VALUES; i++)
        to[i] = type == dnnl_bf16 ? bf16_to_f32(((const uint16_t *)from)[i])
                                  : ((const float *)from)[i];
}

/* New; values that bf16 holds. */
static void *draw(dnnl_data_type_t type, uint64_t stream)
{
    const struct rng rng = rng_stream(1, RNG_INIT, stream, 0);
    void *memory = NULL;
    OK(mem_alloc_array(MAX_VALUES, sizeof(float), &memory));
    for (uint64_t i = 0; i < MAX_VALUES; i++) {
        const uint16_t value = bf16_from_f32((float)rng_normal(&rng, i));
        if (type == dnnl_bf16)
            ((uint16_t *)memory)[i] = value;
        else
            ((float *)memory)[i] = bf16_to_f32(value);
    }
    return memory;
}

static tensor map_tensor(struct program *program, const struct layer_case *c,
                         const struct shape *s, dnnl_data_type_t type, enum home home)
{
    const int64_t dims[4] = {c->n, s->c, s->h, s->w};
    struct dnn_md md = {0};
    tensor made = NO_TENSOR;
    /* Plain memory is oneDNN's to pool; what results is compared as it lies. */
    const bool last = strcmp(c->kind, "max_pool") == 0;
    OK(dnn_md_make(4, dims, type, last ? dnnl_nhwc : dnnl_nchw, &md));
    OK(program_tensor(program, dnn_md_ref(&md), home, 0, &made));
    dnn_md_free(&md);
    return made;
}

/* Both passes of the layer, planned. *diff_src is the backward pass's. */
static void build(const struct layer_case *c, dnnl_data_type_t type,
                  struct param_store *store, struct program *program,
                  struct layer_build *b)
{
    static tensor src, diff_src;
    const struct layer_kind *kind = layer_find(c->kind);
    src = map_tensor(program, c, &c->src[0], type, HOME_IMAGES);
    diff_src = NO_TENSOR;
    *b = (struct layer_build){.program = program,
                              .attributes = &c->a,
                              .relu = c->relu,
                              .n = c->n,
                              .type = type,
                              .training = true,
                              .needs_diff_src = true,
                              .n_src = 1,
                              .src_shapes = c->src,
                              .dst_shape = c->dst,
                              .src = &src,
                              .labels = NO_TENSOR,
                              .dst = NO_TENSOR,
                              .diff_src = &diff_src,
                              .saved = {NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
                              .store = store,
                              .learns = true,
                              .place = NO_TENSOR,
                              .diff_sum = NO_TENSOR};
    program_label(program, c->kind, c->kind);
    OK(kind->forward(b));
    program_keep(program, b->dst);
    b->diff_dst = map_tensor(program, c, &c->dst, type, HOME_LOSS_SCALE);
    OK(kind->backward(b));
    program_keep(program, diff_src);
    OK(program_plan(program));
}

static void run(const struct dnn *dnn, const struct layer_case *c,
                dnnl_data_type_t type, struct result *result)
{
    const struct run_info info = {.seed = 1, .step = 2};
    struct param_store store = {0};
    struct program *program = NULL;
    struct layer_build b;
    void *src = draw(type, 1), *diff_dst = draw(type, 2);
    struct layer_case with_source = *c;
    with_source.n_src = 1;
    memset(result, 0, sizeof *result);
    rig_add_params(&with_source, &store);
    OK(program_create(dnn, &program));
    build(&with_source, type, &store, program, &b);
    OK(param_store_allocate(&store));
    assert_true(store.param_floats <= 64 && store.buffer_floats <= 64);
    for (size_t i = 0; i < store.param_floats; i++)
        store.param_data[i] = 0.5F + (float)i / 64;
    OK(program_bind(program, HOME_PARAMS, store.param_data));
    OK(program_bind(program, HOME_GRADS, result->grads));
    OK(program_bind(program, HOME_BUFFERS, store.buffer_data));
    OK(program_bind(program, HOME_STATS, result->statistics));
    OK(program_bind(program, HOME_IMAGES, src));
    OK(program_bind(program, HOME_LOSS_SCALE, diff_dst));
    OK(program_run(program, PHASE_WEIGHTS, &info));
    OK(program_run(program, PHASE_FORWARD, &info));
    OK(program_run(program, PHASE_BACKWARD, &info));
    const size_t size = size_of(type);
    memcpy(src, program_data(program, b.dst),
           (size_t)(c->n * c->dst.c * c->dst.h * c->dst.w) * size);
    widen(type, src, result->dst);
    memcpy(diff_dst, program_data(program, b.diff_src[0]),
           (size_t)(c->n * c->src[0].c * c->src[0].h * c->src[0].w) * size);
    widen(type, diff_dst, result->diff_src);
    program_destroy(program);
    param_store_free(&store);
    mem_free(src);
    mem_free(diff_dst);
}

static void expect_rounded(const struct layer_case *c, const float *found,
                           const float *exact, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (bf16_from_f32(found[i]) != bf16_from_f32(exact[i]))
            fail_msg("%s: %g of %g", c->kind, (double)found[i], (double)exact[i]);
}

static void bf16_is_f32_rounded(void **state)
{
    (void)state;
    struct dnn dnn;
    static struct result f32, bf16;
    OK(dnn_create(&dnn));
    for (int i = 0; i < N_CASES; i++) {
        const struct layer_case *c = &cases[i];
        run(&dnn, c, dnnl_f32, &f32);
        run(&dnn, c, dnnl_bf16, &bf16);
        expect_rounded(c, bf16.dst, f32.dst, c->n * c->dst.c * c->dst.h * c->dst.w);
        expect_rounded(c, bf16.diff_src, f32.diff_src,
                       c->n * c->src[0].c * c->src[0].h * c->src[0].w);
        /* Gradients of parameters and statistics are f32 in any case. */
        assert_memory_equal(bf16.grads, f32.grads, sizeof f32.grads);
        assert_memory_equal(bf16.statistics, f32.statistics, sizeof f32.statistics);
    }
    dnn_destroy(&dnn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bf16_is_f32_rounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
