/* What is no number passes the ReLU, in both types: it must reach the loss. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include "base/bf16.h"

#include <math.h>
#include <string.h>

enum { N = 19 }; /* fills no vector */

static const float values[N] = {NAN, -NAN, 1,      -1, 0,         -0.0F,   INFINITY,
                                3,   -3,   1e-30F, 2,  -INFINITY, -1e-30F, NAN,
                                -7,  7,    NAN,    -5, 5};

static void run(dnnl_data_type_t type, void *src, void *dst, size_t bytes)
{
    const struct run_info info = {0};
    const struct shape shape = {N, 1, 1, true};
    const int64_t dims[2] = {1, N};
    struct layer_build b = {.n = 1,
                            .type = type,
                            .training = true,
                            .n_src = 1,
                            .src_shapes = &shape,
                            .dst_shape = shape,
                            .dst = NO_TENSOR};
    struct dnn dnn;
    struct dnn_md md = {0};
    tensor from = NO_TENSOR;
    OK(dnn_create(&dnn));
    OK(program_create(&dnn, &b.program));
    OK(dnn_md_make_plain(2, dims, type, &md));
    OK(program_tensor(b.program, dnn_md_ref(&md), HOME_IMAGES, 0, &from));
    b.src = &from;
    OK(layer_find("relu")->forward(&b));
    program_keep(b.program, b.dst);
    OK(program_plan(b.program));
    OK(program_bind(b.program, HOME_IMAGES, src));
    OK(program_run(b.program, PHASE_FORWARD, &info));
    memcpy(dst, program_data(b.program, b.dst), bytes);
    dnn_md_free(&md);
    program_destroy(b.program);
    dnn_destroy(&dnn);
}

static void expect(float found, float value)
{
    if (isnan(value))
        assert_true(isnan(found));
    else
        assert_true(found == (value > 0 ? value : 0));
}

static void f32(void **state)
{
    (void)state;
    float src[N], dst[N];
    memcpy(src, values, sizeof src);
    run(dnnl_f32, src, dst, sizeof dst);
    for (int i = 0; i < N; i++)
        expect(dst[i], values[i]);
}

static void bf16(void **state)
{
    (void)state;
    uint16_t src[N], dst[N];
    for (int i = 0; i < N; i++)
        src[i] = bf16_from_f32(values[i]);
    run(dnnl_bf16, src, dst, sizeof dst);
    for (int i = 0; i < N; i++)
        expect(bf16_to_f32(dst[i]), bf16_to_f32(src[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(f32), cmocka_unit_test(bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
