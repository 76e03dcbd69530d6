/* The mean squared error of a layer's output, and its gradient through the layer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "see/window_net.h"

#include <math.h>
#include <string.h>

enum { N = 2, ROWS = 6, COLUMNS = 9, TAPS = 6, OUT_ROWS = 5, OUT_COLUMNS = 9 };

static const struct layer_attributes told = {.out = 1,
                                             .groups = 1,
                                             .kernel = {2, 3},
                                             .stride = {1, 1},
                                             .pad = {0, 1},
                                             .dilation = {1, 1}};

struct rig {
    struct window_net w;
    float images[N * ROWS * COLUMNS], target[N * OUT_ROWS * OUT_COLUMNS];
    float weight[TAPS], *leaf;
};

static void assert_done(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void fill(uint64_t seed, float *values, size_t n)
{
    const struct rng rng = rng_stream(seed, RNG_AUGMENT, 0, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)rng_normal(&rng, i);
}

static void set_up(struct rig *rig)
{
    const struct window_net_options options = {.kind = &layer_conv,
                                               .told = &told,
                                               .n = N,
                                               .rows = ROWS,
                                               .columns = COLUMNS,
                                               .target = rig->target};
    rig->w = (struct window_net){0};
    fill(1, rig->images, (size_t)N * ROWS * COLUMNS);
    fill(2, rig->target, (size_t)N * OUT_ROWS * OUT_COLUMNS);
    fill(3, rig->weight, TAPS);
    assert_done(window_net_create(&options, &rig->w));
    assert_int_equal(rig->w.rows, OUT_ROWS);
    assert_int_equal(rig->w.columns, OUT_COLUMNS);
    assert_done(mem_alloc_array(net_leaf_floats(rig->w.net), sizeof(float),
                                (void **)&rig->leaf));
}

static void tear_down(struct rig *rig)
{
    mem_free(rig->leaf);
    window_net_free(&rig->w);
}

static double loss_of(struct rig *rig, const float *weight)
{
    const struct run_info info = {0};
    double sum = 0;
    assert_done(window_net_set_weight(&rig->w, weight));
    assert_done(compiled_refresh(rig->w.compiled));
    assert_done(compiled_forward(rig->w.compiled, rig->images, NULL, rig->leaf, &info));
    for (int i = 0; i < N; i++)
        sum += (double)compiled_losses(rig->w.compiled)[i];
    return sum;
}

static void the_loss_is_the_mean_squared_error(void **state)
{
    (void)state;
    struct rig rig;
    double expected = 0;
    set_up(&rig);
    const double loss = loss_of(&rig, rig.weight);
    const float *out = compiled_logits(rig.w.compiled);
    for (int i = 0; i < N * OUT_ROWS * OUT_COLUMNS; i++)
        expected += pow((double)out[i] - (double)rig.target[i], 2);
    expected /= OUT_ROWS * OUT_COLUMNS;
    assert_true(expected > 0.1);
    assert_true(fabs(loss - expected) < 1e-5 * expected);
    tear_down(&rig);
}

/* The loss is a quadratic form: central differences have no error of their own. */
static void the_gradient_is_the_loss_s_slope(void **state)
{
    (void)state;
    const struct run_info info = {0};
    const float h = 0.0625F;
    struct rig rig;
    float gradient[TAPS];
    set_up(&rig);
    const struct param_store *store = &rig.w.net->store;
    loss_of(&rig, rig.weight);
    assert_done(compiled_backward(rig.w.compiled, 1, &info));
    assert_done(param_store_get(store, &rig.w.net->dnn, 0, rig.leaf, gradient));
    for (int k = 0; k < TAPS; k++) {
        float moved[TAPS];
        double ends[2];
        for (int side = 0; side < 2; side++) {
            memcpy(moved, rig.weight, sizeof moved);
            moved[k] += side ? h : -h;
            ends[side] = loss_of(&rig, moved);
        }
        const double slope = (ends[1] - ends[0]) / (2 * (double)h);
        if (fabs(slope - (double)gradient[k]) > 1e-3 * (1 + fabs(slope)))
            fail_msg("weight %d: gradient %g, slope %g", k, (double)gradient[k], slope);
    }
    tear_down(&rig);
}

static void weights_come_back_as_they_were_set(void **state)
{
    (void)state;
    struct rig rig;
    float weight[TAPS];
    set_up(&rig);
    assert_done(window_net_weight(&rig.w, weight));
    for (int k = 0; k < TAPS; k++)
        assert_true(weight[k] == 0);
    assert_done(window_net_set_weight(&rig.w, rig.weight));
    assert_done(window_net_weight(&rig.w, weight));
    assert_memory_equal(weight, rig.weight, sizeof weight);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_is_the_mean_squared_error),
        cmocka_unit_test(the_gradient_is_the_loss_s_slope),
        cmocka_unit_test(weights_come_back_as_they_were_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
