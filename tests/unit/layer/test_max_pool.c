/* What the pooling of windows side by side does where values are no ordinary ones:
 * equal, not a number, or stopped by the ReLU. The rest is test_conformance.c's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <math.h>
#include <string.h>

/* Each channel is a window of 2 x 2 of its own; channels lie side by side. */
enum { CHANNELS = 7, PIXELS = 4 };

static const struct layer_attributes attributes = {.kernel = {2, 2}, .stride = {2, 2}};
static const struct shape src_shape = {CHANNELS, 2, 2, false};

static tensor make(struct program *program, int64_t side, enum home home)
{
    const int64_t dims[4] = {1, CHANNELS, side, side};
    struct dnn_md md = {0};
    tensor made = NO_TENSOR;
    OK(dnn_md_make(4, dims, dnnl_f32, dnnl_nhwc, &md));
    OK(program_tensor(program, dnn_md_ref(&md), home, 0, &made));
    dnn_md_free(&md);
    return made;
}

/* dst and diff_src of src, for a diff_dst of 1. */
static void pool(bool relu, float src[PIXELS][CHANNELS], float dst[CHANNELS],
                 float diff_src[PIXELS][CHANNELS])
{
    const struct run_info info = {0};
    const struct layer_kind *kind = layer_find("max_pool");
    struct dnn dnn;
    struct program *program = NULL;
    float ones[CHANNELS];
    for (int c = 0; c < CHANNELS; c++)
        ones[c] = 1;
    OK(dnn_create(&dnn));
    OK(program_create(&dnn, &program));
    const tensor from = make(program, 2, HOME_IMAGES);
    tensor diff = NO_TENSOR;
    struct layer_build b = {.program = program,
                            .attributes = &attributes,
                            .relu = relu,
                            .n = 1,
                            .type = dnnl_f32,
                            .training = true,
                            .needs_diff_src = true,
                            .n_src = 1,
                            .src_shapes = &src_shape,
                            .dst_shape = {CHANNELS, 1, 1, false},
                            .src = &from,
                            .dst = NO_TENSOR,
                            .diff_src = &diff};
    OK(kind->forward(&b));
    program_keep(program, b.dst);
    b.diff_dst = make(program, 1, HOME_LOSS_SCALE);
    OK(kind->backward(&b));
    program_keep(program, diff);
    OK(program_plan(program));
    OK(program_bind(program, HOME_IMAGES, src));
    OK(program_bind(program, HOME_LOSS_SCALE, ones));
    OK(program_run(program, PHASE_FORWARD, &info));
    OK(program_run(program, PHASE_BACKWARD, &info));
    memcpy(dst, program_data(program, b.dst), sizeof ones);
    memcpy(diff_src, program_data(program, diff), sizeof(float[PIXELS][CHANNELS]));
    program_destroy(program);
    dnn_destroy(&dnn);
}

/* Pixels in rows from the top; window c is column c. */
static void set(float src[PIXELS][CHANNELS], int c, float a, float b, float d, float e)
{
    const float values[PIXELS] = {a, b, d, e};
    for (int i = 0; i < PIXELS; i++)
        src[i][c] = values[i];
}

/* Where the gradient of window c goes, and nowhere else; -1: nowhere. */
static void expect_place(float diff_src[PIXELS][CHANNELS], int c, int place)
{
    for (int i = 0; i < PIXELS; i++)
        if (diff_src[i][c] != (i == place ? 1.0F : 0.0F))
            fail_msg("window %d: pixel %d has the gradient %g, expected pixel %d alone",
                     c, i, (double)diff_src[i][c], place);
}

static void the_first_of_equal_values_wins(void **state)
{
    (void)state;
    float src[PIXELS][CHANNELS] = {{0}}, dst[CHANNELS], diff[PIXELS][CHANNELS];
    set(src, 0, 1, 1, 1, 1);
    set(src, 1, -3, 2, 2, -3);
    set(src, 2, 0, -1, 5, 5);
    set(src, 3, -4, -4, -4, -5);
    set(src, 6, -4, -3, -2, -1);
    pool(false, src, dst, diff);
    const float expected[CHANNELS] = {1, 2, 5, -4, 0, 0, -1};
    const int places[CHANNELS] = {0, 1, 2, 0, 0, 0, 3};
    for (int c = 0; c < CHANNELS; c++) {
        assert_true(dst[c] == expected[c]);
        expect_place(diff, c, places[c]);
    }
}

static void what_the_relu_stops_gets_no_gradient(void **state)
{
    (void)state;
    float src[PIXELS][CHANNELS] = {{0}}, dst[CHANNELS], diff[PIXELS][CHANNELS];
    set(src, 0, -1, -2, -3, -4);
    set(src, 1, -1, 0, -3, -4);
    set(src, 2, -1, -2, 3, 3);
    set(src, 5, -1, -1, -1, 7);
    pool(true, src, dst, diff);
    const float expected[CHANNELS] = {0, 0, 3, 0, 0, 7, 0};
    const int places[CHANNELS] = {-1, -1, 2, -1, -1, 3, -1};
    for (int c = 0; c < CHANNELS; c++) {
        assert_true(dst[c] == expected[c] && !signbit(dst[c]));
        expect_place(diff, c, places[c]);
    }
}

static void a_nan_passes(void **state)
{
    (void)state;
    float src[PIXELS][CHANNELS] = {{0}}, dst[CHANNELS], diff[PIXELS][CHANNELS];
    for (int relu = 0; relu < 2; relu++) {
        for (int c = 0; c < CHANNELS; c++)
            set(src, c, 1, 2, 3, 4);
        for (int i = 0; i < PIXELS; i++)
            src[i][i] = NAN;
        set(src, 5, -INFINITY, 3, INFINITY, -2);
        pool(relu == 1, src, dst, diff);
        for (int i = 0; i < PIXELS; i++) {
            assert_true(isnan(dst[i]));
            expect_place(diff, i, i);
        }
        assert_true(dst[4] == 4 && dst[5] == INFINITY);
        expect_place(diff, 5, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_equal_values_wins),
        cmocka_unit_test(what_the_relu_stops_gets_no_gradient),
        cmocka_unit_test(a_nan_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
