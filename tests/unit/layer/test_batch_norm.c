/* What batch_norm leaves for the running averages: the statistics of the microbatch and
 * how they are to be averaged, against PyTorch's rule worked out in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/layer/layer_rig.h"

#include <math.h>
#include <string.h>

static void running_averages_follow_pytorchs_rule(void **state)
{
    (void)state;
    const struct layer_kind *kind = layer_find("batch_norm");
    const struct layer_attributes a = {.epsilon = 1e-5F, .momentum = 0.3F};
    const struct shape src = {.c = 7, .h = 3, .w = 5};
    struct buffer buffers[LAYER_MAX_BUFFERS];
    assert_int_equal(kind->buffers(&a, &src, buffers), 2);
    assert_string_equal(buffers[0].name, "running_mean");
    assert_string_equal(buffers[1].name, "running_var");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(buffers[i].n, 7);
        assert_true(buffers[i].momentum == 0.3F);
    }
    assert_true(buffers[0].initial == 0 && buffers[1].initial == 1);
    assert_true(!buffers[0].unbiased && buffers[1].unbiased);
}

/* The first case of a kind. */
static const struct layer_case *first_case(const char *kind)
{
    const struct layer_case *c = layer_cases;
    while (strcmp(c->kind, kind) != 0)
        c++;
    return c;
}

static void statistics_are_over_the_microbatch(void **state)
{
    (void)state;
    const struct layer_case *c = first_case("batch_norm");
    const struct rig_options training = {.training = true}, evaluation = {0};
    struct layer_sample *sample = sample_create(c, true);
    struct param_store store = {0};
    struct dnn dnn = {0};
    OK(dnn_create(&dnn));
    rig_add_params(c, &store);
    struct layer_rig *rig = rig_create(sample, &training, &dnn, &store);
    for (int i = 0; i < 2; i++)
        assert_true(store.buffers[i].n_values ==
                    (double)(c->n * c->src[0].h * c->src[0].w));
    rig_forward(rig);
    double expected = sample->r.statistics[1][0];
    assert_true(fabs((double)rig_statistic(rig, 1)[0] - expected) < 1e-5);
    /* Evaluation neither reads nor writes statistics. */
    struct layer_sample *plain = sample_create(c, false);
    struct layer_rig *evaluating = rig_create(plain, &evaluation, &dnn, &store);
    rig_forward(evaluating);
    for (size_t i = 0; i < store.buffer_floats; i++)
        assert_true(isnan(evaluating->statistics[i]));
    /* And training leaves the running statistics alone. */
    rig_set_params(rig);
    rig_forward(rig);
    for (int i = 0; i < 2; i++)
        for (int64_t k = 0; k < c->src[0].c; k++)
            assert_true(store.buffer_data[store.buffers[i].offset + (size_t)k] ==
                        (float)plain->r.running[i][k]);
    rig_destroy(evaluating);
    rig_destroy(rig);
    sample_destroy(plain);
    sample_destroy(sample);
    param_store_free(&store);
    dnn_destroy(&dnn);
}

static void large_means_leave_the_variance_exact(void **state)
{
    (void)state;
    const struct layer_case *c = first_case("batch_norm");
    struct layer_sample *sample = sample_create(c, true);
    struct dnn dnn = {0};
    OK(dnn_create(&dnn));
    for (int64_t i = 0; i < reference_src_values(&sample->r, 0); i++)
        sample->r.src[0][i] = (double)(float)(sample->r.src[0][i] + 1000);
    sample_compute(sample);
    for (int layout = 0; layout < N_SRC_LAYOUTS; layout++) {
        const struct rig_options options = {.layout = (enum src_layout)layout,
                                            .training = true};
        struct param_store store = {0};
        rig_add_params(c, &store);
        struct layer_rig *rig = rig_create(sample, &options, &dnn, &store);
        rig_forward(rig);
        for (int i = 0; i < 2; i++)
            assert_true(rig_error(rig_statistic(rig, i), sample->r.statistics[i],
                                  c->src[0].c) < 1e-6);
        rig_destroy(rig);
        param_store_free(&store);
    }
    sample_destroy(sample);
    dnn_destroy(&dnn);
}

static void zero_init_starts_the_scale_at_zero(void **state)
{
    (void)state;
    const struct layer_kind *kind = layer_find("batch_norm");
    const struct layer_attributes zero = {.zero_init = true}, one = {0};
    const struct shape src = {.c = 7, .h = 3, .w = 5};
    struct param params[LAYER_MAX_PARAMS];
    assert_int_equal(kind->params(&zero, &src, params), 2);
    assert_int_equal(params[0].init, INIT_ZERO);
    assert_int_equal(kind->params(&one, &src, params), 2);
    assert_int_equal(params[0].init, INIT_ONE);
    assert_int_equal(params[1].init, INIT_ZERO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_averages_follow_pytorchs_rule),
        cmocka_unit_test(statistics_are_over_the_microbatch),
        cmocka_unit_test(large_means_leave_the_variance_exact),
        cmocka_unit_test(zero_init_starts_the_scale_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
