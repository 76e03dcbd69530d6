/* Directions through weights: their filters are as long as the weights', norms and
 * biases have none, and the centre is left and come back to without a rounding. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "see/landscape_plane.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rig {
    convoy_net *net;
    struct compiled *compiled;
    struct lanes *lanes;
    struct landscape_plane plane;
};

/* With more channels than a vector has lanes, so that oneDNN blocks some layouts and
 * pads others. */
static convoy_net *build(void)
{
    convoy_net *net = NULL;
    assert_int_equal(convoy_net_create(3, 8, 8, &net), CONVOY_OK);
    convoy_node x = convoy_net_input(net);
    x = convoy_net_conv(net, x, "conv1",
                        &(convoy_conv){.out = 24, .kernel = 3, .pad = 1});
    x = convoy_net_batch_norm(net, x, "bn1", NULL);
    x = convoy_net_conv(net, x, "conv2",
                        &(convoy_conv){.out = 32, .kernel = 3, .pad = 1});
    x = convoy_net_max_pool(net, x, "pool", &(convoy_pool){.kernel = 4});
    x = convoy_net_locally_connected(
        net, x, "local",
        &(convoy_conv){.out = 3, .kernel = 2, .bias_init = CONVOY_INIT_UNIFORM});
    x = convoy_net_flatten(net, x, "flatten");
    x = convoy_net_inner_product(net, x, "fc", &(convoy_inner_product){.out = 5});
    convoy_net_loss(net, x, 0);
    return net;
}

static void set_up(struct rig *rig, int n_lanes, uint64_t seed, int n_axes)
{
    const struct compile_options compiling = {.n = 4, .type = dnnl_f32, .threads = 1};
    *rig = (struct rig){.net = build()};
    if (n_lanes > 0)
        assert_int_equal(
            lanes_create(&(struct lanes_options){.n = n_lanes, .threads = 1},
                         &rig->lanes),
            CONVOY_OK);
    if (net_compile(rig->net, &compiling, &rig->compiled) != CONVOY_OK ||
        param_store_init(&rig->net->store, &rig->net->dnn, NULL, 7) != CONVOY_OK ||
        landscape_plane_make(rig->net, rig->lanes, seed, n_axes, &rig->plane) !=
            CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

static void tear_down(struct rig *rig)
{
    landscape_plane_free(&rig->plane);
    compiled_destroy(rig->compiled);
    convoy_net_destroy(rig->net);
    lanes_destroy(rig->lanes);
}

/* New: parameter i of an arena, canonical. */
static float *values_of(const struct rig *rig, int i, const float *arena)
{
    const struct param_store *store = &rig->net->store;
    float *values = calloc((size_t)param_store_n_values(store, i), sizeof *values);
    assert_non_null(values);
    assert_int_equal(param_store_get(store, &rig->net->dnn, i, arena, values),
                     CONVOY_OK);
    return values;
}

static double length_of(const float *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

static void assert_scaled(const struct rig *rig, int i, int axis)
{
    const struct param_store *store = &rig->net->store;
    const struct param *param = &store->params[i].param;
    const size_t n = (size_t)param_store_n_values(store, i);
    const bool is_weight = strstr(store->params[i].name, "weight") && param->n_dims > 1;
    const size_t n_filters = is_weight ? (size_t)param->dims[0] : 1;
    float *w = values_of(rig, i, rig->plane.centre);
    float *d = values_of(rig, i, rig->plane.along[axis]);
    for (size_t k = 0; k < n_filters; k++) {
        const size_t length = n / n_filters;
        const double own = length_of(w + k * length, length);
        const double wanted = is_weight ? own : 0;
        const double found = length_of(d + k * length, length);
        if (!(fabs(found - wanted) <= 1e-5 * wanted))
            fail_msg("%s, filter %zu: %g, expected %g", store->params[i].name, k, found,
                     wanted);
    }
    free(w);
    free(d);
}

static void filters_are_as_long_as_the_weights(void **state)
{
    struct rig rig;
    (void)state;
    set_up(&rig, 2, 3, 2);
    assert_int_equal(rig.net->store.n_params, 10);
    for (int i = 0; i < rig.net->store.n_params; i++)
        for (int axis = 0; axis < 2; axis++)
            assert_scaled(&rig, i, axis);
    tear_down(&rig);
}

static void a_point_is_a_sum_and_the_centre_is_the_net(void **state)
{
    struct rig rig;
    (void)state;
    set_up(&rig, 2, 3, 2);
    const float *now = rig.net->store.param_data;
    const struct landscape_plane *plane = &rig.plane;
    landscape_plane_go(plane, (const double[]){0.5, -2});
    for (size_t i = 0; i < plane->n; i++) {
        const double sum = (double)plane->centre[i] + 0.5 * (double)plane->along[0][i] -
                           2 * (double)plane->along[1][i];
        assert_true(now[i] == (float)sum);
    }
    assert_memory_not_equal(now, plane->centre, plane->n * sizeof(float));
    landscape_plane_go(plane, (const double[]){0, 0});
    for (size_t i = 0; i < plane->n; i++)
        assert_true(now[i] == plane->centre[i]);
    tear_down(&rig);
}

static void directions_depend_on_seed_and_axis_alone(void **state)
{
    struct rig one, three, other, line;
    (void)state;
    set_up(&one, 0, 3, 2);
    set_up(&three, 3, 3, 2);
    set_up(&other, 0, 4, 2);
    set_up(&line, 0, 3, 1);
    const size_t n = one.plane.n * sizeof(float);
    for (int axis = 0; axis < 2; axis++) {
        assert_memory_equal(one.plane.along[axis], three.plane.along[axis], n);
        assert_memory_not_equal(one.plane.along[axis], other.plane.along[axis], n);
    }
    assert_memory_not_equal(one.plane.along[0], one.plane.along[1], n);
    assert_memory_equal(one.plane.along[0], line.plane.along[0], n);
    assert_null(line.plane.along[1]);
    tear_down(&one);
    tear_down(&three);
    tear_down(&other);
    tear_down(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_as_long_as_the_weights),
        cmocka_unit_test(a_point_is_a_sum_and_the_centre_is_the_net),
        cmocka_unit_test(directions_depend_on_seed_and_axis_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
